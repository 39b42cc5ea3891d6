"""A Hypothesis state machine: callers, payees, webhooks, workers and the clock take steps in any order.

In one process, on a real Postgres, with Dots in memory and a clock set by hand. Workers claim, fetch and apply in
separate steps, so that anything may happen in between. Some workers never finish.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any, ClassVar, TypeVar

import asyncpg
import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.errors import DotsError, GatewayError
from app.feed import sequence_events
from app.flows import refresh_due, settle_refresh
from app.flows.rules.flow_request import FlowRequest
from app.flows.settle_refresh import FencedError
from app.storage import database
from app.storage.subjects import Kind, Subject
from app.subscriptions import delivery_rows
from app.webhooks.webhook_rows import Webhook
from tests.all_inputs import HandClock, inputs_over
from tests.faults.campaigns import in_process, machine_world, server
from tests.faults.campaigns.history import Asked, Decided, Sent
from tests.faults.campaigns.machine_world import Begun, Ground, World
from tests.faults.campaigns.options import Campaign, Outcome, RunOptions
from tests.faults.campaigns.virtual_dots import FAULTS, VirtualDots
from tests.flows.creating import create

STEPS = ("compliance", "id-verification", "background-check", "payout", "redirect")
STEP_COUNT = 50
KEYS, FIRST_FLOWS = 6, 2
# An open flow is refreshed daily for thirty days, a pending verdict for seven. A run must not last longer.
LONGEST = timedelta(days=4)
Result = TypeVar("Result")
indexes = st.integers(min_value=0, max_value=31)


class Machine(RuleBasedStateMachine):
    """The gateway and everything around it."""

    ground: ClassVar[Ground]
    runs: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        """Begin with an empty database."""
        type(self).runs += 1
        clock, dots = HandClock(), VirtualDots()
        self.world = World(inputs=inputs_over(self.ground.engine, clock, {"default": dots}), clock=clock, dots=dots)
        self._do(machine_world.empty(self.ground.engine))
        for key in range(FIRST_FLOWS):
            self.create(key, None)
            self.walk_and_refresh(key, key)

    @rule(key=st.integers(0, KEYS - 1), fault=st.sampled_from((None, *FAULTS)))
    def create(self, key: int, fault: str | None) -> None:
        """A caller asks for the flow of a key, perhaps repeatedly. Dots may fail."""
        world, dice = self.world, Random(key)  # the key determines the request
        steps = dice.sample(STEPS[:4], dice.randint(1, 3))
        user_id = machine_world.user(key) if key % 2 else None
        if user_id and user_id not in world.dots.users:
            world.dots.add_user(user_id)
        request = FlowRequest(app="default", steps=steps, user_id=user_id, reference=f"payee-{key}")
        world.dots.next_fault = fault
        flow_id = None
        try:
            made = self._do(create(world.inputs, request, caller="machine", key=f"key-{key}"))
            flow_id = made.answer["id"]
        except GatewayError:
            pass
        world.dots.next_fault = None
        world.timeline.asked.append(Asked(key=f"key-{key}", status=None, flow_id=flow_id, has_user=user_id is not None))

    @precondition(lambda self: self.world.dots.flows)
    @rule(index=indexes, payee=st.integers(0, machine_world.PAYEES - 1), is_reported=st.booleans())
    def walk(self, index: int, payee: int, is_reported: bool) -> None:  # noqa: FBT001  # Hypothesis hands it over by name
        """A payee opens the link of a flow, or finishes its next step. There may be a webhook about it."""
        flow_id = self._flow(index)
        self.world.dots.walk(flow_id, machine_world.user(payee))
        if is_reported:
            self._tell("flow", flow_id)

    @rule(is_forgetful=st.booleans())
    def forget(self, is_forgetful: bool) -> None:  # noqa: FBT001  # Hypothesis hands it over by name
        """Dots omits, for a while, a step that it reported before."""
        self.world.dots.is_forgetful = is_forgetful

    @precondition(lambda self: self.world.dots.users)
    @rule(payee=indexes, verdict=st.sampled_from(("cleared", "flagged")))
    def decide(self, payee: int, verdict: str) -> None:
        """A background check is decided or reversed, with a webhook."""
        users = list(self.world.dots.users)
        user_id = users[payee % len(users)]
        if self.world.dots.decide(user_id, verdict):
            self.world.timeline.decided.append(Decided(user_id=user_id, verdict=verdict))
            self._tell("user", user_id)

    @precondition(lambda self: self.world.timeline.sent)
    @rule(index=indexes)
    def repeat_webhook(self, index: int) -> None:
        """Svix sends a message again."""
        sent = self.world.timeline.sent[index % len(self.world.timeline.sent)]
        kind: Kind = "flow" if sent.body in self.world.dots.flows else "user"
        self._store(sent.message_id, kind, sent.body)

    @rule(limit=st.integers(1, 3))
    def claim_due(self, limit: int) -> None:
        """A worker claims what is due."""
        self.world.begun += [Begun(claim=claim) for claim in self._do(machine_world.claim(self.world, limit))]

    @precondition(lambda self: self.world.begun)
    @rule(index=indexes, fault=st.sampled_from((None, None, None, *FAULTS)))
    def fetch(self, index: int, fault: str | None) -> None:
        """Dots answers a worker, or fails and the worker records the failure."""
        begun = self._begun(index)
        self.world.dots.next_fault = fault
        try:
            permit = self._do(self.world.inputs.clients.of("default").gate.take_one())
            begun.snapshot = self._do(refresh_due.fetch(self.world.inputs, begun.claim.subject, permit))
        except DotsError as error:
            self.world.begun.remove(begun)
            self._do(settle_refresh.note_failure(self.world.inputs, begun.claim, error))
        self.world.dots.next_fault = None

    @precondition(lambda self: any(begun.snapshot for begun in self.world.begun))
    @rule(index=indexes)
    def apply(self, index: int) -> None:
        """A worker stores Dots' answer, however old it is."""
        reported = [begun for begun in self.world.begun if begun.snapshot]
        begun = reported[index % len(reported)]
        self.world.begun.remove(begun)
        if begun.snapshot:
            with suppress(FencedError):
                self._do(settle_refresh.store(self.world.inputs, begun.claim, begun.snapshot))

    @precondition(lambda self: self.world.begun)
    @rule(index=indexes)
    def die(self, index: int) -> None:
        """A worker dies with what it had claimed."""
        self.world.begun.remove(self._begun(index))

    @rule(limit=st.integers(1, 8))
    def refresh(self, limit: int) -> None:
        """A worker makes a whole pass."""
        self._do(refresh_due.refresh_due(self.world.inputs, limit=limit))

    @precondition(lambda self: self.world.dots.flows)
    @rule(index=indexes, payee=st.integers(0, machine_world.PAYEES - 1))
    def walk_and_refresh(self, index: int, payee: int) -> None:
        """Without faults: a payee does something, Dots sends a webhook, a worker refreshes."""
        self.walk(index, payee, is_reported=True)
        self.refresh(8)

    @rule()
    def sequence(self) -> None:
        """A sequencer makes a pass."""
        self._do(sequence_events.sequence_events(self.world.inputs, delivery_rows, limit=3))

    @rule()
    def discover(self) -> None:
        """A worker searches Dots' list, and settles the creations that it can."""
        self._do(machine_world.discover(self.world.inputs))

    @rule(index=indexes, limit=st.integers(1, 5))
    def read(self, index: int, limit: int) -> None:
        """A consumer reads a page from any earlier cursor."""
        cursors = self.world.cursors
        page = self._do(in_process.read_page(self.ground.engine, cursors[index % len(cursors)], limit=limit))
        self.world.timeline.pages.append(page)
        cursors.append(page.next_cursor)

    @rule(seconds=st.sampled_from((1, 5, 31, 70, 400, 2000, 8000, 30_000)))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        by = timedelta(seconds=seconds)
        if self.world.advanced + by <= LONGEST:
            self.world.advanced += by
            self.world.clock.advance(by)

    @invariant()
    def progress_is_true_and_never_shrinks(self) -> None:
        """I5: every stored completion was true at Dots, and stays stored."""
        for flow_id, completed in self._do(machine_world.completed(self.ground.watcher)).items():
            assert self.world.best[flow_id] <= completed, f"I5: {flow_id} has lost a step"
            assert completed <= set(self.world.dots.flows[flow_id]["completed_steps"]), f"I5: {flow_id} is ahead"
            self.world.best[flow_id] = completed

    def teardown(self) -> None:
        """Let everything settle, then judge."""
        if not hasattr(self, "world"):
            return
        violations = self._do(machine_world.settle_and_judge(self.world, self.ground))
        assert not violations, "\n".join(violations)

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.ground.runner.run(work)

    def _flow(self, index: int) -> str:
        flows = list(self.world.dots.flows)
        return flows[index % len(flows)]

    def _begun(self, index: int) -> Begun:
        return self.world.begun[index % len(self.world.begun)]

    def _tell(self, kind: Kind, subject_id: str) -> None:
        self.world.messages += 1
        self._store(f"msg_{self.world.messages}", kind, subject_id)

    def _store(self, message_id: str, kind: Kind, subject_id: str) -> None:
        webhook = Webhook(
            app="default",
            message_id=message_id,
            received_at=self.world.clock.now,
            body=subject_id.encode(),
            event=None,
            subject=Subject(app="default", kind=kind, id=subject_id),
        )
        self._do(machine_world.store(self.ground.engine, webhook))
        self.world.timeline.sent.append(Sent(message_id=message_id, body=subject_id, status=204))


