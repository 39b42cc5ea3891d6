"""One page of flows, with Dots' cursors."""

from collections.abc import Sequence

from simulator.errors import invalid_input
from simulator.world.flow import Flow


def page(
    flows: Sequence[Flow], *, limit: int, starting_after: str | None, ending_before: str | None
) -> tuple[Sequence[Flow], bool]:
    """The flows right after or before a cursor, in list order, and whether there are more in that direction.

    Raises:
        RefusalError: there is no such flow, or there are two cursors.
    """
    if starting_after is not None and ending_before is not None:
        raise invalid_input("Give starting_after or ending_before, not both")
    if ending_before is not None:
        end = _position(flows, ending_before, "ending_before")
        start = max(0, end - limit)
        return flows[start:end], start > 0
    start = 0 if starting_after is None else _position(flows, starting_after, "starting_after") + 1
    return flows[start : start + limit], len(flows) > start + limit


def _position(flows: Sequence[Flow], flow_id: str, parameter: str) -> int:
    for position, flow in enumerate(flows):
        if flow.id == flow_id:
            return position
    raise invalid_input(f"{parameter}: no such flow")
