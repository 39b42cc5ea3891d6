"""All flows and users, in memory."""

import uuid
from dataclasses import replace
from datetime import datetime
from random import Random

from simulator.errors import not_found
from simulator.world import invented_people
from simulator.world.apps import SIMULATED_APP_ID
from simulator.world.flow import Flow
from simulator.world.user import User, UserStatus


class World:
    """Flows and users by id, oldest first. `merged` maps the id of a merged user to the user it was merged into."""

    def __init__(self, random: Random) -> None:
        self.flows: dict[str, Flow] = {}
        self.users: dict[str, User] = {}
        self.merged: dict[str, str] = {}
        self._random = random

    def clear(self) -> None:
        """Delete everything. The random source is not reset, so no id repeats."""
        self.flows.clear()
        self.users.clear()
        self.merged.clear()

    def new_id(self) -> str:
        """A new random UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def flow(self, flow_id: str) -> Flow:
        """The flow with that id.

        Raises:
            RefusalError: there is none.
        """
        flow = self.flows.get(flow_id)
        if flow is None:
            raise not_found("Flow not found")
        return flow

    def user(self, user_id: str) -> User:
        """The user with that id. Merged users are not found.

        Raises:
            RefusalError: there is none.
        """
        user = self.users.get(user_id)
        if user is None:
            raise not_found("User not found")
        return user

    def save_flow(self, flow: Flow, *, now: datetime) -> Flow:
        """Add or replace a flow. A replaced flow keeps its place in the order."""
        self.flows[flow.id] = saved = replace(flow, updated_at=now)
        return saved

    def save_user(self, user: User) -> User:
        """Add or replace a user."""
        self.users[user.id] = user
        return user

    def final_user_id(self, user_id: str) -> str:
        """The id of the user that this one was merged into, after any number of merges."""
        while user_id in self.merged:
            user_id = self.merged[user_id]
        return user_id

    def invent_user(
        self, *, status: UserStatus, now: datetime, user_id: str | None = None, api_app_id: str = SIMULATED_APP_ID
    ) -> User:
        """Add a user with invented personal data."""
        person = invented_people.invent(self._random)
        return self.save_user(
            User(
                id=user_id or self.new_id(),
                created_at=now,
                first_name=person.first_name,
                last_name=person.last_name,
                email=person.email,
                phone_number=person.phone_number,
                status=status,
                api_app_id=api_app_id,
            )
        )
