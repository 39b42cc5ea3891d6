"""Where messages go: a URL and the secrets that sign for it."""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class SigningSecret:
    """A secret, which stops signing at `expires_at` when it was rotated away."""

    secret: str
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One receiver, newest secret first. `failing_since` is empty while its last attempt succeeded."""

    id: str
    url: str
    secrets: tuple[SigningSecret, ...]
    failing_since: datetime | None = None
    is_disabled: bool = False

    def live_secrets(self, now: datetime) -> tuple[str, ...]:
        """The secrets that sign at this moment."""
        return tuple(item.secret for item in self.secrets if item.expires_at is None or item.expires_at > now)

    def rotated(self, new_secret: str, *, old_until: datetime) -> "Endpoint":
        """The endpoint with a new secret; the one it replaces signs too until `old_until`."""
        current, *older = self.secrets
        retired = replace(current, expires_at=old_until)
        return replace(self, secrets=(SigningSecret(secret=new_secret), retired, *older))
