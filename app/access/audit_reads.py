"""Records who reads what about background checks, before they see it."""

from app.access import key_rows
from app.access.key_rows import KeyRecord
from app.storage import database
from app.storage.inputs import StorageInputs


async def audit_read(inputs: StorageInputs, key: KeyRecord, what: str) -> None:
    """Record that this key reads `what`: `user/<id>`, or the ids of events."""
    async with database.transaction(inputs.engine) as connection:
        await key_rows.add_compliance_read(connection, key_id=key.id, caller=key.name, what=what, now=inputs.clock())
