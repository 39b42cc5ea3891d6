"""Finds the app of a webhook. An endpoint of an organization receives webhooks of several apps."""

from collections.abc import Mapping

from app.dots import fields

# Public clients send this word instead of an id. It identifies no app.
_NO_ID = "default"


class AppIds:
    """The apps in the settings by Dots' ids, as far as the ids are set."""

    def __init__(self, configured: Mapping[str, str | None]) -> None:
        """Take each app's `APP_ID`, by the app's name."""
        read = {app: fields.read_id(app_id) for app, app_id in configured.items()}
        self._ids = {app: app_id for app, app_id in read.items() if app_id not in (None, _NO_ID)}
        self._apps: dict[str | None, str] = {}
        for app, app_id in self._ids.items():
            self._apps.setdefault(app_id, app)

    def app_of(self, endpoint_app: str, api_app_id: str | None) -> str | None:
        """Return the app of a webhook that the endpoint of `endpoint_app` received; None if the settings lack it.

        Ignores an unknown `api_app_id` if the endpoint's own app has no id to compare it with. `api_app_id` comes from
        `fields.read_id`.
        """
        own = self._ids.get(endpoint_app)
        if api_app_id is None or api_app_id == own:
            return endpoint_app
        found = self._apps.get(api_app_id)
        if found is None and not (fields.is_uuid(own) and fields.is_uuid(api_app_id)):
            return endpoint_app
        return found
