import pytest

from app.dots import wire
from app.dots.snapshots import UserSnapshot
from app.errors import DotsInvalidResponseError

USER = "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11"

PERSONAL = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "phone_number": {"country_code": "1", "phone_number": "5550100"},
    "wallet": {"balance": 1200},
    "metadata": {"note": "private"},
}


def user(
    *,
    status: str | None = None,
    id_verified: bool | None = None,
    check_status: str | None = None,
    has_criminal_activity: bool | None = None,
    older_check_failed: bool | None = None,
) -> UserSnapshot:
    """A snapshot in which Dots said only this."""
    return UserSnapshot(
        id=USER,
        status=status,
        id_verified=id_verified,
        check_status=check_status,
        has_criminal_activity=has_criminal_activity,
        older_check_failed=older_check_failed,
    )


USERS: list[tuple[dict[str, object], UserSnapshot]] = [
    # Unverified: neither compliance nor wallet.
    ({"status": "unverified"}, user(status="unverified")),
    ({"compliance": None}, user()),
    (
        {
            "status": "verified",
            "compliance": {
                "id_verified": True,
                "background_check": {"status": "pass", "updated": "2026-01-01T00:00:00"},
                "has_criminal_activity": False,
                "flags": {"x": True},
            },
        },
        user(status="verified", id_verified=True, check_status="pass", has_criminal_activity=False),
    ),
    # Older prose puts the flag at the top level.
    ({"has_criminal_activity": True}, user(has_criminal_activity=True)),
    ({"has_criminal_activity": True, "compliance": {}}, user(has_criminal_activity=True)),
    # In compliance it counts first, also when it says no.
    (
        {"has_criminal_activity": True, "compliance": {"has_criminal_activity": False}},
        user(has_criminal_activity=False),
    ),
    # Null is not an answer, so the other place is asked.
    (
        {"has_criminal_activity": True, "compliance": {"has_criminal_activity": None}},
        user(has_criminal_activity=True),
    ),
    # Only real booleans count: neither "false" nor 0 clears anybody, neither "true" nor 1 flags.
    ({"compliance": {"has_criminal_activity": "true", "id_verified": 1}}, user()),
    ({"compliance": {"has_criminal_activity": 0, "id_verified": "false"}}, user()),
    # Unknown statuses are kept.
    ({"compliance": {"background_check": {"status": "under_the_moon"}}}, user(check_status="under_the_moon")),
    # The other part of a check from before 2026; only a word that says how it ended says anything.
    ({"sex_offender_check_status": "failed"}, user(older_check_failed=True)),
    ({"sex_offender_check_status": "passed"}, user(older_check_failed=False)),
    ({"sex_offender_check_status": "pending"}, user()),
    ({"sex_offender_check_status": "information_mismatch"}, user()),
    ({"sex_offender_check_status": None}, user()),
    ({"sex_offender_check_status": ["failed"]}, user()),
    (
        {"sex_offender_check_status": "failed", "compliance": {"background_check": {"status": "pass"}}},
        user(check_status="pass", older_check_failed=True),
    ),
    # Shapes nobody documented.
    ({"status": 17, "compliance": [], "has_criminal_activity": []}, user()),
    ({"status": "a\u0000", "compliance": {"background_check": "pass"}}, user()),
]


@pytest.mark.parametrize(("fields", "expected"), USERS)
def test_user_is_read_down_to_six_things(fields: dict[str, object], expected: UserSnapshot) -> None:
    """What Dots said, and None for what it did not; nobody's person."""
    assert wire.read_user({"id": USER, **PERSONAL, **fields}) == expected


def test_nothing_personal_is_kept() -> None:
    """Names, addresses and money stay with Dots."""
    text = repr(wire.read_user({"id": USER, **PERSONAL}))

    assert not any(word in text for word in ("Ada", "Lovelace", "example.com", "5550100", "1200", "private"))


@pytest.mark.parametrize("payload", [None, [], "user", {}, {"id": None}, {"id": 17}, {"id": "a/b"}])
def test_user_without_id_is_invalid(payload: object) -> None:
    """What cannot be told whose it is must not be merged."""
    with pytest.raises(DotsInvalidResponseError):
        wire.read_user(payload)
