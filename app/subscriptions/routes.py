"""Subscriptions over HTTP: create, list, change, pause, rotate the secret, test."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from app import cursors
from app.access.key_rows import KeyRecord
from app.access.scopes import COMPLIANCE, SUBSCRIPTIONS_ADMIN, RequiredScope
from app.errors import ScopeMissingError
from app.subscriptions import manage_secrets, manage_subscriptions, send_test_event
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.schemas import (
    AttemptedTest,
    CreateSubscriptionRequest,
    SecretResponse,
    SubscriptionPage,
    SubscriptionPatch,
    SubscriptionResponse,
    SubscriptionWithSecret,
)
from app.web import given
from app.web.lists import After

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])

Admin = Annotated[KeyRecord, Depends(RequiredScope(SUBSCRIPTIONS_ADMIN))]

_CURSOR = cursors.by_time("subscriptions")


@router.post("", status_code=201, operation_id="createSubscription", summary="Create a subscription")
async def create_subscription(
    request: Request, request_body: CreateSubscriptionRequest, key: Admin
) -> SubscriptionWithSecret:
    """Send events to a URL from now on. Only this answer shows the secret that verifies them."""
    if request_body.with_compliance and COMPLIANCE not in key.scopes:
        raise ScopeMissingError(COMPLIANCE)
    made = await manage_subscriptions.create_subscription(
        given.of(request, SubscriptionInputs), request_body.as_request(), caller=key.name
    )
    return SubscriptionWithSecret.of_new(made)


@router.get("", operation_id="listSubscriptions", summary="List subscriptions")
async def list_subscriptions(
    request: Request,
    key: Admin,
    *,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100, description="The most subscriptions on a page.")] = 50,
) -> SubscriptionPage:
    """List subscriptions, newest first, without their secrets."""
    del key
    engine = given.of(request, SubscriptionInputs).engine
    before = None if after is None else _CURSOR.read(after)
    found = await manage_subscriptions.list_subscriptions(engine, before=before, limit=limit + 1)
    shown, has_more = found[:limit], len(found) > limit
    return SubscriptionPage(
        subscriptions=[SubscriptionResponse.of(subscription) for subscription in shown],
        next_cursor=_CURSOR.write((shown[-1].created_at, shown[-1].id)) if has_more else None,
        has_more=has_more,
    )


@router.get("/{subscription_id}", operation_id="getSubscription", summary="Get a subscription")
async def get_subscription(request: Request, subscription_id: UUID, key: Admin) -> SubscriptionResponse:
    """Get a subscription without its secret."""
    del key
    engine = given.of(request, SubscriptionInputs).engine
    return SubscriptionResponse.of(await manage_subscriptions.read_subscription(engine, subscription_id))


@router.patch("/{subscription_id}", operation_id="changeSubscription", summary="Change a subscription")
async def change_subscription(
    request: Request, subscription_id: UUID, patch: SubscriptionPatch, key: Admin
) -> SubscriptionResponse:
    """Change where events are sent, or which ones. A subscription `with_compliance` needs `compliance:read`."""
    inputs = given.of(request, SubscriptionInputs)
    before = await manage_subscriptions.read_subscription(inputs.engine, subscription_id)
    # A caller without compliance:read must not redirect background checks to its own URL. The flag never changes.
    if before.with_compliance and COMPLIANCE not in key.scopes:
        raise ScopeMissingError(COMPLIANCE)
    changed = await manage_subscriptions.change_subscription(inputs, subscription_id, patch.as_change())
    return SubscriptionResponse.of(changed)


@router.delete(
    "/{subscription_id}", status_code=204, operation_id="deleteSubscription", summary="Delete a subscription"
)
async def delete_subscription(request: Request, subscription_id: UUID, key: Admin) -> None:
    """Stop sending. Delete the subscription, its secrets and its deliveries."""
    del key
    await manage_subscriptions.delete_subscription(given.of(request, SubscriptionInputs), subscription_id)


@router.post("/{subscription_id}/pause", operation_id="pauseSubscription", summary="Pause a subscription")
async def pause_subscription(request: Request, subscription_id: UUID, key: Admin) -> SubscriptionResponse:
    """Stop sending until the subscription is resumed. Deliveries are created and wait."""
    del key
    paused = await manage_subscriptions.pause_subscription(given.of(request, SubscriptionInputs), subscription_id)
    return SubscriptionResponse.of(paused)


@router.post("/{subscription_id}/resume", operation_id="resumeSubscription", summary="Resume a subscription")
async def resume_subscription(request: Request, subscription_id: UUID, key: Admin) -> SubscriptionResponse:
    """Send the waiting deliveries now, in order. Earlier failures no longer count."""
    del key
    resumed = await manage_subscriptions.resume_subscription(given.of(request, SubscriptionInputs), subscription_id)
    return SubscriptionResponse.of(resumed)


@router.post(
    "/{subscription_id}/secret", operation_id="rotateSubscriptionSecret", summary="Rotate the secret of a subscription"
)
async def rotate_secret(request: Request, subscription_id: UUID, key: Admin) -> SecretResponse:
    """Get a new secret, shown only once. For 24 hours messages are signed with the previous secret as well."""
    del key
    return SecretResponse.of(await manage_secrets.rotate_secret(given.of(request, SubscriptionInputs), subscription_id))


@router.post("/{subscription_id}/test", operation_id="testSubscription", summary="Test a subscription")
async def test_subscription(request: Request, subscription_id: UUID, key: Admin) -> AttemptedTest:
    """Send an event of type `dots.subscription.test` now, even if the subscription is paused. Returns the outcome."""
    del key
    return AttemptedTest.of(
        await send_test_event.send_test_event(given.of(request, SubscriptionInputs), subscription_id)
    )
