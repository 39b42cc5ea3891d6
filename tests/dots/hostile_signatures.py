"""Wrong values of the signature header, for a body whose right signature is known."""

import base64
import hashlib
import hmac

from tests.dots.signed_webhooks import BODY, MESSAGE_ID, signature_of


def values(key: bytes, timestamp: bytes) -> dict[str, bytes]:
    """Every wrong value by its name, for MESSAGE_ID and BODY at this time."""
    return {
        **_malformed(signature_of(key, MESSAGE_ID, timestamp, BODY)),
        **_over_something_else(key, timestamp),
        **_of_another_algorithm(key, timestamp),
        **_with_another_key(key, timestamp),
    }


def _malformed(right: bytes) -> dict[str, bytes]:
    encoded = right.removeprefix(b"v1,")
    return {
        "empty": b"",
        "a space": b" ",
        "a comma": b",",
        "the version alone": b"v1",
        "nothing after the comma": b"v1,",
        "no comma": b"v1" + encoded,
        "an equals sign for the comma": b"v1=" + encoded,
        "two commas": b"v1,," + encoded,
        "a space after the comma": b"v1, " + encoded,
        "a comma at the end": right + b",",
        "no version": encoded,
        "an empty version": b"," + encoded,
        "version v1a": b"v1a," + encoded,
        "version v2": b"v2," + encoded,
        "version v0": b"v0," + encoded,
        "version V1": b"V1," + encoded,
        "version 1": b"1," + encoded,
        "version v1 after a NUL": b"\x00" + right,
        "no padding": right.rstrip(b"="),
        "more padding": right + b"=",
        "only padding": b"v1," + b"=" * 44,
        "text after it": right + b"AAAA",
        "a semicolon after it": right + b";",
        "its last character missing": right[:-2],
        "its first character changed": b"v1," + (b"B" if encoded[:1] == b"A" else b"A") + encoded[1:],
        "its letters' case swapped": b"v1," + encoded.swapcase(),
        "in quotes": b'"' + right + b'"',
        "separated by commas": b"v1,AAAA," + right,
        "separated by a tab": b"v1,AAAA\t" + right,
        "on two lines": right[:20] + b"\n" + right[20:],
        "with a NUL inside": right[:20] + b"\x00" + right[20:],
        "percent-encoded": right.replace(b"=", b"%3D"),
        "not base64": b"v1,!!!!",
        "one character of base64": b"v1,A",
        "zeros": b"v1," + base64.b64encode(bytes(32)),
        "None": b"v1,None",
        "JSON": b'{"v1":"' + encoded + b'"}',
        "not UTF-8": b"v1,\xff\xfe" + encoded,
        "UTF-8": "v1,é".encode() + encoded,
        "of 30,000 characters": b"v1," + b"A" * 30_000,
    }


def _over_something_else(key: bytes, timestamp: bytes) -> dict[str, bytes]:
    one_later = b"%d" % (int(timestamp) + 1)
    contents = {
        "another body": b".".join((MESSAGE_ID, timestamp, b'{"event":"flow.updated"}')),
        "a body of the same JSON": b".".join((MESSAGE_ID, timestamp, BODY.replace(b":", b": "))),
        "a line feed after the body": b".".join((MESSAGE_ID, timestamp, BODY + b"\n")),
        "a byte order mark before the body": b".".join((MESSAGE_ID, timestamp, b"\xef\xbb\xbf" + BODY)),
        "an empty body": b".".join((MESSAGE_ID, timestamp, b"")),
        "another id": b".".join((b"msg_other", timestamp, BODY)),
        "an id in other case": b".".join((MESSAGE_ID.lower(), timestamp, BODY)),
        "another timestamp": b".".join((MESSAGE_ID, one_later, BODY)),
        "the body alone": BODY,
        "the body and timestamp alone": timestamp + b"." + BODY,
        "the body and id alone": MESSAGE_ID + b"." + BODY,
        "the parts without full stops": MESSAGE_ID + timestamp + BODY,
        "the parts in another order": b".".join((timestamp, MESSAGE_ID, BODY)),
        "nothing": b"",
    }
    return {
        f"over {name}": _encode(hmac.new(key, content, hashlib.sha256).digest()) for name, content in contents.items()
    }


def _of_another_algorithm(key: bytes, timestamp: bytes) -> dict[str, bytes]:
    content = b".".join((MESSAGE_ID, timestamp, BODY))
    digest = hmac.new(key, content, hashlib.sha256).digest()
    signatures = {
        "in hexadecimal": digest.hex().encode(),
        "in base32": base64.b32encode(digest),
        "encoded twice": base64.b64encode(base64.b64encode(digest)),
        "cut to 16 bytes": base64.b64encode(digest[:16]),
        "of SHA-1": base64.b64encode(hmac.new(key, content, hashlib.sha1).digest()),
        "of SHA-512": base64.b64encode(hmac.new(key, content, hashlib.sha512).digest()),
        "of SHA-256 without a key": base64.b64encode(hashlib.sha256(content).digest()),
        "of SHA-256 over key and content": base64.b64encode(hashlib.sha256(key + content).digest()),
    }
    return {name: b"v1," + signature for name, signature in signatures.items()}


def _with_another_key(key: bytes, timestamp: bytes) -> dict[str, bytes]:
    secret = b"whsec_" + base64.b64encode(key)
    keys = {
        "another key": b"of somebody else, 24 byte",
        "no key": b"",
        "the secret as text": secret,
        "the secret as text without its prefix": secret.removeprefix(b"whsec_"),
        "half the key": key[: len(key) // 2],
    }
    return {f"with {name}": signature_of(other_key, MESSAGE_ID, timestamp, BODY) for name, other_key in keys.items()}


def _encode(digest: bytes) -> bytes:
    return b"v1," + base64.b64encode(digest)
