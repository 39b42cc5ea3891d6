"""JSON answers shared by the control routes."""

import base64
from typing import Any

from simulator import dots_json
from simulator.delivery.endpoint import Endpoint
from simulator.delivery.message import Attempt, Message, MessageState
from simulator.simulation import ApiCall, Simulation
from simulator.world.flow import Flow


def flow_answer(simulation: Simulation, flow_id: str) -> dict[str, Any]:
    """A flow as the simulated Dots API returns it now."""
    flow: Flow = simulation.world.flow(flow_id)
    public_url = simulation.settings.public_url
    return dots_json.flow_object(flow, public_url=public_url, unknowns=simulation.unknowns)


def user_answer(simulation: Simulation, user_id: str) -> dict[str, Any]:
    """A user as the simulated Dots API returns it now."""
    return dots_json.user_object(simulation.world.user(user_id), simulation.unknowns)


def endpoint_answer(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint with its newest secret."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "secret": endpoint.secrets[0].secret,
        "is_disabled": endpoint.is_disabled,
        "failing_since": endpoint.failing_since,
    }


def message_answer(message: Message, state: MessageState) -> dict[str, Any]:
    """A message and its state. The body is text; a body that is not UTF-8 is also given as base64."""
    answer: dict[str, Any] = {
        "message_id": message.id,
        "endpoint": message.url,
        "state": state,
        "created_at": message.created_at,
        "body": message.body.decode(errors="replace"),
    }
    try:
        message.body.decode()
    except UnicodeDecodeError:
        answer["body_base64"] = base64.b64encode(message.body).decode()
    return answer


def attempt_answer(attempt: Attempt) -> dict[str, Any]:
    """One line of the delivery log."""
    return {
        "message_id": attempt.message_id,
        "endpoint": attempt.endpoint,
        "attempt": attempt.attempt,
        "status": attempt.status,
        "error": attempt.error,
        "at": attempt.at,
    }


def api_call_answer(call: ApiCall) -> dict[str, Any]:
    """One line of the log of API calls."""
    return {
        "method": call.method,
        "path": call.path,
        "at": call.at,
        "status": call.status,
        "fault": call.fault,
    }
