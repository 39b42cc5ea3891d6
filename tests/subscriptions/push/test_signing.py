import base64
from datetime import UTC, datetime

from standardwebhooks import Webhook

from app.subscriptions.push import signing

KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = b'{"test": 2432232314}'


def test_published_example_is_reproduced() -> None:
    """The example of the Standard Webhooks documentation has this signature."""
    signature = signing.sign([KEY], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=BODY)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_official_package_has_the_same_signature() -> None:
    """The signatures are equal, also for text outside ASCII."""
    body = '{"reference": "Zoë"}'
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)

    signature = signing.sign([KEY], message_id="m1", timestamp=int(moment.timestamp()), body=body.encode())

    assert signature == Webhook(KEY).sign("m1", moment, body)


def test_every_key_signs_in_order() -> None:
    """There is one signature per key, the newest first."""
    both = signing.sign([b"new", b"old"], message_id="m1", timestamp=1, body=BODY)

    assert both.split(" ") == [
        signing.sign([b"new"], message_id="m1", timestamp=1, body=BODY),
        signing.sign([b"old"], message_id="m1", timestamp=1, body=BODY),
    ]
