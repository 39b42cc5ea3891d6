from typing import Any

from tests.simulator.setup import Setup


async def five_flows(setup: Setup) -> list[str]:
    """The ids of five flows, newest first."""
    ids = [(await setup.create("payout"))["id"] for _ in range(5)]
    return ids[::-1]


def ids(page: dict[str, Any]) -> list[str]:
    """The ids on a page."""
    return [flow["id"] for flow in page["data"]]


async def test_cursors_walk_all_flows_newest_first(setup: Setup) -> None:
    """`starting_after` continues after the last page, until `has_more` is false."""
    newest_first = await five_flows(setup)

    first = await setup.get("/api/v2/flows?limit=2")
    second = await setup.get(f"/api/v2/flows/?limit=2&starting_after={ids(first)[-1]}")
    third = await setup.get(f"/api/v2/flows?limit=2&starting_after={ids(second)[-1]}")

    assert ids(first) + ids(second) + ids(third) == newest_first
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]


async def test_ending_before_returns_the_page_before_the_cursor(setup: Setup) -> None:
    """The pages go backwards; the order on each page is the same."""
    newest_first = await five_flows(setup)

    page = await setup.get(f"/api/v2/flows?limit=2&ending_before={newest_first[3]}")
    first = await setup.get(f"/api/v2/flows?limit=2&ending_before={newest_first[1]}")

    assert (ids(page), page["has_more"]) == (newest_first[1:3], True)
    assert (ids(first), first["has_more"]) == (newest_first[:1], False)


async def test_the_default_page_size_is_ten(setup: Setup) -> None:
    """An assumption: Dots does not document it."""
    for _ in range(11):
        await setup.create("payout")

    page = await setup.get("/api/v2/flows")

    assert (len(page["data"]), page["has_more"]) == (10, True)


async def test_an_invalid_limit_or_cursor_is_refused(setup: Setup) -> None:
    """The answer has the documented error format."""
    queries = ["limit=0", "limit=101", "limit=x", "limit=-1", "starting_after=x", "starting_after=x&ending_before=y"]

    answers = [await setup.client.get(f"/api/v2/flows?{query}") for query in queries]

    assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [(400, "invalid-input")] * 6
