"""As much of a Kafka broker as a producer meets: ApiVersions, Metadata, InitProducerId, Produce.

Written with aiokafka's own encoding, so it shows what our producer says and what it makes of the answers. It does not
show that a real Kafka accepts it: no replication, no log on a disk, no authorization, no SASL, no TLS, one broker, and
of the idempotent producer's rules only the one that a sequence number is taken once. No Kafka server can be installed
where these tests run.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]  # ships no types
from aiokafka.protocol.admin import ApiVersionRequest_v0  # type: ignore[import-untyped]  # ships no types
from aiokafka.protocol.api import RequestHeader_v1, ResponseHeader_v0  # type: ignore[import-untyped]  # ships no types
from aiokafka.protocol.metadata import MetadataRequest_v1  # type: ignore[import-untyped]  # ships no types
from aiokafka.protocol.produce import ProduceRequest_v3  # type: ignore[import-untyped]  # ships no types
from aiokafka.protocol.transaction import InitProducerIdRequest_v0  # type: ignore[import-untyped]  # ships no types
from aiokafka.record import MemoryRecords  # type: ignore[import-untyped]  # ships no types

PARTITIONS = 3
PRODUCER_ID = 4711
_REQUESTS = {
    each.API_KEY: each
    for each in (ApiVersionRequest_v0, MetadataRequest_v1, InitProducerIdRequest_v0, ProduceRequest_v3)
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """A message as it lies in a partition."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]


@dataclass(kw_only=True)
class FakeKafka:
    """Keeps records in memory; `swallowed`: so many answers to Produce are kept back; `error_code`: told instead."""

    port: int = 0
    records: list[Record] = field(default_factory=list)
    acks: set[int] = field(default_factory=set)
    producers: list[int] = field(default_factory=list)
    error_code: int = 0
    swallowed: int = 0
    _taken: set[tuple[int, str, int, int]] = field(default_factory=set)
    _writers: set[StreamWriter] = field(default_factory=set)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one connection until it ends."""
        self._writers.add(writer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                answer = self._answer(BytesIO(await reader.readexactly(size)))
                if answer is not None:
                    writer.write(len(answer).to_bytes(4, "big") + answer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def cut(self) -> None:
        """Cut every connection off."""
        for writer in self._writers:
            writer.transport.abort()

    def _answer(self, data: BytesIO) -> bytes | None:
        api_key, _version, correlation_id, _client_id = RequestHeader_v1.SCHEMA.decode(data)
        request = _REQUESTS[api_key].decode(data)
        response_type = _REQUESTS[api_key].RESPONSE_TYPE
        match request:
            case ApiVersionRequest_v0():
                versions = [(each.API_KEY, each.API_VERSION, each.API_VERSION) for each in _REQUESTS.values()]
                response = response_type(0, versions)
            case MetadataRequest_v1():
                partitions = [(0, number, 0, [0], [0]) for number in range(PARTITIONS)]
                described = [(0, topic, False, partitions) for topic in request.topics or []]
                response = response_type([(0, "127.0.0.1", self.port, None)], 0, described)
            case InitProducerIdRequest_v0():
                self.producers.append(PRODUCER_ID + len(self.producers))
                response = response_type(0, 0, self.producers[-1], 0)
            case _:
                kept = [
                    (topic, [(number, self._keep(topic, number, data), 0, -1) for number, data in partitions])
                    for topic, partitions in request.topics
                ]
                self.acks.add(request.required_acks)
                if self.swallowed:
                    self.swallowed -= 1
                    return None
                response = response_type(kept, 0)
        encoded: bytes = ResponseHeader_v0(correlation_id).encode() + response.encode()
        return encoded

    def _keep(self, topic: str, partition: int, data: bytes) -> int:
        """Keep what is new of a batch; the error to answer with."""
        if self.error_code:
            return self.error_code
        batches = MemoryRecords(data)
        while batches.has_next():
            batch: Any = batches.next_batch()
            place = (batch.producer_id, topic, partition, batch.base_sequence)
            if place not in self._taken:
                self._taken.add(place)
                self.records += [
                    Record(topic=topic, partition=partition, key=each.key, value=each.value, headers=dict(each.headers))
                    for each in batch
                ]
        return 0


def partition_of(key: bytes) -> int:
    """Where Kafka's own clients put a key, so that readers of ours and theirs agree."""
    number: int = (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
    return number


@asynccontextmanager
async def fake_kafka() -> AsyncIterator[FakeKafka]:
    """A fake broker on a free port, for the length of an `async with` block."""
    kafka = FakeKafka()
    server = await asyncio.start_server(kafka.serve, "127.0.0.1", 0)
    kafka.port = server.sockets[0].getsockname()[1]
    try:
        yield kafka
    finally:
        server.close()
        kafka.cut()
        await server.wait_closed()
