"""Dots in memory. Payees act immediately, and the next answer may be lost, late or wrong."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.dots.memory_dots import MemoryDots, refusal

FAULTS = ("cut", "lost", "refused", "throttled", "failed", "junk")


@dataclass(kw_only=True)
class VirtualDots(MemoryDots):
    """`next_fault` befalls the next request: `lost` does the work and never answers, `late` does it only in `catch_up`.

    The others do nothing. While it `is_forgetful`, answers omit the first of a flow's completed steps.
    """

    next_fault: str | None = None
    is_forgetful: bool = False
    late: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as Dots would, or with the fault."""
        fault, self.next_fault = self.next_fault, None
        if fault == "cut":
            raise httpx.ReadError("cut")
        if fault == "refused":
            raise httpx.ConnectError("refused")
        if fault == "throttled":
            return refusal(429, "resource-busy", headers={"Retry-After": "3"})
        if fault == "failed":
            return refusal(503, "service-unavailable")
        if fault == "late":
            self.requests.append(request)
            self.late.append(request)
            raise httpx.ReadTimeout("late")
        answer = await super().__call__(request)
        if fault == "lost":
            raise httpx.ReadTimeout("lost")
        return httpx.Response(200, text="<html>") if fault == "junk" else answer

    def catch_up(self, request: httpx.Request) -> None:
        """Carry out the late requests, whose callers have given up waiting."""
        self.late.remove(request)
        self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = super()._answer(request)
        if not self.is_forgetful or request.method != "GET":
            return answer
        body = answer.json()
        if not body.get("completed_steps"):
            return answer
        return httpx.Response(200, json=body | {"completed_steps": body["completed_steps"][1:]})

    def walk(self, flow_id: str, user_id: str) -> None:
        """A payee takes a flow, or finishes its next step."""
        flow = self.flows[flow_id]
        if flow["user_id"] is None:
            if user_id not in self.users:
                self.add_user(user_id)
            flow["user_id"] = user_id
            return
        step = next((step for step in flow["steps"] if step not in flow["completed_steps"]), None)
        if step is None:
            return
        flow["completed_steps"] = [*flow["completed_steps"], step]
        compliance = self.users[flow["user_id"]]["compliance"]
        if step == "id-verification":
            compliance["id_verified"] = True
        if step == "background-check":
            compliance.setdefault("background_check", {"status": "pending"})

    def decide(self, user_id: str, verdict: str) -> bool:
        """Settle or reverse the verdict of a submitted background check. Returns whether there was one."""
        compliance: dict[str, Any] = self.users[user_id]["compliance"]
        if "background_check" not in compliance:
            return False
        compliance["background_check"] = {"status": "pass" if verdict == "cleared" else "failed"}
        compliance["has_criminal_activity"] = verdict == "flagged"
        return True
