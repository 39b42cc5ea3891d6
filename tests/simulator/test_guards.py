import base64
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from simulator.application import create_app
from simulator.simulation import build
from tests.simulator.setup import SETTINGS, HandClock, Setup

TOKEN = "a token of at least 16"  # Longer than any guess; spaces do no harm here.


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """A stranger at a simulator with a control token, which may be reached as `dots-here` too."""
    settings = replace(SETTINGS, control_token=TOKEN, allowed_hosts=("dots-here",))
    clock = HandClock()
    simulation = build(settings, clock=clock.read, sleep=clock.sleep)
    transport = httpx.ASGITransport(create_app(simulation))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:8900") as client:
        yield client
    await simulation.close()


def basic(password: str) -> str:
    """The header a browser sends for this password."""
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize("path", ["/", "/_control/state", "/api/v2/flows", "/flow/x", "/docs"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8900", "127.0.0.1.evil.example", "", "a@localhost"])
async def test_a_foreign_host_name_gets_nothing(setup: Setup, path: str, host: str) -> None:
    """A name that somebody lets lead here is no name of the simulator's: DNS rebinding."""
    response = await setup.client.get(path, headers={"host": host})

    assert response.status_code == 421
    assert "--allowed-hosts" in response.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:3000", "127.0.0.1:8900", "127.9.9.9", "[::1]:8900", "shop.localhost", "dots.test."]
)
async def test_loopback_and_the_public_name_are_answered(setup: Setup, host: str) -> None:
    """With any port: it may be forwarded."""
    response = await setup.client.get("/_control/healthz", headers={"host": host})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("host", "status"), [("10.1.2.3:8900", 200), ("dots-here:8900", 200), ("DOTS-HERE", 200), ("10.1.2.4", 421)]
)
async def test_its_own_address_and_names_given_are_answered(guarded: httpx.AsyncClient, host: str, status: int) -> None:
    """The address is the one that the connection came to."""
    response = await guarded.get("/_control/healthz", headers={"host": host})

    assert response.status_code == status


async def test_two_host_headers_are_refused(setup: Setup) -> None:
    """Which of them another program would take is chance."""
    response = await setup.client.get("/", headers=[("host", "localhost"), ("host", "localhost")])

    assert response.status_code == 421


@pytest.mark.parametrize(
    "path", ["/_control/state", "/_control/knobs", "/_control/webhooks/published", "/_control/deliveries", "/"]
)
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Bearer", "Basic !", basic("wrong"), "Token " + TOKEN])
async def test_without_the_token_nothing_can_be_seen(guarded: httpx.AsyncClient, path: str, authorization: str) -> None:
    """Of the control API and the overview, which shows the same; a browser is asked for a password."""
    response = await guarded.get(path, headers={"authorization": authorization})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Basic realm="dots-simulator"'
    assert TOKEN not in response.text


@pytest.mark.parametrize("path", ["/_control/reset", "/overview/complete-next"])
async def test_without_the_token_nothing_can_be_steered(guarded: httpx.AsyncClient, path: str) -> None:
    """Neither by a program nor by a form."""
    response = await guarded.post(path, data={"flow_id": "x"})

    assert response.status_code == 401


@pytest.mark.parametrize("authorization", ["Bearer " + TOKEN, basic(TOKEN)])
async def test_the_token_opens(guarded: httpx.AsyncClient, authorization: str) -> None:
    """As a bearer token, and as the password of any user."""
    answers = [await guarded.get(path, headers={"authorization": authorization}) for path in ("/_control/state", "/")]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_payees_probes_and_the_api_need_no_token(guarded: httpx.AsyncClient) -> None:
    """The pages are for payees, and the API has credentials of its own."""
    paths = ["/flow/x", "/dashboard", "/static/simulator.css", "/_control/healthz"]

    statuses = [(await guarded.get(path)).status_code for path in paths]
    api = await guarded.get("/api/v2/flows", auth=(SETTINGS.client_id, SETTINGS.api_key))

    assert (statuses, api.status_code) == ([404, 200, 200, 200], 200)


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 200), ("none", 200)])
async def test_pages_of_other_sites_cannot_steer(setup: Setup, site: str, status: int) -> None:
    """A form or script elsewhere could send this, token or none; a developer's own page on this machine may."""
    response = await setup.client.post("/_control/reset", headers={"sec-fetch-site": site})

    assert response.status_code == status
