"""Behaviour that only NATS has."""

import pytest

from app.brokers import choice
from tests.brokers.real.real_brokers import RealNats
from tests.feed.sample_events import compliance_event, flow_event


async def test_streams_are_made_where_there_are_none(real_nats: RealNats) -> None:
    """There is one stream for events and one for those that need compliance:read, both on disk."""
    broker = choice.build(real_nats.url())

    await broker.open()
    await broker.aclose()

    async with real_nats.context() as context:
        streams = {stream.config.name: stream.config for stream in await context.streams_info()}
    assert {name: config.subjects for name, config in streams.items()} == {
        "dots-events": ["dots.>"],
        "dots-compliance": ["compliance.dots.>"],
    }
    assert {config.storage for config in streams.values()} == {"file"}


async def test_a_stream_that_is_there_is_left_as_it_is(real_nats: RealNats) -> None:
    """An existing stream that takes our subjects is used, whatever its name and settings."""
    async with real_nats.context() as context:
        await context.add_stream(name="company", subjects=["dots.>", "other.>"], max_msgs=2)
    broker = choice.build(real_nats.url())

    for number in range(1, 4):
        await broker.publish(flow_event(number))
    await broker.aclose()

    async with real_nats.context() as context:
        company = await context.stream_info("company")
        names = {stream.config.name for stream in await context.streams_info()}
    assert company.config.max_msgs == 2
    assert company.state.messages == 2
    assert names == {"company", "dots-compliance"}


async def test_streams_by_type_are_found(real_nats: RealNats) -> None:
    """Several streams may share our subjects; each event goes to the stream that takes its subject."""
    async with real_nats.context() as context:
        await context.add_stream(name="steps", subjects=["dots.flow.step_completed"])
        await context.add_stream(name="rest", subjects=["dots.user.>", "dots.flow.created"])
        await context.add_stream(name="checks", subjects=["compliance.>"])
    broker = choice.build(real_nats.url())

    await broker.publish(flow_event())
    await broker.publish(compliance_event())
    await broker.aclose()

    assert [(message.place, message.address) for message in await real_nats.received()] == [
        ("checks", "compliance.dots.background_check.flagged"),
        ("steps", "dots.flow.step_completed"),
    ]


@pytest.mark.parametrize("times", [2, 5])
async def test_the_same_event_again_is_kept_once(real_nats: RealNats, times: int) -> None:
    """A stream recognises an id within its window and acknowledges it again."""
    broker = choice.build(real_nats.url())

    for _ in range(times):
        await broker.publish(flow_event())
    await broker.aclose()

    assert [message.id for message in await real_nats.received()] == [str(flow_event().id)]
