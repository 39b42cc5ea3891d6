"""What the routes work with, put in one place on the application."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from app.actions.receive_webhook import WebhookReceiver
from app.actions.tools import Tools
from app.actions.watch_feed import FeedWatch
from app.dots.signature import Verifier


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """One api process: tools for the actions, a verifier for each Dots app, and the two that live as long as it."""

    tools: Tools
    verifiers: Mapping[str, Verifier]
    receiver: WebhookReceiver
    watch: FeedWatch


def of(connection: HTTPConnection) -> Gateway:
    """The gateway that serves this request."""
    gateway: Gateway = connection.app.state.gateway
    return gateway


def tools_of(connection: HTTPConnection) -> Tools:
    """The tools alone, which the metrics of a worker have too."""
    tools: Tools = connection.app.state.tools
    return tools
