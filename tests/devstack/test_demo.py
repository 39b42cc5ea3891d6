import httpx

from devstack import demo


async def test_reference_of_a_user_is_awaited() -> None:
    """A user's event may arrive before we know which flow the user has claimed."""
    answers = iter([[], [], [{"reference": "payee-1"}]])
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"flows": next(answers)}))

    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as gateway:
        assert await demo.reference_of_user(gateway, "user-1") == "payee-1"
