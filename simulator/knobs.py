"""Every knob: how webhooks travel, how the API fails, and what we assume where Dots' documentation is silent."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from simulator.world.user import CheckStatus

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Knobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebhookKnobs(_Knobs):
    """How the sender treats messages. Durations are real seconds, except the schedule, which `speed` divides."""

    paused: bool = Field(False, description="Hold new messages until a flush or the end of the pause.")
    duplicate: Probability = Field(0.0, description="Chance that a message is sent twice under one id.")
    drop: Probability = Field(0.0, description="Chance that a message is lost before its first attempt.")
    delay_seconds: Seconds = Field(0.0, description="Wait before each first attempt.")
    shuffle_seconds: Seconds = Field(0.0, description="Window for a further random wait: messages overtake.")
    header_family: Literal["svix", "webhook"] = Field("svix", description="`svix-id` … or `webhook-id` ….")
    speed: float = Field(1.0, gt=0, allow_inf_nan=False, description="Retry waits are divided by this.")
    timeout_seconds: float = Field(15.0, gt=0, description="How long one attempt may take.")
    disable_after_seconds: Seconds | None = Field(
        5 * 24 * 3600.0, description="Failing this long without a success disables an endpoint; null: never."
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
    """What happens to one API call instead of a good answer.

    `none` lets one call through (to place a later fault in the queue); `rate_limited` answers 429 and
    `unauthorized` as to wrong credentials; `error` and `server_error` do nothing and answer `status` with an error
    of Dots' kind that has `error_code`; `proxy_page` does nothing and answers `status` with an HTML page, as a proxy
    in front of Dots would; `create_then_fail` and `create_then_proxy_page` do the work first; `junk_body` does the
    work and answers 200 with text that is not JSON; `hang` does the work and holds the answer back for `seconds`;
    `stall` does nothing for `seconds`, then answers as `error`; `cut` closes the connection at once,
    `create_then_cut` does the work and then closes it.
    """

    kind: FaultKind
    status: int = Field(503, ge=300, le=599)
    error_code: str = Field("service-unavailable", description="In the body of an error of Dots' kind.")
    retry_after_seconds: int | None = Field(1, ge=0, description="`Retry-After` of a 429; null: none is sent.")
    seconds: Seconds = 30.0
    method: Literal["GET", "POST"] | None = Field(None, description="Only calls of this method; null: any.")
    path_contains: str = Field("", description="Only calls whose path contains this, such as `/users/`.")

    def befalls(self, method: str, path: str) -> bool:
        """Whether this is meant for such a call."""
        return self.method in (None, method) and self.path_contains in path


def _fault_from_kind(value: Any) -> Any:
    """Accept the bare name of a kind for a fault with its defaults."""
    return {"kind": value} if isinstance(value, str) else value


_NamedFault = Annotated[Fault, BeforeValidator(_fault_from_kind)]


class FaultKnobs(_Knobs):
    """How the API misbehaves. The queue is used up first, one entry a matching call; then `lasting`, then chance."""

    next_responses: tuple[_NamedFault, ...] = Field((), description="A fault for each of the next calls.")
    lasting: tuple[_NamedFault, ...] = Field((), description="Faults of every call they match, until taken out.")
    random_fault: _NamedFault = Field(Fault(kind="server_error"), description="What goes wrong by chance.")
    random_fault_probability: Probability = Field(0.0, description="Chance of `random_fault`, each call.")


class Unknowns(_Knobs):
    """One knob for everything the documentation does not say; the defaults are the gateway's assumptions.

    A knob that no behaviour of the gateway can depend on has no place here.
    """

    redirect_enters_completed_steps: bool = Field(False, description="`redirect` is echoed when it was done.")
    onboarding_in_completed_steps: tuple[str, ...] = Field(
        (), description="Names echoed in completed_steps once a payee was onboarded, such as `onboarding`."
    )
    onboarding_in_steps: tuple[str, ...] = Field((), description="Names put in front of `steps` of such flows.")
    added_compliance: Literal["never", "listed", "unlisted"] = Field(
        "never", description="Dots adds `compliance` by itself, with or without listing it in `steps`."
    )
    skipped_in_completed_steps: bool = Field(False, description="A skipped step is echoed in completed_steps.")
    skip_sends_webhook: bool = Field(False, description="A skipped step sends `flow.updated`.")
    times: Literal["naive", "utc"] = Field("naive", description="Times without a zone, or ending in `Z`.")
    create_status: Literal[200, 201] = Field(200, description="Status of a created flow.")
    unknown_steps: Literal["accepted", "refused"] = Field(
        "accepted", description="Steps that the API reference does not list, `onboard` among them."
    )
    redirect_url_pattern: Literal["enforced", "ignored"] = Field(
        "enforced", description="Whether the published pattern of `redirect_url` is more than documentation."
    )
    unknown_user: Literal["refused", "accepted"] = Field(
        "refused", description="POST /v2/flows with a `user_id` that no user has; accepted: invents the user."
    )
    foreign_subject_status: Literal[404, 403] = Field(
        404, description="Status of GET for a flow or user that does not exist or is another app's."
    )
    metadata_limits: bool = Field(
        False, description="Refuse more than 50 keys, 40-character keys, 500-character values."
    )
    list_order: Literal["newest_first", "oldest_first"] = Field("newest_first", description="Order of GET /v2/flows.")
    bad_credentials_status: Literal[401, 403] = Field(401, description="Status of an answer to wrong credentials.")
    error_format: Literal["full", "message_only", "empty", "text"] = Field(
        "full", description="How much of `success`, `message`, `error_code` an error has; text: not JSON."
    )
    rate_limit_per_minute: int | None = Field(None, ge=0, description="More calls are answered 429; null: no limit.")
    rate_limit_retry_after: bool = Field(True, description="Whether that 429 carries `Retry-After`.")
    flag_place: Literal["compliance", "top_level", "both"] = Field(
        "compliance", description="Where `has_criminal_activity` stands in a user."
    )
    undecided_flag: Literal["null", "absent", "false"] = Field(
        "null", description="How the flag looks while a check is not decided."
    )
    consider_flag: bool | None = Field(None, description="What the check status `consider` does to the flag.")
    sex_offender_check_status: Literal["absent", "null", "passed", "failed", "pending", "information_mismatch"] = Field(
        "absent", description="What verified users still carry of the check that older accounts had."
    )
    submitted_check_status: CheckStatus = Field("pending", description="Status right after the step, before a result.")
    merged_user: Literal["not_found", "disabled", "new_user"] = Field(
        "not_found", description="How a user answers under its old id after a merge."
    )
    flow_webhooks_carry_metadata: bool = Field(False, description="`flow.*` bodies echo the flow's metadata.")
    user_webhooks_carry_metadata: bool = Field(False, description="`user.*` bodies echo the user's metadata.")
    webhooks_carry_api_app_id: bool = Field(False, description="`flow.*` bodies carry `api_app_id`.")
    webhooks_omit_event: bool = Field(
        False, description="Bodies come without `event`; that of a merge names its two ids and nothing else."
    )
    id_verified_event: Literal["user.updated.id_verified", "user.updated.ide_verified"] = Field(
        "user.updated.id_verified", description="The event's name, or its published typo."
    )


class Knobs(_Knobs):
    """All knobs. `seed` starts the dice of delivery and faults anew; null: every run is different."""

    seed: int | None = None
    webhooks: WebhookKnobs = WebhookKnobs()
    faults: FaultKnobs = FaultKnobs()
    unknowns: Unknowns = Unknowns()
