import html

from tests.simulator.setup import Setup


async def test_the_overview_shows_flows_users_webhooks_and_knobs(setup: Setup) -> None:
    """It links to the pages and marks changed knobs."""
    flow = await setup.create("compliance", "payout")
    await setup.control(f"flows/{flow['id']}/complete-next")
    await setup.control(f"flows/{flow['id']}/complete-next")
    await setup.settle()
    await setup.turn(webhooks={"duplicate": 0.25})

    text = html.unescape((await setup.client.get("/")).text)

    assert f'href="{flow["link"]}"' in text
    assert "✓ compliance" in text
    assert '{"event": "flow.updated", "flow_id": "' + flow["id"] in text
    assert '<tr class="changed"><td><code>duplicate</code></td><td><code>0.25</code></td>' in text
    assert "This is a simulator" in text


async def test_an_empty_overview_explains_the_first_steps(setup: Setup) -> None:
    """Without a flow, a user or an endpoint."""
    await setup.client.put("/_control/webhook-endpoints", json=[])

    text = (await setup.client.get("/")).text

    assert "No flow yet" in text
    assert "No user yet" in text
    assert "No endpoint" in text


async def test_its_buttons_do_what_the_control_api_does(setup: Setup) -> None:
    """Perform the payee's next action, and decide a background check."""
    flow = await setup.create("background-check")
    for _ in range(3):
        await setup.client.post("/overview/complete-next", data={"flow_id": flow["id"]})
    done = await setup.get(f"/api/v2/flows/{flow['id']}")

    await setup.client.post("/overview/verdict", data={"user_id": done["user_id"], "word": "flagged"})

    user = await setup.get(f"/api/v2/users/{done['user_id']}")
    assert done["completed_steps"] == ["background-check"]
    assert user["compliance"]["has_criminal_activity"] is True


async def test_pages_load_no_external_resources(setup: Setup) -> None:
    """The package has the style sheet and the dashboard."""
    style, dashboard = await setup.client.get("/static/simulator.css"), await setup.client.get("/dashboard")

    assert (style.status_code, dashboard.status_code) == (200, 200)
    assert "http" not in style.text
    assert "This is a simulator" in dashboard.text
