import html

from tests.simulator.stage import Stage


async def test_the_overview_shows_flows_users_webhooks_and_knobs(stage: Stage) -> None:
    """With links to the pages, and changed knobs marked."""
    flow = await stage.create("compliance", "payout")
    await stage.control(f"flows/{flow['id']}/complete-next")
    await stage.control(f"flows/{flow['id']}/complete-next")
    await stage.settle()
    await stage.turn(webhooks={"duplicate": 0.25})

    text = html.unescape((await stage.client.get("/")).text)

    assert f'href="{flow["link"]}"' in text
    assert "✓ compliance" in text
    assert '{"event": "flow.updated", "flow_id": "' + flow["id"] in text
    assert '<tr class="changed"><td><code>duplicate</code></td><td><code>0.25</code></td>' in text
    assert "This is a simulator" in text


async def test_an_empty_overview_says_how_to_begin(stage: Stage) -> None:
    """Without a flow, a user or an endpoint."""
    await stage.client.put("/_control/webhook-endpoints", json=[])

    text = (await stage.client.get("/")).text

    assert "No flow yet" in text
    assert "No user yet" in text
    assert "No endpoint" in text


async def test_its_buttons_do_what_the_control_api_does(stage: Stage) -> None:
    """Walk a payee on, and decide a background check."""
    flow = await stage.create("background-check")
    for _ in range(3):
        await stage.client.post("/overview/complete-next", data={"flow_id": flow["id"]})
    done = await stage.get(f"/api/v2/flows/{flow['id']}")

    await stage.client.post("/overview/verdict", data={"user_id": done["user_id"], "word": "flagged"})

    user = await stage.get(f"/api/v2/users/{done['user_id']}")
    assert done["completed_steps"] == ["background-check"]
    assert user["compliance"]["has_criminal_activity"] is True


async def test_style_and_dashboard_come_from_the_package(stage: Stage) -> None:
    """Nothing is loaded from elsewhere."""
    style, dashboard = await stage.client.get("/static/simulator.css"), await stage.client.get("/dashboard")

    assert (style.status_code, dashboard.status_code) == (200, 200)
    assert "http" not in style.text
    assert "This is a simulator" in dashboard.text
