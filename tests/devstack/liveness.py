"""Checks whether processes are alive."""

import errno
import os
import time

DEADLINE_SECONDS = 10
POLL_SECONDS = 0.01


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists, of any account."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def all_end(*pids: int) -> bool:
    """Wait until all processes have ended. Returns False at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
