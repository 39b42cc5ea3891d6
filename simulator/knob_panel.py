"""The knobs as they stand now, how they are turned, and the dice they load."""

from collections.abc import Mapping
from random import Random
from typing import Any

from simulator.knobs import Fault, Knobs


class KnobPanel:
    """The current knobs. Delivery and faults throw separate dice, so that one cannot disturb the other."""

    def __init__(self, initial: Knobs) -> None:
        self._initial = initial
        self.current = initial
        self.delivery_dice = Random()  # noqa: S311 - simulated bad luck, not a secret
        self.fault_dice = Random()  # noqa: S311 - simulated bad luck, not a secret
        self._load_dice()

    def replace(self, knobs: Knobs) -> None:
        """Set every knob; the dice start anew when a seed is given."""
        self.current = knobs
        if knobs.seed is not None:
            self._load_dice()

    def merge(self, changes: Mapping[str, Any]) -> None:
        """Set the knobs named in `changes`, nested as in `Knobs`, and leave the others.

        Raises:
            pydantic.ValidationError: a name or value that is not one; nothing was changed.
        """
        merged = Knobs.model_validate(_merged(self.current.model_dump(), changes))
        self.current = merged
        if changes.get("seed") is not None:
            self._load_dice()

    def reset(self) -> None:
        """Back to what the simulator was started with."""
        self.replace(self._initial)

    def draw_fault(self, method: str, path: str) -> Fault | None:
        """What goes wrong with the next API call; takes it out of the queue. None: nothing."""
        faults = self.current.faults
        for position, fault in enumerate(faults.next_responses):
            if fault.befalls(method, path):
                rest = faults.next_responses[:position] + faults.next_responses[position + 1 :]
                self._set_queue(rest)
                return None if fault.kind == "none" else fault
        for fault in faults.lasting:
            if fault.befalls(method, path):
                return None if fault.kind == "none" else fault
        fault = faults.random_fault
        if fault.befalls(method, path) and self.fault_dice.random() < faults.random_fault_probability:
            return fault
        return None

    def _set_queue(self, queue: tuple[Fault, ...]) -> None:
        faults = self.current.faults.model_copy(update={"next_responses": queue})
        self.current = self.current.model_copy(update={"faults": faults})

    def _load_dice(self) -> None:
        seed = self.current.seed
        if seed is None:
            self.delivery_dice.seed()
            self.fault_dice.seed()
        else:
            self.delivery_dice.seed(f"delivery {seed}")
            self.fault_dice.seed(f"faults {seed}")


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`old` with `changes` laid over it, key by key where both hold objects."""
    result = dict(old)
    for key, value in changes.items():
        inner = result.get(key)
        both_hold_objects = isinstance(inner, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(inner, value) if both_hold_objects else value  # type: ignore[arg-type]  # just checked
    return result
