"""Builders of user snapshots."""

from app.dots.snapshots import UserSnapshot


def snapshot(
    *,
    status: str | None = None,
    id_verified: bool | None = None,
    check_status: str | None = None,
    has_criminal_activity: bool | None = None,
    older_check_failed: bool | None = None,
) -> UserSnapshot:
    """Build a snapshot with these fields."""
    return UserSnapshot(
        id="user-1",
        status=status,
        id_verified=id_verified,
        check_status=check_status,
        has_criminal_activity=has_criminal_activity,
        older_check_failed=older_check_failed,
    )


def says(check_status: str | None, flag: bool | None, older: bool | None = None) -> UserSnapshot:  # noqa: FBT001  # A row of the tables.
    """Build a snapshot with only a background check."""
    return snapshot(check_status=check_status, has_criminal_activity=flag, older_check_failed=older)
