"""Every error of this client, one tree; what to do about each is in its docstring and in its message."""

from collections.abc import Sequence


class GatewayError(Exception):
    """Something went wrong between this client and dots-gateway."""


class UnavailableError(GatewayError):
    """The gateway cannot answer now: not reached, overloaded, or failing. Repeating helps."""

    def __init__(self, message: str, *, status: int | None = None, retry_after_seconds: float = 0) -> None:
        """Keep the status (None: there was no answer) and how long the gateway asks to be left alone."""
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class CreationUnsettledError(UnavailableError):
    """Whether the flow was made is not known yet. Repeat with the same `idempotency_key`: never a second flow."""

    def __init__(self, idempotency_key: str, why: UnavailableError) -> None:
        """Keep the key to repeat with."""
        self.idempotency_key = idempotency_key
        super().__init__(
            f"{why}; create the flow again with idempotency_key={idempotency_key!r}, which never makes a second one",
            status=why.status,
            retry_after_seconds=why.retry_after_seconds,
        )


class MalformedAnswerError(GatewayError):
    """What answered does not speak as dots-gateway does: the URL is that of something else."""


class RequestRefusedError(GatewayError):
    """The gateway refuses the request as it is. Repeating does not help."""

    advice = ""

    def __init__(self, detail: str, *, status: int, code: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        """Keep the status, the stable code, and what is wrong with which field."""
        self.status = status
        self.code = code
        self.fields = tuple(fields)
        named = (f"{field}: {message}" for field, message in fields)
        super().__init__(" ".join(filter(None, (f"{status} {code}: {detail}", "; ".join(named), self.advice))))


class KeyRefusedError(RequestRefusedError):
    """The gateway does not take this API key (401)."""

    advice = "Make a key with `dots-gateway keys create`."


class ScopeMissingError(RequestRefusedError):
    """The API key lacks a scope (403)."""

    advice = "Make a key with that scope too: `dots-gateway keys create --scopes …`."


class FlowNotFoundError(RequestRefusedError):
    """The gateway knows no flow with this id (404)."""


class CursorOfOtherEpochError(RequestRefusedError):
    """The stored cursor is of another feed: the gateway's database was restored or replaced (409)."""

    advice = (
        "Delete the stored cursor to read from the earliest event; ids you have handled before may come again,"
        " and facts from after the backup may be missing until the gateway has asked Dots again."
    )


class CursorExpiredError(RequestRefusedError):
    """Events after the stored cursor are no longer kept: this consumer has missed some (410)."""

    advice = (
        "Bring your own records up to date from GET /v1/flows, then delete the stored cursor"
        " to read on from the earliest event that is kept."
    )


class MalformedEventError(GatewayError):
    """This is not a CloudEvent of dots-gateway, or its data is not what its schema says."""


class InvalidSecretError(GatewayError):
    """A webhook secret is `whsec_` and then base64; this one is not, or there is none."""


class SignatureRefusedError(GatewayError):
    """The push does not verify: forged, changed, signed with another secret, or too old. Answer 401."""
