import base64
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from simulator.application import create_app
from simulator.simulation import build
from tests.simulator.setup import SETTINGS, ManualClock, Setup

TOKEN = "0123456789abcdef"


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials of a simulator with a control token and the host name `dots-here`."""
    settings = replace(SETTINGS, control_token=TOKEN, allowed_hosts=("dots-here",))
    clock = ManualClock()
    simulation = build(settings, clock=clock.read, sleep=clock.sleep)
    transport = httpx.ASGITransport(create_app(simulation))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:8900") as client:
        yield client
    await simulation.close()


def basic(password: str) -> str:
    """The header a browser sends for this password."""
    return "Basic " + base64.b64encode(f"user:{password}".encode()).decode()


@pytest.mark.parametrize("path", ["/", "/_control/state", "/api/v2/flows", "/flow/x", "/docs"])
async def test_unknown_host_names_are_refused(setup: Setup, path: str) -> None:
    """This stops DNS rebinding. Two `Host` headers are refused too."""
    hosts = ["evil.example", "evil.example:8900", "127.0.0.1.evil.example", "", "a@localhost"]

    answers = [await setup.client.get(path, headers={"host": host}) for host in hosts]
    answers.append(await setup.client.get(path, headers=[("host", "localhost"), ("host", "localhost")]))

    assert [answer.status_code for answer in answers] == [421] * 6
    assert all("--allowed-hosts" in answer.text for answer in answers)


async def test_loopback_and_the_public_host_name_are_accepted(setup: Setup) -> None:
    """With any port, because a port can be forwarded."""
    hosts = ["localhost", "LOCALHOST:3000", "127.0.0.1:8900", "127.9.9.9", "[::1]:8900", "shop.localhost", "dots.test."]

    answers = [await setup.client.get("/_control/healthz", headers={"host": host}) for host in hosts]

    assert [answer.status_code for answer in answers] == [200] * len(hosts)


async def test_its_own_address_and_allowed_hosts_are_accepted(guarded: httpx.AsyncClient) -> None:
    """Its own address is the local address of the connection."""
    hosts = ["10.1.2.3:8900", "dots-here:8900", "DOTS-HERE", "10.1.2.4"]

    answers = [await guarded.get("/_control/healthz", headers={"host": host}) for host in hosts]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 421]


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Bearer", "Basic !", basic("wrong"), "Token " + TOKEN])
async def test_the_control_api_and_the_overview_require_the_token(
    guarded: httpx.AsyncClient, authorization: str
) -> None:
    """For reading and for writing. A browser asks for a password."""
    headers = {"authorization": authorization}
    reads = ["/_control/state", "/_control/knobs", "/_control/webhooks/published", "/_control/deliveries", "/"]
    writes = ["/_control/reset", "/overview/complete-next"]

    answers = [await guarded.get(path, headers=headers) for path in reads]
    answers += [await guarded.post(path, headers=headers, data={"flow_id": "x"}) for path in writes]

    challenge = 'Basic realm="dots-simulator"'
    assert {(answer.status_code, answer.headers["www-authenticate"]) for answer in answers} == {(401, challenge)}
    assert not any(TOKEN in answer.text for answer in answers)


async def test_the_token_gives_access(guarded: httpx.AsyncClient) -> None:
    """As a bearer token, and as the password of any user."""
    requests = [(path, given) for path in ("/_control/state", "/") for given in ("Bearer " + TOKEN, basic(TOKEN))]

    answers = [await guarded.get(path, headers={"authorization": given}) for path, given in requests]

    assert [answer.status_code for answer in answers] == [200] * 4


async def test_pages_health_and_the_api_need_no_token(guarded: httpx.AsyncClient) -> None:
    """Payees open the pages, and the API has its own credentials."""
    paths = ["/flow/x", "/dashboard", "/static/simulator.css", "/_control/healthz"]

    statuses = [(await guarded.get(path)).status_code for path in paths]
    api = await guarded.get("/api/v2/flows", auth=(SETTINGS.client_id, SETTINGS.api_key))

    assert (statuses, api.status_code) == ([404, 200, 200, 200], 200)


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 200), ("none", 200)])
async def test_pages_of_other_sites_cannot_control_the_simulator(setup: Setup, site: str, status: int) -> None:
    """With or without a token. A developer's page on this machine can."""
    response = await setup.client.post("/_control/reset", headers={"sec-fetch-site": site})

    assert response.status_code == status
