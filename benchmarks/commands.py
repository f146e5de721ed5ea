"""W6: whole commands, from shell to shell, beside a bare Python that reads or writes the same rows.

Each is a process of its own, started in turns with its floor: Python, `sqlite3` and `json`, the
journal's lines that the command reads, or the very rows that it wrote, in one durable transaction.
Bytecode is there, as after an installation. What libraries take to load alone is told beside it.
"""

import os
import pickle
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import connect

import by_hand
import counties
import steps
from by_hand import SqliteHand
from counties import Case
from measure import FLOOR, OURS, Clock, Figure, Took

from states.evidence import to_json
from workflow.sqlite import PRAGMAS

PROGRAM = str(Path(sys.executable).with_name("xianli"))
LIBRARIES = ("click", "msgspec", "sqlalchemy", "sqlmodel")
CONFIRM, SELECT, COMPLETE = counties.STAGES[:3]
# More than the others' repetitions: a process is short, and the machine has other things to do.
TURNS = 7
# What is read of a case (and by `todo` of every open case of a unit), put into JSON as the answer.
_READ = """import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
def read(query, *values):
    return connection.execute(query, values).fetchall()
[(plan,)] = read("SELECT document FROM plan_revision ORDER BY seq DESC LIMIT 1")
plan = json.loads(plan)
answer = []
for (code,) in read("SELECT code FROM household_case WHERE " + sys.argv[2], sys.argv[3]):
    bodies = read("SELECT body FROM journal WHERE stream = ? ORDER BY version", "case:" + code)
    answer.append([json.loads(body) for (body,) in bodies])
print(json.dumps(answer[:30], ensure_ascii=False, indent=2))
"""
_WRITE = f"""import json, pickle, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for pragma in {[f"PRAGMA {name} = {value}" for name, (value, _) in PRAGMAS.items()]!r}:
    connection.execute(pragma)
with open(sys.argv[2], "rb") as file:
    statements = pickle.load(file)
connection.execute("BEGIN IMMEDIATE")
for statement, rows in statements:
    connection.executemany(statement, rows)
connection.execute("COMMIT")
print(json.dumps({{"rows": sum(len(rows) for _, rows in statements)}}))
"""


@dataclass
class Turns:
    """Commands that run in turns, and what each took."""

    took: dict[str, dict[str, Clock]] = field(default_factory=dict)

    def run(self, variant: str, who: str, command: list[str], *, counts: bool = True) -> None:
        """One process from its start to its end. Raises SystemExit when it fails."""
        took = _process(command)
        if counts:
            self.took.setdefault(variant, {}).setdefault(who, Clock()).took.append(took)

    def figures(self, size: int) -> Iterator[Figure]:
        """A figure for each command."""
        for variant, clocks in self.took.items():
            took = {who: clock.median() for who, clock in clocks.items()}
            yield Figure("W6", variant, size, "command", 1, took)


def _process(command: list[str]) -> Took:
    # Where bytecode may not be written every run compiles the program, which no user waits for.
    wanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "XIANLI_DB", "XIANLI_OFFICER"}
    around = {name: value for name, value in os.environ.items() if name not in wanted}
    began = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(command[0], command, around, file_actions=quiet)
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)}: {os.waitstatus_to_exitcode(status)}")
    return Took(wall, used.ru_utime + used.ru_stime)


class Office:
    """A county in summer: everybody has chosen, nothing is built; and its copy for the floor."""

    def __init__(self, folder: Path, size: int) -> None:
        self.file, self.copy = folder / "county.db", folder / "hand.db"
        self._papers = folder / "rows.pickle"
        database, self.cases, self.plan = steps.county(folder, size)
        for stage in (CONFIRM, SELECT):
            for login in sorted({stage.who(case) for case in self.cases}):
                mine = [case for case in self.cases if stage.who(case) == login]
                orders = [counties.order(case, stage, self.plan) for case in mine]
                steps.carry_out(database, orders, login, stage.day)
        database.close()
        # Not by name: the newest pages may still stand in the write-ahead log.
        with closing(connect(self.file)) as source, closing(connect(self.copy)) as target:
            source.backup(target)
        self._hand = SqliteHand(self.file, self.copy)

    def ours(self, case: Case, *command: str) -> list[str]:
        """A command of the officer who answers for this case."""
        who = counties.officer(case.unit)
        day = str(COMPLETE.day)
        return [PROGRAM, "--db", str(self.file), "--as", who, "--today", day, *command]

    def read(self, column: str, value: str) -> list[str]:
        """The floor of what reads these cases."""
        return [sys.executable, "-c", _READ, str(self.file), f"{column} = ?", value]

    def advance(self, turns: Turns, case: Case, *, counts: bool = True) -> None:
        """One step of a case, and its rows by hand."""
        order = counties.order(case, COMPLETE, self.plan)
        evidence = to_json(order.evidence).items()
        pairs = [word for name, value in evidence for word in ("-e", f"{name}={value}")]
        before, seq = self._hand.look([case.code], []), self._hand.last()
        ours = self.ours(case, "advance", case.code, COMPLETE.kind, *pairs)
        turns.run("advance", OURS, ours, counts=counts)
        changes = self._hand.changes(before, self._hand.look([case.code], []), seq)
        self._papers.write_bytes(pickle.dumps(list(by_hand.statements(changes))))
        floor = [sys.executable, "-c", _WRITE, str(self.copy), str(self._papers)]
        turns.run("advance", FLOOR, floor, counts=counts)

    def finish(self) -> None:
        """Raises SystemExit unless both databases hold the same and the journal verifies."""
        different = self._hand.differences()
        self._hand.close()
        if different:
            raise SystemExit(f"not the same rows by hand in {different}")
        _process([PROGRAM, "--db", str(self.file), "audit", "verify"])


def measure(folder: Path, size: int, number: int) -> Iterator[Figure]:
    """W6 in a county of this size, each command so many times."""
    office, turns = Office(folder, size), Turns()
    # The first turn only warms up.
    for turn, case in enumerate(office.cases[: number + 1]):
        counts = turn > 0
        python = [sys.executable, "-c"]
        turns.run("--help", OURS, [PROGRAM, "--help"], counts=counts)
        turns.run("--help", FLOOR, [*python, "pass"], counts=counts)
        turns.run("todo", OURS, office.ours(case, "todo"), counts=counts)
        turns.run("todo", FLOOR, office.read("unit", case.unit), counts=counts)
        turns.run("case show", OURS, office.ours(case, "case", "show", case.code), counts=counts)
        turns.run("case show", FLOOR, office.read("code", case.code), counts=counts)
        office.advance(turns, case, counts=counts)
        turns.run("import alone", FLOOR, [*python, "pass"], counts=counts)
        for library in LIBRARIES:
            turns.run("import alone", library, [*python, f"import {library}"], counts=counts)
    office.finish()
    yield from turns.figures(size)
