from typing import Any

import pytest

from tests.simulator.stage import Stage


async def five_flows(stage: Stage) -> list[str]:
    """The ids of five flows, newest first."""
    ids = [(await stage.create("payout"))["id"] for _ in range(5)]
    return ids[::-1]


def ids(page: dict[str, Any]) -> list[str]:
    """The ids on a page."""
    return [flow["id"] for flow in page["data"]]


async def test_cursors_walk_all_flows_newest_first(stage: Stage) -> None:
    """`starting_after` goes on where the last page ended, until nothing more is there."""
    newest_first = await five_flows(stage)

    first = await stage.get("/api/v2/flows?limit=2")
    second = await stage.get(f"/api/v2/flows/?limit=2&starting_after={ids(first)[-1]}")
    third = await stage.get(f"/api/v2/flows?limit=2&starting_after={ids(second)[-1]}")

    assert ids(first) + ids(second) + ids(third) == newest_first
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]


async def test_ending_before_gives_the_page_right_before_the_cursor(stage: Stage) -> None:
    """It walks the other way, in the same order on each page."""
    newest_first = await five_flows(stage)

    page = await stage.get(f"/api/v2/flows?limit=2&ending_before={newest_first[3]}")
    first = await stage.get(f"/api/v2/flows?limit=2&ending_before={newest_first[1]}")

    assert (ids(page), page["has_more"]) == (newest_first[1:3], True)
    assert (ids(first), first["has_more"]) == (newest_first[:1], False)


async def test_without_a_limit_a_page_holds_ten(stage: Stage) -> None:
    """Made up: Dots does not say."""
    for _ in range(11):
        await stage.create("payout")

    page = await stage.get("/api/v2/flows")

    assert (len(page["data"]), page["has_more"]) == (10, True)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=-1", "starting_after=x", "starting_after=x&ending_before=y"]
)
async def test_a_listing_against_the_rules_is_refused(stage: Stage, query: str) -> None:
    """In the documented error shape."""
    response = await stage.client.get(f"/api/v2/flows?{query}")

    assert (response.status_code, response.json()["error_code"]) == (400, "invalid-input")
