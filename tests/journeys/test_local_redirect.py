"""A developer tries a flow out on one machine: the redirect leads to their own program."""

import pytest

from tests.journeys import one_process


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1:3000", "[::1]:3000"])
async def test_redirect_may_lead_to_this_machine_while_dots_is_a_simulator(
    database_url: str, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The gateway takes the flow without a warning, and so does the simulator, which says thanks at the end."""
    redirect = {"name": "redirect", "redirect_url": f"http://{host}/done"}
    async with one_process.running(database_url, monkeypatch, {}) as world:
        flow = await world.gateway.create("payout", redirect)
        page = await world.gateway.client.get(flow["link"])

    assert (flow["status"], flow.get("warnings")) == ("open", None)
    assert page.status_code == 200
