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
    "junk_body",
    "hang",
    "stall",
    "cut",
    "create_then_cut",
    "create_then_fail",
]


class Fault(_Knobs):
    """What happens to one API call instead of a good answer.

    `none` lets one call through (to place a later fault in the queue); `rate_limited` answers 429 and
    `unauthorized` 401 or 403; `server_error` answers `status` and does nothing; `create_then_fail` does the
    work and then answers `status`; `junk_body` does the work and answers 200 with text that is not JSON;
    `hang` does the work and holds the answer back for `seconds`; `stall` does nothing for `seconds`, then
    answers `status`; `cut` closes the connection at once, `create_then_cut` does the work and then closes it.
    """

    kind: FaultKind
    status: int = Field(503, ge=400, le=599)
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
    """How the API misbehaves. The queue is used up first, one entry a matching call; then chance decides."""

    next_responses: tuple[_NamedFault, ...] = Field((), description="A fault for each of the next calls.")
    random_fault: _NamedFault = Field(Fault(kind="server_error"), description="What goes wrong by chance.")
    random_fault_probability: Probability = Field(0.0, description="Chance of `random_fault`, each call.")


class Unknowns(_Knobs):
    """One knob for everything the documentation does not say; the defaults are the gateway's assumptions."""

    redirect_enters_completed_steps: bool = Field(False, description="`redirect` is echoed when it was done.")
    onboarding_in_completed_steps: tuple[str, ...] = Field(
        (), description="Names echoed in completed_steps once a payee was onboarded, such as `onboarding`."
    )
    onboarding_in_steps: tuple[str, ...] = Field((), description="Names put in front of `steps` of such flows.")
    added_compliance: Literal["never", "listed", "unlisted"] = Field(
        "never", description="Dots adds `compliance` by itself, with or without listing it in `steps`."
    )
    flow_has_updated: bool = Field(False, description="Flow objects carry `updated`, as in older samples.")
    times: Literal["naive", "utc"] = Field("naive", description="Times without a zone, or ending in `Z`.")
    create_status: Literal[200, 201] = Field(200, description="Status of a created flow.")
    unknown_steps: Literal["accepted", "refused"] = Field("accepted", description="Steps Dots does not document.")
    unknown_user: Literal["refused", "accepted"] = Field(
        "refused", description="POST /v2/flows with a `user_id` that no user has; accepted: invents the user."
    )
    metadata_limits: bool = Field(
        False, description="Refuse more than 50 keys, 40-character keys, 500-character values."
    )
    list_order: Literal["newest_first", "oldest_first"] = Field("newest_first", description="Order of GET /v2/flows.")
    list_default_limit: int = Field(10, ge=1, le=100, description="Flows on a page when no `limit` is given.")
    trailing_slash: Literal["both", "only_with", "only_without"] = Field(
        "both", description="Which paths are found; the others answer 404."
    )
    bad_credentials_status: Literal[401, 403] = Field(401, description="Status of an answer to wrong credentials.")
    error_shape: Literal["full", "message_only", "empty", "text"] = Field(
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
    submitted_check_status: CheckStatus = Field("pending", description="Status right after the step, before a result.")
    merged_user: Literal["not_found", "disabled", "new_user"] = Field(
        "not_found", description="How a user answers under its old id after a merge."
    )
    flow_webhooks_carry_metadata: bool = Field(False, description="`flow.*` bodies echo the flow's metadata.")
    user_webhooks_carry_metadata: bool = Field(False, description="`user.*` bodies echo the user's metadata.")
    webhooks_carry_api_app_id: bool = Field(False, description="`flow.*` bodies carry `api_app_id`.")
    webhooks_omit_event: bool = Field(False, description="Bodies come without `event`, as in some samples.")
    id_verified_event: Literal["user.updated.id_verified", "user.updated.ide_verified"] = Field(
        "user.updated.id_verified", description="The event's name, or its published typo."
    )


class Knobs(_Knobs):
    """All knobs. `seed` starts the dice of delivery and faults anew; null: every run is different."""

    seed: int | None = None
    webhooks: WebhookKnobs = WebhookKnobs()
    faults: FaultKnobs = FaultKnobs()
    unknowns: Unknowns = Unknowns()
