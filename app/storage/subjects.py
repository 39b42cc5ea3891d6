"""What a webhook or a refresh can be about: a flow or a user of one app."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["flow", "user"]


@dataclass(frozen=True, kw_only=True, order=True)
class Subject:
    """A flow or a user. Ordered, because rows are always locked in this order, so that no two writers deadlock."""

    app: str
    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"
