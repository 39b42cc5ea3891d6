import pytest

from app.dots.app_ids import AppIds

OWN = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
FOREIGN = "33333333-3333-4333-8333-333333333333"

BOTH: dict[str, str | None] = {"default": OWN, "eu": OTHER}
CASES: list[tuple[dict[str, str | None], str, str | None, str | None]] = [
    # The id decides, whichever of our endpoints the webhook came to.
    (BOTH, "default", OWN, "default"),
    (BOTH, "default", OTHER, "eu"),
    (BOTH, "eu", OWN, "default"),
    # Without an id the endpoint decides.
    (BOTH, "default", None, "default"),
    (BOTH, "eu", None, "eu"),
    # An app that is not in the settings.
    (BOTH, "default", FOREIGN, None),
    (BOTH, "eu", FOREIGN, None),
    ({"default": OWN}, "default", FOREIGN, None),
    # If the endpoint's own app has no usable id, an unknown id is ignored.
    ({}, "default", FOREIGN, "default"),
    ({"default": None, "eu": OTHER}, "default", FOREIGN, "default"),
    ({"default": "default", "eu": OTHER}, "default", FOREIGN, "default"),
    ({"default": "my-app", "eu": OTHER}, "default", FOREIGN, "default"),
    ({"default": "not an id", "eu": OTHER}, "default", FOREIGN, "default"),
    # A known id still decides.
    ({"default": None, "eu": OTHER}, "default", OTHER, "eu"),
    ({"default": "default", "eu": OTHER}, "default", OTHER, "eu"),
    ({"default": None, "eu": "my-app"}, "default", "my-app", "eu"),
    # `default` is not an id: it means another app in each organization.
    ({"default": OWN, "eu": "default"}, "default", "default", "default"),
    ({"default": None, "eu": "default"}, "default", "default", "default"),
    ({"default": OWN}, "default", "my-app", "default"),
    # Settings may use any spelling of an id.
    ({"default": OWN.upper(), "eu": OTHER.replace("-", "")}, "default", OTHER, "eu"),
    ({"default": OWN.upper(), "eu": OTHER.replace("-", "")}, "eu", OWN, "default"),
    # If an app has two names, the endpoint's own name comes first.
    ({"default": OWN, "eu": OWN}, "eu", OWN, "eu"),
    ({"default": None, "us": OWN, "eu": OWN}, "default", OWN, "us"),
]


@pytest.mark.parametrize(("configured", "endpoint_app", "api_app_id", "expected"), CASES)
def test_api_app_id_decides_the_app(
    configured: dict[str, str | None], endpoint_app: str, api_app_id: str | None, expected: str | None
) -> None:
    """An organization's endpoint receives webhooks of several apps. Only the id tells which app it is."""
    assert AppIds(configured).app_of(endpoint_app, api_app_id) == expected
