"""Creates flows as a caller does, without HTTP."""

from typing import Any

from app.flows.create_flow import Created, create_flow
from app.flows.flow_rows import FlowRecord
from app.flows.rules.flow_request import FlowRequest
from tests.all_inputs import AllInputs


def describe(flow: FlowRecord) -> dict[str, Any]:
    """Build a short answer from the flow."""
    return {
        "id": flow.id,
        "status": flow.status,
        "link": flow.link,
        "reference": flow.reference,
        "metadata": flow.metadata,
    }


async def create(inputs: AllInputs, request: FlowRequest, *, caller: str = "shop", key: str | None = None) -> Created:
    """Create a flow with this Idempotency-Key."""
    return await create_flow(inputs, request, caller=caller, idempotency_key=key, describe=describe)
