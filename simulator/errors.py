"""The exception for every refused request. The API and the control API convert it to their own formats."""

from http import HTTPStatus


class RefusalError(Exception):
    """The request cannot be carried out."""

    def __init__(self, *, status: int, error_code: str, message: str) -> None:
        """Set the HTTP status, the Dots error code and the message of the answer."""
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message


def invalid_input(message: str) -> RefusalError:
    """The request is invalid (400)."""
    return RefusalError(status=HTTPStatus.BAD_REQUEST, error_code="invalid-input", message=message)


def not_found(message: str) -> RefusalError:
    """The object does not exist (404)."""
    return RefusalError(status=HTTPStatus.NOT_FOUND, error_code="not-found", message=message)


def hidden(status: int, message: str) -> RefusalError:
    """The object does not exist or belongs to another app (403 or 404): the answer is the same for both."""
    if status == HTTPStatus.FORBIDDEN:
        return RefusalError(status=status, error_code="forbidden", message="Forbidden")
    return not_found(message)


def conflict(message: str) -> RefusalError:
    """The object's state does not allow the request (409)."""
    return RefusalError(status=HTTPStatus.CONFLICT, error_code="resource-busy", message=message)
