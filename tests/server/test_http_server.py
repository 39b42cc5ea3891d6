from fastapi import FastAPI

from app.server import http_server
from app.server.listening import ListenAddress

BALANCER_IDLE_SECONDS = 60


def test_idle_connections_stay_open_longer_than_load_balancers_keep_them() -> None:
    """A load balancer answers 502 if the gateway closes a connection that it is about to use."""
    server = http_server.build(FastAPI(), ListenAddress(host="127.0.0.1", port=0))
    server.close()

    assert server.config.timeout_keep_alive > BALANCER_IDLE_SECONDS
