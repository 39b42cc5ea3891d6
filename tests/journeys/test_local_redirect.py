"""A developer tests a flow whose redirect leads to a local program."""

import pytest

from tests.journeys import one_process

HOSTS = ("localhost:3000", "127.0.0.1:3000", "[::1]:3000")


async def test_loopback_redirects_are_accepted_with_the_simulator(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway and the simulator accept the flow without a warning."""
    redirects = [{"name": "redirect", "redirect_url": f"http://{host}/done"} for host in HOSTS]
    async with one_process.running(database_url, monkeypatch, {}) as world:
        flows = [await world.gateway.create("payout", redirect) for redirect in redirects]
        pages = [await world.gateway.client.get(flow["link"]) for flow in flows]

    assert [(flow["status"], flow.get("warnings")) for flow in flows] == [("open", None)] * 3
    assert [page.status_code for page in pages] == [200] * 3
