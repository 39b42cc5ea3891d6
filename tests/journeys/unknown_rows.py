"""Every knob of what Dots does not document, each of its values, a story of the gateway, and how that has to end.

Most end as with the defaults. Where the end differs, the row says so: that is what an operator has to expect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.world.apps import SIMULATED_APP_ID
from tests.journeys import unknown_stories as stories
from tests.journeys.unknown_stories import End, Story

SETTLED = ("user.id_verified", "background_check.cleared")


def told_of(*steps: str, is_claimed: bool = True, is_complete: bool = True) -> tuple[str, ...]:
    """The events of a flow of which these steps were completed."""
    return (
        "flow.created",
        *(["flow.claimed"] if is_claimed else []),
        *(f"flow.step_completed {step}" for step in steps),
        *(["flow.completed"] if is_complete else []),
    )


WALKED = End(
    flow=told_of("id-verification", "background-check", "payout"), user=SETTLED, status="completed", verdict="cleared"
)
OF_KNOWN_USER = replace(WALKED, flow=told_of("id-verification", "background-check", "payout", is_claimed=False))
CHECKED = End(flow=told_of("background-check", is_claimed=False), status="completed")
CLEARED = replace(CHECKED, user=("background_check.cleared",), verdict="cleared", meanwhile="pending")
TO_REVIEW = ("user.id_verified", "background_check.needs_review")
NEEDS_REVIEW = replace(WALKED, user=TO_REVIEW, verdict="needs_review")
REVIEWED = replace(
    CLEARED, user=("background_check.needs_review", "background_check.cleared"), meanwhile="needs_review"
)
REVERSED = replace(CLEARED, user=("background_check.flagged", "background_check.cleared"), meanwhile="flagged")
FLAGGED = replace(WALKED, user=("user.id_verified", "background_check.flagged"), verdict="flagged")
MERGED = replace(CHECKED, user=("background_check.flagged",), verdict="flagged")
ONE_SKIPPED = End(
    flow=told_of("compliance", "manage-payouts", is_complete=False), status="open", passed_over=("payout",)
)
ONE_SKIPPED_AND_ECHOED = End(flow=told_of("compliance", "payout", "manage-payouts"), status="completed")
LAST_SKIPPED = End(flow=told_of("compliance", is_complete=False), status="open")
LAST_SKIPPED_AND_ECHOED = End(flow=told_of("compliance", "payout"), status="completed")
REFUSED = End(status=422)
OWN_FLOWS_ONLY = {"FOLLOW_FOREIGN_FLOWS": "false"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Knobs, the settings of the gateway that matter, a story and its end."""

    story: Story
    end: End
    knobs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The row as a test's name."""
        turned = " ".join(f"{knob}={value}" for knob, value in self.knobs.items()) or "defaults"
        return f"{self.story.__name__} {turned}" + (" with settings" if self.settings else "")


def rows_of(story: Story, end: End, *, settings: Mapping[str, str] | None = None, **knobs: Sequence[Any]) -> list[Row]:
    """A row for each value of each of these knobs, which all end alike."""
    return [
        Row(story=story, end=end, knobs={knob: value}, settings=settings or {})
        for knob, values in knobs.items()
        for value in values
    ]


def with_more(end: End, *steps: str) -> End:
    """The same end with these steps told before the others."""
    claimed = 1 + ("flow.claimed" in end.flow)
    more = [f"flow.step_completed {step}" for step in steps]
    return replace(end, flow=(*end.flow[:claimed], *more, *end.flow[claimed:]))


FLOWS = [
    Row(story=stories.walk, end=WALKED),
    *rows_of(stories.walk, WALKED, times=["utc"], create_status=[201]),
    # A redirect that Dots does report is told as a step, and still nobody waits for it.
    Row(
        story=stories.walk,
        knobs={"redirect_enters_completed_steps": True},
        end=replace(WALKED, flow=told_of("id-verification", "background-check", "payout", "redirect")),
    ),
    # Steps that nobody has asked for are told like any other.
    Row(
        story=stories.walk,
        knobs={"onboarding_in_completed_steps": ["authentication", "onboarding"]},
        end=with_more(WALKED, "authentication", "onboarding"),
    ),
    Row(
        story=stories.walk,
        knobs={"onboarding_in_steps": ["onboarding"], "onboarding_in_completed_steps": ["onboarding"]},
        end=with_more(WALKED, "onboarding"),
    ),
    # A step that Dots lists and never reports: the flow waits, and says for which step.
    Row(
        story=stories.walk,
        knobs={"onboarding_in_steps": ["onboarding"]},
        end=replace(WALKED, flow=WALKED.flow[:-1], status="open", passed_over=("onboarding",)),
    ),
    *rows_of(stories.walk, with_more(WALKED, "compliance"), added_compliance=["listed", "unlisted"]),
    Row(story=stories.skip_one, end=ONE_SKIPPED),
    *rows_of(stories.skip_one, ONE_SKIPPED, skip_sends_webhook=[True]),
    *rows_of(stories.skip_one, ONE_SKIPPED_AND_ECHOED, skipped_in_completed_steps=[True]),
    # No later step shows that the last one was passed over.
    Row(story=stories.skip_the_last, end=LAST_SKIPPED),
    *rows_of(stories.skip_the_last, LAST_SKIPPED_AND_ECHOED, skipped_in_completed_steps=[True]),
    Row(
        story=stories.skip_the_last,
        knobs={"skipped_in_completed_steps": True, "skip_sends_webhook": True},
        end=LAST_SKIPPED_AND_ECHOED,
    ),
    Row(story=stories.lose_an_answer, end=WALKED, settings=OWN_FLOWS_ONLY),
    *rows_of(stories.lose_an_answer, WALKED, settings=OWN_FLOWS_ONLY, times=["utc"], list_order=["oldest_first"]),
]

