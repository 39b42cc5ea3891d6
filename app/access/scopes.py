"""Who may call what: API keys, scopes, and the check that no route has forgotten to say."""

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

_bearer = HTTPBearer(auto_error=False, description="An API key, made with `dots-gateway keys create`.")


class UndeclaredScopeError(RuntimeError):
    """A route declares no scope; the service does not start with one."""


async def caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> KeyRecord:
    """The key a request was made with. Raises KeyMissingError, KeyRefusedError."""
    if credentials is None:
        raise KeyMissingError
    return await manage_keys.check_key(given.of(request, StorageInputs).engine, credentials.credentials)


Caller = Annotated[KeyRecord, Depends(caller)]


class RequiredScope:
    """A dependency that lets only keys with one scope through; declare it on every route."""

    def __init__(self, scope: str) -> None:
        """Name the scope."""
        self.scope = scope

    async def __call__(self, key: Caller) -> KeyRecord:
        """Return the key. Raises ScopeMissingError."""
        if self.scope not in key.scopes:
            raise ScopeMissingError(self.scope)
        return key


class Open:
    """A dependency that says: this route needs no key, on purpose."""

    def __call__(self) -> None:
        """Let everybody through."""


def check(routers: Iterable[APIRouter]) -> None:
    """Raise UndeclaredScopeError for a route that says neither which scope it needs nor that it is open."""
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
