import base64
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dots.signature import Attestation, Refusal, Verifier, decode_secret, sign
from app.errors import SignatureRefusedError
from tests.dots.hostile_webhooks import HostileWebhook, cases
from tests.dots.signed_webhooks import (
    BODY,
    FAMILIES,
    MESSAGE_ID,
    headers_of,
    seconds_of,
    signature_of,
    signed_headers,
)

KEY = bytes(range(24))
OLD_KEY = bytes(range(100, 124))
NOW = datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=UTC)

# Project's notes on Dots, section 5: from the documentation of Svix and of Standard Webhooks.
VECTORS = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        1_731_705_121,
        b'{"event_type":"ping","data":{"success":true}}',
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    ),
]


def secret_of(key: bytes) -> str:
    """Return the secret of a key, as Svix shows it."""
    return "whsec_" + base64.b64encode(key).decode()


def verify(headers: tuple[tuple[bytes, bytes], ...], *, keys: tuple[bytes, ...] = (KEY,)) -> Attestation:
    """Verify BODY at NOW."""
    return Verifier(keys).verify(headers, BODY, now=NOW)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("secret", "message_id", "timestamp", "body", "signature"), VECTORS)
def test_published_vectors_sign_and_verify(
    *, secret: str, message_id: str, timestamp: int, body: bytes, signature: str, family: bytes
) -> None:
    """`sign` gives the documented signature, and both families of headers verify it."""
    moment = datetime.fromtimestamp(timestamp, UTC)
    headers = headers_of(message_id.encode(), b"%d" % timestamp, signature.encode(), family=family)

    attestation = Verifier([decode_secret(secret)]).verify(headers, body, now=moment)

    assert sign(decode_secret(secret), message_id, timestamp, body) == signature
    assert attestation == Attestation(message_id=message_id, attempted_at=moment)


@pytest.mark.parametrize("hostile", cases(KEY, NOW), ids=lambda hostile: hostile.name)
def test_hostile_webhook_is_refused(hostile: HostileWebhook) -> None:
    """Each webhook of the table is refused for its reason."""
    with pytest.raises(SignatureRefusedError) as refused:
        Verifier([OLD_KEY, KEY]).verify(hostile.headers, hostile.body, now=NOW)

    assert refused.value.detail == hostile.reason


RIGHT = signature_of(KEY, MESSAGE_ID, seconds_of(NOW), BODY)
UNUSUAL_BUT_GOOD = [
    RIGHT,
    b"v1,AAAA " + RIGHT,  # Rotation: the other secret's signature comes first.
    RIGHT + b" v1,AAAA",
    b"v1a,AAAA " + RIGHT,  # Other versions are skipped.
    b"v2 , v1 v1, nonsense \xff " + RIGHT,  # Malformed entries are skipped.
    b"   v1,AAAA" + b" " * 40 + RIGHT + b"  ",  # Any number of spaces.
    b" ".join([b"v1,AAAA"] * 15 + [RIGHT]),  # Sixteen are allowed.
    RIGHT + b" " + RIGHT,
]


@pytest.mark.parametrize("signatures", UNUSUAL_BUT_GOOD)
def test_one_good_signature_is_enough(signatures: bytes) -> None:
    """A valid signature counts beside others that do not match."""
    attestation = verify(headers_of(MESSAGE_ID, seconds_of(NOW), signatures))

    assert attestation.message_id == MESSAGE_ID.decode()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("around", [(b" ", b""), (b"", b" "), (b" \t ", b"\t \t")])
def test_white_space_around_a_value_is_ignored(family: bytes, around: tuple[bytes, bytes]) -> None:
    """A proxy may pad any of the three headers."""
    before, after = around
    whole = signed_headers(KEY, NOW, family=family)
    padded = tuple((name, before + value + after) for name, value in whole)

    assert verify(padded) == verify(whole)


UNUSUAL_IDS = [b"m", b"m" * 255, b"!~_-/+=:;<>@[]{}|", b"0"]


@pytest.mark.parametrize("message_id", UNUSUAL_IDS)
def test_every_printable_id_verifies(message_id: bytes) -> None:
    """An id may have up to 255 printable characters."""
    assert verify(signed_headers(KEY, NOW, message_id=message_id)).message_id == message_id.decode()


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_five_minutes_either_way_are_tolerated(minutes: int) -> None:
    """Clocks may differ by exactly five minutes, as in Svix' own verifiers."""
    now = NOW.replace(microsecond=0)
    attempted_at = now + timedelta(minutes=minutes)

    attestation = Verifier([KEY]).verify(signed_headers(KEY, now, timestamp=seconds_of(attempted_at)), BODY, now=now)

    assert attestation.attempted_at == attempted_at


