"""The current knobs, how they change, and the random sources they control."""

from collections.abc import Mapping
from random import Random
from typing import Any

from simulator.knobs import Fault, Knobs


class KnobPanel:
    """The current knobs. Delivery and faults have separate random sources, so that each repeats on its own."""

    def __init__(self, initial: Knobs) -> None:
        self._initial = initial
        self.current = initial
        self.delivery_random = Random()  # noqa: S311 - simulated bad luck, not a secret
        self.fault_random = Random()  # noqa: S311 - simulated bad luck, not a secret
        self._seed_random()

    def replace(self, knobs: Knobs) -> None:
        """Set every knob. A seed restarts the random sources."""
        self.current = knobs
        if knobs.seed is not None:
            self._seed_random()

    def merge(self, changes: Mapping[str, Any]) -> None:
        """Set the knobs named in `changes`, nested as in `Knobs`, and keep the others.

        Raises:
            pydantic.ValidationError: a name or value is invalid. Nothing has changed.
        """
        merged = Knobs.model_validate(_merged(self.current.model_dump(), changes))
        self.current = merged
        if changes.get("seed") is not None:
            self._seed_random()

    def reset(self) -> None:
        """Restore the knobs the simulator started with."""
        self.replace(self._initial)

    def draw_fault(self, method: str, path: str) -> Fault | None:
        """The fault of the next API call, or None. Removes it from the queue."""
        faults = self.current.faults
        for position, fault in enumerate(faults.next_responses):
            if fault.matches(method, path):
                rest = faults.next_responses[:position] + faults.next_responses[position + 1 :]
                self._set_queue(rest)
                return None if fault.kind == "none" else fault
        for fault in faults.lasting:
            if fault.matches(method, path):
                return None if fault.kind == "none" else fault
        fault = faults.random_fault
        if fault.matches(method, path) and self.fault_random.random() < faults.random_fault_probability:
            return fault
        return None

    def _set_queue(self, queue: tuple[Fault, ...]) -> None:
        faults = self.current.faults.model_copy(update={"next_responses": queue})
        self.current = self.current.model_copy(update={"faults": faults})

    def _seed_random(self) -> None:
        seed = self.current.seed
        if seed is None:
            self.delivery_random.seed()
            self.fault_random.seed()
        else:
            self.delivery_random.seed(f"delivery {seed}")
            self.fault_random.seed(f"faults {seed}")


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`old` updated with `changes`. Objects on both sides are merged key by key."""
    result = dict(old)
    for key, value in changes.items():
        inner = result.get(key)
        both_hold_objects = isinstance(inner, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(inner, value) if both_hold_objects else value  # type: ignore[arg-type]  # just checked
    return result
