"""The part of Postgres' protocol that shows what a client writes and when it commits.

Source: https://www.postgresql.org/docs/18/protocol-message-formats.html, read 2026-11-23.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_LENGTH = struct.Struct(">I")
_WRITES = (b"INSERT", b"UPDATE", b"DELETE")


@dataclass(kw_only=True)
class Conversation:
    """What a client sends over one connection, message by message."""

    has_written: bool = False
    is_in_transaction: bool = False
    _buffer: bytes = b""
    _is_started: bool = False
    _statements: dict[bytes, bytes] = field(default_factory=dict)

    def hear(self, data: bytes) -> Iterator["Heard"]:
        """The messages that this data completes, in order. Keeps the rest for the next call."""
        self._buffer += data
        while message := self._next_message():
            yield self._understand(message)

    def _next_message(self) -> bytes | None:
        # Before the session starts, messages have no type: a request for TLS, then the startup.
        head = 1 if self._is_started else 0
        if len(self._buffer) < head + 4:
            return None
        length = head + _LENGTH.unpack_from(self._buffer, head)[0]
        if len(self._buffer) < length:
            return None
        message, self._buffer = self._buffer[:length], self._buffer[length:]
        if not self._is_started and length != 8:  # an SSLRequest is eight bytes, a startup is longer
            self._is_started = True
            return b"\0" + message
        return message

    def _understand(self, message: bytes) -> "Heard":
        kind, rest = message[:1], message[5:]
        sql = b""
        if kind == b"P":
            name, sql, *_ = rest.split(b"\0", 2)
            self._statements[name] = sql
        elif kind == b"B":
            _portal, name, *_ = rest.split(b"\0", 2)
            sql = self._statements.get(name, b"")
        elif kind == b"Q":
            sql = rest.rstrip(b"\0")
        command = sql.lstrip().upper() if kind == b"Q" else b""
        if command.startswith((b"BEGIN", b"START TRANSACTION")):
            self.is_in_transaction = True
        if kind in b"BQ" and any(word in sql for word in _WRITES):
            self.has_written = True
        # Outside a transaction, a Sync commits the statement before it.
        is_sync_commit = kind == b"S" and not self.is_in_transaction
        is_commit = command.startswith(b"COMMIT") or is_sync_commit
        is_end = command.startswith((b"COMMIT", b"ROLLBACK")) or is_sync_commit
        heard = Heard(message=message, sql=sql, is_writing_commit=is_commit and self.has_written, is_end=is_end)
        if is_end:
            self.has_written = self.is_in_transaction = False
        return heard


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One message. `sql` is the statement that it prepares or runs, or empty. `is_end`: it commits or rolls back."""

    message: bytes
    sql: bytes
    is_writing_commit: bool
    is_end: bool
