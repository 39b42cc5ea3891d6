"""Checks the API key and scope of each request, and at the start that every route declares its scope."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.routing import BaseRoute

from app.access import manage_keys
from app.access.key_rows import KeyRecord
from app.errors import KeyMissingError, ScopeMissingError
from app.storage.inputs import StorageInputs
from app.web import given

COMPLIANCE = "compliance:read"
SUBSCRIPTIONS_ADMIN = "subscriptions:admin"

_bearer = HTTPBearer(auto_error=False, description="An API key. `dots-gateway keys create` creates one.")


class UndeclaredScopeError(RuntimeError):
    """A route declares no scope. The service does not start with such a route."""


async def caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> KeyRecord:
    """Return the key of a request. Raises KeyMissingError, KeyRefusedError."""
    if credentials is None:
        raise KeyMissingError
    return await manage_keys.check_key(given.of(request, StorageInputs).engine, credentials.credentials)


Caller = Annotated[KeyRecord, Depends(caller)]


class RequiredScope:
    """A dependency that refuses keys without this scope. Declare it or Open on every route."""

    def __init__(self, scope: str) -> None:
        """Require `scope`."""
        self.scope = scope

    async def __call__(self, key: Caller) -> KeyRecord:
        """Return the key. Raises ScopeMissingError if it lacks the scope."""
        if self.scope not in key.scopes:
            raise ScopeMissingError(self.scope)
        return key


class Open:
    """A dependency that declares that a route needs no key."""

    def __call__(self) -> None:
        """Accept every request."""


def check(routers: Iterable[APIRouter]) -> None:
    """Raise UndeclaredScopeError if a route declares neither RequiredScope nor Open."""
    for router in routers:
        for route in router.routes:
            if not _is_declared(route):
                raise UndeclaredScopeError(f"{getattr(route, 'path', route)} declares no scope.")


def _is_declared(route: BaseRoute) -> bool:
    return isinstance(route, APIRoute) and any(
        isinstance(dependant.call, RequiredScope | Open) for dependant in _all(route.dependant)
    )


def _all(dependant: Dependant) -> Iterable[Dependant]:
    for inner in dependant.dependencies:
        yield inner
        yield from _all(inner)
