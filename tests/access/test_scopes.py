import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.access import scopes
from app.access.manage_keys import SCOPES
from app.access.scopes import UndeclaredScopeError
from tests.dots.fake_dots import FLOW, USER
from tests.storage import stored
from tests.surroundings import KeyWith

# Every route that needs a key, and the scope it needs.
SCOPED = [
    ("POST", "/v1/flows", "flows:write"),
    ("GET", "/v1/flows", "flows:read"),
    ("GET", "/v1/flows/{flow_id}", "flows:read"),
    ("GET", "/v1/flows/{flow_id}/timeline", "flows:read"),
    ("POST", "/v1/flows/{flow_id}/refresh", "flows:write"),
    ("GET", "/v1/users/{user_id}", "flows:read"),
    ("GET", "/v1/events", "events:read"),
    ("GET", "/v1/events/stream", "events:read"),
    ("GET", "/v1/webhooks", "ops:admin"),
    ("GET", "/v1/webhooks/{message_id}", "ops:admin"),
    ("POST", "/v1/webhooks/replay", "ops:admin"),
    ("POST", "/v1/webhooks/{message_id}/replay", "ops:admin"),
    ("POST", "/v1/subscriptions", "subscriptions:admin"),
    ("GET", "/v1/subscriptions", "subscriptions:admin"),
    ("GET", "/v1/subscriptions/{subscription_id}", "subscriptions:admin"),
    ("PATCH", "/v1/subscriptions/{subscription_id}", "subscriptions:admin"),
    ("DELETE", "/v1/subscriptions/{subscription_id}", "subscriptions:admin"),
    ("POST", "/v1/subscriptions/{subscription_id}/pause", "subscriptions:admin"),
    ("POST", "/v1/subscriptions/{subscription_id}/resume", "subscriptions:admin"),
    ("POST", "/v1/subscriptions/{subscription_id}/secret", "subscriptions:admin"),
    ("POST", "/v1/subscriptions/{subscription_id}/test", "subscriptions:admin"),
    ("GET", "/v1/subscriptions/{subscription_id}/deliveries", "subscriptions:admin"),
    ("GET", "/v1/subscriptions/{subscription_id}/deliveries/{event_id}", "subscriptions:admin"),
    ("POST", "/v1/subscriptions/{subscription_id}/deliveries/{event_id}/redeliver", "subscriptions:admin"),
    ("POST", "/v1/subscriptions/{subscription_id}/redeliver", "subscriptions:admin"),
]
OPEN = {
    ("GET", "/asyncapi.json"),
    ("GET", "/schemas/events/{name}/{version}.json"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("POST", "/webhooks/dots"),
    ("POST", "/webhooks/dots/{app}"),
}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
UNKNOWN_KEY = "dgw_" + "0" * 12 + "_" + "0" * 64
WRONG_KEYS: dict[str, dict[str, str]] = {
    "no key": {},
    "an empty header": {"Authorization": ""},
    "another scheme": {"Authorization": "Basic cGs6c2s="},
    "the scheme alone": {"Authorization": "Bearer"},
    "an unknown key": {"Authorization": f"Bearer {UNKNOWN_KEY}"},
    "a malformed key": {"Authorization": "Bearer dgw_1"},
    "a key with SQL": {"Authorization": "Bearer dgw_'; DROP TABLE api_keys; --"},
    "a key of 10,000 characters": {"Authorization": "Bearer " + "a" * 10_000},
}


def fill(path: str) -> str:
    """Return the path with ids filled in."""
    return path.format(flow_id=FLOW, user_id=USER, message_id="msg_1", subscription_id=UNKNOWN_ID, event_id=UNKNOWN_ID)


def test_table_names_every_route(app: FastAPI) -> None:
    """A new route must be added to the table, with its scope."""
    documented = {
        (method.upper(), path) for path, operations in app.openapi()["paths"].items() for method in operations
    }

    assert documented == {(method, path) for method, path, _ in SCOPED} | OPEN


@pytest.mark.parametrize(("method", "path", "scope"), SCOPED)
async def test_route_needs_a_live_key_with_its_scope(
    stranger: httpx.AsyncClient, engine: AsyncEngine, key_with: KeyWith, *, method: str, path: str, scope: str
) -> None:
    """Without a valid key the answer is 401. Without the scope it is 403, which names the scope."""
    wrong = {name: await stranger.request(method, fill(path), headers=headers) for name, headers in WRONG_KEYS.items()}
    revoked_key = await key_with(*SCOPES)
    await stored.execute(engine, "UPDATE api_keys SET revoked_at = now()")
    wrong["a revoked key"] = await stranger.request(method, fill(path), headers=revoked_key)
    poor_key = await key_with(*(set(SCOPES) - {scope}))
    poor = await stranger.request(method, fill(path), headers=poor_key)

    assert {name: answer.status_code for name, answer in wrong.items() if answer.status_code != 401} == {}
    assert {answer.headers["www-authenticate"] for answer in wrong.values()} == {"Bearer"}
    assert {answer.headers["content-type"] for answer in wrong.values()} == {"application/problem+json"}
    assert {answer.json()["code"] for answer in wrong.values()} == {"key_missing", "key_refused"}
    assert wrong["an unknown key"].content == wrong["a revoked key"].content
    assert poor.status_code == 403
    assert poor.json()["code"] == "scope_missing"
    assert scope in poor.json()["detail"]


async def test_refused_request_does_nothing(
    stranger: httpx.AsyncClient, engine: AsyncEngine, key_with: KeyWith
) -> None:
    """The scope is checked before anything is written, although the body is valid."""
    poor_key = await key_with("flows:read")

    answer = await stranger.post("/v1/flows", json={"steps": ["compliance"]}, headers=poor_key)

    assert answer.status_code == 403
    assert await stored.count(engine, "flows") == 0


async def test_secret_must_belong_to_the_id(stranger: httpx.AsyncClient, key_with: KeyWith) -> None:
    """The id of one key with the secret of another is refused."""
    one, other = await key_with("flows:read"), await key_with("flows:read")
    crossed = one["Authorization"][: len("Bearer dgw_") + 12] + other["Authorization"][-65:]

    answer = await stranger.get("/v1/flows", headers={"Authorization": crossed})

    assert answer.status_code == 401


def test_route_without_a_scope_does_not_start() -> None:
    """The start fails if a route declares no scope, or if it is of a kind that has no dependencies."""
    forgotten, plain = APIRouter(), APIRouter()
    forgotten.add_api_route("/forgotten", lambda: None)
    plain.add_route("/plain", lambda _request: None)  # type: ignore[arg-type, return-value]  # never called

    with pytest.raises(UndeclaredScopeError, match="/forgotten"):
        scopes.check([forgotten])
    with pytest.raises(UndeclaredScopeError, match="/plain"):
        scopes.check([plain])
