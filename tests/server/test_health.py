import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from app.server.application import create_metrics_app
from tests.all_inputs import AllInputs
from tests.dots.memory_dots import MemoryDots, refusal
from tests.storage import stored
from tests.webhooks.sending import PATH, signed


async def test_ready_with_a_migrated_database(stranger: httpx.AsyncClient) -> None:
    """The process can serve requests."""
    answer = await stranger.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_not_ready_on_another_schema(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A process of another version gets no traffic."""
    await stored.execute(engine, "UPDATE dots_gateway_version SET version_num = 'other'")

    answer = await stranger.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "schema_version")


async def test_readiness_does_not_depend_on_dots(stranger: httpx.AsyncClient, dots: MemoryDots) -> None:
    """While Dots is down, the gateway still accepts webhooks and serves readers."""
    dots.fault = refusal(503, "service-unavailable")

    answer = await stranger.get("/readyz")

    assert answer.status_code == 200
    assert dots.requests == []


async def test_metrics_count_webhooks_by_outcome(stranger: httpx.AsyncClient) -> None:
    """Stored and refused webhooks have separate counts."""
    await stranger.post(PATH, headers=signed("msg_1", b"{}"), content=b"{}")
    await stranger.post(PATH, content=b"{}")

    metrics = (await stranger.get("/metrics")).text

    assert 'dots_gateway_webhooks_total{app="default",outcome="stored"} 1.0' in metrics
    assert 'dots_gateway_webhooks_total{app="default",outcome="refused"} 1.0' in metrics
    assert "dots_gateway_due " in metrics
    assert "dots_gateway_database_up 1.0" in metrics


async def test_labels_are_bounded(stranger: httpx.AsyncClient) -> None:
    """Unknown paths, methods and apps do not create time series."""
    for number in range(3):
        await stranger.get(f"/odd/{number}")
        await stranger.request(f"ODD{number}", "/v1/flows")
        await stranger.post(f"{PATH}/odd-{number}", content=b"{}")

    metrics = (await stranger.get("/metrics")).text

    assert "odd" not in metrics.lower()


async def test_metrics_port_serves_only_metrics_and_liveness(inputs: AllInputs) -> None:
    """The small application of METRICS_PORT has no other routes."""
    transport = httpx.ASGITransport(create_metrics_app(inputs))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        answers = {path: (await client.get(path)).status_code for path in ("/metrics", "/livez", "/v1/flows", "/docs")}

    assert answers == {"/metrics": 200, "/livez": 200, "/v1/flows": 404, "/docs": 404}


async def test_liveness_does_not_depend_on_the_database(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Restarting the process would not repair the database."""
    await stored.execute(engine, "DROP TABLE dots_gateway_version", "DROP TABLE feed")

    answer = await stranger.get("/livez")

    assert answer.status_code == 200
