"""Other libraries at the same durable work, each as its own users would write it at their best.

A peer keeps households with a state, a version and the day of the next rung, an event for every
step and fact with the same evidence as ours, and the attached files, all in one transaction. None
of them has our guards, a hash chain, signatures, personal data, keys that no two households may
share, or running clocks to keep: they do and write less than we do. All work on SQLite with WAL and
`synchronous = FULL`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from measure import Clock, Took
from msgspec import Struct

from states import evidence as keys
from states.vocabulary import State, Trigger
from workflow import journal
from workflow.engine import Order

ROUTE: Mapping[str, tuple[State, State]] = {
    Trigger.CONFIRM: (State.HOUSEHOLD_CONFIRMATION, State.EQUIPMENT_SELECTION),
    Trigger.SELECT: (State.EQUIPMENT_SELECTION, State.CONSTRUCTION),
    Trigger.COMPLETE: (State.CONSTRUCTION, State.ACCEPTANCE),
    Trigger.ACCEPT: (State.ACCEPTANCE, State.STABLE_SEASON),
    Trigger.PERMIT: (State.STABLE_SEASON, State.REMOVAL_PERMITTED),
}
FIRST = State.HOUSEHOLD_CONFIRMATION
# How many are told of a rung, as in the sweep of ours: the unit's officer and two of the county.
TOLD = ("officer", "county", "county-2")
CHUNK = 5_000
# With more households than this the peers take too long to make, and are left out.
MOST = 10_000


class Act(Struct, frozen=True):
    """A step or a fact: what an order of ours says."""

    code: str
    kind: str
    day: date
    actor: str
    evidence: str
    files: tuple[tuple[str, bytes], ...] = ()


def act_of(order: Order, day: date, login: str) -> Act:
    """The order as a peer is told it."""
    evidence = journal.canonical(keys.to_json(order.evidence)).decode()
    files = tuple((file.attached.sha256, file.content) for file in order.files)
    return Act(order.code, order.kind, day, login, evidence, files)


class Peer(ABC):
    """One library; `open` makes a new file."""

    name: str
    # Whether a sweep would be more than the floor's own SQL.
    sweeps = True

    @abstractmethod
    def open(self, file: Path) -> None:
        """A new database."""

    @abstractmethod
    def register(self, codes: Sequence[str], rungs: Mapping[str, date]) -> None:
        """Adds households in one transaction, each with the day of its next rung."""

    @abstractmethod
    def act(self, act: Act) -> None:
        """One step, durable when it returns."""

    @abstractmethod
    def act_all(self, acts: Sequence[Act]) -> None:
        """Many steps in one transaction."""

    @abstractmethod
    def sweep(self, today: date, next_on: date) -> int:
        """Flags what is due and notes who is to be told; answers how many."""

    @abstractmethod
    def replay(self) -> int:
        """Reads every event in order and takes its step again; answers how many.

        Raises SystemExit where a household's state is not what its events make of it.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of the file."""


# The modules a peer needs, and where it is written.
_PEERS = (
    ("transitions + SQLModel", "sqlmodel", "peers_plain"),
    ("django-fsm-2", "django_fsm", "peers_django"),
    ("eventsourcing", "eventsourcing", "peers_eventsourcing"),
)


def missing() -> tuple[str, ...]:
    """The names of those that are not installed."""
    return tuple(name for name, package, _ in _PEERS if find_spec(package) is None)


def installed() -> list[Peer]:
    """One of each that is installed."""
    found: list[Peer] = []
    names = missing()
    if "transitions + SQLModel" not in names:
        from peers_plain import Plain

        found.append(Plain())
    if "django-fsm-2" not in names:
        from peers_django import Django

        found.append(Django())
    if "eventsourcing" not in names:
        from peers_eventsourcing import Eventsourcing

        found.append(Eventsourcing())
    return found


class Field:
    """All peers beside us in one run, each with its clock."""

    def __init__(self, folder: Path, households: int, *, sweeping: bool) -> None:
        here = installed() if households <= MOST else []
        self._peers = [peer for peer in here if peer.sweeps or not sweeping]
        self.clocks = {peer.name: Clock() for peer in self._peers}
        folder.mkdir(parents=True, exist_ok=True)
        for number, peer in enumerate(self._peers):
            peer.open(folder / f"peer-{number}.db")

    def register(self, codes: Iterable[str], rungs: Mapping[str, date]) -> None:
        """The households, in batches."""
        left = iter(codes)
        while part := list(islice(left, CHUNK)):
            for peer in self._peers:
                peer.register(part, rungs)

    def act(self, acts: Sequence[Act], *, single: bool) -> None:
        """The same work as ours, by each of them in turn."""
        for peer, _ in self._timed():
            if single:
                peer.act(acts[0])
            else:
                peer.act_all(acts)

    def sweep(self, today: date, next_on: date, due: int) -> None:
        """The same sweep. Raises SystemExit where a peer finds another number due."""
        for peer, _ in self._timed():
            found = peer.sweep(today, next_on)
            if found != due:
                raise SystemExit(f"{peer.name} found {found} due, not {due}")

    def replay(self, events: int) -> None:
        """The same journal read again. Raises SystemExit where a peer reads another number."""
        for peer, _ in self._timed():
            found = peer.replay()
            if found != events:
                raise SystemExit(f"{peer.name} read {found} events, not {events}")

    def _timed(self) -> Iterator[tuple[Peer, Clock]]:
        for peer in self._peers:
            clock = self.clocks[peer.name]
            with clock.running():
                yield peer, clock

    def medians(self) -> dict[str, Took]:
        """What each took."""
        return {name: clock.median() for name, clock in self.clocks.items() if clock.took}

    def close(self) -> None:
        """Lets go of every file."""
        for peer in self._peers:
            peer.close()


@contextmanager
def field_of(folder: Path, households: int, *, sweeping: bool = False) -> Iterator[Field]:
    """All peers (that sweep) for so many households, closed at the end."""
    field = Field(folder, households, sweeping=sweeping)
    try:
        yield field
    finally:
        field.close()
