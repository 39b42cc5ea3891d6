import base64
import json
import traceback

import pytest

from app.dots.client import DotsClient
from app.errors import (
    DotsNotFoundError,
    SettingsError,
)
from tests.dots.fake_dots import API_KEY, FLOW, FLOW_JSON, USER, Recorder, access, client, now
from tests.dots.gates import open_gate, permit


async def test_create_posts_the_body_as_json() -> None:
    """A creation is one POST with the given body. It returns a snapshot."""
    dots = Recorder(FLOW_JSON, status=201)
    body = {"steps": ["payout"], "metadata": {"name": "Zoë \ud800 \u0000"}}

    async with client(dots) as asking:
        snapshot = await asking.create_flow(permit(asking), body, user_ip="2001:db8::1")

    request = dots.requests[0]
    assert snapshot.id == FLOW
    assert (request.method, str(request.url)) == ("POST", "https://dots.example/api/v2/flows")
    assert json.loads(request.content) == body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["dots-user-ip"] == "2001:db8::1"


async def test_standing_headers() -> None:
    """Each call sends basic credentials, refuses compression, and names the app of an organization's key."""
    dots = Recorder(FLOW_JSON)

    for app_id in ("app-1", None):
        async with client(dots, access(app_id=app_id)) as asking:
            await asking.get_flow(permit(asking), FLOW)

    headers = dots.requests[0].headers
    assert headers["authorization"] == "Basic " + base64.b64encode(f"pk_dev_1:{API_KEY}".encode()).decode()
    assert headers["api-app-id"] == "app-1"
    assert headers["accept-encoding"] == "identity"
    assert "dots-user-ip" not in headers
    assert "api-app-id" not in dots.requests[1].headers


async def test_list_asks_for_the_page_after() -> None:
    """The cursor is the id of the last flow seen."""
    dots = Recorder({"data": [FLOW_JSON], "has_more": True})

    async with client(dots) as asking:
        page = await asking.list_flows(permit(asking), limit=50, starting_after="a&b=c")
        await asking.list_flows(permit(asking))

    assert ([flow.id for flow in page.flows], page.has_more) == ([FLOW], True)
    assert dict(dots.requests[0].url.params) == {"limit": "50", "starting_after": "a&b=c"}
    assert dict(dots.requests[1].url.params) == {"limit": "100"}


ODD_IDS = [
    ("a/b", b"/api/v2/flows/a%2Fb"),
    ("../users/1", b"/api/v2/flows/..%2Fusers%2F1"),
    ("a?b#c", b"/api/v2/flows/a%3Fb%23c"),
    ("a%2Fb", b"/api/v2/flows/a%252Fb"),
    ("é \r\n", b"/api/v2/flows/%C3%A9%20%0D%0A"),
    ("...", b"/api/v2/flows/..."),
]


@pytest.mark.parametrize(("flow_id", "path"), ODD_IDS)
async def test_odd_id_stays_one_segment_of_the_path(flow_id: str, path: bytes) -> None:
    """An id is quoted, so that it cannot reach another resource."""
    dots = Recorder(FLOW_JSON)

    async with client(dots) as asking:
        await asking.get_flow(permit(asking), flow_id)

    assert dots.requests[0].url.raw_path == path


@pytest.mark.parametrize("flow_id", ["", ".", "..", "\ud800"])
async def test_id_with_a_meaning_in_urls_is_not_requested(flow_id: str) -> None:
    """Such an id would request the list, or a path above it."""
    dots = Recorder(FLOW_JSON)

    async with client(dots) as asking:
        with pytest.raises(DotsNotFoundError):
            await asking.get_flow(permit(asking), flow_id)

    assert dots.requests == []


async def test_cookies_are_not_kept() -> None:
    """A load balancer's cookie is not sent back."""
    dots = Recorder(FLOW_JSON, headers={"Set-Cookie": "sticky=1; Path=/; Domain=dots.example"})

    async with client(dots) as asking:
        await asking.get_flow(permit(asking), FLOW)
        await asking.get_flow(permit(asking), FLOW)

    assert "cookie" not in dots.requests[1].headers


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://dots.example/api", "/api/v2/users/"),
        ("https://dots.example/api//", "/api/v2/users/"),
        ("https://dots.example//api/v2", "/api/v2/users/"),
        ("https://dots.example/api//v2//", "/api/v2/users/"),
        ("https://dots.example", "/v2/users/"),
        ("https://dots.example/v2", "/v2/users/"),
        ("https://dots.example/apiv2", "/apiv2/v2/users/"),
        ("https://dots.example:8443/a/b", "/a/b/v2/users/"),
    ],
)
async def test_base_url_keeps_its_own_path(base_url: str, path: str) -> None:
    """Paths continue the base URL, whether it ends in slashes, in the version, in both or in neither."""
    dots = Recorder({"id": USER})

    async with client(dots, access(base_url=base_url)) as asking:
        snapshot = await asking.get_user(permit(asking), USER)

    assert snapshot.id == USER
    assert dots.requests[0].url.path == f"{path}{USER}"


WRONG_URLS = [
    "",
    "dots.example/api",
    "ftp://dots.example/api",
    "https://",
    "https:///api",
    "https://user:hunter2@dots.example/api",
    "https://dots.example/api?key=hunter2",
    "https://dots.example/api#hunter2",
    "https://dots.example:hunter2/api",
    "https://dots.example/\x00",
]


@pytest.mark.parametrize("base_url", WRONG_URLS)
def test_wrong_base_url_stops_the_start(base_url: str) -> None:
    """An unusable URL stops the start, and the error does not quote it."""
    with pytest.raises(SettingsError) as raised:
        DotsClient(access(base_url=base_url), gate=open_gate(now))

    assert raised.value.detail.startswith("DOTS_API_URL ")
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("app_id", ["", "a b", "a\r\nb", "é"])
def test_wrong_app_id_stops_the_start(app_id: str) -> None:
    """An app id that a header cannot hold stops the start."""
    with pytest.raises(SettingsError, match="DOTS_APP_ID"):
        DotsClient(access(app_id=app_id), gate=open_gate(now))


def test_credentials_are_in_no_repr() -> None:
    """Neither the access nor the client shows the credentials."""
    shown = repr(access()) + repr(DotsClient(access(), gate=open_gate(now)))

    assert API_KEY not in shown
    assert "pk_dev_1" not in shown


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1:9000/api", True),
        ("http://localhost:9000/api", True),
        ("http://[::1]:9000/api", True),
        ("http://simulator:9000/api", False),
        ("https://api.dots.dev/api", False),
    ],
)
def test_client_knows_whether_dots_is_on_this_machine(base_url: str, *, expected: bool) -> None:
    """Only then may a redirect lead to localhost."""
    assert DotsClient(access(base_url=base_url), gate=open_gate(now)).is_on_loopback is expected
