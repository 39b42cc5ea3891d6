"""The proxies of the campaigns see which message of a client commits a write."""

import struct

import pytest

from tests.faults.campaigns.postgres_wire import Conversation

STARTUP = struct.pack(">II", 8 + 4, 196608) + b"user"


def message(kind: bytes, content: bytes) -> bytes:
    """A message of Postgres' protocol."""
    return kind + struct.pack(">I", 4 + len(content)) + content


def prepared(sql: bytes) -> bytes:
    """A statement that is prepared and run, up to its Sync."""
    return message(b"P", b"one\0" + sql + b"\0\0\0") + message(b"B", b"\0one\0") + message(b"S", b"")


INSERT, SELECT = prepared(b"INSERT INTO flows VALUES (1)"), prepared(b"SELECT 1")
BEGIN, COMMIT, ROLLBACK = (message(b"Q", sql + b"\0") for sql in (b"BEGIN", b"COMMIT", b"ROLLBACK"))


@pytest.mark.parametrize(
    ("sent", "commits"),
    [
        (INSERT, 1),  # a transaction of its own
        (SELECT, 0),
        (BEGIN + INSERT, 0),
        (BEGIN + INSERT + INSERT + COMMIT, 1),
        (BEGIN + INSERT + ROLLBACK, 0),
        (BEGIN + SELECT + COMMIT, 0),
        (BEGIN + INSERT + COMMIT + SELECT, 1),
        (BEGIN + INSERT + ROLLBACK + INSERT, 1),
    ],
)
def test_a_commit_that_writes_is_seen(sent: bytes, commits: int) -> None:
    """With COMMIT, or with the Sync of a statement outside a transaction."""
    heard = list(Conversation().hear(STARTUP + sent))

    assert sum(each.is_writing_commit for each in heard) == commits
