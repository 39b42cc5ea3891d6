import base64

import pytest

from app.dots.signature import decode_secret
from app.errors import SettingsError

KEY = bytes(range(24))


def secret_of(key: bytes) -> str:
    """The key as Svix shows it."""
    return "whsec_" + base64.b64encode(key).decode()


@pytest.mark.parametrize("length", [16, 17, 18, 24, 32, 63, 64])
@pytest.mark.parametrize("is_padded", [True, False])
def test_secret_gives_its_key_with_or_without_padding(length: int, *, is_padded: bool) -> None:
    """Padding is easily lost when copying by double-click, and adds nothing."""
    key = bytes(range(200, 200 + length)) if length < 56 else bytes(range(length))
    secret = secret_of(key) if is_padded else secret_of(key).rstrip("=")

    assert decode_secret(secret) == key


ENCODED_24 = base64.b64encode(KEY).decode()
ENCODED_16 = base64.b64encode(bytes(range(16))).decode()
MALFORMED_SECRETS = [
    "",
    "whsec_",
    ENCODED_24,  # no prefix
    f"v1,whsec_{ENCODED_24}",  # a signature's prefix pasted along; other libraries take it and never verify
    f"WHSEC_{ENCODED_24}",
    f"whsec-{ENCODED_24}",
    f"whpk_{ENCODED_24}",  # a public key of the asymmetric scheme
    f" whsec_{ENCODED_24}",
    f"whsec_{ENCODED_24} ",
    f"whsec_{ENCODED_24}\n",
    f"whsec_whsec_{ENCODED_24}",
    f"whsec_{ENCODED_24}=",  # padding where none belongs
    f"whsec_{ENCODED_24}A",  # a length that base64 cannot have
    f"whsec_{ENCODED_16}=",
    f"whsec_{ENCODED_16[:-3]}x==",  # bits beyond the last byte: another text for the same key
    f"whsec_{ENCODED_24[:8]}={ENCODED_24[8:]}",
    "whsec_" + base64.urlsafe_b64encode(b"\xfb\xff" * 12).decode(),  # the other alphabet
    "whsec_" + KEY.hex()[:-1] + "!",
    "whsec_" + "é" * 32,
    "whsec_" + "\ud800" * 32,
    "whsec_" + base64.b64encode(bytes(15)).decode(),  # too short
    "whsec_" + base64.b64encode(bytes(65)).decode(),  # too long
]


@pytest.mark.parametrize("secret", MALFORMED_SECRETS)
def test_malformed_secret_stops_without_being_quoted(secret: str) -> None:
    """The message says what is wrong and holds nothing of the secret, nor does what caused it."""
    with pytest.raises(SettingsError) as refused:
        decode_secret(secret)

    content = secret.removeprefix("whsec_")
    assert not content or content not in refused.value.detail
    assert refused.value.__cause__ is None
