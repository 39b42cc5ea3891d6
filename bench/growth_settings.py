"""The settings under which the grown and the empty database are filled and measured."""

import dataclasses
from base64 import b64encode

from bench.receivers import Receiver, gateway

# The fill encrypts the subscriptions' secrets and later runs decrypt them, so the keys must not change.
WEBHOOK_SECRET = f"whsec_{b64encode(bytes(24)).decode()}"
ENCRYPTION_KEYS = f"bench:{b64encode(bytes(32)).decode()}"
# This app exists only for the rows that no pass may claim.
PAUSED_APP = "paused"
SECOND_APP = "europe"


def service(database_url: str, *, dots_url: str = "http://127.0.0.1:9/api", **more: str) -> Receiver:
    """Describe the service with three Dots apps; `more` are additional settings."""
    receiver = gateway(database_url=database_url, secret=WEBHOOK_SECRET)
    apps = {
        f"DOTS_APPS__{name.upper()}__{setting}": value
        for name in (PAUSED_APP, SECOND_APP)
        for setting, value in {
            "API_URL": dots_url,
            "CLIENT_ID": f"pk_dev_{name}",
            "API_KEY": f"sk_dev_{name}",
            "WEBHOOK_SECRETS": WEBHOOK_SECRET,
        }.items()
    }
    environment = {
        **receiver.environment,
        **apps,
        "DOTS_API_URL": dots_url,
        "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
        "SUBSCRIBERS_ALLOWED": "127.0.0.0/8:1-65535",
        "LOG_LEVEL": "error",
        **more,
    }
    return dataclasses.replace(receiver, environment=environment)
