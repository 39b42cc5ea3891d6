"""Leave a trail of who was shown what about background checks, before it is shown."""

from app.access import key_rows
from app.access.key_rows import KeyRecord
from app.storage import database
from app.storage.inputs import StorageInputs


async def audit_read(inputs: StorageInputs, key: KeyRecord, what: str) -> None:
    """Note that this key is about to be shown `what`: `user/<id>`, or the ids of the events."""
    async with database.transaction(inputs.engine) as connection:
        await key_rows.add_compliance_read(connection, key_id=key.id, caller=key.name, what=what, now=inputs.clock())
