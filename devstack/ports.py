"""Free ports of this machine."""

import socket


def free_port() -> int:
    """A free TCP port of 127.0.0.1. Another program may take it before you use it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
