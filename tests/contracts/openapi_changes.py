"""What a change of an OpenAPI document takes away from callers, in sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.contracts.schema_changes import Comparison, Direction

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class OpenapiComparison:
    """A released document, and the one of now."""

    old: Json
    new: Json

    def losses(self) -> Iterator[str]:
        """What callers of the released document miss in the one of now, a sentence each."""
        for path, operations in self.old["paths"].items():
            for method, operation in operations.items():
                name = f"{method.upper()} {path}"
                now = self.new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{name} is gone"
                else:
                    yield from (f"{name}: {loss}" for loss in self._operation_losses(operation, now))

    def _operation_losses(self, old: Json, new: Json) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield "it has another operationId, after which generated clients name their methods"
        if new.get("security") and not old.get("security"):
            yield "it needs a key now"
        yield from self._parameter_losses(old, new)
        yield from self._body_losses(old.get("requestBody"), new.get("requestBody"))
        for status, response in old.get("responses", {}).items():
            if status not in new.get("responses", {}):
                yield f"it answers {status} no more"
            else:
                now = self._resolved(self.new, new["responses"][status])
                before = self._resolved(self.old, response)
                yield from self._content_losses(before, now, f"answer {status}", "sent")

    def _parameter_losses(self, old: Json, new: Json) -> Iterator[str]:
        before, now = _parameters(old), _parameters(new)
        for name, parameter in before.items():
            if name not in now:
                yield f"parameter {name} is gone"
                continue
            if now[name].get("required") and not parameter.get("required"):
                yield f"parameter {name} is now required"
            yield from self._comparison("taken").losses(
                parameter.get("schema", {}), now[name].get("schema", {}), f"parameter {name}"
            )
        yield from (
            f"parameter {name} is new and required"
            for name, parameter in now.items()
            if name not in before and parameter.get("required")
        )

    def _body_losses(self, old: Json | None, new: Json | None) -> Iterator[str]:
        if old is None:
            if new is not None and new.get("required"):
                yield "it needs a body now"
        elif new is None:
            yield "it takes no body any more"
        else:
            if new.get("required") and not old.get("required"):
                yield "it needs a body now"
            yield from self._content_losses(old, new, "body", "taken")

    def _content_losses(self, old: Json, new: Json, where: str, direction: Direction) -> Iterator[str]:
        after = new.get("content", {})
        for media_type, media in old.get("content", {}).items():
            if media_type not in after:
                yield f"{where} is {media_type} no more"
            else:
                comparison = self._comparison(direction)
                yield from comparison.losses(media.get("schema", {}), after[media_type].get("schema", {}), where)

    def _comparison(self, direction: Direction) -> Comparison:
        return Comparison(old=self.old, new=self.new, direction=direction)

    def _resolved(self, document: Json, response: Json) -> Json:
        found: Any = response
        if "$ref" in response:
            found = document
            for part in response["$ref"].removeprefix("#/").split("/"):
                found = found[part]
        return dict(found)


def _parameters(operation: Json) -> dict[str, Json]:
    return {f"{each['name']} in {each['in']}": each for each in operation.get("parameters", [])}
