"""Many officers at once: 200 clients read and advance on one PostgreSQL for two minutes.

Each is an officer at a terminal: with his own login he connects, asks or advances one household,
and thinks for some seconds, as commands do. Beside them, in the same time, the rows of other such
steps are written by hand into a copy, one transaction each: the floor. Afterwards the journal is
verified, and every step that was answered as done is there.

`python benchmarks/clients.py [--clients 200] [--seconds 120] [--think 12]` prints a JSON line.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import counties
import postgres
import steps
from by_hand import Changes, PostgresqlHand
from counties import Case
from msgspec import Struct
from sqlalchemy import Connection

from states.errors import CaseError
from states.plan import Plan
from workflow import cases, db, engine, journal, register
from workflow.cases import Clocks

HOUSEHOLDS = 3966
PROCESSES = 4
BY_HAND = 150
ADVANCES = 0.3
_STAGE = counties.STAGES[0]


@dataclass
class Seen:
    """What clients met with: seconds by kind of act, the households advanced, and errors."""

    advance: list[float] = field(default_factory=list)
    connected: list[float] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Client(Struct, frozen=True):
    """One officer: his unit, and the households that are his to advance."""

    number: int
    unit: str
    mine: tuple[Case, ...]


def share(found: Sequence[Case], clients: int) -> list[Client]:
    """The clients spread over the units by their households; those of a unit share them."""
    by_unit: dict[str, list[Case]] = {}
    for case in found:
        by_unit.setdefault(case.unit, []).append(case)
    inorder = sorted(case.unit for case in found)
    of = [inorder[number * len(found) // clients] for number in range(clients)]
    return [
        Client(number, unit, tuple(by_unit[unit][of[:number].count(unit) :: of.count(unit)]))
        for number, unit in enumerate(of)
    ]


def work(url: str, some: Sequence[Client], until: float, think: float, seen: Seen) -> None:
    """These clients at work, a thread each."""
    threads = [
        threading.Thread(target=_client, args=(url, client, until, think, seen)) for client in some
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _client(url: str, client: Client, until: float, think: float, seen: Seen) -> None:
    pick = random.Random(client.number)
    left = list(client.mine)
    address = postgres.as_officer(url, counties.officer(client.unit))
    time.sleep(pick.uniform(0, think))
    while time.time() < until:
        try:
            _act(address, client, left, pick, seen)
        except CaseError as error:
            seen.errors.append(f"{type(error).__name__}: {error}")
        time.sleep(pick.expovariate(1 / think))


def _act(address: str, client: Client, left: list[Case], pick: random.Random, seen: Seen) -> None:
    begun = time.perf_counter()
    database = db.connect(address)
    seen.connected.append(time.perf_counter() - begun)
    try:
        advancing = left and pick.random() < ADVANCES
        with database.reading() as connection:
            plan = register.plan_in_force(connection)
            if not advancing:
                _read(client, plan, connection, pick, seen)
        if advancing:
            case = left.pop()
            order = counties.order(case, _STAGE, plan)
            begun = time.perf_counter()
            engine.advance(database, order, counties.officer(client.unit), journal.noon(_STAGE.day))
            seen.advance.append(time.perf_counter() - begun)
            seen.done.append(case.code)
    finally:
        database.close()


def _read(
    client: Client, plan: Plan, connection: Connection, pick: random.Random, seen: Seen
) -> None:
    clocks = Clocks(_STAGE.day)
    begun = time.perf_counter()
    if pick.random() < 0.5:
        found = cases.positions(connection, plan, clocks, [client.unit])
        seen.listed.append(time.perf_counter() - begun)
        if any(one.unit != client.unit for one in found):
            seen.errors.append("another unit's household was read")
        return
    code = pick.choice(client.mine).code
    cases.facts_of(connection, code, None, clocks)
    seen.shown.append(time.perf_counter() - begun)


def _in_process(
    url: str, some: Sequence[Client], until: float, think: float, answer: Callable[[Seen], None]
) -> None:
    seen = Seen()
    work(url, some, until, think, seen)
    answer(seen)


def recorded(
    source: str, target: str, some: Sequence[Case]
) -> tuple[PostgresqlHand, list[Changes]]:
    """The rows of a step for each of these households, taken on a copy, and who writes them."""
    hand = PostgresqlHand(postgres.plain(source), postgres.plain(target))
    found = []
    for case in some:
        database = db.connect(postgres.as_officer(source, counties.officer(case.unit)))
        with database.reading() as connection:
            plan = register.plan_in_force(connection)
        before, seq = hand.look([case.code], []), hand.last()
        order = counties.order(case, _STAGE, plan)
        engine.advance(database, order, counties.officer(case.unit), journal.noon(_STAGE.day))
        found.append(hand.changes(before, hand.look([case.code], []), seq))
        database.close()
    return hand, found


def by_hand(hand: PostgresqlHand, changes: Sequence[Changes], until: float) -> list[float]:
    """Writes them one by one, spread over the time that there is."""
    took = []
    gap = (until - time.time()) / (len(changes) + 1)
    for number, change in enumerate(changes):
        begun = time.perf_counter()
        hand.write(change)
        took.append(time.perf_counter() - begun)
        if time.time() + gap > until and number:
            break
        time.sleep(max(0.0, gap - took[-1]))
    return took


def measure(
    folder: Path, clients: int, seconds: float, think: float, size: int
) -> dict[str, object]:
    """The whole run. Raises SystemExit where the journal does not verify or a step is not there."""
    with postgres.server() as address:
        version = postgres.require_durable(address)
        made = counties.found(postgres.new(address), folder, size)
        found = counties.add(made, size)
        url = made.url
        made.close()
        postgres.settle(url)
        aside, target = postgres.copy(address, url), postgres.copy(address, url)
        hand, changes = recorded(aside, target, found[:BY_HAND])
        shares = share(found, clients)
        context = multiprocessing.get_context("spawn")
        answers: multiprocessing.SimpleQueue[Seen] = context.SimpleQueue()
        begun = time.time()
        until = begun + seconds + 5
        workers = [
            context.Process(
                target=_in_process,
                args=(url, shares[part::PROCESSES], until, think, answers.put),
            )
            for part in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        time.sleep(5)
        floor = by_hand(hand, changes, until)
        seen = [answers.get() for _ in workers]
        for worker in workers:
            worker.join()
        hand.close()
        _require_whole(url, [code for one in seen for code in one.done])
    every = {
        name: sorted(took for one in seen for took in getattr(one, name))
        for name in ("advance", "connected", "listed", "shown")
    }
    errors = [error for one in seen for error in one.errors]
    return {
        "postgresql": version,
        "clients": clients,
        "seconds": seconds,
        "households": size,
        "errors": len(errors),
        "first_errors": errors[:3],
        "acts": {name: _told(took) for name, took in every.items()},
        "by_hand": _told(sorted(floor)),
        "ratio_p95": round(_part(every["advance"], 0.95) / _part(sorted(floor), 0.95), 2),
        "ratio_median": round(statistics.median(every["advance"]) / statistics.median(floor), 2),
    }


def _require_whole(url: str, done: Sequence[str]) -> None:
    database = db.connect(url)
    steps.verify(database)
    with database.reading() as connection:
        query = "SELECT code FROM household_case WHERE state <> 'household_confirmation'"
        there = sorted(str(code) for code in connection.exec_driver_sql(query).scalars())
    database.close()
    if there != sorted(done):
        raise SystemExit("what was answered as done is not what is there")


def _part(took: Sequence[float], part: float) -> float:
    return took[min(len(took) - 1, int(len(took) * part))]


def _told(took: Sequence[float]) -> dict[str, float]:
    return {
        "number": len(took),
        "median_ms": round(_part(took, 0.5) * 1000, 1),
        "p95_ms": round(_part(took, 0.95) * 1000, 1),
        "most_ms": round(took[-1] * 1000, 1),
    }


def main(arguments: Sequence[str]) -> int:
    """Runs it as asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--think", type=float, default=12, help="mean seconds between two acts")
    parser.add_argument("--size", type=int, default=HOUSEHOLDS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="xianli-clients-") as folder:
        found = measure(Path(folder), given.clients, given.seconds, given.think, given.size)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if not found["errors"] else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
