from fastapi import FastAPI

from app.server import http_server
from app.server.listening import ListenAddress

USUAL_IDLE_SECONDS_OF_BALANCERS = 60


def test_idle_connections_outlive_a_balancers() -> None:
    """Who closes last loses no request: a balancer that uses a connection just as it is closed answers 502."""
    server = http_server.build(FastAPI(), ListenAddress(host="127.0.0.1", port=0))
    server.close()

    assert server.config.timeout_keep_alive > USUAL_IDLE_SECONDS_OF_BALANCERS
