from datetime import UTC, datetime
from typing import Any

import pytest

from app.dots import wire
from app.dots.snapshots import FlowPage, FlowSnapshot
from app.errors import DotsInvalidResponseError

FLOW = "b3293101-35ef-451a-aad4-881da3697c2f"
USER = "5f0c0a1e-7a52-4d0f-9d43-0a4f0c7b8e11"
LINK = f"https://my-sandbox.dots.dev/flow/{FLOW}"

# A real answer, from section 2 of the project's notes on Dots.
DOCUMENTED = {
    "completed_steps": [],
    "created": "2024-07-11T21:10:30.846081",
    "id": FLOW,
    "link": LINK,
    "metadata": None,
    "payout_link_id": None,
    "steps": ["compliance"],
    "user_id": None,
}


def flow(**changes: object) -> dict[str, object]:
    """The documented flow with changes."""
    return {**DOCUMENTED, **changes}


def test_documented_flow_is_read_whole() -> None:
    """Every field of the documented object is read, its time as UTC."""
    assert wire.read_flow(DOCUMENTED) == FlowSnapshot(
        id=FLOW,
        steps=("compliance",),
        completed_steps=(),
        user_id=None,
        link=LINK,
        metadata=None,
        client_ref=None,
        payout_link_id=None,
        created_at=datetime(2024, 7, 11, 21, 10, 30, 846081, tzinfo=UTC),
    )


STEPS = [
    ([], ()),
    (["compliance", "redirect"], ("compliance", "redirect")),
    # Steps are sent as objects. If Dots returns objects, the name counts.
    ([{"name": "redirect", "redirect_url": "https://a.example"}], ("redirect",)),
    # New and automatic names are kept.
    (["onboarding", "palm-reading"], ("onboarding", "palm-reading")),
]


@pytest.mark.parametrize(("steps", "expected"), STEPS)
def test_steps_are_kept_by_name(steps: list[object], expected: tuple[str, ...]) -> None:
    """Known and unknown steps are kept by name, in Dots' order."""
    snapshot = wire.read_flow(flow(steps=steps, completed_steps=steps))

    assert snapshot.steps == expected
    assert snapshot.completed_steps == expected


def test_id_and_steps_are_enough() -> None:
    """Absent fields are None, and unknown fields are ignored."""
    snapshot = wire.read_flow({"id": FLOW, "steps": ["payout"], "updated": 17, "mood": {"good": True}})

    assert snapshot == FlowSnapshot(
        id=FLOW,
        steps=("payout",),
        completed_steps=(),
        user_id=None,
        link=None,
        metadata=None,
        client_ref=None,
        payout_link_id=None,
        created_at=None,
    )


ODD_FIELDS: list[tuple[str, object]] = [
    ("user_id", 17),
    ("user_id", "a b"),
    ("link", ["https://a.example"]),
    ("link", "https://a.example/\u0000"),
    ("payout_link_id", {}),
    ("created_at", 1_720_732_230),
]


@pytest.mark.parametrize(("field", "value"), ODD_FIELDS)
def test_unreadable_optional_field_is_none(field: str, value: object) -> None:
    """The flow can be followed without it."""
    snapshot = wire.read_flow(flow(**{"created" if field == "created_at" else field: value}))

    assert getattr(snapshot, field) is None


TIMES = [
    ("2024-07-11T21:10:30.846081", datetime(2024, 7, 11, 21, 10, 30, 846081, tzinfo=UTC)),
    ("2024-07-11T21:10:30", datetime(2024, 7, 11, 21, 10, 30, tzinfo=UTC)),
    ("2024-07-11T21:10:30Z", datetime(2024, 7, 11, 21, 10, 30, tzinfo=UTC)),
    ("2024-07-11T23:10:30+02:00", datetime(2024, 7, 11, 21, 10, 30, tzinfo=UTC)),
    ("0001-01-01T00:00:00+14:00", None),  # In UTC this is before the year 1.
    ("yesterday", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("created", "expected"), TIMES)
def test_created_is_aware_utc(created: str | None, expected: datetime | None) -> None:
    """A time without a zone is UTC. An unreadable time is None."""
    assert wire.read_flow(flow(created=created)).created_at == expected


UNREADABLE_FLOWS: list[object] = [
    None,
    [],
    "flow",
    {},
    flow(id=None),
    flow(id=17),
    flow(id="../users"),
    {"id": FLOW},
    flow(steps=None),
    flow(steps="compliance"),
    flow(steps={"name": "compliance"}),
    flow(steps=[None]),
    flow(steps=[17]),
    flow(steps=[""]),
    flow(steps=["a\u0000"]),
    flow(steps=["s" * 101]),
    flow(steps=[{"redirect_url": "https://a.example"}]),
    flow(steps=[["compliance"]]),
    flow(completed_steps="compliance"),
    flow(completed_steps=0),
    flow(completed_steps=[None]),
]


@pytest.mark.parametrize("payload", UNREADABLE_FLOWS)
def test_flow_without_id_or_steps_is_invalid(payload: object) -> None:
    """A flow cannot be followed without them, and a guess could complete it."""
    with pytest.raises(DotsInvalidResponseError):
        wire.read_flow(payload)


def test_page_keeps_order() -> None:
    """A page has its flows in Dots' order and says whether there are more. It may be empty."""
    page = wire.read_flow_page({"data": [flow(id="b"), flow(id="a")], "has_more": True})

    assert ([found.id for found in page.flows], page.has_more) == (["b", "a"], True)
    assert wire.read_flow_page({"data": [], "has_more": False}) == FlowPage(flows=(), has_more=False)


UNREADABLE_PAGES: list[object] = [
    None,
    [],
    {},
    {"data": []},
    {"has_more": False},
    {"data": [], "has_more": None},
    {"data": [], "has_more": "false"},
    {"data": {}, "has_more": False},
]


@pytest.mark.parametrize("payload", UNREADABLE_PAGES)
def test_page_that_could_hide_a_flow_is_invalid(payload: object) -> None:
    """Otherwise a search for a lost creation could end too early."""
    with pytest.raises(DotsInvalidResponseError):
        wire.read_flow_page(payload)


def test_new_flow_leaves_defaults_out() -> None:
    """The smallest body has the steps and our reference."""
    body = wire.write_flow(
        steps=["compliance"],
        user_id=None,
        require_auth=False,
        hide_go_to_dashboard_on_complete=False,
        metadata=None,
        client_ref="ref-1",
    )

    assert body == {"steps": ["compliance"], "metadata": {"dots_gateway_ref": "ref-1"}}


def test_new_flow_with_everything() -> None:
    """Steps keep their options, and our reference is beside the caller's metadata."""
    steps: list[str | dict[str, Any]] = ["payout", {"name": "palm-reading", "hand": "left"}]

    body = wire.write_flow(
        steps=tuple(steps),
        user_id=USER,
        require_auth=True,
        hide_go_to_dashboard_on_complete=True,
        metadata={"team": "eu"},
        client_ref="ref-1",
    )

    assert body == {
        "steps": steps,
        "user_id": USER,
        "require_auth": True,
        "hide_go_to_dashboard_on_complete": True,
        "metadata": {"team": "eu", "dots_gateway_ref": "ref-1"},
    }


def test_flow_gives_back_metadata_and_reference() -> None:
    """Dots' metadata is split into the caller's metadata and our reference."""
    snapshot = wire.read_flow(flow(metadata={"team": "eu", wire.CLIENT_REF_KEY: "ref-1"}))

    assert (snapshot.metadata, snapshot.client_ref) == ({"team": "eu"}, "ref-1")
