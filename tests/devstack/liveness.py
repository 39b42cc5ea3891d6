"""Whether processes live, for tests that end them."""

import errno
import os
import time

DEADLINE_SECONDS = 10
POLL_SECONDS = 0.01


def is_alive(pid: int) -> bool:
    """Whether a process has this id, ours or another account's."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def all_end(*pids: int) -> bool:
    """Whether all of them end before a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
