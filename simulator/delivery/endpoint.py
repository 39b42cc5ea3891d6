"""Webhook endpoints: a URL and the secrets that sign for it."""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class SigningSecret:
    """A secret. A rotated one stops signing at `expires_at`."""

    secret: str
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One receiver, newest secret first. `failing_since` is None if the last attempt succeeded."""

    id: str
    url: str
    secrets: tuple[SigningSecret, ...]
    failing_since: datetime | None = None
    is_disabled: bool = False

    def live_secrets(self, now: datetime) -> tuple[str, ...]:
        """The secrets that sign at `now`."""
        return tuple(item.secret for item in self.secrets if item.expires_at is None or item.expires_at > now)

    def rotated(self, new_secret: str, *, old_until: datetime) -> "Endpoint":
        """The endpoint with a new secret. The replaced one also signs until `old_until`."""
        current, *older = self.secrets
        retired = replace(current, expires_at=old_until)
        return replace(self, secrets=(SigningSecret(secret=new_secret), retired, *older))
