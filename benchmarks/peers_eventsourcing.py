"""eventsourcing: one aggregate a household, its events in the library's own SQLite recorder.

Aggregates stay in the library's cache between steps, as in a service that runs for long. What can
be asked by SQL, the households' rows and the files, is kept by a recorder of our own in the same
transaction, as the library's manual has it. A sweep it has none: by hand it would be the floor.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor
from peers import FIRST, ROUTE, Act, Peer

CACHED = 2_000_000
_PAGE = 2_000
_TABLES = (
    "CREATE TABLE household (code TEXT PRIMARY KEY, state TEXT, version INTEGER)",
    "CREATE TABLE file (sha256 TEXT PRIMARY KEY, content BLOB)",
)
_PUT = (
    "INSERT INTO household VALUES (?, ?, ?) ON CONFLICT (code)"
    " DO UPDATE SET state = excluded.state, version = excluded.version"
)
Row = tuple[object, ...]


class Recorder(SQLiteApplicationRecorder):
    """Keeps the households' rows and the files beside the events, in the same transaction."""

    def construct_create_table_statements(self) -> list[str]:
        return [*super().construct_create_table_statements(), *_TABLES]

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        households: Sequence[Row] = (),
        files: Sequence[Row] = (),
        **other: object,
    ) -> Sequence[int]:
        found: Sequence[int] = super()._insert_events(c, stored_events, **other)
        c.executemany(_PUT, households)
        if files:
            c.executemany("INSERT INTO file VALUES (?, ?)", files)
        return found


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
                "APPLICATION_RECORDER_TOPIC": "peers_eventsourcing:Recorder",
                "AGGREGATE_CACHE_MAXSIZE": str(CACHED),
                "AGGREGATE_CACHE_FASTFORWARD": "n",
                "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
            }
        )

    def register(self, codes: Sequence[str], rungs: Mapping[str, date]) -> None:
        rows = [(code, str(FIRST), 1) for code in codes]
        self._app.save(*(Household(code=code) for code in codes), households=rows)

    def act(self, act: Act) -> None:
        self.act_all([act])

    def act_all(self, acts: Sequence[Act]) -> None:
        households = {
            act.code: self._app.repository.get(Household.create_id(act.code)) for act in acts
        }
        for act in acts:
            households[act.code].take(act)
        self._app.save(
            *households.values(),
            households=[(one.code, one.state, one.version) for one in households.values()],
            files=[file for act in acts for file in act.files],
        )

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
        with self._app.recorder.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT code, state FROM household")
            for row in cursor.fetchall():
                if found[Household.create_id(row["code"])].state != row["state"]:
                    raise SystemExit(f"{row['code']} is in {row['state']}")
        return number

    def close(self) -> None:
        self._app.close()
