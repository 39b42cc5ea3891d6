"""The figures of a benchmark, and their table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import LoadResult


@dataclass(frozen=True, kw_only=True)
class Round:
    """One receiver under load once; `stored_once` counts its acknowledged webhooks that are one row each."""

    receiver: str
    number: int
    load: LoadResult
    stored_once: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The medians of one receiver over all rounds, and the range of its rates."""

    receiver: str
    acknowledged: int
    stored_once: int
    per_second: float
    per_second_lowest: float
    per_second_highest: float
    p50_milliseconds: float
    p99_milliseconds: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How many times the rate of a baseline the service has, in each round; `goal` is the least it must have."""

    baseline: str
    goal: float
    by_round: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.by_round)

    def __str__(self) -> str:
        lowest, highest = min(self.by_round), max(self.by_round)
        return f"{self.ratio:.2f} x the {self.baseline} ({lowest:.2f} to {highest:.2f}); goal {self.goal:g}"


def figures_of(receiver: str, played: Sequence[Round]) -> Figures:
    """Sum up the rounds of one receiver, of which there is at least one."""
    rounds = [each for each in played if each.receiver == receiver]
    loads = [each.load for each in rounds]
    rates = [load.acknowledged / load.seconds for load in loads]
    return Figures(
        receiver=receiver,
        acknowledged=sum(load.acknowledged for load in loads),
        stored_once=sum(each.stored_once for each in rounds),
        per_second=statistics.median(rates),
        per_second_lowest=min(rates),
        per_second_highest=max(rates),
        p50_milliseconds=statistics.median(load.p50_milliseconds for load in loads),
        p99_milliseconds=statistics.median(load.p99_milliseconds for load in loads),
    )


def ratios(baseline: str, compared: str, played: Sequence[Round]) -> list[float]:
    """Return, for each round, how many times the baseline's rate the other receiver had in that same round.

    Other work on the machine affects both receivers of a round alike, but makes the rates of a whole run vary.
    """
    rates = {(each.receiver, each.number): each.load.acknowledged / each.load.seconds for each in played}
    numbers = sorted({each.number for each in played})
    return [rates[compared, number] / rates[baseline, number] for number in numbers]


def table(figures: Sequence[Figures]) -> str:
    """Return a Markdown table, one row a receiver, ready for `bench/README.md`."""
    lines = [
        "| receiver | acknowledged/s, median (min to max) | p50 ms | p99 ms | acknowledged | stored exactly once |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.receiver} | {each.per_second:,.0f} ({each.per_second_lowest:,.0f} to {each.per_second_highest:,.0f}) "
        f"| {each.p50_milliseconds:.1f} | {each.p99_milliseconds:.1f} | {each.acknowledged:,} | {each.stored_once:,} |"
        for each in figures
    ]
    return "\n".join(lines)
