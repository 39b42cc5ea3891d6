"""What the routes work with, put in one place on the application."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from app.dots.signature import Verifier
from app.feed.watch_feed import FeedWatch
from app.flows.read_timeline import Neighbours
from app.tools import Tools
from app.webhooks.receive_webhook import WebhookReceiver


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """One api process: tools for the actions, a verifier for each Dots app, and the two that live as long as it."""

    tools: Tools
    verifiers: Mapping[str, Verifier]
    receiver: WebhookReceiver
    watch: FeedWatch
    neighbours: Neighbours


def of(connection: HTTPConnection) -> Gateway:
    """The gateway that serves this request."""
    gateway: Gateway = connection.app.state.gateway
    return gateway


def tools_of(connection: HTTPConnection) -> Tools:
    """The tools alone, which the metrics of a worker have too."""
    tools: Tools = connection.app.state.tools
    return tools
