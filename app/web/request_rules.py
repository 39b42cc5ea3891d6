"""Checks each request's method, query parameters and content type before its route runs."""

import difflib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import FieldProblem, InvalidFieldsError
from app.web import problems

_VERSIONED = "/v1/"
NAME_LIMIT_CHARACTERS = 40


class RequestRules:
    """Wraps the application. A query parameter with an empty value counts as absent: many clients send those."""

    def __init__(self, app: ASGIApp, *, routers: Iterable[APIRouter]) -> None:
        """Take the routers that the application includes."""
        self._app = app
        self._routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer which rule it breaks."""
        if scope["type"] == "http" and (routes := self._routes_of(scope["path"])):
            route = next((route for route in routes if scope["method"] in (route.methods or ())), None)
            if route is None:
                scope["route"] = routes[0]
                await _refuse_method(routes)(scope, receive, send)
                return
            if found := _problems(route, scope):
                scope["route"] = route
                await problems.respond(InvalidFieldsError(found))(scope, receive, send)
                return
            scope["query_string"] = urlencode(parse_qsl(scope["query_string"].decode("latin-1"))).encode()
        await self._app(scope, receive, send)

    def _routes_of(self, path: str) -> list[APIRoute]:
        return [route for route in self._routes if route.path_regex.match(path)]


def _refuse_method(routes: list[APIRoute]) -> JSONResponse:
    methods = sorted({method for route in routes for method in route.methods or ()})
    return problems.problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Method Not Allowed",
        headers={"Allow": ", ".join(methods)},
    )


def _problems(route: APIRoute, scope: Scope) -> list[FieldProblem]:
    if not scope["path"].startswith(_VERSIONED):
        return []
    known = set(_query_names(route.dependant))
    given = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    problems = [_unknown(name, known) for name in given if name not in known]
    if route.body_field is not None and not _is_json(Headers(scope=scope).get("content-type", "")):
        problems.append(FieldProblem("Content-Type", "must be application/json, or absent"))
    return problems


def _query_names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for inner in dependant.dependencies:
        yield from _query_names(inner)


def _unknown(name: str, known: set[str]) -> FieldProblem:
    close = difflib.get_close_matches(name.lower(), sorted(known), n=1)
    suggestion = f"; did you mean {close[0]}?" if close else ""
    return FieldProblem(name[:NAME_LIMIT_CHARACTERS], f"is not a query parameter here{suggestion}")


def _is_json(content_type: str) -> bool:
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    return kind in ("", "application/json") or (kind.startswith("application/") and kind.endswith("+json"))
