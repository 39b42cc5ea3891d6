"""What the simulator is started with."""

from dataclasses import dataclass, field

from simulator.knobs import Knobs

DEFAULT_CLIENT_ID = "pk_dev_simulator"
DEFAULT_API_KEY = "sk_dev_simulator"
"""Public on purpose, like the client id: they open nothing but a simulator."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where pages are reached, who may call the API, and where webhooks go (nowhere without a URL).

    `allowed_hosts` are names it may be reached by, beside loopback and that of `public_url`; with a `control_token`
    the control API and the overview ask for it.
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
