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


def test_signed_push_is_its_event() -> None:
    """What the official package has signed is read, whatever the names of headers look like."""
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
    """While a secret is rotated the gateway signs with both, and the receiver may hold the old, the new, or both."""
    push = signed(NOW, secrets=theirs)

    assert verify(push.body, push.headers, ours, now=NOW).sequence == 1


REFUSED: list[tuple[str, Callable[[Push], Push]]] = [
    ("another secret", lambda _: signed(NOW, secrets=[OTHER_SECRET])),
    ("another body", lambda push: push.but(body=push.body.replace(b"step-1", b"step-2"))),
    ("a space more", lambda push: push.but(body=push.body + b" ")),
    ("no body", lambda push: push.but(body=b"")),
    ("a body that is not UTF-8", lambda push: push.but(body=b"\xff")),
    ("another id", lambda push: push.but(webhook_id="another")),
    ("another moment", lambda push: push.but(webhook_timestamp=str(int(NOW.timestamp()) + 1))),
    ("no id", lambda push: push.but(webhook_id=None)),
    ("no timestamp", lambda push: push.but(webhook_timestamp=None)),
    ("no signature", lambda push: push.but(webhook_signature=None)),
    ("an empty signature", lambda push: push.but(webhook_signature="")),
    ("a version to come", lambda push: push.but(webhook_signature="v2" + push.headers["webhook-signature"][2:])),
    ("no version", lambda push: push.but(webhook_signature=push.headers["webhook-signature"][3:])),
    ("half a signature", lambda push: push.but(webhook_signature=push.headers["webhook-signature"][:20])),
    ("no base64", lambda push: push.but(webhook_signature="v1,€ v1, ,,, v1")),
    ("a time in words", lambda push: push.but(webhook_timestamp="now")),
    ("a time in floating point", lambda push: push.but(webhook_timestamp=f"{NOW.timestamp()}")),
    ("a time without end", lambda push: push.but(webhook_timestamp="9" * 5000)),
    ("a time in other digits", lambda push: push.but(webhook_timestamp="١٢٣")),
]


@pytest.mark.parametrize(("name", "forge"), REFUSED, ids=[name for name, _ in REFUSED])
def test_forged_push_is_refused(name: str, forge: Callable[[Push], Push]) -> None:
    """Always the same error, which a receiver answers with 401."""
    del name
    push = forge(signed(NOW))

    with pytest.raises(SignatureRefusedError):
        verify(push.body, push.headers, [SECRET], now=NOW)


@pytest.mark.parametrize(("seconds", "is_good"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_push_is_good_for_five_minutes(seconds: int, is_good: bool) -> None:  # noqa: FBT001  # a column of the table
    """What was recorded is worthless soon after; a clock may be wrong by as much."""
    push = signed(NOW + timedelta(seconds=seconds))

    try:
        verify(push.body, push.headers, [SECRET], now=NOW)
        was_good = True
    except SignatureRefusedError:
        was_good = False

    assert was_good is is_good


def test_official_package_agrees() -> None:
    """Every forgery above is refused by it too, by whichever error; what it takes is taken here."""
    now = datetime.now(UTC)
    forgeries = [signed(now), *(forge(signed(now)) for _, forge in REFUSED)]

    theirs = [is_taken_by_official(push) for push in forgeries]
    ours = [is_taken(push, now) for push in forgeries]

    assert ours == theirs
    assert ours == [True] + [False] * len(REFUSED)


def is_taken(push: Push, now: datetime) -> bool:
    """Whether we take it."""
    try:
        verify(push.body, push.headers, [SECRET], now=now)
    except SignatureRefusedError:
        return False
    return True


def is_taken_by_official(push: Push) -> bool:
    """Whether the official package takes it; malformed parts make it raise ValueErrors of many kinds."""
    try:
        Webhook(SECRET).verify(push.body, push.headers)
    except (WebhookVerificationError, ValueError):
        return False
    return True


def test_machine_clock_is_used_without_another() -> None:
    """A receiver need not think of time."""
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
def test_invalid_secret_is_told_without_showing_it(secrets: list[str]) -> None:
    """A mistake in the settings is not the sender's, and what is nearly a secret stays out of logs."""
    push = signed(NOW)

    with pytest.raises(InvalidSecretError) as raised:
        verify(push.body, push.headers, secrets, now=NOW)

    assert all(secret.removeprefix("whsec_") not in str(raised.value) for secret in secrets if len(secret) > 6)


@pytest.mark.parametrize("length", [24, 25, 26])
def test_padding_of_secrets_may_be_missing(length: int) -> None:
    """Some write it and some do not."""
    secret = "whsec_" + base64.b64encode(bytes(range(length))).decode()
    push = signed(NOW, secrets=[secret])

    found = [verify(push.body, push.headers, [given], now=NOW) for given in (secret, secret.rstrip("="))]

    assert found[0] == found[1]


def test_rightly_signed_nonsense_is_no_event() -> None:
    """It is from the gateway, so that 401 would be wrong: it comes again when one of the two has been mended."""
    push = signed(NOW, event={"id": "1"})

    with pytest.raises(MalformedEventError):
        verify(push.body, push.headers, [SECRET], now=NOW)


def test_body_is_verified_before_it_is_read() -> None:
    """Bytes that only mean the same are not what was signed."""
    push = signed(NOW, event=envelope(1) | {"data": envelope(1)["data"] | {"reference": "Ω"}})
    written_again = json.dumps(json.loads(push.body)).encode()

    with pytest.raises(SignatureRefusedError):
        verify(written_again, push.headers, [SECRET], now=NOW)