@pytest.mark.parametrize("signing_key", [KEY, OLD_KEY])
@pytest.mark.parametrize("keys", [(KEY, OLD_KEY), (OLD_KEY, KEY)])
def test_each_of_several_keys_verifies(signing_key: bytes, keys: tuple[bytes, bytes]) -> None:
    """During a rotation the new and the old secret are both valid, in any order."""
    assert verify(signed_headers(signing_key, NOW), keys=keys).message_id == MESSAGE_ID.decode()


def test_without_keys_everything_is_refused() -> None:
    """An app without secrets refuses every webhook."""
    with pytest.raises(SignatureRefusedError) as refused:
        verify(signed_headers(KEY, NOW), keys=())

    assert refused.value.detail == Refusal.NO_SIGNATURE_MATCHES


header_names = st.sampled_from(
    [family + b"-" + part for family in FAMILIES for part in (b"id", b"timestamp", b"signature")]
)
header_values = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([MESSAGE_ID, seconds_of(NOW), RIGHT, b"v1,AAAA " + RIGHT, b"9" * 5_000]),
)


@settings(deadline=None)  # A busy machine must not fail the test.
@given(
    headers=st.lists(st.tuples(header_names | st.binary(max_size=20), header_values), max_size=8),
    body=st.binary(max_size=300),
)
def test_no_input_raises_anything_else(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Arbitrary bytes raise only SignatureRefusedError with a `Refusal`."""
    with pytest.raises(SignatureRefusedError) as refused:
        Verifier([KEY]).verify(headers, body + b"?", now=NOW)

    assert refused.value.detail in set(Refusal)


@settings(deadline=None)  # A busy machine must not fail the test.
@given(
    message_id=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",."), min_size=1)
    .map(lambda text: text[:255])
    .filter(bool),
    body=st.binary(max_size=2_000),
    key=st.binary(min_size=16, max_size=64),
)
def test_signed_webhook_verifies(message_id: str, body: bytes, key: bytes) -> None:
    """`verify` accepts what `sign` signed, for any id, body and key."""
    headers = headers_of(
        message_id.encode(), seconds_of(NOW), sign(key, message_id, int(NOW.timestamp()), body).encode()
    )

    attestation = Verifier([key]).verify(headers, body, now=NOW)

    assert attestation.message_id == message_id


@pytest.mark.parametrize("signing_key", [KEY, OLD_KEY])
def test_official_libraries_verify_our_signatures(signing_key: bytes) -> None:
    """Both official libraries accept our signature, alone and beside another one."""
    now = datetime.now(UTC)  # The libraries use the machine's clock.
    signature = sign(signing_key, MESSAGE_ID.decode(), int(now.timestamp()), BODY)
    for signatures in (signature, f"v1,AAAA {signature}"):
        values = {"id": MESSAGE_ID.decode(), "timestamp": str(int(now.timestamp())), "signature": signatures}
        ours = headers_of(MESSAGE_ID, seconds_of(now), signatures.encode())

        svix.webhooks.Webhook(secret_of(signing_key)).verify(
            BODY, {f"svix-{part}": value for part, value in values.items()}
        )
        payload = standardwebhooks.Webhook(secret_of(signing_key)).verify(
            BODY, {f"webhook-{part}": value for part, value in values.items()}
        )

        assert payload["event"] == "flow.updated"
        assert Verifier([KEY, OLD_KEY]).verify(ours, BODY, now=now).message_id == MESSAGE_ID.decode()


def test_we_verify_signatures_of_the_official_libraries() -> None:
    """We accept signatures of both official libraries, with the new and the old secret as in a rotation."""
    text = BODY.decode()
    at = NOW.replace(microsecond=0)
    new = svix.webhooks.Webhook(secret_of(KEY)).sign(MESSAGE_ID.decode(), at, text)
    old = standardwebhooks.Webhook(secret_of(OLD_KEY)).sign(MESSAGE_ID.decode(), at, text)
    headers = headers_of(MESSAGE_ID, seconds_of(NOW), f"{new} {old}".encode())

    attestations = [verify(headers, keys=keys) for keys in [(KEY,), (OLD_KEY,), (OLD_KEY, KEY)]]

    assert attestations == [Attestation(message_id=MESSAGE_ID.decode(), attempted_at=at)] * 3
