"""The settings of a simulator."""

from dataclasses import dataclass, field

from simulator.knobs import Knobs

DEFAULT_CLIENT_ID = "pk_dev_simulator"
DEFAULT_API_KEY = "sk_dev_simulator"
"""Public on purpose, like the client id: they only give access to a simulator."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The URL of the pages, the API's credentials, and the first webhook endpoint (none without a URL).

    `allowed_hosts` are host names to answer to, besides loopback and that of `public_url`. If there is a
    `control_token`, the control API and the overview require it.
    """

    public_url: str
    webhook_secret: str
    webhook_url: str | None = None
    client_id: str = DEFAULT_CLIENT_ID
    api_key: str = DEFAULT_API_KEY
    allowed_hosts: tuple[str, ...] = ()
    control_token: str | None = field(default=None, repr=False)
    seed: int | None = None
    knobs: Knobs = field(default_factory=Knobs)
