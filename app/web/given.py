"""What routes work with: the inputs of their subject, which the application was built with."""

from typing import TypeVar

from starlette.requests import HTTPConnection

Inputs = TypeVar("Inputs")


def of(connection: HTTPConnection, kind: type[Inputs]) -> Inputs:
    """The inputs of this kind."""
    inputs: Inputs = connection.app.state.given[kind]
    return inputs
