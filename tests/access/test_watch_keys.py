import pytest

from app.access import manage_keys, watch_keys
from app.access.watch_keys import KeyWatch
from app.tools import Tools
from tests.storage import statements, stored


@pytest.fixture(autouse=True)
def check_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look is too soon after another."""
    monkeypatch.setattr(watch_keys, "CHECK_SECONDS", 0)


async def make_key(tools: Tools, number: int) -> str:
    """The id of a new key."""
    made = await manage_keys.create_key(
        tools.engine,
        name="shop",
        scopes=["events:read"],
        now=tools.clock(),
        random_bytes=lambda size: bytes([number]) * size,
    )
    return made.id


async def test_revoked_key_is_good_no_more(tools: Tools) -> None:
    """And the others are."""
    keys = KeyWatch(tools.engine)
    kept, lost = await make_key(tools, 1), await make_key(tools, 2)

    with keys.holding(kept), keys.holding(lost):
        await keys.look()
        before = (keys.is_good(kept), keys.is_good(lost))
        await stored.execute(tools.engine, f"UPDATE api_keys SET revoked_at = now() WHERE id = '{lost}'")  # noqa: S608  # hexadecimal digits
        await keys.look()
        after = (keys.is_good(kept), keys.is_good(lost))

    assert (before, after) == ((True, True), (True, False))


async def test_all_keys_are_looked_up_by_one_statement(tools: Tools) -> None:
    """However many streams there are."""
    keys = KeyWatch(tools.engine)
    first, second = await make_key(tools, 1), await make_key(tools, 2)

    with keys.holding(first), keys.holding(first), keys.holding(second), statements.noted(tools.engine) as sent:
        await keys.look()

    assert len(sent) == 1


async def test_looks_are_not_taken_too_often(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that comes soon after another asks nothing."""
    keys = KeyWatch(tools.engine)
    key = await make_key(tools, 1)

    with keys.holding(key):
        await keys.look()
        monkeypatch.setattr(watch_keys, "CHECK_SECONDS", 60)
        with statements.noted(tools.engine) as sent:
            await keys.look()

    assert sent == []


async def test_nothing_is_asked_when_no_stream_is_open(tools: Tools) -> None:
    """A key is held as long as one of its streams is open."""
    keys = KeyWatch(tools.engine)
    key = await make_key(tools, 1)

    with keys.holding(key):
        with keys.holding(key):
            pass
        is_good_with_one_left = keys.is_good(key)
    with statements.noted(tools.engine) as sent:
        await keys.look()

    assert (is_good_with_one_left, keys.is_good(key), sent) == (True, False, [])


async def test_key_that_cannot_be_looked_up_is_trusted_for_a_while_only(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away must not keep a revoked key alive."""
    keys = KeyWatch(tools.engine)

    with keys.holding("0123456789ab"):
        trusted = keys.is_good("0123456789ab")
        monkeypatch.setattr(watch_keys, "TRUST_SECONDS", 0)
        trusted_later = keys.is_good("0123456789ab")

    assert (trusted, trusted_later) == (True, False)
