"""The rows of the table about passes whose plans Postgres makes without statistics, as after a restore.

Postgres then takes the rows that wait for many, and on a grown database such plans are expensive enough for JIT.
"""

from collections.abc import AsyncIterator

from bench import growth_passes
from bench.growth_passes import Pass
from bench.growth_place import Place
from bench.growth_table import Row
from bench.growth_timing import timed

PASSES: dict[str, Pass] = {
    "claim pass, nothing due, without statistics": Pass(run=growth_passes.refresh),
    "sequencer's pass, nothing new, without statistics": Pass(run=growth_passes.sequence),
    "delivery pass, nothing due, without statistics": Pass(run=growth_passes.deliver),
    "delivery pass, 8 deliveries sent, without statistics": Pass(
        run=growth_passes.deliver, prepare=growth_passes.make_deliverable
    ),
}


async def rows(empty: Place, grown: Place, *, only: str) -> AsyncIterator[Row]:
    """Time the passes whose name contains `only` without statistics, and gather these again at the end."""
    chosen = {name: each for name, each in PASSES.items() if only in name}
    if not chosen:
        return
    for place in (empty, grown):
        while await growth_passes.deliver(place):
            pass
        await place.execute(
            "DELETE FROM pg_statistic WHERE starelid IN "
            "(SELECT oid FROM pg_class WHERE relnamespace = CAST(current_schema() AS regnamespace))"
        )
        # Connections that are open keep the plans they have made.
        await place.tools.engine.dispose()
    for name, each in chosen.items():
        yield Row.of_timings(name, *await timed(each.on(empty), each.on(grown)))
    for place in (empty, grown):
        await place.execute("ANALYZE")
        await place.tools.engine.dispose()
