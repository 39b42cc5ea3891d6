"""All errors of the service, as one tree. A class's docstring is the message that people read.

Their HTTP statuses live in `app.web.problems`.
"""

import re
from datetime import timedelta
from http import HTTPStatus


class GatewayError(Exception):
    """Something went wrong in dots-gateway."""

    code = "internal"

    def __init_subclass__(cls) -> None:
        """Derive the code, a stable name for callers and operators: `DotsRefusedError` → `dots_refused`."""
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Error")).lower()

    def __init__(self, detail: str | None = None) -> None:
        """Use `detail` as the message, or else the first line of the docstring."""
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
    """The database is not available now; try again."""


class DatabaseReadOnlyError(DatabaseUnavailableError):
    """The database is read-only now; try again."""


class DatabasePoolerError(DatabaseUnavailableError):
    """DATABASE_URL leads through a transaction pooler such as PgBouncer; set DATABASE_POOLER=transaction."""


class OverloadedError(GatewayError):
    """Too many requests are waiting in this process; try again in a moment."""


# Mistakes of callers


class CallerError(GatewayError):
    """The request is not valid."""


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
        """Keep the problems, one per field, in the order in which they were found."""
        self.problems = problems
        super().__init__()


class FieldProblem:
    """One invalid field: its path, such as `steps.0.redirect_url`, and what is wrong with it."""

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
    """Subscription secrets cannot be encrypted or decrypted; ENCRYPTION_KEYS lacks their key."""


class IdempotencyKeyReusedError(CallerError):
    """This Idempotency-Key was used before with another body; use a new key for a new flow."""


class CreationRunningError(CallerError):
    """A creation with this Idempotency-Key is still running; repeat the same request later."""


class CreationOutcomeUnknownError(CallerError):
    """Dots may or may not have created the flow; repeat the same request with the same Idempotency-Key later."""


class InvalidCursorError(CallerError):
    """This cursor was not made by this service."""


class CursorOfOtherEpochError(CallerError):
    """This cursor is from before the database was restored; read again from the start."""


class CursorExpiredError(CallerError):
    """The events right after this cursor are no longer kept; read again from the earliest event."""


# Mistakes in webhooks


class SignatureRefusedError(CallerError):
    """The webhook's signature is not valid."""


class BodyTooLargeError(CallerError):
    """The body is larger than this route accepts."""


class BodyTooSlowError(CallerError):
    """The body did not arrive in time."""


# Failures of Dots


class DotsError(GatewayError):
    """A request to Dots failed."""

    may_have_acted = False
    """Whether Dots may have carried the request out."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        error_code: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        """Keep what a handler needs, but never Dots' response body."""
        self.status = status
        self.error_code = error_code
        self.retry_after = retry_after
        super().__init__(detail)

    @property
    def is_final(self) -> bool:
        """Whether Dots said that the request itself is wrong, so that repeating it cannot succeed."""
        return False


class DotsUnreachableError(DotsError):
    """Dots could not be reached; the request was not sent."""


class DotsUnansweredError(DotsError):
    """Dots did not answer a request that was sent; it may have been carried out."""

    may_have_acted = True


class DotsFailedError(DotsError):
    """Dots answered with a server error; it may have carried the request out."""

    may_have_acted = True


class DotsInvalidResponseError(DotsError):
    """Dots' answer is not a valid response."""

    may_have_acted = True


class DotsMisroutedError(DotsError):
    """Something other than Dots refused the request; check the API URL and the proxies in between."""


class DotsBusyError(DotsError):
    """Dots cannot serve the request now; it did not carry the request out."""


class DotsThrottledError(DotsError):
    """Dots limits the rate of requests; it did not carry the request out."""


class DotsCredentialsError(DotsError):
    """Dots does not accept the gateway's credentials."""


class DotsForbiddenError(DotsError):
    """Dots denies the gateway access: the flow or user may belong to another app, or may not exist."""


class DotsNotFoundError(DotsError):
    """Dots does not know this id."""


class DotsRefusedError(DotsError):
    """Dots refused the request."""

    @property
    def is_final(self) -> bool:
        """True for a 400 or 422 with one of Dots' error codes. Codes for temporary failures raise DotsBusyError."""
        return self.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY) and self.error_code is not None


# Failures of brokers


class BrokerUnavailableError(GatewayError):
    """The broker did not accept an event; the gateway publishes it later."""


class NoBrokerError(GatewayError):
    """No broker is configured; set EVENT_BROKER_URL."""
