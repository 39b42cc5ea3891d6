"""Encryption and decryption of secrets."""

import base64
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.errors import EncryptionUnavailableError, SettingsError
from app.subscriptions.push.secret_cipher import EncryptedSecret, SecretCipher

OLD = f"2025:{base64.b64encode(bytes(32)).decode()}"
NEW = f"2026:{base64.b64encode(bytes(range(32))).decode()}"
SECRET = b"the secret of a subscription"


def counting() -> Callable[[int], bytes]:
    """Deterministic random bytes, different for each call."""
    numbers: Iterator[int] = iter(range(256))
    return lambda length: bytes([next(numbers)]) * length


def secret_cipher(*keys: str) -> SecretCipher:
    """A cipher with these keys."""
    return SecretCipher(keys, random_bytes=counting())


def test_encrypted_secret_is_decrypted() -> None:
    """Decryption returns the secret, and the ciphertext does not contain it."""
    cipher = secret_cipher(NEW)

    encrypted = cipher.encrypt(SECRET, bound_to="subscription/1")

    assert cipher.decrypt(encrypted, bound_to="subscription/1") == SECRET
    assert encrypted.key_id == "2026"
    assert SECRET not in encrypted.ciphertext


def test_encryptions_have_different_nonces() -> None:
    """A repeated nonce would break the encryption."""
    cipher = secret_cipher(NEW)

    first, second = (cipher.encrypt(SECRET, bound_to="subscription/1") for _ in range(2))

    assert first.nonce != second.nonce
    assert first.ciphertext != second.ciphertext


def flip(data: bytes, index: int) -> bytes:
    """The bytes with one bit changed."""
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda encrypted: {"ciphertext": flip(encrypted.ciphertext, 0)}, id="secret changed"),
        pytest.param(
            lambda encrypted: {"ciphertext": flip(encrypted.ciphertext, -1 % len(encrypted.ciphertext))}, id="tag"
        ),
        pytest.param(lambda encrypted: {"ciphertext": encrypted.ciphertext[:-1]}, id="cut"),
        pytest.param(lambda _encrypted: {"ciphertext": b""}, id="emptied"),
        pytest.param(lambda encrypted: {"nonce": flip(encrypted.nonce, 0)}, id="nonce changed"),
        pytest.param(lambda _encrypted: {"nonce": b""}, id="nonce emptied"),
        pytest.param(lambda _encrypted: {"key_id": "2025"}, id="other key"),
    ],
)
def test_changed_secret_is_not_decrypted(tamper: Callable[[EncryptedSecret], dict[str, Any]]) -> None:
    """Any change is detected, even of one bit."""
    cipher = secret_cipher(NEW, OLD)
    encrypted = cipher.encrypt(SECRET, bound_to="subscription/1")

    with pytest.raises(EncryptionUnavailableError):
        cipher.decrypt(dataclasses.replace(encrypted, **tamper(encrypted)), bound_to="subscription/1")


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([], id="none"),
        pytest.param([NEW, NEW], id="one id twice"),
        pytest.param([NEW.removeprefix("2026:")], id="no id"),
        pytest.param([f":{NEW.removeprefix('2026:')}"], id="empty id"),
        pytest.param([f"my key:{NEW.removeprefix('2026:')}"], id="id with a space"),
        pytest.param(["2026:"], id="no key"),
        pytest.param(["2026:not base64!"], id="not base64"),
        pytest.param([f"2026:{base64.b64encode(bytes(31)).decode()}"], id="31 bytes"),
        pytest.param([f"2026:{base64.b64encode(bytes(33)).decode()}"], id="33 bytes"),
        pytest.param([f"2026:{'é' * 44}"], id="not ASCII"),
        pytest.param([NEW, "2025:short"], id="second malformed"),
    ],
)
def test_malformed_keys_stop_the_start(keys: list[str]) -> None:
    """The error names the setting and quotes no part of it."""
    with pytest.raises(SettingsError, match="ENCRYPTION_KEYS") as caught:
        secret_cipher(*keys)

    assert not any(part and part in caught.value.detail for key in keys for part in key.split(":"))


def test_repr_hides_keys_and_secrets() -> None:
    """Neither the cipher nor an encrypted secret shows a key or the secret."""
    shown = repr(secret_cipher(NEW)) + str(secret_cipher(NEW).encrypt(SECRET, bound_to="subscription/1"))

    assert NEW.partition(":")[2] not in shown
    assert SECRET.decode() not in shown
