"""All knobs: webhook delivery, API faults, and assumptions about behaviour that Dots does not document."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from simulator.world.user import CheckStatus

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Knobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebhookKnobs(_Knobs):
    """Webhook delivery. Durations are real seconds, except the retry schedule, which `speed` divides."""

    paused: bool = Field(False, description="Hold new messages until a flush or the end of the pause.")
    duplicate: Probability = Field(0.0, description="Probability that a message is sent twice under one id.")
    drop: Probability = Field(0.0, description="Probability that a message is lost before its first attempt.")
    delay_seconds: Seconds = Field(0.0, description="Wait before each first attempt.")
    shuffle_seconds: Seconds = Field(
        0.0, description="Longest additional random wait, so that messages overtake each other."
    )
    header_family: Literal["svix", "webhook"] = Field("svix", description="`svix-id` … or `webhook-id` ….")
    speed: float = Field(1.0, gt=0, allow_inf_nan=False, description="Retry waits are divided by this.")
    timeout_seconds: float = Field(15.0, gt=0, description="How long one attempt may take.")
    disable_after_seconds: Seconds | None = Field(
        5 * 24 * 3600.0, description="Disable an endpoint after it has failed this long; null: never."
    )


FaultKind = Literal[
    "none",
    "rate_limited",
    "server_error",
    "unauthorized",
    "error",
    "proxy_page",
    "junk_body",
    "hang",
    "stall",
    "cut",
    "create_then_cut",
    "create_then_fail",
    "create_then_proxy_page",
]


class Fault(_Knobs):
    """A fault of one API call.

    These kinds do not execute the call:
    - `rate_limited` answers 429; `unauthorized` answers as to wrong credentials.
    - `error` and `server_error` answer `status` with an error in Dots' format that has `error_code`.
    - `proxy_page` answers `status` with an HTML page, like a proxy in front of Dots.
    - `stall` waits `seconds`, then answers like `error`.
    - `cut` closes the connection.

    These kinds execute the call first:
    - `create_then_fail` answers like `error`, `create_then_proxy_page` like `proxy_page`.
    - `create_then_cut` closes the connection.
    - `junk_body` answers 200 with text that is not JSON.
    - `hang` delays the answer by `seconds`.

    `none` is no fault: it lets one call through, before later faults in the queue.
    """

    kind: FaultKind
    status: int = Field(503, ge=300, le=599)
    error_code: str = Field("service-unavailable", description="The `error_code` in the body of an error.")
    retry_after_seconds: int | None = Field(1, ge=0, description="`Retry-After` of a 429 in seconds; null: no header.")
    seconds: Seconds = 30.0
    method: Literal["GET", "POST"] | None = Field(None, description="Apply only to calls with this method; null: any.")
    path_contains: str = Field("", description="Apply only to calls whose path contains this, such as `/users/`.")

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault applies to a call with this method and path."""
        return self.method in (None, method) and self.path_contains in path


def _fault_from_kind(value: Any) -> Any:
    """Accept the bare name of a kind for a fault with its defaults."""
    return {"kind": value} if isinstance(value, str) else value


_NamedFault = Annotated[Fault, BeforeValidator(_fault_from_kind)]


class FaultKnobs(_Knobs):
    """API faults. Each matching call takes one from `next_responses`, else from `lasting`, else `random_fault`."""

    next_responses: tuple[_NamedFault, ...] = Field((), description="A queue: each fault applies to one call.")
    lasting: tuple[_NamedFault, ...] = Field((), description="Faults that apply to every matching call until removed.")
    random_fault: _NamedFault = Field(Fault(kind="server_error"), description="The fault of random calls.")
    random_fault_probability: Probability = Field(0.0, description="Probability of `random_fault` for each call.")


