from bench import growth_table
from bench.growth_table import Row
from bench.growth_timing import Timing


def timing(milliseconds: float, failure: str | None = None) -> Timing:
    """A timing with this median."""
    return Timing(
        median_milliseconds=milliseconds,
        fastest_milliseconds=milliseconds,
        slowest_milliseconds=milliseconds,
        repetitions=1,
        failure=failure,
    )


def test_ratio_says_how_many_times_worse_the_grown_database_is() -> None:
    """More time and a lower rate both give a ratio above 1. A ratio to 0 does not exist."""
    assert Row.of_timings("timeline", timing(5), timing(65)).ratio == 13
    assert Row.of_rates("receive", 4800, 3000).ratio == 1.6
    assert Row.of_counts("rows", 0, 16).ratio is None


def test_table_is_markdown_that_shows_failures() -> None:
    """The table has one line for each row."""
    rows = [
        Row.of_timings("webhooks by state", timing(4), timing(10_000, "503")),
        Row.of_counts("rows it updates", 0, 16),
    ]

    assert growth_table.markdown(rows).splitlines() == [
        "| query or pass | empty | grown | ratio (of the fastest) |",
        "|---|---|---|---|",
        "| webhooks by state | 4.0 ms | 503 after 10,000.0 ms | 2,500.0 (2,500.0) |",
        "| rows it updates | 0 | 16 |  |",
    ]
