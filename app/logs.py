"""Logs: one line per unit of work on standard error, as JSON for machines or as text for people."""

import logging
import sys
import traceback
from types import TracebackType

import structlog


def configure(*, log_format: str, log_level: str) -> None:
    """Set up structlog, route the logs of libraries through it, and silence libraries that could log secrets."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    level = logging.getLevelNamesMapping()[log_level.upper()]
    structlog.configure(
        processors=[*shared, _TRACEBACKS, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _TRACEBACKS,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(level)
    # httpx logs whole URLs, and SQLAlchemy may log parameters.
    for name in ("httpx", "httpcore", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # We log one line for each failed connection to a broker; the clients log many.
    for name in ("aio_pika", "aiokafka", "aiormq", "nats"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _format_error(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Format a traceback without the errors' messages: Postgres quotes whole rows in them, and parsers their input."""
    return "".join(_lines(exc_info[1])).rstrip()


def _lines(error: BaseException) -> list[str]:
    origin = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = _lines(origin) if origin else []
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        lines += _lines(inner)
    kind = type(error)
    return [*lines, *traceback.format_tb(error.__traceback__), f"{kind.__module__}.{kind.__qualname__}\n"]


_TRACEBACKS = structlog.processors.ExceptionRenderer(_format_error)
