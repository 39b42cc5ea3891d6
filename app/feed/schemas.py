"""Events and pages of events as JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.web import examples


class EventResponse(BaseModel):
    """An event in the CloudEvents format."""

    model_config = examples.shown(examples.EVENT)

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    """The id of the event. An event may arrive more than once: handle an id once."""
    source: str
    """`/dots-gateway/` and the name of the Dots app."""
    type: str
    """What happened."""
    subject: str
    """What the event is about: `flow/<id>`, `user/<id>` or `user/<id>/background-check`."""
    time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When it happened (UTC)."""
    datacontenttype: Literal["application/json"]
    """The media type of `data`."""
    dataschema: str
    """The schema of `data`. The part after `urn:dots-gateway:schemas/` is a path below `/schemas/events/`."""
    sequence: Annotated[str, Field(pattern="^[1-9][0-9]*$")]
    """Counts the events of the subject: 1, 2, 3, …"""
    data: dict[str, Any]
    """The details of the event. `dataschema` names their schema."""


class EventPage(BaseModel):
    """A page of events, in the order of the feed."""

    model_config = examples.shown({"events": [examples.EVENT], "next_cursor": examples.CURSOR, "has_more": False})

    events: list[EventResponse]
    """The events of this page."""
    next_cursor: str
    """Pass it as `after` to read on, now or later."""
    has_more: bool
    """Whether more events can be read now."""