async def run_machine(options: RunOptions) -> Outcome:
    """Run it in its own thread, with its own event loop."""
    examples = options.count(200, least=20)
    async with server.running(options.directory, durable=False) as postgres:
        phases = (Phase.generate,) if options.is_short else (Phase.generate, Phase.shrink)
        violations = await asyncio.to_thread(_run, postgres.direct_url, options.seed, examples, phases)
    judged = ("I5", *machine_world.JUDGED)
    return Outcome(events=Machine.runs * STEP_COUNT, faults=0, invariants=judged, violations=violations)


def _run(database_url: str, seed: int, examples: int, phases: tuple[Phase, ...]) -> list[str]:
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=STEP_COUNT,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )
    with asyncio.Runner() as runner:
        engine = database.create_engine(database_url, pool_size=25)
        watcher = runner.run(asyncpg.connect(database_url))
        Machine.ground = Ground(runner=runner, engine=engine, database_url=database_url, watcher=watcher)
        try:
            run_state_machine_as_test(hypothesis.seed(seed)(Machine), settings=settings)
        except Exception as error:  # noqa: BLE001  # No action may raise anything here.
            said = str(error).splitlines() or [""]
            timeline = "\n".join(getattr(error, "__notes__", ()))
            is_judged = isinstance(error, AssertionError)
            return [*(said if is_judged else [f"I0: {type(error).__name__}: {said[0]}"]), timeline]
        finally:
            runner.run(watcher.close())
            runner.run(engine.dispose())
    return []


CAMPAIGN = Campaign(name="machine", summary="a Hypothesis state machine, any order of steps", run=run_machine)