class Unknowns(_Knobs):
    """Behaviour that Dots does not document. The defaults are the gateway's assumptions.

    Add a knob only if the behaviour of the gateway can depend on it.
    """

    redirect_enters_completed_steps: bool = Field(False, description="completed_steps includes a finished `redirect`.")
    onboarding_in_completed_steps: tuple[str, ...] = Field(
        (), description="Names in completed_steps after onboarding, such as `onboarding`."
    )
    onboarding_in_steps: tuple[str, ...] = Field(
        (), description="Names at the start of `steps` of flows with onboarding."
    )
    added_compliance: Literal["never", "listed", "unlisted"] = Field(
        "never", description="Whether Dots adds `compliance`, and whether `steps` then lists it."
    )
    skipped_in_completed_steps: bool = Field(False, description="completed_steps includes skipped steps.")
    skip_sends_webhook: bool = Field(False, description="A skipped step sends `flow.updated`.")
    times: Literal["naive", "utc"] = Field("naive", description="Times without a zone, or in UTC with `Z`.")
    create_status: Literal[200, 201] = Field(200, description="Status of the answer to a creation.")
    unknown_steps: Literal["accepted", "refused"] = Field(
        "accepted", description="Steps that the API reference does not list, such as `onboard`."
    )
    redirect_url_pattern: Literal["enforced", "ignored"] = Field(
        "enforced", description="Whether `redirect_url` must match the published pattern."
    )
    unknown_user: Literal["refused", "accepted"] = Field(
        "refused", description="POST /v2/flows with an unknown `user_id`. accepted: creates the user."
    )
    foreign_subject_status: Literal[404, 403] = Field(
        404, description="Status of GET for a flow or user that does not exist or belongs to another app."
    )
    metadata_limits: bool = Field(
        False, description="Refuse more than 50 keys, keys over 40 characters and values over 500 characters."
    )
    list_order: Literal["newest_first", "oldest_first"] = Field("newest_first", description="Order of GET /v2/flows.")
    bad_credentials_status: Literal[401, 403] = Field(401, description="Status of the answer to wrong credentials.")
    error_format: Literal["full", "message_only", "empty", "text"] = Field(
        "full", description="Which of `success`, `message`, `error_code` an error has; text: not JSON."
    )
    rate_limit_per_minute: int | None = Field(
        None, ge=0, description="Calls per minute before the API answers 429; null: no limit."
    )
    rate_limit_retry_after: bool = Field(True, description="Whether that 429 carries `Retry-After`.")
    flag_place: Literal["compliance", "top_level", "both"] = Field(
        "compliance", description="Where a user object has `has_criminal_activity`."
    )
    undecided_flag: Literal["null", "absent", "false"] = Field("null", description="The flag of an undecided check.")
    consider_flag: bool | None = Field(None, description="The flag of the check status `consider`.")
    sex_offender_check_status: Literal["absent", "null", "passed", "failed", "pending", "information_mismatch"] = Field(
        "absent", description="The older field of this name in verified users."
    )
    submitted_check_status: CheckStatus = Field("pending", description="Check status after the step, before a result.")
    merged_user: Literal["not_found", "disabled", "new_user"] = Field(
        "not_found", description="The answer for the old id of a merged user."
    )
    flow_webhooks_carry_metadata: bool = Field(False, description="`flow.*` bodies include the flow's metadata.")
    user_webhooks_carry_metadata: bool = Field(False, description="`user.*` bodies include the user's metadata.")
    webhooks_carry_api_app_id: bool = Field(False, description="`flow.*` bodies include `api_app_id`.")
    webhooks_omit_event: bool = Field(
        False, description="Bodies have no `event`. The body of a merge has only the two user ids."
    )
    id_verified_event: Literal["user.updated.id_verified", "user.updated.ide_verified"] = Field(
        "user.updated.id_verified", description="The event's name or its published typo."
    )


class Knobs(_Knobs):
    """All knobs. `seed` makes the random choices of delivery and faults repeatable; null: every run is different."""

    seed: int | None = None
    webhooks: WebhookKnobs = WebhookKnobs()
    faults: FaultKnobs = FaultKnobs()
    unknowns: Unknowns = Unknowns()
