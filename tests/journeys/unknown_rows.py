"""A table of knobs about undocumented behaviour: a scenario for each value, and its expected end.

Most rows end like the defaults. The other rows show what an operator must expect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.world.apps import SIMULATED_APP_ID
from tests.journeys import unknown_scenarios as scenarios
from tests.journeys.unknown_scenarios import End, Scenario

SETTLED = ("user.id_verified", "background_check.cleared")


def reported_for(*steps: str, is_claimed: bool = True, is_complete: bool = True) -> tuple[str, ...]:
    """The events of a flow with these completed steps."""
    return (
        "flow.created",
        *(["flow.claimed"] if is_claimed else []),
        *(f"flow.step_completed {step}" for step in steps),
        *(["flow.completed"] if is_complete else []),
    )


WALKED = End(
    flow=reported_for("id-verification", "background-check", "payout"),
    user=SETTLED,
    status="completed",
    verdict="cleared",
)
OF_KNOWN_USER = replace(WALKED, flow=reported_for("id-verification", "background-check", "payout", is_claimed=False))
CHECKED = End(flow=reported_for("background-check", is_claimed=False), status="completed")
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
    flow=reported_for("compliance", "manage-payouts", is_complete=False), status="open", passed_over=("payout",)
)
ONE_SKIPPED_AND_ECHOED = End(flow=reported_for("compliance", "payout", "manage-payouts"), status="completed")
LAST_SKIPPED = End(flow=reported_for("compliance", is_complete=False), status="open")
LAST_SKIPPED_AND_ECHOED = End(flow=reported_for("compliance", "payout"), status="completed")
REFUSED = End(status=422)
OWN_FLOWS_ONLY = {"FOLLOW_FOREIGN_FLOWS": "false"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Knobs, settings of the gateway, a scenario and its expected end."""

    scenario: Scenario
    end: End
    knobs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The id of the row's test."""
        knobs = " ".join(f"{knob}={value}" for knob, value in self.knobs.items()) or "defaults"
        return f"{self.scenario.__name__} {knobs}" + (" with settings" if self.settings else "")


def rows_of(
    scenario: Scenario, end: End, *, settings: Mapping[str, str] | None = None, **knobs: Sequence[Any]
) -> list[Row]:
    """A row for each value of each knob. All have the same end."""
    return [
        Row(scenario=scenario, end=end, knobs={knob: value}, settings=settings or {})
        for knob, values in knobs.items()
        for value in values
    ]


def with_more(end: End, *steps: str) -> End:
    """The same end with these steps before the others."""
    claimed = 1 + ("flow.claimed" in end.flow)
    more = [f"flow.step_completed {step}" for step in steps]
    return replace(end, flow=(*end.flow[:claimed], *more, *end.flow[claimed:]))


FLOWS = [
    Row(scenario=scenarios.walk, end=WALKED),
    *rows_of(scenarios.walk, WALKED, times=["utc"], create_status=[201]),
    # If Dots reports the redirect, the gateway reports it as a step. The flow does not wait for it.
    Row(
        scenario=scenarios.walk,
        knobs={"redirect_enters_completed_steps": True},
        end=replace(WALKED, flow=reported_for("id-verification", "background-check", "payout", "redirect")),
    ),
    # Steps that the caller did not request are reported like others.
    Row(
        scenario=scenarios.walk,
        knobs={"onboarding_in_completed_steps": ["authentication", "onboarding"]},
        end=with_more(WALKED, "authentication", "onboarding"),
    ),
    Row(
        scenario=scenarios.walk,
        knobs={"onboarding_in_steps": ["onboarding"], "onboarding_in_completed_steps": ["onboarding"]},
        end=with_more(WALKED, "onboarding"),
    ),
    # If Dots lists a step and never reports it, the flow stays open and shows that step as passed over.
    Row(
        scenario=scenarios.walk,
        knobs={"onboarding_in_steps": ["onboarding"]},
        end=replace(WALKED, flow=WALKED.flow[:-1], status="open", passed_over=("onboarding",)),
    ),
    *rows_of(scenarios.walk, with_more(WALKED, "compliance"), added_compliance=["listed", "unlisted"]),
    Row(scenario=scenarios.skip_one, end=ONE_SKIPPED),
    *rows_of(scenarios.skip_one, ONE_SKIPPED, skip_sends_webhook=[True]),
    *rows_of(scenarios.skip_one, ONE_SKIPPED_AND_ECHOED, skipped_in_completed_steps=[True]),
    # The state of a skipped last step does not change, because no later step follows.
    Row(scenario=scenarios.skip_the_last, end=LAST_SKIPPED),
    *rows_of(scenarios.skip_the_last, LAST_SKIPPED_AND_ECHOED, skipped_in_completed_steps=[True]),
    Row(
        scenario=scenarios.skip_the_last,
        knobs={"skipped_in_completed_steps": True, "skip_sends_webhook": True},
        end=LAST_SKIPPED_AND_ECHOED,
    ),
    Row(scenario=scenarios.lose_an_answer, end=WALKED, settings=OWN_FLOWS_ONLY),
    *rows_of(scenarios.lose_an_answer, WALKED, settings=OWN_FLOWS_ONLY, times=["utc"], list_order=["oldest_first"]),
]

