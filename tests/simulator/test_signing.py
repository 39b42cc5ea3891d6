from datetime import UTC, datetime
from random import Random

import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook

from simulator.delivery import signing
from tests.simulator.setup import SECRET, Setup


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "signature"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1731705121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
)
def test_signatures_equal_the_published_examples(
    secret: str, message_id: str, timestamp: int, body: bytes, signature: str
) -> None:
    """Two examples, byte for byte."""
    header = signing.signature_header([secret], message_id=message_id, timestamp=timestamp, body=body)

    assert header == signature


async def test_a_delivered_webhook_passes_both_published_verifiers(setup: Setup) -> None:
    """The svix package under its header names, standardwebhooks under the neutral ones."""
    setup.clock.now = datetime.now(UTC)
    await setup.create_user()
    user = await setup.create_user()
    await setup.control(f"users/{user['id']}/id-verified")
    await setup.settle()
    await setup.turn(webhooks={"header_family": "webhook"})
    await setup.control(f"users/{user['id']}/id-verified")
    await setup.settle()
    svix_request, webhook_request = setup.receiver.requests

    verified = StandardWebhook(SECRET).verify(webhook_request.content, dict(webhook_request.headers))
    SvixWebhook(SECRET).verify(svix_request.content, dict(svix_request.headers))

    assert verified["event"] == "user.updated.id_verified"
    assert svix_request.headers["svix-id"].startswith("msg_")
    assert "webhook-id" not in svix_request.headers
    assert "svix-id" not in webhook_request.headers


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", "v1,whsec_c2hvcnQ="])
def test_a_malformed_secret_is_refused(secret: str) -> None:
    """The key cannot be read."""
    with pytest.raises(signing.SecretError):
        signing.key(secret)


def test_a_new_secret_is_valid() -> None:
    """It has 24 random bytes, like Svix' secrets."""
    assert len(signing.key(signing.new_secret(Random(1)))) == 24
