"""Converts a verdict word or a check status to a background check."""

from datetime import datetime
from typing import Literal, get_args

from simulator.errors import invalid_input
from simulator.knobs import Unknowns
from simulator.world.user import CHECK_STATUSES, BackgroundCheck, CheckStatus

Verdict = Literal["cleared", "flagged", "pending"]
VERDICTS: tuple[str, ...] = get_args(Verdict)

_STATUS_BY_VERDICT: dict[str, CheckStatus] = {"cleared": "pass", "flagged": "failed"}


def background_check(word: str, *, unknowns: Unknowns, now: datetime) -> BackgroundCheck:
    """The background check for `word`: a verdict (`cleared`, `flagged`, `pending`) or one of Dots' statuses.

    `pass` sets the flag to False, `failed` to True, `consider` to the value of a knob.

    Raises:
        RefusalError: the word is unknown.
    """
    status = _status(word, unknowns)
    flag_by_status: dict[str, bool | None] = {
        "pass": False,
        "failed": True,
        "consider": unknowns.consider_flag,
    }
    return BackgroundCheck(status=status, has_activity=flag_by_status.get(status), updated_at=now)


def _status(word: str, unknowns: Unknowns) -> CheckStatus:
    if word in _STATUS_BY_VERDICT:
        return _STATUS_BY_VERDICT[word]
    if word == "pending":
        return unknowns.submitted_check_status
    for status in get_args(CheckStatus):
        if status == word:
            return status  # type: ignore[no-any-return]  # get_args loses the literal type
    choices = sorted({*VERDICTS, *CHECK_STATUSES})
    raise invalid_input(f"verdict: must be one of {', '.join(choices)}")
