"""What a deliberate defect is: a small change of text in the product, and the campaign that must catch it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patch:
    """In `file`, `old` stands exactly once and becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class PlantedBug:
    """A defect and who has to find it; `breaks` are the invariants of which at least one must be named."""

    name: str
    campaign: str
    breaks: tuple[str, ...]
    patches: tuple[Patch, ...]
