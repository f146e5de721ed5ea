"""What every workload is measured with: the clocks, the figure it answers, JSON lines, the table.

Ours, the floor and the peers do the same work in turns within one run, and what is told is medians
and their ratios. Wall time is what a user waits; processor time is told beside it, for it holds on
a machine that others use at the same time. What a server spends is in the wall time only.
"""

import importlib.metadata
import json
import platform
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

from msgspec import Struct, field
from msgspec.structs import asdict

ROOT = Path(__file__).parent.parent
MIB = 1024 * 1024
OURS, FLOOR = "xianli", "floor"
LIBRARIES = ("sqlalchemy", "sqlmodel", "transitions", "psycopg", "python-calamine")
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class Took(Struct, frozen=True):
    """Seconds of one piece of work, by the wall's clock and by the processor's."""

    wall: float
    cpu: float


class Clock(Struct):
    """Collects what the same piece of work took, again and again."""

    took: list[Took] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Times the block, and keeps what it took if it came to its end."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.took.append(Took(time.perf_counter() - wall, time.process_time() - cpu))

    def median(self, pieces: int = 1) -> Took:
        """The medians, each divided by how many pieces were done at a time."""
        return Took(
            median(one.wall for one in self.took) / pieces,
            median(one.cpu for one in self.took) / pieces,
        )

    def total(self) -> Took:
        """All of it together: a long piece of work that was done in turns with another."""
        return Took(sum(one.wall for one in self.took), sum(one.cpu for one in self.took))


class Figure(Struct, frozen=True):
    """One workload at one size: what each took, beside the floor of the same run.

    `took` has `OURS`, and where there is one `FLOOR`; the peers go by their names, and `missing`
    are those not installed. The whole divided by `pieces` is what one `unit` took.
    """

    workload: str
    variant: str
    size: int
    unit: str
    pieces: int
    took: Mapping[str, Took]
    peak_mib: int | None = None
    verified: bool | None = None
    missing: tuple[str, ...] = ()
    more: Mapping[str, object] = field(default_factory=dict)

    def ratio(self, who: str = OURS) -> tuple[float, float] | None:
        """How many times the floor's wall and processor time; None without a floor."""
        floor = self.took.get(FLOOR)
        if floor is None or who not in self.took or not floor.wall:
            return None
        took = self.took[who]
        # The floor of a command or two of a shell is below what the processor's clock can tell.
        return took.wall / floor.wall, took.cpu / floor.cpu if floor.cpu else 0.0

    def line(self) -> str:
        """As JSON."""
        ratios = {
            who: {"wall": round(found[0], 2), "cpu": round(found[1], 2)}
            for who in self.took
            if who != FLOOR and (found := self.ratio(who)) is not None
        }
        told = asdict(self)
        told["took"] = {who: asdict(took) for who, took in self.took.items()}
        return json.dumps({**told, "ratio": ratios}, ensure_ascii=False)


HEADINGS = ("", "variant", "size", "one", "who", "wall", "CPU", "× floor", "× CPU", "peak")


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table in Markdown: readable, and what docs/scale.md takes over."""
    rows = [HEADINGS, *(row for figure in figures for row in _rows(figure))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _rows(figure: Figure) -> Iterator[tuple[str, ...]]:
    head = (figure.workload, figure.variant, f"{figure.size:,}", figure.unit)
    for who, took in figure.took.items():
        ratio = figure.ratio(who) if who != FLOOR else None
        peak = f"{figure.peak_mib} MiB" if who == OURS and figure.peak_mib else ""
        ratios = ("", "") if ratio is None else (f"{ratio[0]:.2f}", f"{ratio[1]:.2f}")
        pieces = figure.pieces
        yield (*head, who, seconds(took.wall / pieces), seconds(took.cpu / pieces), *ratios, peak)
    for who in figure.missing:
        yield (*head, who, "not installed", "", "", "", "")


def seconds(took: float) -> str:
    """A duration as people read it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if took * factor >= 1:
            told = took * factor
            return f"{told:,.0f} {unit}" if told >= 1000 else f"{told:.3g} {unit}"
    return f"{took * 1e6:.3g} µs"


def versions() -> dict[str, str]:
    """What was measured, and with what."""
    found = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": f"{platform.machine()}, {platform.system()}",
        "commit": _commit(),
    }
    for name in LIBRARIES:
        found[name] = importlib.metadata.version(name)
    return found


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


class _Where:
    """Whether work that is to be apart really is."""

    together = False


def all_together() -> None:
    """From now on everything is done in this process: quickly, to see that it runs."""
    _Where.together = True


def apart(work: Callable[Asked, Answer], *given: Asked.args, **named: Asked.kwargs) -> Answer:
    """Does some work in a new process, so that memory and imports are its own alone."""
    if _Where.together:
        return work(*given, **named)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *given, **named).result()


def peak(who: int = resource.RUSAGE_SELF) -> int:
    """The largest resident memory of this process (or of its children) so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit // MIB
