"""Encrypt subscriptions' secrets with AES-256-GCM and rotatable keys. Each secret is bound to its owner.

Source: https://cryptography.io/en/latest/hazmat/primitives/aead/ (read 2026-11-23).
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import EncryptionUnavailableError, SettingsError

KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class EncryptedSecret:
    """A secret encrypted with the key `key_id`."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


class SecretCipher:
    """Encrypts with its first key and decrypts with any of its keys. Errors and `repr` hold no key or secret."""

    def __init__(self, keys: Sequence[str], *, random_bytes: Callable[[int], bytes]) -> None:
        """Parse at least one key in the form `id:base64 of 32 bytes`. Raises SettingsError."""
        parsed = [_parse(key) for key in keys]
        self._ciphers = {key_id: AESGCM(key) for key_id, key in parsed}
        if not parsed:
            raise SettingsError("ENCRYPTION_KEYS holds no key.")
        if len(self._ciphers) < len(parsed):
            raise SettingsError("ENCRYPTION_KEYS has two keys with the same id.")
        self._key_id = parsed[0][0]
        self._random_bytes = random_bytes

    def new_secret(self, length_bytes: int) -> bytes:
        """Random bytes for a new secret."""
        return self._random_bytes(length_bytes)

    def encrypt(self, secret: bytes, *, bound_to: str) -> EncryptedSecret:
        """Encrypt the secret. It can be decrypted only with the same `bound_to`, so not as another owner's secret."""
        nonce = self._random_bytes(_NONCE_BYTES)
        ciphertext = self._ciphers[self._key_id].encrypt(nonce, secret, bound_to.encode())
        return EncryptedSecret(key_id=self._key_id, nonce=nonce, ciphertext=ciphertext)

    def decrypt(self, encrypted: EncryptedSecret, *, bound_to: str) -> bytes:
        """Decrypt the secret. Raises EncryptionUnavailableError if its key is missing or it was changed or moved."""
        cipher = self._ciphers.get(encrypted.key_id)
        if cipher is None:
            raise EncryptionUnavailableError
        try:
            return cipher.decrypt(encrypted.nonce, encrypted.ciphertext, bound_to.encode())
        except (InvalidTag, ValueError):
            raise EncryptionUnavailableError("A secret of this subscription is damaged; rotate it.") from None


def _parse(text: str) -> tuple[str, bytes]:
    key_id, _, encoded = text.partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES:
        raise SettingsError(
            f"Each of ENCRYPTION_KEYS is an id of letters, digits and . _ -, a colon, and base64 of {KEY_BYTES} bytes."
        )
    return key_id, key
