"""The tables of all subjects. Importing a module declares its tables."""

from app.access import tables as access_tables
from app.brokers import tables as broker_tables
from app.dots import tables as dots_tables
from app.feed import tables as feed_tables
from app.flows import tables as flow_tables
from app.subscriptions import tables as subscription_tables
from app.webhooks import tables as webhook_tables

SUBJECTS = (
    access_tables,
    broker_tables,
    dots_tables,
    feed_tables,
    flow_tables,
    subscription_tables,
    webhook_tables,
)
METADATA = SUBJECTS[0].metadata
