"""An organization's endpoint gets the webhooks of several apps. `api_app_id` says which app each one belongs to."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.all_inputs import AllInputs
from tests.dots.fake_dots import FLOW, USER
from tests.storage import stored
from tests.surroundings import Logs
from tests.webhooks.sending import KEY, OTHER_KEY, PATH, signed
from tests.webhooks.test_addresses import counted

OWN = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
FOREIGN = "33333333-3333-4333-8333-333333333333"
WEBHOOKS = "SELECT app, event, kind, subject_id FROM webhooks"
SUBJECTS = "SELECT app, kind, subject_id FROM sync_rows"
LINE = "webhooks of an app that is not in the settings"


@pytest.fixture
def app_ids() -> dict[str, str | None]:
    """The settings have the ids of both apps."""
    return {"default": OWN, "eu": OTHER}


async def send(
    client: httpx.AsyncClient, body: dict[str, Any], *, path: str = PATH, key: bytes = KEY, message_id: str = "msg_1"
) -> httpx.Response:
    """Send a webhook to the endpoint of an app, signed with that endpoint's secret."""
    content = json.dumps(body).encode()
    return await client.post(path, headers=signed(message_id, content, key=key), content=content)


@pytest.mark.parametrize(
    ("path", "key", "api_app_id", "expected"),
    [
        (PATH, KEY, OWN, "default"),
        (PATH, KEY, OTHER, "eu"),
        (PATH, KEY, OTHER.upper(), "eu"),
        (PATH, KEY, None, "default"),
        (f"{PATH}/eu", OTHER_KEY, OWN, "default"),
        (f"{PATH}/eu", OTHER_KEY, OTHER, "eu"),
        (f"{PATH}/eu", OTHER_KEY, None, "eu"),
    ],
)
async def test_webhook_is_stored_under_its_app(
    stranger: httpx.AsyncClient,
    engine: AsyncEngine,
    inputs: AllInputs,
    *,
    path: str,
    key: bytes,
    api_app_id: str | None,
    expected: str,
) -> None:
    """The app's id counts, and not the endpoint. The refresh then uses that app's credentials."""
    body = {"event": "flow.updated", "flow_id": FLOW, "api_app_id": api_app_id}

    answer = await send(stranger, body, path=path, key=key)

    assert answer.status_code == 204
    assert await stored.rows(engine, SUBJECTS) == [{"app": expected, "kind": "flow", "subject_id": FLOW}]
    assert (await stored.row(engine, WEBHOOKS))["app"] == expected
    assert counted(inputs, expected, "stored") == 1


async def test_endpoint_still_needs_its_own_secret(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """`api_app_id` does not choose the secret. It is read after the signature is verified."""
    answer = await send(stranger, {"flow_id": FLOW, "api_app_id": OTHER}, key=OTHER_KEY)

    assert answer.status_code == 401
    assert await stored.count(engine, "webhooks") == 0


@pytest.mark.parametrize(
    "body",
    [
        {"event": "flow.updated", "flow_id": FLOW, "api_app_id": FOREIGN},
        {"user_id": USER, "api_app_id": FOREIGN},
        {"old_user_id": USER, "new_user_id": "user-2", "api_app_id": FOREIGN},
    ],
)
async def test_webhook_of_an_unknown_app_is_stored_and_ignored(
    stranger: httpx.AsyncClient, engine: AsyncEngine, inputs: AllInputs, body: dict[str, Any]
) -> None:
    """It is acknowledged and counted, but nothing is refreshed with another app's credentials."""
    answer = await send(stranger, body)

    assert answer.status_code == 204
    assert await stored.rows(engine, WEBHOOKS) == [
        {"app": "default", "event": body.get("event"), "kind": None, "subject_id": None}
    ]
    assert await stored.count(engine, "sync_rows") == 0
    assert await stored.count(engine, "user_merges") == 0
    assert counted(inputs, "default", "foreign_app") == 1
    assert counted(inputs, "default", "stored") == 0


async def test_unknown_app_is_logged_once(stranger: httpx.AsyncClient, logs: Logs) -> None:
    """An operator sees the id that is missing in the settings, without a line for every webhook."""
    for number in range(3):
        await send(stranger, {"user_id": USER, "api_app_id": FOREIGN}, message_id=f"msg_{number}")

    lines = [line for line in logs if line["event"] == LINE]
    assert lines == [{"event": LINE, "log_level": "warning", "app": "default", "api_app_id": FOREIGN}]


@pytest.mark.parametrize("app_ids", [{"default": "default", "eu": None}])
@pytest.mark.parametrize("api_app_id", [OWN, "default", "", 7, None])
async def test_api_app_id_is_ignored_without_ids_in_the_settings(
    stranger: httpx.AsyncClient, engine: AsyncEngine, api_app_id: object, app_ids: dict[str, str | None]
) -> None:
    """Most installations set no ids. A webhook then belongs to the app of its endpoint."""
    assert OWN not in app_ids.values()
    await send(stranger, {"flow_id": FLOW, "api_app_id": api_app_id})

    assert await stored.rows(engine, SUBJECTS) == [{"app": "default", "kind": "flow", "subject_id": FLOW}]
