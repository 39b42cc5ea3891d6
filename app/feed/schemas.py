"""Events and pages of them as JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.web import examples


class EventShape(BaseModel):
    """A CloudEvent; what `data` holds is for its type to say, in the schema that `dataschema` names."""

    model_config = examples.shown(examples.EVENT)

    specversion: Literal["1.0"]
    id: Annotated[str, Field(description="Handle an id once.", json_schema_extra={"format": "uuid"})]
    source: Annotated[str, Field(description="`/dots-gateway/` and the app.")]
    type: str
    subject: Annotated[str, Field(description="What it is about, such as `flow/<id>`.")]
    time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    datacontenttype: Literal["application/json"]
    dataschema: Annotated[str, Field(description="Behind `urn:dots-gateway:schemas/` a path below `/schemas/events/`.")]
    sequence: Annotated[str, Field(description="Counts 1, 2, 3, … in its subject.", pattern="^[1-9][0-9]*$")]
    data: dict[str, Any]


class EventPage(BaseModel):
    """Events in feed order; give `next_cursor` as `after` for what follows, now or later."""

    model_config = examples.shown({"events": [examples.EVENT], "next_cursor": examples.CURSOR, "has_more": False})

    events: list[EventShape]
    next_cursor: str
    has_more: bool
