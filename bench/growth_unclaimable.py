"""The rows of the table about claim passes that must skip many due rows."""

from collections.abc import AsyncIterator, Awaitable, Callable

from bench import growth_passes
from bench.growth_passes import Pass
from bench.growth_settings import PAUSED_APP, SECOND_APP
from bench.growth_table import Row
from bench.growth_target import Target
from bench.growth_timing import timed

COUNT = 10_000
COUNTED_PASSES = 10
COUNTED_TABLES = ("sync_rows", "apps")


async def rows(empty: Target, grown: Target, *, only: str) -> AsyncIterator[Row]:
    """Compare passes that have nothing before them on the empty database with passes past such rows on the grown."""
    obstacles: list[tuple[str, str, Callable[[Target], Awaitable[None]]]] = [
        (f"claim pass, {COUNT:,} due rows of a paused app", PAUSED_APP, _pause),
        (f"claim pass, {COUNT:,} due rows and the budget spent", SECOND_APP, _spend),
    ]
    refresh = Pass(run=growth_passes.refresh)
    for name, app, obstruct in obstacles:
        if only not in name:
            continue
        await obstruct(grown)
        await grown.execute(
            "INSERT INTO sync_rows (app, kind, subject_id, due_at, due_by, dirty_gen) "
            "SELECT CAST(:app AS text), 'flow', 'unclaimable-' || n, now() - interval '1 hour', 'webhook', 1 "
            "FROM generate_series(1, CAST(:count AS integer)) AS n",
            app=app,
            count=COUNT,
        )
        await grown.execute("ANALYZE sync_rows")
        yield Row.of_timings(name, *await timed(refresh.on(empty), refresh.on(grown)))
        yield Row.of_counts("… rows it updates", await _updates(empty), await _updates(grown))
        await grown.execute("DELETE FROM sync_rows WHERE starts_with(subject_id, 'unclaimable-')")
        await grown.execute("DELETE FROM apps WHERE app = :app", app=app)
        await grown.execute("VACUUM ANALYZE sync_rows")


async def _pause(target: Target) -> None:
    """Let Dots refuse the app's credentials."""
    await target.execute(
        "INSERT INTO apps (app, paused_until, pauses) VALUES (:app, now() + interval '1 hour', 1) "
        "ON CONFLICT (app) DO UPDATE SET paused_until = excluded.paused_until, pauses = 1",
        app=PAUSED_APP,
    )


async def _spend(target: Target) -> None:
    """Empty the app's budget of calls to Dots, without a refill within the next hour."""
    await target.execute(
        "INSERT INTO apps (app, tokens, tokens_at) VALUES (:app, 0, now() + interval '1 hour') "
        "ON CONFLICT (app) DO UPDATE SET tokens = 0, tokens_at = excluded.tokens_at",
        app=SECOND_APP,
    )


async def _updates(target: Target) -> float:
    """Return how many rows one claim pass updates, counted by triggers because statistics come late."""
    await target.execute("CREATE SEQUENCE bench_updates")
    await target.execute(
        "CREATE FUNCTION bench_count() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM nextval('bench_updates'); RETURN NULL; END $$"
    )
    for table in COUNTED_TABLES:
        await target.execute(
            f"CREATE TRIGGER bench_count AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION bench_count()"
        )
    for _ in range(COUNTED_PASSES):
        await growth_passes.refresh(target)
    # The first number that a sequence gives is 1.
    updates = int(await target.scalar("SELECT nextval('bench_updates') - 1"))
    for table in COUNTED_TABLES:
        await target.execute(f"DROP TRIGGER bench_count ON {table}")
    await target.execute("DROP FUNCTION bench_count()")
    await target.execute("DROP SEQUENCE bench_updates")
    return updates / COUNTED_PASSES
