import json
import logging

import pytest
import structlog

from app import logs

ROW = "Failing row contains (https://my-sandbox.dots.dev/flow/1, Ada Lovelace)"


def fail() -> None:
    """Fail as a database driver does: one error that quotes a row causes another."""
    try:
        fail_within()
    except ValueError as error:
        raise RuntimeError(f"while writing: {ROW}") from error


def fail_within() -> None:
    """Raise the first error."""
    raise ValueError(ROW)


def fail_in_a_group() -> None:
    """Fail as a task group does."""
    try:
        fail()
    except RuntimeError as error:
        raise ExceptionGroup(ROW, [error]) from None


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("logger", ["structlog", "uvicorn.error", "asyncio"])
def test_traceback_has_no_messages(capsys: pytest.CaptureFixture[str], log_format: str, logger: str) -> None:
    """An error's message may quote a row. The log shows only types and places, for our own logger and for others."""
    logs.configure(log_format=log_format, log_level="info")

    try:
        fail_in_a_group()
    except ExceptionGroup:
        if logger == "structlog":
            structlog.get_logger().exception("it broke")
        else:
            logging.getLogger(logger).exception("it broke")

    reported = capsys.readouterr().err
    assert "it broke" in reported
    assert "ValueError" in reported
    assert "RuntimeError" in reported
    assert "in fail_within" in reported
    assert [word for word in ("Failing row", "dots.dev", "Ada") if word in reported] == []


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line has a time, a level and an event."""
    logs.configure(log_format="json", log_level="info")

    structlog.get_logger().info("two\nlines", app="default")
    logging.getLogger("anything").warning("from %s", "outside")

    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert ours.keys() == {"timestamp", "level", "event", "app"}
    assert (ours["event"], ours["level"], ours["app"]) == ("two\nlines", "info", "default")
    assert (theirs["event"], theirs["level"]) == ("from outside", "warning")


@pytest.mark.parametrize(
    ("log_level", "shown"), [("debug", ["debug", "info", "warning"]), ("info", ["info", "warning"]), ("error", [])]
)
def test_log_level_is_a_minimum(capsys: pytest.CaptureFixture[str], log_level: str, shown: list[str]) -> None:
    """Lines below LOG_LEVEL are not written."""
    logs.configure(log_format="json", log_level=log_level)

    log = structlog.get_logger()
    log.debug("debug")
    log.info("info")
    log.warning("warning")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == shown


def test_libraries_that_could_log_secrets_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """For example, httpx logs whole URLs and SQLAlchemy logs whole statements."""
    logs.configure(log_format="json", log_level="debug")

    for name in ("httpx", "httpcore.connection", "sqlalchemy.engine"):
        logging.getLogger(name).warning("https://my-sandbox.dots.dev/flow/1")

    assert capsys.readouterr().err == ""
