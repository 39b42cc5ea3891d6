"""The table of the comparison: one row for each query or pass."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.growth_timing import Timing


@dataclass(frozen=True, kw_only=True)
class Row:
    """The cost of one query or pass; `ratio` is how many times more it costs on the grown database.

    `timings` are those of the empty and of the grown database, if it was times that were compared.
    """

    name: str
    empty: str
    grown: str
    ratio: float | None
    timings: tuple[Timing, ...] = ()

    @property
    def ratio_shown(self) -> str:
        """The ratio of the medians and, in parentheses, of the fastest: other work on the machine slows it less."""
        if self.ratio is None:
            return ""
        if not self.timings:
            return f"{self.ratio:,.1f}"
        empty, grown = self.timings
        return f"{self.ratio:,.1f} ({grown.fastest_milliseconds / empty.fastest_milliseconds:,.1f})"

    @classmethod
    def of_timings(cls, name: str, empty: Timing, grown: Timing) -> "Row":
        """Compare two times. If one of them is a failure, the true ratio is at least this one."""
        ratio = grown.median_milliseconds / empty.median_milliseconds
        return cls(name=name, empty=str(empty), grown=str(grown), ratio=ratio, timings=(empty, grown))

    @classmethod
    def of_rates(cls, name: str, empty: float, grown: float) -> "Row":
        """Compare two rates per second. A higher rate is better."""
        return cls(name=name, empty=f"{empty:,.0f}/s", grown=f"{grown:,.0f}/s", ratio=empty / grown if grown else None)

    @classmethod
    def of_counts(cls, name: str, empty: float, grown: float) -> "Row":
        """Compare two counts. There is no ratio to 0."""
        return cls(name=name, empty=f"{empty:,.0f}", grown=f"{grown:,.0f}", ratio=grown / empty if empty else None)


def markdown(rows: Sequence[Row]) -> str:
    """Return a Markdown table, ready for `docs/performance.md`."""
    lines = ["| query or pass | empty | grown | ratio (of the fastest) |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.empty} | {row.grown} | {row.ratio_shown} |" for row in rows]
    return "\n".join(lines)
