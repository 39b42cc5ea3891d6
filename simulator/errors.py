"""The one way the simulator says no; how it looks on the wire is the business of the API and control rooms."""

from http import HTTPStatus


class RefusalError(Exception):
    """The request cannot be carried out."""

    def __init__(self, *, status: int, error_code: str, message: str) -> None:
        """Keep what an answer needs: an HTTP status, a Dots error code and a sentence."""
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message


def invalid_input(message: str) -> RefusalError:
    """A refusal of what was sent."""
    return RefusalError(status=HTTPStatus.BAD_REQUEST, error_code="invalid-input", message=message)


def not_found(message: str) -> RefusalError:
    """A refusal because there is no such thing."""
    return RefusalError(status=HTTPStatus.NOT_FOUND, error_code="not-found", message=message)


def hidden(status: int, message: str) -> RefusalError:
    """A refusal that does not tell what does not exist from what is another app's: 403 or 404."""
    if status == HTTPStatus.FORBIDDEN:
        return RefusalError(status=status, error_code="forbidden", message="Forbidden")
    return not_found(message)


def conflict(message: str) -> RefusalError:
    """A refusal because the thing is not in a state that allows it."""
    return RefusalError(status=HTTPStatus.CONFLICT, error_code="resource-busy", message=message)
