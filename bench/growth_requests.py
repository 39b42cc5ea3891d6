"""The rows of the table that are requests to the api."""

import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote

from bench import growth_sizes
from bench.growth_table import Row
from bench.growth_target import Target
from bench.growth_timing import Action, timed

Request = Callable[[Target, int], Awaitable[bytes]]
EVENTS_BEFORE_THE_PAGE = 500


def _get(path: str) -> Request:
    """Describe a request for one flow or user after the other."""

    async def send(target: Target, number: int) -> bytes:
        chosen = target.flow_number(number)
        return await target.client.get(
            path.format(flow=growth_sizes.flow_id(chosen), user=growth_sizes.user_id(chosen))
        )

    return send


def _dry_run(**order: str) -> Request:
    """Describe a replay with `dry_run`, which only counts."""

    async def send(target: Target, _number: int) -> bytes:
        return await target.client.post("/v1/webhooks/replay", json.dumps({**order, "dry_run": True}).encode())

    return send


async def _feed_page(target: Target, _number: int) -> bytes:
    cursor = await _cursor(target)
    return await target.client.get(f"/v1/events?after={quote(cursor)}&limit=100")


async def _cursor(target: Target) -> str:
    """Return a cursor behind the first events. Fetched once for each database."""
    if target.database_url not in _CURSORS:
        page = json.loads(await target.client.get(f"/v1/events?limit={EVENTS_BEFORE_THE_PAGE}"))
        _CURSORS[target.database_url] = page["next_cursor"]
    return _CURSORS[target.database_url]


_CURSORS: dict[str, str] = {}

REQUESTS: dict[str, Request] = {
    "flow by id": _get("/v1/flows/{flow}"),
    "user by id": _get("/v1/users/{user}"),
    "timeline": _get("/v1/flows/{flow}/timeline"),
    "flows, newest first": _get("/v1/flows?limit=10"),
    "flows by `user_id`": _get("/v1/flows?user_id={user}&limit=10"),
    "flows with `status=failed`": _get("/v1/flows?status=failed"),
    "flows with `status=open`": _get("/v1/flows?status=open&limit=10"),
    "flows by an unknown step": _get("/v1/flows?step=no-such-step&limit=10"),
    "webhooks, latest first": _get("/v1/webhooks?limit=10"),
    "webhooks with `state=dead`": _get("/v1/webhooks?state=dead"),
    "webhooks with `state=failing`": _get("/v1/webhooks?state=failing"),
    "webhooks with `state=pending`": _get("/v1/webhooks?state=pending"),
    "webhooks by event, a rare one": _get(f"/v1/webhooks?event={growth_sizes.RARE_EVENT}&limit=10"),
    "webhooks by event, an unknown one": _get("/v1/webhooks?event=no.such.event&limit=10"),
    "webhooks by subject": _get("/v1/webhooks?subject_id={flow}&limit=10"),
    "replay dry run, `state=dead`": _dry_run(state="dead"),
    "replay dry run, by event": _dry_run(event=growth_sizes.RARE_EVENT),
    "feed page of 100 events, in the middle": _feed_page,
    "feed page of a type that never occurs": _get("/v1/events?types=dots.background_check.flagged&limit=10"),
    "metrics scrape": _get("/metrics"),
    "readiness": _get("/readyz"),
}


async def rows(empty: Target, grown: Target, *, only: str) -> AsyncIterator[Row]:
    """Time every request whose name contains `only` on both databases, in turn."""
    for name, request in REQUESTS.items():
        if only not in name:
            continue
        actions = [Action(act=functools.partial(request, target)) for target in (empty, grown)]
        yield Row.of_timings(name, *await timed(*actions))
