"""What a change of a JSON Schema takes away from those who rely on it, in sentences.

Knows what pydantic and our own files write: `$ref` within a document, `anyOf`, `oneOf`, types, enumerations, bounds,
properties, items. Two directions: what is *sent* must keep every promise; what is *taken* must go on being taken.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["sent", "taken"]
Schema = Mapping[str, Any]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME_OR_NONE = ("pattern", "format", "multipleOf", "uniqueItems")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two documents, within which references lead on, and which way what they describe goes."""

    old: Schema
    new: Schema
    direction: Direction
    _under_way: set[tuple[str, str]] = field(default_factory=set)

    def losses(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        """What is worse about a new schema, a sentence each; nothing when it can stand in for the old one."""
        refs = (old.get("$ref", ""), new.get("$ref", ""))
        if all(refs) and refs in self._under_way:
            return
        self._under_way.add(refs)
        old_choices, new_choices = choices(old, self.old), choices(new, self.new)
        if len(old_choices) == len(new_choices) == 1:
            yield from self._plain_losses(old_choices[0], new_choices[0], where)
        else:
            yield from self._choice_losses(old_choices, new_choices, where)
        self._under_way.discard(refs)

    def _choice_losses(self, old: list[Schema], new: list[Schema], where: str) -> Iterator[str]:
        for choice in old:
            like = [other for other in new if kind(other) == kind(choice) or self._is_wider(choice, other)]
            if like:
                yield from min((list(self._plain_losses(choice, other, where)) for other in like), key=len)
            else:
                yield f"{where} is {kind(choice)} no more"
        if self.direction == "sent":
            known = {kind(choice) for choice in old}
            # Objects of a union are told apart by a property of theirs: a reader skips those it does not know.
            for fresh in sorted({kind(choice) for choice in new} - known):
                yield f"{where} can now also be {fresh}"

    def _plain_losses(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        if kind(old) != kind(new) and not self._is_wider(old, new):
            yield f"{where} was {kind(old)} and is {kind(new)}"
            return
        yield from self._value_losses(old, new, where)
        wide, narrow = (new, old) if self.direction == "taken" else (old, new)
        yield from (f"{where} has another {name}" for name in _tighter(old=narrow, new=wide))
        if self.direction == "taken" and "default" in old and old["default"] != new.get("default"):
            yield f"{where} has another default"
        yield from self._property_losses(old, new, where)
        if "items" in old:
            yield from self.losses(old["items"], new.get("items", {}), f"{where}[]")

    def _is_wider(self, old: Schema, new: Schema) -> bool:
        """Whether the kinds differ in the direction that harms nobody."""
        narrow, wide = (old, new) if self.direction == "taken" else (new, old)
        return kind(wide) == "anything" or (kind(narrow), kind(wide)) == ("integer", "number")

    def _value_losses(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before, after = values(old), values(new)
        if before is None and after is not None and self.direction == "taken":
            yield f"{where} takes only {sorted(after)}"
        elif before is not None and after is None and self.direction == "sent":
            yield f"{where} can now be other than {sorted(before)}"
        elif before is not None and after is not None:
            yield from (f"{where} is {value} no more" for value in sorted(before - after))
            if self.direction == "sent":
                yield from (f"{where} can now also be {value}" for value in sorted(after - before))

    def _property_losses(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            if name in after:
                yield from self.losses(before[name], after[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is gone"
        if self.direction == "sent":
            missing = needed_before - needed_after
            yield from (f"{where}.{name} can now be missing" for name in sorted(missing) if name in after)
            return
        yield from (f"{where}.{name} is now required" for name in sorted(needed_after - needed_before))
        if old.get("additionalProperties", True) is not False and new.get("additionalProperties", True) is False:
            yield f"{where} takes no further properties any more"


def choices(schema: Schema, document: Schema) -> list[Schema]:
    """What a schema lets choose from, references followed; itself when there is no choice."""
    if "$ref" in schema:
        return choices(_at(document, schema["$ref"]), document)
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": name} for name in schema["type"]]
    offered = schema.get("anyOf") or schema.get("oneOf")
    return [found for each in offered for found in choices(each, document)] if offered else [schema]


def kind(schema: Schema) -> str:
    """The type of what a schema without choices describes."""
    found = schema.get("type")
    if found is None and "const" in schema:
        return "a constant"
    if found is None and "enum" in schema:
        return "one of a list"
    return str(found or "anything")


def values(schema: Schema) -> set[str] | None:
    """The only values there may be, as text; None when there is no such list."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if listed is None else {repr(value) for value in listed}


def _tighter(*, old: Schema, new: Schema) -> Iterator[str]:
    """The names of what the new schema demands beyond the old one."""
    for name in _LOWER_BOUNDS:
        if name in new and (name not in old or new[name] > old[name]):
            yield name
    for name in _UPPER_BOUNDS:
        if name in new and (name not in old or new[name] < old[name]):
            yield name
    for name in _SAME_OR_NONE:
        if name in new and new[name] != old.get(name):
            yield name


def _at(document: Schema, ref: str) -> Schema:
    found: Any = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)
