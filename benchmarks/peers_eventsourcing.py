"""eventsourcing: one aggregate a household, its events in the library's own SQLite recorder.

Aggregates stay in the library's cache between steps, as in a service that runs for long. There is
no table that could be asked what is due, so it does no sweep.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from peers import FIRST, ROUTE, Act, Peer

CACHED = 2_000_000
_PAGE = 2_000


class Household(Aggregate):
    """A household; its state moves by its events."""

    @event("Registered")
    def __init__(self, code: str) -> None:
        self.code = code
        self.state = str(FIRST)
        self.last = ""

    @staticmethod
    def create_id(code: str) -> UUID:
        """The aggregate's id is made from the household's code."""
        return uuid5(NAMESPACE_URL, code)

    def take(self, act: Act) -> None:
        """A step if it starts here, or a fact."""
        if act.kind in ROUTE and ROUTE[act.kind][0] != self.state:
            raise SystemExit(f"{act.kind} does not start from {self.state}")
        target = str(ROUTE[act.kind][1]) if act.kind in ROUTE else self.state
        self.done(act.kind, target, act.day.isoformat(), act.actor, act.evidence)

    @event("Done")
    def done(self, kind: str, target: str, day: str, actor: str, evidence: str) -> None:
        """What happened."""
        self.state = target
        self.last = f"{kind} {day} {actor} {len(evidence)}"


class Eventsourcing(Peer):
    """The library's application object, with its cache."""

    name = "eventsourcing"
    sweeps = False

    def open(self, file: Path) -> None:
        self._app = Application(
            env={
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "SQLITE_DBNAME": str(file),
                "AGGREGATE_CACHE_MAXSIZE": str(CACHED),
                "AGGREGATE_CACHE_FASTFORWARD": "n",
                "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
            }
        )

    def register(self, codes: Sequence[str], rungs: Mapping[str, date]) -> None:
        self._app.save(*(Household(code=code) for code in codes))

    def act(self, act: Act) -> None:
        household = self._app.repository.get(Household.create_id(act.code))
        household.take(act)
        self._app.save(household)

    def act_all(self, acts: Sequence[Act]) -> None:
        households = {
            act.code: self._app.repository.get(Household.create_id(act.code)) for act in acts
        }
        for act in acts:
            households[act.code].take(act)
        self._app.save(*households.values())

    def sweep(self, today: date, next_on: date) -> int:
        raise NotImplementedError

    def replay(self) -> int:
        found: dict[UUID, Household] = {}
        number, start = 0, 0
        while page := self._app.recorder.select_notifications(
            start, _PAGE, inclusive_of_start=False
        ):
            for stored in page:
                happened = self._app.mapper.to_domain_event(stored)
                household = happened.mutate(found.get(stored.originator_id))
                found[stored.originator_id] = household
                number += stored.originator_version > 1
            start = page[-1].id
        return number

    def close(self) -> None:
        self._app.close()
