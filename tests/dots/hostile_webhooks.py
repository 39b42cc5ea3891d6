"""Tables for the tests of the verifier and of HTTP: webhooks to refuse, and odd bodies to accept."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from app.dots.signature import Refusal
from tests.dots import hostile_signatures
from tests.dots.signed_webhooks import (
    BODY,
    FAMILIES,
    MESSAGE_ID,
    PARTS,
    TYPE_OF_BODY,
    headers_of,
    seconds_of,
    signature_of,
    signed_headers,
)


@dataclass(frozen=True, kw_only=True)
class HostileWebhook:
    """One request that must be refused for `reason`."""

    name: str
    reason: Refusal
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def survives_http(self) -> bool:
        """Whether these headers reach a server unchanged: HTTP forbids controls and trims white space."""
        return all(
            value == value.strip(b" \t") and not any(byte < 0x20 or byte == 0x7F for byte in value)
            for _, value in self.headers
        )


def cases(key: bytes, now: datetime) -> list[HostileWebhook]:
    """Return every webhook to refuse, for a receiver with this key at this time."""
    return [
        *_with_headers_missing(key, now),
        *_with_families_mixed(key, now),
        *_with_headers_repeated(key, now),
        *_with_malformed_ids(key, now),
        *_with_malformed_timestamps(key, now),
        *_with_timestamps_far_off(key, now),
        *_with_too_many_signatures(key, now),
        *_with_wrong_signatures(key, now),
        *_with_white_space_signed(key, now),
    ]


def _case(name: str, reason: Refusal, headers: tuple[tuple[bytes, bytes], ...]) -> HostileWebhook:
    return HostileWebhook(name=name, reason=reason, headers=headers, body=BODY)


def _with_headers_missing(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    yield _case("no headers at all", Refusal.HEADERS_MISSING, ())
    yield _case("only other headers", Refusal.HEADERS_MISSING, (TYPE_OF_BODY,))
    for family in FAMILIES:
        whole = signed_headers(key, now, family=family)
        for part in PARTS:
            name = family + b"-" + part
            without = tuple(header for header in whole if header[0] != name)
            yield _case(f"no {name.decode()}", Refusal.HEADERS_MISSING, without)
            alone = tuple(header for header in whole if header[0] == name)
            yield _case(f"only {name.decode()}", Refusal.HEADERS_MISSING, alone)
        underscored = tuple((name.replace(b"-", b"_"), value) for name, value in whole)
        yield _case(f"{family.decode()} with underscores", Refusal.HEADERS_MISSING, underscored)
    unknown_family = signed_headers(key, now, family=b"x-svix")
    yield _case("headers of an unknown family", Refusal.HEADERS_MISSING, unknown_family)


def _with_families_mixed(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    svix = signed_headers(key, now)[1:]
    webhook = signed_headers(key, now, family=b"webhook")[1:]
    yield _case("both families whole", Refusal.FAMILIES_MIXED, svix + webhook)
    for choice in range(1, 7):  # Each set bit takes one of the three headers from the other family.
        mixed = tuple(webhook[i] if choice >> i & 1 else svix[i] for i in range(3))
        names = " ".join(name.decode() for name, _ in mixed)
        yield _case(f"mixed: {names}", Refusal.FAMILIES_MIXED, mixed)
    for i in range(3):
        yield _case(f"svix and {webhook[i][0].decode()}", Refusal.FAMILIES_MIXED, (*svix, webhook[i]))
        yield _case(f"webhook and {svix[i][0].decode()}", Refusal.FAMILIES_MIXED, (svix[i], *webhook))


def _with_headers_repeated(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    for family in FAMILIES:
        whole = signed_headers(key, now, family=family)
        for name, value in whole[1:]:
            again = (*whole, (name, value))
            yield _case(f"{name.decode()} twice the same", Refusal.HEADER_REPEATED, again)
            other_first = ((name, b"other"), *whole)
            yield _case(f"{name.decode()} twice, other first", Refusal.HEADER_REPEATED, other_first)


def _with_malformed_ids(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    ids = {
        "empty": b"",
        "a space": b"msg 1",
        "a comma": b"msg,1",
        "a full stop, the delimiter": b"msg.1",
        "a full stop and a timestamp": b"msg_1." + seconds_of(now),
        "a NUL, which Postgres refuses": b"msg_\x00",
        "a tab": b"msg\t1",
        "a line feed": b"msg\n1",
        "a line feed at the end": b"msg_1\n",
        "DEL": b"msg\x7f",
        "UTF-8": "msg_é".encode(),
        "Latin-1": b"msg_\xe9",
        "a right-to-left override": "msg_\u202e1".encode(),
        "256 characters": b"m" * 256,
        "10,000 characters": b"m" * 10_000,
    }
    for name, message_id in ids.items():
        headers = signed_headers(key, now, message_id=message_id)
        yield _case(f"signed, id with {name}", Refusal.ID_MALFORMED, headers)


def _with_malformed_timestamps(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    seconds = seconds_of(now)
    timestamps = {
        "empty": b"",
        "with a plus": b"+" + seconds,
        "negative": b"-" + seconds,
        "with a fraction": seconds + b".0",
        "with an exponent": b"%de0" % int(seconds),
        "hexadecimal": hex(int(seconds)).encode(),
        "with underscores": seconds[:1] + b"_" + seconds[1:],
        "with a space inside": seconds[:5] + b" " + seconds[5:],
        "with a line feed": seconds + b"\n",
        "with a NUL": seconds + b"\x00",
        "twice, with a comma": seconds + b", " + seconds,
        "in milliseconds": seconds + b"000",
        "in Arabic digits": "".join(chr(0x660 + int(digit)) for digit in seconds.decode()).encode(),
        "in full-width digits": "".join(chr(0xFF10 + int(digit)) for digit in seconds.decode()).encode(),
        "with a superscript": seconds[:-1] + b"\xb2",
        "of 5,000 digits": b"1" * 5_000,
        "nan": b"nan",
        "infinite": b"inf",
        "ISO 8601": now.astimezone(UTC).isoformat().encode(),
        "an HTTP date": now.strftime("%a, %d %b %Y %H:%M:%S GMT").encode(),
        "null": b"null",
    }
    for name, timestamp in timestamps.items():
        headers = signed_headers(key, now, timestamp=timestamp)
        yield _case(f"signed, timestamp {name}", Refusal.TIMESTAMP_MALFORMED, headers)


def _with_timestamps_far_off(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    seconds = int(now.timestamp())
    too_old = {"301 seconds": seconds - 301, "a day": seconds - 86_400, "since 1970": 0}
    for name, old in too_old.items():
        headers = signed_headers(key, now, timestamp=b"%d" % old)
        yield _case(f"signed, {name} old", Refusal.TIMESTAMP_TOO_OLD, headers)
    # 302 and not 301, because the clock may be between two seconds.
    too_new = {"302 seconds": seconds + 302, "a year": seconds + 31_536_000, "31,688 years": 999_999_999_999}
    for name, new in too_new.items():
        headers = signed_headers(key, now, timestamp=b"%d" % new)
        yield _case(f"signed, {name} early", Refusal.TIMESTAMP_IN_THE_FUTURE, headers)


def _with_too_many_signatures(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    seconds = seconds_of(now)
    right = signature_of(key, MESSAGE_ID, seconds, BODY)
    lists = {
        "seventeen, all right": b" ".join([right] * 17),
        "sixteen wrong ones before the right one": b" ".join([b"v1,AAAA"] * 16 + [right]),
        "sixteen of another version before the right one": b" ".join([b"v2,AAAA"] * 16 + [right]),
        "a thousand": b" ".join([b"v1,AAAA"] * 1_000),
        "seventeen with many spaces between": (b" " * 8).join([right] * 17),
    }
    for name, signatures in lists.items():
        headers = headers_of(MESSAGE_ID, seconds, signatures)
        yield _case(f"signatures: {name}", Refusal.TOO_MANY_SIGNATURES, headers)


def _with_wrong_signatures(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    seconds = seconds_of(now)
    for name, signatures in hostile_signatures.values(key, seconds).items():
        headers = headers_of(MESSAGE_ID, seconds, signatures)
        yield _case(f"signature {name}", Refusal.NO_SIGNATURE_MATCHES, headers)


def _with_white_space_signed(key: bytes, now: datetime) -> Iterator[HostileWebhook]:
    """White space around a value is not part of it, so a signature over both does not match."""
    seconds = seconds_of(now)
    for space in (b" ", b"\t"):
        for message_id in (space + MESSAGE_ID, MESSAGE_ID + space):
            headers = signed_headers(key, now, message_id=message_id)
            yield _case(f"signed with white space: {message_id!r}", Refusal.NO_SIGNATURE_MATCHES, headers)
        for timestamp in (space + seconds, seconds + space):
            headers = signed_headers(key, now, timestamp=timestamp)
            where = f"signed with white space: {space!r} at {timestamp.find(space)} of the timestamp"
            yield _case(where, Refusal.NO_SIGNATURE_MATCHES, headers)


def odd_but_signed_bodies() -> dict[str, bytes]:
    """Return unusable bodies. With a valid signature they must be stored and acknowledged."""
    flow_id = b"00000000-0000-4000-8000-000000000000"
    return {
        "empty": b"",
        "a NUL byte": b"\x00",
        "spaces": b"   ",
        "not JSON": b"event=flow.updated",
        "half an object": b'{"event":"flow.upd',
        "two objects": b"{}{}",
        "invalid UTF-8": b'{"event":"\xff\xfe"}',
        "a byte order mark": b'\xef\xbb\xbf{"event":"flow.updated","flow_id":"%s"}' % flow_id,
        "UTF-16": '{"event":"flow.updated"}'.encode("utf-16"),
        "an escaped NUL, which jsonb refuses": b'{"event":"flow.updated\\u0000","flow_id":"\\u0000"}',
        "a lone surrogate": b'{"event":"\\ud800","flow_id":"\\udfff"}',
        "a number of 5,000 digits": b'{"event":"flow.updated","flow_id":%s}' % (b"9" * 5_000),
        "1e400": b'{"event":"flow.updated","flow_id":1e400}',
        "NaN": b'{"event":NaN,"flow_id":NaN}',
        "minus infinity": b'{"event":"flow.updated","flow_id":-Infinity}',
        "arrays 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
        "objects 100,000 deep": b'{"event":' * 100_000 + b"1" + b"}" * 100_000,
        "an array": b'[{"event":"flow.updated"}]',
        "a string": b'"flow.updated"',
        "a number": b"17",
        "null": b"null",
        "an empty object": b"{}",
        "an unknown event": b'{"event":"moon.landed","flow_id":"%s"}' % flow_id,
        "an unknown flow": b'{"event":"flow.updated","flow_id":"%s"}' % flow_id,
        "an unknown user": b'{"event":"user.updated","user_id":"%s"}' % flow_id,
        "no event": b'{"flow_id":"%s"}' % flow_id,
        "event as object": b'{"event":{"name":"flow.updated"},"flow_id":"%s"}' % flow_id,
        "event as array": b'{"event":["flow.updated"]}',
        "event as null": b'{"event":null,"flow_id":null,"user_id":null}',
        "event of 100,000 characters": b'{"event":"%s"}' % (b"e" * 100_000),
        "event on two lines": b'{"event":"flow.\\nupdated"}',
        "id as number": b'{"event":"flow.updated","flow_id":17}',
        "id as object": b'{"event":"flow.updated","flow_id":{"id":"%s"}}' % flow_id,
        "id as true": b'{"event":"user.updated","user_id":true}',
        "an id that climbs": b'{"event":"flow.updated","flow_id":"../users/1"}',
        "an id with SQL": b'{"event":"flow.updated","flow_id":"\'; DROP TABLE flows; --"}',
        "the same key twice": b'{"event":"flow.updated","event":"user.updated","flow_id":"%s"}' % flow_id,
        "a key that is a prototype": b'{"__proto__":{"event":"x"},"event":"flow.updated"}',
    }
