"""All flows and users there are, in memory."""

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
    """Flows and users by id, oldest first; `merged` leads from the id of a merged user to the one that stayed."""

    def __init__(self, random: Random) -> None:
        self.flows: dict[str, Flow] = {}
        self.users: dict[str, User] = {}
        self.merged: dict[str, str] = {}
        self._random = random

    def clear(self) -> None:
        """Forget everything. The random stream goes on, so that no id ever comes twice."""
        self.flows.clear()
        self.users.clear()
        self.merged.clear()

    def new_id(self) -> str:
        """A random UUID that nothing carries yet."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def flow(self, flow_id: str) -> Flow:
        """The flow of that id.

        Raises:
            RefusalError: there is none.
        """
        flow = self.flows.get(flow_id)
        if flow is None:
            raise not_found("Flow not found")
        return flow

    def user(self, user_id: str) -> User:
        """The user of that id, merged ones not among them.

        Raises:
            RefusalError: there is none.
        """
        user = self.users.get(user_id)
        if user is None:
            raise not_found("User not found")
        return user

    def save_flow(self, flow: Flow, *, now: datetime) -> Flow:
        """Keep this state of a flow, in its old place when it had one."""
        self.flows[flow.id] = saved = replace(flow, updated_at=now)
        return saved

    def save_user(self, user: User) -> User:
        """Keep this state of a user."""
        self.users[user.id] = user
        return user

    def final_user_id(self, user_id: str) -> str:
        """The id of the user that stayed, where this one was merged, perhaps several times."""
        while user_id in self.merged:
            user_id = self.merged[user_id]
        return user_id

    def invent_user(
        self, *, status: UserStatus, now: datetime, user_id: str | None = None, api_app_id: str = SIMULATED_APP_ID
    ) -> User:
        """Add a user who has invented personal data and nothing else yet."""
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
