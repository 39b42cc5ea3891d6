"""The deliveries of a subscription over HTTP: list, get and redeliver."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from app import cursors
from app.access import audit_reads
from app.access.key_rows import KeyRecord
from app.access.scopes import COMPLIANCE
from app.errors import DeliveryNotFoundError, FieldProblem, InvalidFieldsError, ScopeMissingError
from app.feed import events
from app.subscriptions import read_deliveries, redeliver
from app.subscriptions.delivery_schemas import (
    DeliveryPage,
    DeliveryResponse,
    DeliveryWithAttempts,
    RedeliverEventsRequest,
    RedeliveryResponse,
)
from app.subscriptions.delivery_search import DeliveryFilter, DeliverySummary
from app.subscriptions.inputs import SubscriptionInputs
from app.subscriptions.read_deliveries import DeliveryHistory
from app.subscriptions.redeliver import RedeliveryRequest
from app.subscriptions.routes import Admin
from app.subscriptions.rules import subscriptions
from app.subscriptions.rules.subscriptions import DeliveryState
from app.web import given
from app.web.lists import After

router = APIRouter(prefix="/v1/subscriptions/{subscription_id}", tags=["subscriptions"])

_CURSOR = cursors.by_position("deliveries")
_REDELIVERY_CURSOR = cursors.by_position("redelivery")


@router.get("/deliveries", operation_id="listDeliveries", summary="List deliveries")
async def list_deliveries(
    request: Request,
    subscription_id: UUID,
    key: Admin,
    *,
    state: Annotated[
        DeliveryState | None, Query(description="Only deliveries that are `pending`, `delivered` or `dead` (given up).")
    ] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=200, description="The most deliveries on a page.")] = 50,
) -> DeliveryPage:
    """List the deliveries of a subscription, latest events first. Background checks need `compliance:read`."""
    inputs = given.of(request, SubscriptionInputs)
    wanted = DeliveryFilter(subscription_id=subscription_id, types=_visible_types(key), state=state)
    before = None if after is None else _CURSOR.read(after)
    found = await read_deliveries.list_deliveries(inputs.engine, wanted, before=before, limit=limit)
    await _audit(inputs, key, found.deliveries)
    return DeliveryPage(
        deliveries=[DeliveryResponse.of(delivery) for delivery in found.deliveries],
        next_cursor=None if found.next_before is None else _CURSOR.write(found.next_before),
        has_more=found.next_before is not None,
    )


@router.get("/deliveries/{event_id}", operation_id="getDelivery", summary="Get a delivery")
async def get_delivery(request: Request, subscription_id: UUID, event_id: UUID, key: Admin) -> DeliveryWithAttempts:
    """Get the delivery of one event with its latest attempts."""
    inputs = given.of(request, SubscriptionInputs)
    return DeliveryWithAttempts.of(await _read(inputs, key, subscription_id, event_id))


@router.post("/deliveries/{event_id}/redeliver", operation_id="redeliverEvent", summary="Redeliver an event")
async def redeliver_one(request: Request, subscription_id: UUID, event_id: UUID, key: Admin) -> DeliveryWithAttempts:
    """Send one event again with the same id, in any state of its delivery."""
    inputs = given.of(request, SubscriptionInputs)
    await _read(inputs, key, subscription_id, event_id)
    await redeliver.redeliver_one(inputs, subscription_id, event_id)
    return DeliveryWithAttempts.of(await read_deliveries.read_delivery(inputs.engine, subscription_id, event_id))


@router.post("/redeliver", operation_id="redeliverEvents", summary="Redeliver events")
async def redeliver_many(
    request: Request, subscription_id: UUID, body: RedeliverEventsRequest, key: Admin
) -> RedeliveryResponse:
    """Send events again that were delivered or given up, and stored events from before the subscription existed."""
    wanted_events = RedeliveryRequest(
        types=_types(body.types, key),
        since=body.since,
        until=body.until,
        after=_REDELIVERY_CURSOR.read(body.after) if body.after else 0,
    )
    done = await redeliver.redeliver(
        given.of(request, SubscriptionInputs), subscription_id, wanted_events, is_dry_run=body.dry_run
    )
    return RedeliveryResponse(
        again=done.count.again,
        fresh=done.count.fresh,
        subjects=done.count.subjects,
        dry_run=done.is_dry_run,
        next_cursor=None if done.next_after is None else _REDELIVERY_CURSOR.write(done.next_after),
    )


def _visible_types(key: KeyRecord) -> frozenset[str]:
    return subscriptions.allowed_types(with_compliance=COMPLIANCE in key.scopes)


def _types(patterns: list[str] | None, key: KeyRecord) -> frozenset[str]:
    """The requested types that this key may see. Raises InvalidFieldsError, ScopeMissingError."""
    visible = _visible_types(key)
    for index, pattern in enumerate(patterns or []):
        matched = events.matching([pattern])
        if not matched:
            known = ", ".join(sorted(visible))
            raise InvalidFieldsError([FieldProblem(f"types.{index}", f"matches no event type; the types are {known}")])
        if not matched & visible:
            raise ScopeMissingError(COMPLIANCE)
    return visible if patterns is None else events.matching(patterns) & visible


async def _read(inputs: SubscriptionInputs, key: KeyRecord, subscription_id: UUID, event_id: UUID) -> DeliveryHistory:
    """Read a delivery that this key may see, and audit it. Raises DeliveryNotFoundError."""
    history = await read_deliveries.read_delivery(inputs.engine, subscription_id, event_id)
    if history.delivery.type not in _visible_types(key):
        raise DeliveryNotFoundError
    await _audit(inputs, key, [history.delivery])
    return history


async def _audit(inputs: SubscriptionInputs, key: KeyRecord, shown: list[DeliverySummary]) -> None:
    checks = [delivery for delivery in shown if delivery.type in events.COMPLIANCE_TYPES]
    if checks:
        await audit_reads.audit_read(inputs, key, " ".join(str(check.event_id) for check in checks))
