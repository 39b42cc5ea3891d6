"""Ends child processes with their parent, however it ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def signalled_on_parent_death(number: signal.Signals) -> Callable[[], None] | None:
    """What to run in a child before its exec so that it gets signal `number` when its parent is gone.

    The kernel means the parent's *thread*: start children from a thread that outlives them.
    None where the system has no such thing (macOS): there a killed parent leaves its children behind.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_for_the_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, number)
        # A parent that went away before the call above will not be reported any more.
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_the_signal
