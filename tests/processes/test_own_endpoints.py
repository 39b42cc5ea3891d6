"""No subscription may send events to the database or the broker."""

import pytest

from app import settings
from app.errors import DestinationRefusedError
from app.processes.wiring import own_endpoints
from app.subscriptions.push.destinations import Destinations
from app.subscriptions.push.urls import Endpoint

URLS = [
    ("postgresql://shop@db/payouts", [("db", 5432)]),
    ("postgresql://shop@/payouts?host=db&port=6432", [("db", 6432)]),
    ("postgresql://shop@other/payouts?host=db", [("db", 5432)]),
    ("postgresql://shop@a:1,b/payouts", [("a", 1), ("b", 5432)]),
    ("postgresql://shop@/payouts?host=a,/run/postgresql,b:2", [("a", 5432), ("b", 2)]),
    ("postgresql://shop@db/payouts?hostaddr=10.0.0.1", [("10.0.0.1", 5432)]),
    ("postgresql://shop@[::1]:6432/payouts", [("::1", 6432)]),
    ("postgresql://shop@%2Frun%2Fpostgresql/payouts", []),
]


@pytest.mark.parametrize(("url", "endpoints"), URLS)
def test_every_host_of_the_database_is_guarded(url: str, endpoints: list[tuple[str, int]]) -> None:
    """The guard knows all hosts that the driver connects to, including those in the URL's query."""
    found = own_endpoints(settings.read({"DATABASE_URL": url, "EVENT_BROKER_URL": "nats://broker"}))

    assert found == [*(Endpoint(host=host, port=port) for host, port in endpoints), Endpoint(host="broker", port=4222)]


@pytest.mark.parametrize("host", ["10.0.0.7", "10.0.0.8"])
def test_subscription_to_a_host_in_the_query_is_refused(host: str) -> None:
    """SUBSCRIBERS_ALLOWED contains the address, and it is refused nevertheless."""
    environ = {"DATABASE_URL": "postgresql://shop@/payouts?host=10.0.0.7,10.0.0.8"}
    destinations = Destinations(["10.0.0.0/8:443"], denied=own_endpoints(settings.read(environ)))

    with pytest.raises(DestinationRefusedError, match="own database"):
        destinations.check_url(f"https://{host}/hook")
