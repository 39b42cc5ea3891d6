"""A client of dots-gateway: create flows, follow the feed of events, verify pushed events."""

from dots_gateway_client.cursors import CursorStore, FileCursor, MemoryCursor
from dots_gateway_client.errors import (
    CreationUnsettledError,
    CursorExpiredError,
    CursorOfOtherEpochError,
    FlowNotFoundError,
    GatewayError,
    InvalidSecretError,
    KeyRefusedError,
    MalformedAnswerError,
    MalformedEventError,
    RequestRefusedError,
    ScopeMissingError,
    SignatureRefusedError,
    UnavailableError,
)
from dots_gateway_client.events import (
    CheckCleared,
    CheckFlagged,
    CheckNeedsReview,
    Event,
    FlowClaimed,
    FlowCompleted,
    FlowCreated,
    FlowName,
    IdVerified,
    StepCompleted,
    SubscriptionTest,
    UnknownEvent,
)
from dots_gateway_client.flows import CreationFailure, Flow, Step
from dots_gateway_client.gateway import Gateway
from dots_gateway_client.webhooks import verify

__all__ = [
    "CheckCleared",
    "CheckFlagged",
    "CheckNeedsReview",
