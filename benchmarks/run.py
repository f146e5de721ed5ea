"""The benchmarks: every workload beside its floor, in one run.

`python benchmarks/run.py --only W1` prints the table and writes a JSON line for each figure to
`--out`. `--small` runs everything quickly, to see that it runs; its figures say nothing. What is
made is made in `--folder` (else a temporary one) and verified; big counties stay there for the next
run.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import commands
import imports
import measure
import pages
import reading
import steps
import sweeping
import verifying
from measure import Figure
from msgspec import Struct


class Asked(Struct, frozen=True):
    """How large, how often, and where."""

    folder: Path
    small: bool
    reps: int
    sizes: tuple[int, ...]

    def at(self, *sizes: int, small: int) -> tuple[int, ...]:
        """The sizes of a workload: those asked for on the command line before its own."""
        return self.sizes or ((small,) if self.small else sizes)

    def place(self, name: str) -> Path:
        """An empty folder."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def w1(asked: Asked) -> Iterator[Figure]:
    """A single durable step, on SQLite and on PostgreSQL."""
    lives = 2 if asked.small else 10 * asked.reps
    for size in asked.at(3966, small=20):
        for work, name in ((steps.single, "file"), (steps.single_on_server, "server")):
            yield measure.apart(work, asked.place(f"w1-{name}-{size}"), size, lives)


def w2(asked: Asked) -> Iterator[Figure]:
    """Many households at once through all their steps."""
    for size in asked.at(3966, 100_000, small=40):
        reps = 1 if size > 10_000 else asked.reps
        yield measure.apart(steps.bulk, asked.place(f"w2-{size}"), size, reps)


def w3(asked: Asked) -> Iterator[Figure]:
    """The sweep, with one in a hundred due and with nothing new."""
    for size in asked.at(3966, 100_000, 1_000_000, small=200):
        yield from sweeping.measure(asked.place(f"w3-{size}"), size, asked.reps)


def w4(asked: Asked) -> Iterator[Figure]:
    """Verifying a journal."""
    for events in asked.at(100_000, 1_000_000, small=200):
        yield from verifying.measure(asked.place(f"w4-{events}"), events, asked.reps)


def w5(asked: Asked) -> Iterator[Figure]:
    """A workbook coming in."""
    for rows in asked.at(3966, 100_000, small=40):
        yield imports.measure(asked.place(f"w5-{rows}"), rows, asked.reps)


def w6(asked: Asked) -> Iterator[Figure]:
    """Whole commands from shell to shell."""
    for size in asked.at(3966, small=40):
        number = 1 if asked.small else asked.reps * commands.TURNS
        yield from commands.measure(asked.place(f"w6-{size}"), size, number)


def w7(asked: Asked) -> Iterator[Figure]:
    """What people look at."""
    yield from pages.measure(asked.place("w7"), asked.reps, small=asked.small)


def w8(asked: Asked) -> Iterator[Figure]:
    """The county on a past day."""
    for size in asked.at(3966, 100_000, small=40):
        yield reading.as_of(asked.place(f"w8-{size}"), size, asked.reps)


def w9(asked: Asked) -> Iterator[Figure]:
    """What a big county takes of disk and memory."""
    for size in asked.at(1_000_000, small=200):
        yield from reading.large(asked.place(f"w9-{size}"), size)


WORKLOADS: Mapping[str, Callable[[Asked], Iterator[Figure]]] = {
    "W1": w1,
    "W2": w2,
    "W3": w3,
    "W4": w4,
    "W5": w5,
    "W6": w6,
    "W7": w7,
    "W8": w8,
    "W9": w9,
}


def main(arguments: Sequence[str]) -> int:
    """Runs the workloads asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(WORKLOADS), help="some of them")
    parser.add_argument("--reps", type=int, default=3, help="how often each is repeated")
    parser.add_argument("--small", action="store_true", help="quickly, to see that it runs")
    parser.add_argument("--size", type=int, action="append", default=[], help="instead of its own")
    parser.add_argument("--folder", type=Path, help="where to make databases, and keep them")
    parser.add_argument("--out", type=Path, help="a file for the JSON lines, appended to")
    given = parser.parse_args(arguments)
    if given.small:
        measure.all_together()
    with tempfile.TemporaryDirectory(prefix="xianli-benchmarks-") as temporary:
        folder = given.folder or Path(temporary)
        asked = Asked(folder, given.small, given.reps, tuple(given.size))
        for figure in run(given.only or list(WORKLOADS), asked, given.out):
            sys.stderr.write(f"{figure.workload} {figure.variant} {figure.size}: done\n")
    return 0


def run(names: Sequence[str], asked: Asked, out: Path | None) -> Iterator[Figure]:
    """Yields each figure as it comes, and prints the table at the end."""
    versions = measure.versions()
    _tell(out, json.dumps({"versions": versions}, ensure_ascii=False))
    figures = []
    for name in names:
        for figure in WORKLOADS[name](asked):
            _tell(out, figure.line())
            figures.append(figure)
            yield figure
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    sys.stdout.write(f"{measure.table(figures)}\n\n{told}\n")


def _tell(out: Path | None, line: str) -> None:
    if out is None:
        sys.stdout.write(line + "\n")
        return
    with out.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
