"""The api and the worker exclude the objects of their start from garbage collection."""

import asyncio

from tests.stack.processes import empty_stack

_RUN = """
import gc
import os
import sys
import uvloop
from app import logs, settings
from app.processes import api, worker
found = settings.read(os.environ)
logs.configure(log_format=found.log_format, log_level=found.log_level)
uvloop.run({coroutine})
sys.exit(0 if gc.get_freeze_count() > 50_000 else 3)
"""
API = "api.serve(found, host='127.0.0.1', port=0, with_worker=False)"
WORKER = "worker.work(found)"


async def test_collections_skip_what_the_start_has_made(database_url: str) -> None:
    """A full collection does not spend time on the modules, routes and schemas of the process."""
    async with empty_stack(database_url, DOTS_API_URL="http://127.0.0.1:9/api") as stack:
        async with asyncio.TaskGroup() as starting:
            api = starting.create_task(stack.start_python(_RUN.format(coroutine=API), name="api", ready='"listening"'))
            worker = starting.create_task(
                stack.start_python(_RUN.format(coroutine=WORKER), name="worker", ready='"worker started"')
            )
        processes = [api.result(), worker.result()]
        for process in processes:
            process.ask_to_end()

        assert [await process.exit_status() for process in processes] == [0, 0]
