"""Every error the service knows, one tree; the docstring of a class is the message people read.

HTTP statuses live in `app.web.problems`, not here.
"""

import re
from datetime import timedelta
from http import HTTPStatus


class GatewayError(Exception):
    """Something went wrong in dots-gateway."""

    code = "internal"

    def __init_subclass__(cls) -> None:
        """Give each class its code, the stable name callers and operators see: `DotsRefusedError` → `dots_refused`."""
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Error")).lower()

    def __init__(self, detail: str | None = None) -> None:
        """Take `detail` for this one case; without it the docstring speaks."""
        self.detail = detail or (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(self.detail)


class SettingsError(GatewayError):
    """A setting is missing or malformed."""


class SchemaVersionError(GatewayError):
    """The database has another schema version than this program; run `dots-gateway migrate`."""


class SchemaTakenError(GatewayError):
    """The schema holds the tables of another program; set DATABASE_SCHEMA to a schema of dots-gateway's own."""


class SchemaRightsError(GatewayError):
    """The role of DATABASE_URL may not create tables in the schema."""


class DatabaseUnavailableError(GatewayError):
    """The database does not serve us now; try again."""


class DatabaseReadOnlyError(DatabaseUnavailableError):
    """The database can only be read now; try again."""


class DatabasePoolerError(DatabaseUnavailableError):
    """DATABASE_URL leads through a transaction pooler such as PgBouncer; set DATABASE_POOLER=transaction."""


class OverloadedError(GatewayError):
    """More is waiting than this process will hold; try again in a moment."""


# What callers do wrong


class CallerError(GatewayError):
    """The request cannot be served as it is."""


class KeyMissingError(CallerError):
    """Send an API key as `Authorization: Bearer …`."""


class KeyRefusedError(CallerError):
    """This API key is unknown or revoked."""


class ScopeMissingError(CallerError):
    """This API key lacks a scope that the request needs."""

    def __init__(self, scope: str) -> None:
        """Name the missing scope."""
        self.scope = scope
        super().__init__(f"This API key lacks the scope {scope}.")


class InvalidFieldsError(CallerError):
    """Some fields of the request are not valid."""

    def __init__(self, problems: "list[FieldProblem]") -> None:
        """Keep the problems, one a field, in the order they were found."""
        self.problems = problems
        super().__init__()


class FieldProblem:
    """One field that is not valid: where it is (`steps.0.redirect_url`) and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        """Name the field by its dotted path."""
        self.field = field
        self.message = message


class UnknownAppError(CallerError):
    """There is no Dots app of this name in the gateway's settings."""


class FlowNotFoundError(CallerError):
    """No flow with this id is known."""


class UserNotFoundError(CallerError):
    """No user with this id is known."""


class WebhookNotFoundError(CallerError):
    """No webhook with this id is stored."""


class SubscriptionNotFoundError(CallerError):
    """No subscription with this id is known."""


class DeliveryNotFoundError(CallerError):
    """This subscription has no delivery of this event."""


class DestinationRefusedError(CallerError):
    """Events may not be sent to this address; see SUBSCRIBERS_ALLOWED in the gateway's settings."""


class EncryptionUnavailableError(GatewayError):
    """Secrets of subscriptions cannot be kept or read; ENCRYPTION_KEYS lacks their key."""


class IdempotencyKeyReusedError(CallerError):
    """This Idempotency-Key was used before with another body; use a new key for a new flow."""


class CreationRunningError(CallerError):
    """A creation with this Idempotency-Key has not ended yet; repeat the same request later."""


class CreationOutcomeUnknownError(CallerError):
    """Dots may or may not have made the flow; repeat the same request with the same Idempotency-Key later."""


class InvalidCursorError(CallerError):
    """This cursor was not made by this service."""


class CursorOfOtherEpochError(CallerError):
    """This cursor belongs to another feed, from before a restore; read again from the start."""


class CursorExpiredError(CallerError):
    """Events right after this cursor are no longer kept; read again from the earliest."""


# What webhooks do wrong


class SignatureRefusedError(CallerError):
    """The webhook's signature does not verify."""


class BodyTooLargeError(CallerError):
    """The body is larger than this route takes."""


class BodyTooSlowError(CallerError):
    """The body did not arrive in time."""


# What Dots does


class DotsError(GatewayError):
    """Dots did not give what was asked for."""

    may_have_acted = False
    """Whether Dots may have carried the request out all the same."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        error_code: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        """Keep what a handler needs; never the body Dots sent."""
        self.status = status
        self.error_code = error_code
        self.retry_after = retry_after
        super().__init__(detail)

    @property
    def is_final(self) -> bool:
        """Whether Dots said that the request itself is wrong, so that the same one can never succeed."""
        return False


class DotsUnreachableError(DotsError):
    """Dots could not be reached; the request was not sent."""


class DotsUnansweredError(DotsError):
    """Dots gave no answer to a request that was sent; it may have been carried out."""

    may_have_acted = True


class DotsFailedError(DotsError):
    """Dots answered with a server error; the request may have been carried out."""

    may_have_acted = True


class DotsInvalidResponseError(DotsError):
    """Dots answered with something that cannot be read."""

    may_have_acted = True


class DotsMisroutedError(DotsError):
    """The request was refused, but not by Dots: check the API URL and the proxies in between."""


class DotsBusyError(DotsError):
    """Dots cannot serve the request now; it was not carried out."""


class DotsThrottledError(DotsError):
    """Dots asks for fewer requests; the request was not carried out."""


class DotsCredentialsError(DotsError):
    """Dots does not accept the gateway's credentials."""


class DotsForbiddenError(DotsError):
    """Dots forbids this to the gateway: the flow or user may belong to another app, or not exist."""


class DotsNotFoundError(DotsError):
    """Dots does not know this id."""


class DotsRefusedError(DotsError):
    """Dots refused the request."""

    @property
    def is_final(self) -> bool:
        """A 400 or 422 with an error code of Dots. Codes for temporary failures raise DotsBusyError instead."""
        return self.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY) and self.error_code is not None


# What brokers do


class BrokerUnavailableError(GatewayError):
    """The broker did not take an event; it stays to be published."""


class NoBrokerError(GatewayError):
    """There is no broker; set EVENT_BROKER_URL."""
