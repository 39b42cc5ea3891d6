"""The subject of a webhook or a refresh: a flow or a user of one app."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["flow", "user"]


@dataclass(frozen=True, kw_only=True, order=True)
class Subject:
    """A flow or a user. Writers lock rows in the order of subjects, so that they cannot deadlock."""

    app: str
    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"
