import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.datastructures import Headers

from dots_gateway_client import InvalidSecretError, MalformedEventError, SignatureRefusedError, StepCompleted, verify
from tests.clients.script import envelope
from tests.clients.signing import OTHER_SECRET, SECRET, Push, signed
from tests.dots.fake_dots import NOW


def test_verify_returns_the_event() -> None:
    """Of a push signed by the official package. The names of headers are not case-sensitive."""
    push = signed(NOW)
    shouted = {name.upper(): value for name, value in push.headers.items()}

    found = [
        verify(push.body, headers, [SECRET], now=NOW) for headers in (push.headers, shouted, Headers(push.headers))
    ]

    assert isinstance(found[0], StepCompleted)
    assert (found[0].id, found[0].step) == (push.headers["webhook-id"], "step-1")
    assert found[1:] == found[:1] * 2


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([SECRET], [SECRET, OTHER_SECRET]),
        ([OTHER_SECRET], [SECRET, OTHER_SECRET]),
        ([OTHER_SECRET, SECRET], [SECRET]),
        ([OTHER_SECRET, SECRET], [OTHER_SECRET, SECRET]),
    ],
)
def test_one_secret_in_common_is_enough(ours: list[str], theirs: list[str]) -> None:
    """After a rotation the gateway signs with both secrets. The receiver can have the old one, the new one or both."""
    push = signed(NOW, secrets=theirs)

    assert verify(push.body, push.headers, ours, now=NOW).sequence == 1


FORGERIES: dict[str, Callable[[Push], Push]] = {
    "another secret": lambda _: signed(datetime.now(UTC), secrets=[OTHER_SECRET]),
    "another body": lambda push: push.replaced(body=push.body.replace(b"step-1", b"step-2")),
    "an extra space": lambda push: push.replaced(body=push.body + b" "),
    "an empty body": lambda push: push.replaced(body=b""),
    "a body that is not UTF-8": lambda push: push.replaced(body=b"\xff"),
    "another id": lambda push: push.replaced(webhook_id="another"),
    "another timestamp": lambda push: push.replaced(webhook_timestamp=str(int(push.headers["webhook-timestamp"]) + 1)),
    "no id": lambda push: push.replaced(webhook_id=None),
    "no timestamp": lambda push: push.replaced(webhook_timestamp=None),
    "no signature": lambda push: push.replaced(webhook_signature=None),
    "an empty signature": lambda push: push.replaced(webhook_signature=""),
    "a newer version": lambda push: push.replaced(webhook_signature="v2" + push.headers["webhook-signature"][2:]),
    "no version": lambda push: push.replaced(webhook_signature=push.headers["webhook-signature"][3:]),
    "a partial signature": lambda push: push.replaced(webhook_signature=push.headers["webhook-signature"][:20]),
    "invalid base64": lambda push: push.replaced(webhook_signature="v1,€ v1, ,,, v1"),
    "a word as the timestamp": lambda push: push.replaced(webhook_timestamp="now"),
    "a long timestamp": lambda push: push.replaced(webhook_timestamp="9" * 5000),
    "other digits in the timestamp": lambda push: push.replaced(webhook_timestamp="١٢٣"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_forged_push_is_refused_as_by_the_official_package(forge: Callable[[Push], Push]) -> None:
    """With SignatureRefusedError, which a receiver answers with 401. The official package refuses it too."""
    push = forge(signed(datetime.now(UTC)))

    with pytest.raises(SignatureRefusedError):
        verify(push.body, push.headers, [SECRET])
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(SECRET).verify(push.body, push.headers)


@pytest.mark.parametrize(("seconds", "is_good"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_push_is_valid_for_five_minutes(seconds: int, is_good: bool) -> None:  # noqa: FBT001  # a column of the table
    """Before and after its timestamp, because clocks differ. Then a recorded push is worthless."""
    push = signed(NOW + timedelta(seconds=seconds))

    try:
        verify(push.body, push.headers, [SECRET], now=NOW)
        was_good = True
    except SignatureRefusedError:
        was_good = False

    assert was_good is is_good


def test_decimal_timestamp_is_refused() -> None:
    """The official package accepts it, but the specification requires whole seconds."""
    push = signed(NOW)
    decimal = push.replaced(webhook_timestamp=push.headers["webhook-timestamp"] + ".0")

    with pytest.raises(SignatureRefusedError, match="not a number of seconds"):
        verify(decimal.body, decimal.headers, [SECRET], now=NOW)


def test_default_clock_is_the_system_clock() -> None:
    """A receiver does not need to pass the time."""
    push = signed(datetime.now(UTC))

    assert verify(push.body, push.headers, [SECRET]).sequence == 1


INVALID_SECRETS = [
    [],
    [""],
    ["whsec_"],
    ["whsec_!!!"],
    [SECRET.removeprefix("whsec_")],
    [SECRET, "whsec_€"],
    ["whpk_AAAA"],
]


@pytest.mark.parametrize("secrets", INVALID_SECRETS)
def test_error_of_an_invalid_secret_does_not_show_it(secrets: list[str]) -> None:
    """It is InvalidSecretError, because the mistake is in the settings and not in the push."""
    push = signed(NOW)

    with pytest.raises(InvalidSecretError) as raised:
        verify(push.body, push.headers, secrets, now=NOW)

    assert all(secret.removeprefix("whsec_") not in str(raised.value) for secret in secrets if len(secret) > 6)


@pytest.mark.parametrize("length", [24, 25, 26])
def test_secrets_with_and_without_padding_are_accepted(length: int) -> None:
    """Both forms exist."""
    secret = "whsec_" + base64.b64encode(bytes(range(length))).decode()
    push = signed(NOW, secrets=[secret])

    found = [verify(push.body, push.headers, [given], now=NOW) for given in (secret, secret.rstrip("="))]

    assert found[0] == found[1]


def test_signed_push_without_an_event_is_an_error() -> None:
    """It is MalformedEventError, not SignatureRefusedError: the gateway sent the push and will send it again."""
    push = signed(NOW, event={"id": "1"})

    with pytest.raises(MalformedEventError):
        verify(push.body, push.headers, [SECRET], now=NOW)


def test_reencoded_body_is_refused() -> None:
    """The signature covers the bytes, not their meaning."""
    push = signed(NOW, event=envelope(1) | {"data": envelope(1)["data"] | {"reference": "Ω"}})
    reencoded = json.dumps(json.loads(push.body)).encode()

    with pytest.raises(SignatureRefusedError):
        verify(reencoded, push.headers, [SECRET], now=NOW)
