"""Gives routes the inputs of their subject, with which the application was built."""

from typing import TypeVar

from starlette.requests import HTTPConnection

Inputs = TypeVar("Inputs")


def of(connection: HTTPConnection, kind: type[Inputs]) -> Inputs:
    """Return the application's inputs of this type."""
    inputs: Inputs = connection.app.state.given[kind]
    return inputs
