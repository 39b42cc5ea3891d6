import base64

import pytest

from app.dots.signature import decode_secret
from app.errors import SettingsError

KEY = bytes(range(24))


def secret_of(key: bytes) -> str:
    """Return the secret of a key, as Svix shows it."""
    return "whsec_" + base64.b64encode(key).decode()


@pytest.mark.parametrize("length", [16, 17, 18, 64])
@pytest.mark.parametrize("is_padded", [True, False])
def test_secret_gives_its_key_with_or_without_padding(length: int, *, is_padded: bool) -> None:
    """Copying by double-click easily loses the padding, so it is optional."""
    key = bytes(range(200, 200 + length)) if length < 56 else bytes(range(length))
    secret = secret_of(key) if is_padded else secret_of(key).rstrip("=")

    assert decode_secret(secret) == key


ENCODED_24 = base64.b64encode(KEY).decode()
ENCODED_16 = base64.b64encode(bytes(range(16))).decode()
MALFORMED_SECRETS = [
    "",
    "whsec_",
    ENCODED_24,  # No prefix.
    f"v1,whsec_{ENCODED_24}",  # With a signature's prefix. Other libraries accept it and never verify.
    f"WHSEC_{ENCODED_24}",
    f"whsec-{ENCODED_24}",
    f"whpk_{ENCODED_24}",  # A public key of the asymmetric scheme.
    f" whsec_{ENCODED_24}",
    f"whsec_{ENCODED_24} ",
    f"whsec_{ENCODED_24}\n",
    f"whsec_whsec_{ENCODED_24}",
    f"whsec_{ENCODED_24}=",  # Too much padding.
    f"whsec_{ENCODED_24}A",  # A length that base64 cannot have.
    f"whsec_{ENCODED_16}=",
    f"whsec_{ENCODED_16[:-3]}x==",  # Bits beyond the last byte: another text for the same key.
    f"whsec_{ENCODED_24[:8]}={ENCODED_24[8:]}",
    "whsec_" + base64.urlsafe_b64encode(b"\xfb\xff" * 12).decode(),  # The other alphabet.
    "whsec_" + KEY.hex()[:-1] + "!",
    "whsec_" + "é" * 32,
    "whsec_" + "\ud800" * 32,
    "whsec_" + base64.b64encode(bytes(15)).decode(),  # Too short.
    "whsec_" + base64.b64encode(bytes(65)).decode(),  # Too long.
]


@pytest.mark.parametrize("secret", MALFORMED_SECRETS)
def test_malformed_secret_stops_without_being_quoted(secret: str) -> None:
    """The error does not quote the secret, and has no cause that does."""
    with pytest.raises(SettingsError) as refused:
        decode_secret(secret)

    content = secret.removeprefix("whsec_")
    assert not content or content not in refused.value.detail
    assert refused.value.__cause__ is None
