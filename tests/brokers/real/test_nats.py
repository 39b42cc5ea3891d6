"""Behaviour of NATS only."""

from app.brokers import choice
from tests.brokers.real.real_brokers import RealNats
from tests.feed.sample_events import compliance_event, flow_event


async def test_missing_streams_are_created(real_nats: RealNats) -> None:
    """One stream is for events and one for events that need compliance:read, both on disk."""
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


async def test_existing_stream_is_not_changed(real_nats: RealNats) -> None:
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


async def test_event_goes_to_the_stream_of_its_subject(real_nats: RealNats) -> None:
    """Several streams may divide our subjects between them."""
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


async def test_repeated_event_is_stored_once(real_nats: RealNats) -> None:
    """A stream recognizes an id within its window, and acknowledges it again."""
    broker = choice.build(real_nats.url())

    for _ in range(2):
        await broker.publish(flow_event())
    await broker.aclose()

    assert [message.id for message in await real_nats.received()] == [str(flow_event().id)]
