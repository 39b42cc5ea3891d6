import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.access import manage_keys
from app.errors import InvalidFieldsError, KeyRefusedError
from tests.all_inputs import AllInputs
from tests.dots.fake_dots import NOW
from tests.storage import stored

ZEROS = "dgw_" + "00" * 6 + "_" + "00" * 32


async def create(inputs: AllInputs, name: str = "shop", *scopes: str) -> manage_keys.NewKey:
    """Create a key."""
    return await manage_keys.create_key(
        inputs.engine, name=name, scopes=scopes or ("flows:read",), now=NOW, random_bytes=secrets.token_bytes
    )


async def test_checked_key_has_its_caller_and_scopes(inputs: AllInputs) -> None:
    """The record of a valid key is as it was created."""
    made = await create(inputs, "shop", "flows:read", "events:read")

    record = await manage_keys.check_key(inputs.engine, made.key)

    assert (record.id, record.name, record.scopes) == (made.id, "shop", frozenset({"flows:read", "events:read"}))
    assert record.created_at == NOW


async def test_database_does_not_have_the_key(inputs: AllInputs) -> None:
    """A reader of the database cannot use a key."""
    made = await create(inputs)

    kept = await stored.row(inputs.engine, "SELECT * FROM api_keys")

    secret = made.key.rpartition("_")[2]
    assert secret not in str(kept)
    assert bytes.fromhex(secret) not in kept["secret_hash"]
    assert len(kept["secret_hash"]) == 32


async def test_key_consists_of_random_bytes(inputs: AllInputs) -> None:
    """The id and the secret contain all random bytes."""
    made = await manage_keys.create_key(inputs.engine, name="a", scopes=["flows:read"], now=NOW, random_bytes=bytes)

    assert made.key == ZEROS


async def test_revoked_key_is_refused(inputs: AllInputs) -> None:
    """Only the first revocation counts. Unknown keys cannot be revoked, and other keys stay valid."""
    made, other = await create(inputs), await create(inputs)
    answers = [
        await manage_keys.revoke_key(inputs.engine, key_id, now=NOW + timedelta(days=day))
        for day, key_id in enumerate((made.id, made.id, "unknown"))
    ]

    with pytest.raises(KeyRefusedError):
        await manage_keys.check_key(inputs.engine, made.key)

    assert answers == [True, False, False]
    assert {key.id: key.revoked_at for key in await manage_keys.list_keys(inputs.engine)} == {
        made.id: NOW,
        other.id: None,
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key.upper(),
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: key.replace("dgw_", "dgw-"),
        lambda key: f" {key}",
        lambda key: f"{key}\n",
        lambda _key: ZEROS,
        lambda _key: "",
        lambda _key: "\x00",
    ],
)
async def test_changed_key_is_refused(inputs: AllInputs, change: Callable[[str], str]) -> None:
    """Malformed keys, unknown keys and keys with one wrong character get the same error."""
    made = await create(inputs)

    with pytest.raises(KeyRefusedError):
        await manage_keys.check_key(inputs.engine, change(made.key))


@pytest.mark.parametrize(
    ("name", "scopes", "fields"),
    [
        ("", ["flows:read"], ["name"]),
        (" shop", ["flows:read"], ["name"]),
        ("shop\n", ["flows:read"], ["name"]),
        ("s" * 64, ["flows:read"], ["name"]),
        ("a;b", ["flows:read"], ["name"]),
        ("shop", [], ["scopes"]),
        ("shop", ["flows:read", "everything"], ["scopes"]),
        ("shop", ["FLOWS:READ"], ["scopes"]),
        ("", [], ["name", "scopes"]),
    ],
)
async def test_invalid_name_or_scope_is_named(
    inputs: AllInputs, name: str, scopes: list[str], fields: list[str]
) -> None:
    """No key is created with them."""
    with pytest.raises(InvalidFieldsError) as caught:
        await manage_keys.create_key(inputs.engine, name=name, scopes=scopes, now=NOW, random_bytes=bytes)

    assert [problem.field for problem in caught.value.problems] == fields
    assert await stored.count(inputs.engine, "api_keys") == 0
