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
    """Return a snapshot with only these fields."""
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
    # Older accounts have the flag at the top level.
    ({"has_criminal_activity": True}, user(has_criminal_activity=True)),
    ({"has_criminal_activity": True, "compliance": {}}, user(has_criminal_activity=True)),
    # The flag in `compliance` comes first, also if it is false.
    (
        {"has_criminal_activity": True, "compliance": {"has_criminal_activity": False}},
        user(has_criminal_activity=False),
    ),
    # Null is not an answer, so the top level counts.
    (
        {"has_criminal_activity": True, "compliance": {"has_criminal_activity": None}},
        user(has_criminal_activity=True),
    ),
    # Only booleans count: "false" and 0 do not clear a user, "true" and 1 do not flag one.
    ({"compliance": {"has_criminal_activity": "true", "id_verified": 1}}, user()),
    ({"compliance": {"has_criminal_activity": 0, "id_verified": "false"}}, user()),
    # Unknown statuses are kept.
    ({"compliance": {"background_check": {"status": "under_the_moon"}}}, user(check_status="under_the_moon")),
    # The other part of a check from before 2026. Only its end counts.
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
    # Undocumented types.
    ({"status": 17, "compliance": [], "has_criminal_activity": []}, user()),
    ({"status": "a\u0000", "compliance": {"background_check": "pass"}}, user()),
]


@pytest.mark.parametrize(("fields", "expected"), USERS)
def test_user_is_reduced_to_six_fields(fields: dict[str, object], expected: UserSnapshot) -> None:
    """A snapshot holds no personal data, and None for each field that Dots did not give."""
    assert wire.read_user({"id": USER, **PERSONAL, **fields}) == expected


@pytest.mark.parametrize("payload", [None, [], "user", {}, {"id": None}, {"id": 17}, {"id": "a/b"}])
def test_user_without_id_is_invalid(payload: object) -> None:
    """An answer without an id must not be merged into a user."""
    with pytest.raises(DotsInvalidResponseError):
        wire.read_user(payload)