REQUESTS = [
    *rows_of(
        stories.ask_for_an_unknown_step, End(flow=told_of("dance"), status="completed"), unknown_steps=["accepted"]
    ),
    *rows_of(stories.ask_for_an_unknown_step, REFUSED, unknown_steps=["refused"]),
    *rows_of(
        stories.ask_to_sign_up,
        End(flow=told_of("onboard", is_claimed=False), status="completed"),
        unknown_steps=["accepted"],
    ),
    *rows_of(stories.ask_to_sign_up, REFUSED, unknown_steps=["refused"]),
    *rows_of(stories.ask_for_a_new_domain, REFUSED, redirect_url_pattern=["enforced"]),
    *rows_of(
        stories.ask_for_a_new_domain, End(flow=told_of("payout"), status="completed"), redirect_url_pattern=["ignored"]
    ),
    *rows_of(stories.ask_for_an_unknown_user, REFUSED, unknown_user=["refused"]),
    *rows_of(
        stories.ask_for_an_unknown_user,
        End(flow=told_of("payout", is_claimed=False), status="completed"),
        unknown_user=["accepted"],
    ),
    *rows_of(
        stories.send_the_most_metadata, End(flow=told_of("payout"), status="completed"), metadata_limits=[False, True]
    ),
    # A refusal with Dots' code is final for its Idempotency-Key; what cannot be told from a proxy's answer is not.
    *rows_of(stories.try_a_refused_request_again, REFUSED, error_shape=["full"]),
    *rows_of(stories.try_a_refused_request_again, End(status=201), error_shape=["message_only", "empty", "text"]),
    # One flow or user that is forbidden says nothing about the others.
    *rows_of(stories.hear_of_foreign_subjects, WALKED, foreign_subject_status=[404, 403]),
    *rows_of(stories.lose_the_credentials, WALKED, bad_credentials_status=[401, 403]),
    *rows_of(stories.ask_too_often, WALKED, rate_limit_per_minute=[2, 3]),
    Row(
        story=stories.ask_too_often,
        knobs={"rate_limit_per_minute": 2, "rate_limit_retry_after": False},
        end=WALKED,
    ),
]

USERS = [
    *rows_of(stories.walk_flagged, FLAGGED, flag_place=["compliance", "top_level", "both"]),
    *rows_of(stories.walk, WALKED, flag_place=["top_level", "both"]),
    *rows_of(stories.wait_for_verdict, CLEARED, undecided_flag=["null", "absent", "false"]),
    # Only a true flag flags; a check that has ended otherwise needs somebody to look at it.
    *rows_of(stories.walk_considered, NEEDS_REVIEW, consider_flag=[None, False]),
    *rows_of(stories.walk_considered, FLAGGED, consider_flag=[True]),
    *rows_of(
        stories.walk_with_older_check,
        OF_KNOWN_USER,
        sex_offender_check_status=["absent", "null", "passed", "pending", "information_mismatch"],
    ),
    # Nothing that Dots leaves out later clears what failed.
    *rows_of(
        stories.walk_with_older_check,
        replace(OF_KNOWN_USER, user=TO_REVIEW, verdict="needs_review"),
        sex_offender_check_status=["failed"],
    ),
    *rows_of(stories.wait_for_verdict, CLEARED, submitted_check_status=["not_started", "started", "pending"]),
    *rows_of(stories.wait_for_verdict, replace(CLEARED, meanwhile="cleared"), submitted_check_status=["pass"]),
    *rows_of(
        stories.wait_for_verdict,
        REVIEWED,
        submitted_check_status=["consider", "canceled", "expired", "information_mismatch"],
    ),
    *rows_of(stories.wait_for_verdict, REVERSED, submitted_check_status=["failed"]),
    *rows_of(stories.merge, MERGED, merged_user=["not_found", "disabled", "new_user"]),
]

WEBHOOKS = [
    *rows_of(
        stories.walk,
        WALKED,
        flow_webhooks_carry_metadata=[True],
        user_webhooks_carry_metadata=[True],
        webhooks_omit_event=[True],
        id_verified_event=["user.updated.ide_verified"],
    ),
    *rows_of(stories.merge, MERGED, webhooks_omit_event=[True]),
    *rows_of(stories.walk, WALKED, webhooks_carry_api_app_id=[True]),
    *rows_of(stories.walk, WALKED, settings={"DOTS_APP_ID": SIMULATED_APP_ID}, webhooks_carry_api_app_id=[True]),
]

ROWS = [*FLOWS, *REQUESTS, *USERS, *WEBHOOKS]
