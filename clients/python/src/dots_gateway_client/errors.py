"""All errors of this client. Each docstring and message says what to do."""

from collections.abc import Sequence


class GatewayError(Exception):
    """The base class of all errors of this client."""


class UnavailableError(GatewayError):
    """The gateway is unreachable, overloaded or failing. Retry later."""

    def __init__(self, message: str, *, status: int | None = None, retry_after_seconds: float = 0) -> None:
        """Set the status (None: there was no answer) and the `Retry-After` of the answer."""
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class CreationUnsettledError(UnavailableError):
    """It is unknown whether the flow exists. Repeat with the same `idempotency_key`: this creates at most one flow."""

    def __init__(self, idempotency_key: str, why: UnavailableError) -> None:
        """Set the key for the next attempt."""
        self.idempotency_key = idempotency_key
        super().__init__(
            f"{why}; repeat with idempotency_key={idempotency_key!r}, which creates at most one flow",
            status=why.status,
            retry_after_seconds=why.retry_after_seconds,
        )


class MalformedAnswerError(GatewayError):
    """The answer is not one of dots-gateway: the URL is probably wrong."""


class RequestRefusedError(GatewayError):
    """The gateway refused the request. A retry does not help."""

    advice = ""

    def __init__(self, detail: str, *, status: int, code: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        """Set the status, the stable code, and the errors by field."""
        self.status = status
        self.code = code
        self.fields = tuple(fields)
        named = (f"{field}: {message}" for field, message in fields)
        super().__init__(" ".join(filter(None, (f"{status} {code}: {detail}", "; ".join(named), self.advice))))


class KeyRefusedError(RequestRefusedError):
    """The API key is invalid (401)."""

    advice = "Create a key with `dots-gateway keys create`."


class ScopeMissingError(RequestRefusedError):
    """The API key lacks a scope (403)."""

    advice = "Create a key with that scope: `dots-gateway keys create --scopes …`."


class FlowNotFoundError(RequestRefusedError):
    """The gateway has no flow with this id (404)."""


class CursorOfOtherEpochError(RequestRefusedError):
    """The stored cursor belongs to another feed: the gateway's database was restored or replaced (409)."""

    advice = (
        "Delete the stored cursor to read from the earliest event. Events with known ids may come again, and facts"
        " from after the backup may be missing until the gateway has refreshed its flows from Dots."
    )


class CursorExpiredError(RequestRefusedError):
    """Events after the stored cursor have been deleted: this consumer has missed some (410)."""

    advice = (
        "Update your records from GET /v1/flows, then delete the stored cursor to continue from the earliest event."
    )


class MalformedEventError(GatewayError):
    """This is not a CloudEvent of dots-gateway, or its data does not match its schema."""


class InvalidSecretError(GatewayError):
    """A webhook secret is missing or is not `whsec_` followed by base64."""


class SignatureRefusedError(GatewayError):
    """The push is forged, changed, signed with another secret, or too old. Answer 401."""
