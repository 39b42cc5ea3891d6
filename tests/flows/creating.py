"""Creating flows as a caller does, without HTTP."""

from typing import Any

from app.flows.create_flow import Created, create_flow
from app.flows.flow_rows import FlowRecord
from app.flows.rules.flow_request import FlowRequest
from app.tools import Tools


def describe(flow: FlowRecord) -> dict[str, Any]:
    """The answer: enough of the flow to tell what became of it."""
    return {
        "id": flow.id,
        "status": flow.status,
        "link": flow.link,
        "reference": flow.reference,
        "metadata": flow.metadata,
    }


async def create(tools: Tools, request: FlowRequest, *, caller: str = "shop", key: str | None = None) -> Created:
    """Create a flow, with this Idempotency-Key."""
    return await create_flow(tools, request, caller=caller, idempotency_key=key, describe=describe)