REQUESTS = [
    *rows_of(
        scenarios.ask_for_an_unknown_step,
        End(flow=reported_for("dance"), status="completed"),
        unknown_steps=["accepted"],
    ),
    *rows_of(scenarios.ask_for_an_unknown_step, REFUSED, unknown_steps=["refused"]),
    *rows_of(
        scenarios.ask_to_sign_up,
        End(flow=reported_for("onboard", is_claimed=False), status="completed"),
        unknown_steps=["accepted"],
    ),
    *rows_of(scenarios.ask_to_sign_up, REFUSED, unknown_steps=["refused"]),
    *rows_of(scenarios.ask_for_a_new_domain, REFUSED, redirect_url_pattern=["enforced"]),
    *rows_of(
        scenarios.ask_for_a_new_domain,
        End(flow=reported_for("payout"), status="completed"),
        redirect_url_pattern=["ignored"],
    ),
    *rows_of(scenarios.ask_for_an_unknown_user, REFUSED, unknown_user=["refused"]),
    *rows_of(
        scenarios.ask_for_an_unknown_user,
        End(flow=reported_for("payout", is_claimed=False), status="completed"),
        unknown_user=["accepted"],
    ),
    *rows_of(
        scenarios.send_the_most_metadata,
        End(flow=reported_for("payout"), status="completed"),
        metadata_limits=[False, True],
    ),
    # A refusal with Dots' error code is final for its Idempotency-Key. Other errors may come from a proxy.
    *rows_of(scenarios.try_a_refused_request_again, REFUSED, error_format=["full"]),
    *rows_of(scenarios.try_a_refused_request_again, End(status=201), error_format=["message_only", "empty", "text"]),
    # A forbidden flow or user does not affect the others.
    *rows_of(scenarios.hear_of_foreign_subjects, WALKED, foreign_subject_status=[404, 403]),
    *rows_of(scenarios.lose_the_credentials, WALKED, bad_credentials_status=[401, 403]),
    *rows_of(scenarios.ask_too_often, WALKED, rate_limit_per_minute=[2, 3]),
    Row(
        scenario=scenarios.ask_too_often,
        knobs={"rate_limit_per_minute": 2, "rate_limit_retry_after": False},
        end=WALKED,
    ),
]

USERS = [
    *rows_of(scenarios.walk_flagged, FLAGGED, flag_place=["compliance", "top_level", "both"]),
    *rows_of(scenarios.walk, WALKED, flag_place=["top_level", "both"]),
    *rows_of(scenarios.wait_for_verdict, CLEARED, undecided_flag=["null", "absent", "false"]),
    # Only a true flag means flagged. Other ends of a check need a review.
    *rows_of(scenarios.walk_considered, NEEDS_REVIEW, consider_flag=[None, False]),
    *rows_of(scenarios.walk_considered, FLAGGED, consider_flag=[True]),
    *rows_of(
        scenarios.walk_with_older_check,
        OF_KNOWN_USER,
        sex_offender_check_status=["absent", "null", "passed", "pending", "information_mismatch"],
    ),
    # A failed older check still needs a review after Dots leaves it out.
    *rows_of(
        scenarios.walk_with_older_check,
        replace(OF_KNOWN_USER, user=TO_REVIEW, verdict="needs_review"),
        sex_offender_check_status=["failed"],
    ),
    *rows_of(scenarios.wait_for_verdict, CLEARED, submitted_check_status=["not_started", "started", "pending"]),
    *rows_of(scenarios.wait_for_verdict, replace(CLEARED, meanwhile="cleared"), submitted_check_status=["pass"]),
    *rows_of(
        scenarios.wait_for_verdict,
        REVIEWED,
        submitted_check_status=["consider", "canceled", "expired", "information_mismatch"],
    ),
    *rows_of(scenarios.wait_for_verdict, REVERSED, submitted_check_status=["failed"]),
    *rows_of(scenarios.merge, MERGED, merged_user=["not_found", "disabled", "new_user"]),
]

WEBHOOKS = [
    *rows_of(
        scenarios.walk,
        WALKED,
        flow_webhooks_carry_metadata=[True],
        user_webhooks_carry_metadata=[True],
        webhooks_omit_event=[True],
        id_verified_event=["user.updated.ide_verified"],
    ),
    *rows_of(scenarios.merge, MERGED, webhooks_omit_event=[True]),
    *rows_of(scenarios.walk, WALKED, webhooks_carry_api_app_id=[True]),
    *rows_of(scenarios.walk, WALKED, settings={"DOTS_APP_ID": SIMULATED_APP_ID}, webhooks_carry_api_app_id=[True]),
]

ROWS = [*FLOWS, *REQUESTS, *USERS, *WEBHOOKS]
