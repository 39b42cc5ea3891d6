"""Ends child processes when their parent ends, even if it is killed."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def signalled_on_parent_death(number: signal.Signals) -> Callable[[], None] | None:
    """A function to run in a child before its exec. The child then gets signal `number` when its parent ends.

    The kernel watches the parent's *thread*, so start children from a thread that outlives them.
    Returns None where the system cannot do this (macOS). There a killed parent leaves its children behind.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def request_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, number)
        # If the parent ended before the call above, the signal never comes.
        if os.getppid() != parent:
            os._exit(1)

    return request_signal
