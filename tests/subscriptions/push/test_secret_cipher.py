"""Secrets at rest: what opens them, and everything that does not."""

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
    """Randomness that is different each time, and the same in each run."""
    numbers: Iterator[int] = iter(range(256))
    return lambda length: bytes([next(numbers)]) * length


def secret_cipher(*keys: str) -> SecretCipher:
    """A vault with these keys."""
    return SecretCipher(keys, random_bytes=counting())


def test_what_was_encrypted_is_opened() -> None:
    """The secret comes back, and what is stored shows neither it nor how to get it."""
    kept = secret_cipher(NEW)

    encrypted = kept.encrypt(SECRET, bound_to="subscription/1")

    assert kept.decrypt(encrypted, bound_to="subscription/1") == SECRET
    assert encrypted.key_id == "2026"
    assert SECRET not in encrypted.ciphertext


def test_one_secret_is_encrypted_differently_each_time() -> None:
    """A nonce that came twice would give the key away."""
    kept = secret_cipher(NEW)

    first, second = (kept.encrypt(SECRET, bound_to="subscription/1") for _ in range(2))

    assert first.nonce != second.nonce
    assert first.ciphertext != second.ciphertext


def test_new_secrets_come_from_the_source_of_randomness() -> None:
    """As many bytes as asked for."""
    assert secret_cipher(NEW).new_secret(32) == bytes(32)


def test_first_key_encrypts_and_every_key_opens() -> None:
    """So keys are rotated: the new one is put first, the old one stays until nothing needs it."""
    encrypted_before = secret_cipher(OLD).encrypt(SECRET, bound_to="subscription/1")
    rotated = secret_cipher(NEW, OLD)

    encrypted_after = rotated.encrypt(SECRET, bound_to="subscription/1")

    assert rotated.decrypt(encrypted_before, bound_to="subscription/1") == SECRET
    assert (encrypted_before.key_id, encrypted_after.key_id) == ("2025", "2026")


def test_key_that_was_taken_away_is_missed_by_name_of_the_setting() -> None:
    """An operator learns what to put back."""
    encrypted = secret_cipher(OLD).encrypt(SECRET, bound_to="subscription/1")

    with pytest.raises(EncryptionUnavailableError, match="ENCRYPTION_KEYS"):
        secret_cipher(NEW).decrypt(encrypted, bound_to="subscription/1")


def flip(data: bytes, index: int) -> bytes:
    """The same bytes, but for one bit."""
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
def test_what_was_tampered_with_stays_shut(tamper: Callable[[EncryptedSecret], dict[str, Any]]) -> None:
    """One bit is enough."""
    kept = secret_cipher(NEW, OLD)
    encrypted = kept.encrypt(SECRET, bound_to="subscription/1")

    with pytest.raises(EncryptionUnavailableError):
        kept.decrypt(dataclasses.replace(encrypted, **tamper(encrypted)), bound_to="subscription/1")


def test_secret_moved_to_another_subscription_stays_shut() -> None:
    """Who can write rows, but has no key, cannot make one subscription sign with another one's secret."""
    kept = secret_cipher(NEW)
    encrypted = kept.encrypt(SECRET, bound_to="subscription/1")

    with pytest.raises(EncryptionUnavailableError):
        kept.decrypt(encrypted, bound_to="subscription/2")


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
    """The message names the setting and holds nothing of what was set."""
    with pytest.raises(SettingsError, match="ENCRYPTION_KEYS") as caught:
        secret_cipher(*keys)

    assert not any(part and part in caught.value.detail for key in keys for part in key.split(":"))


def test_cipher_shows_no_key() -> None:
    """Whatever prints it, in a log or a trace."""
    shown = repr(secret_cipher(NEW)) + str(secret_cipher(NEW).encrypt(SECRET, bound_to="subscription/1"))

    assert NEW.partition(":")[2] not in shown
    assert SECRET.decode() not in shown
