"""Merges that waited in webhooks when the schema was upgraded are not lost."""

from app.storage import migrations
from app.storage.database import create_engine
from tests.storage import stored

OLD = "4b7d0f0a-2f3e-4f57-9c1e-0d6a3c1f7a21"
NEW = "9f1e2d3c-4b5a-4678-9abc-def012345678"
SUBJECTS = """
    INSERT INTO sync_rows (app, kind, subject_id, due_by, dirty_gen, clean_gen)
    VALUES ('default', 'user', :waiting, 'webhook', 2, 1), ('default', 'user', 'user-2', 'webhook', 2, 2)
"""
WEBHOOK = """
    INSERT INTO webhooks
        (app, message_id, received_at, last_received_at, received_count, body, event, kind, subject_id, raised_gen)
    VALUES ('default', :message_id, now(), now(), 1, :body, 'user.updated.user_merged', 'user', :subject_id, 2)
"""
BODIES = {
    "good": b'{"old_user_id":"%s","new_user_id":"%s"}' % (OLD.encode(), NEW.encode()),
    "spelt otherwise": b'{ "old_user_id"\n:\t"%s" }' % b"AAAAAAAA-2f3e-4f57-9c1e-0d6a3c1f7a21",
    "not UTF-8": b'\xff\x00{"old_user_id":"\xfe"}',
    "no id": b'{"old_user_id":null}',
    "itself": b'{"old_user_id":"%s"}' % NEW.encode(),
    "empty": b"",
    "expired": None,
}


async def test_waiting_merges_are_taken_along(empty_database_url: str) -> None:
    """Those that a refresh has seen are not; what cannot be read is passed over."""
    await migrations.upgrade(empty_database_url, "0006")
    engine = create_engine(empty_database_url)
    await stored.execute(engine, SUBJECTS, waiting=NEW)
    for name, body in BODIES.items():
        await stored.execute(engine, WEBHOOK, message_id=name, body=body, subject_id=NEW)
    handled = b'{"old_user_id":"bbbbbbbb-2f3e-4f57-9c1e-0d6a3c1f7a21"}'
    await stored.execute(engine, WEBHOOK, message_id="handled", body=handled, subject_id="user-2")

    await migrations.upgrade(empty_database_url, "0007")

    found = await stored.rows(engine, "SELECT * FROM user_merges ORDER BY old_user_id")
    await engine.dispose()
    assert [(row["old_user_id"], row["survivor_id"], row["applied_at"]) for row in found] == [
        (OLD, NEW, None),
        ("aaaaaaaa-2f3e-4f57-9c1e-0d6a3c1f7a21", NEW, None),
    ]
