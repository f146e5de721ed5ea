"""What the reports cost on a full county, each beside the floor of its own kind.

`python benchmarks/reports.py DATABASE` prints one JSON line for each workload and day; the database
is that of `xianli demo` (3,966 households). It is only read. Each workload is one function that
yields its lines; `--only` names some of them.

The floor is the bare render: the same template with the same values, gathered already; for the
bulletin also the Word file of the same document, while its workbook, which no template makes, has
3,966 rows of its own.
`whole` is the command as a user starts it, interpreter and imports included; its processor time
tells on a busy machine what the clock would on a quiet one.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Connection

from notifications import bulletin_page, word
from states.plan import Plan
from workflow import bulletin, bulletin_files, config, dashboard, db, journal, register
from workflow.bulletin import Period
from workflow.bulletin_files import Wanted
from workflow.cases import Clocks
from workflow.db import Database
from workflow.messages import Document

DAYS = (
    *(date(2023, 6, 30), date(2023, 9, 15), date(2023, 10, 9)),
    *(date(2024, 1, 22), date(2024, 5, 10)),
)
REPEATS = 3
FORMS = ("docx", "xlsx", "html")
Line = dict[str, object]
Workload = Callable[[Path], Iterator[Line]]


def best(work: Callable[[], object]) -> float:
    """The shortest of some runs, in seconds: what the machine can do when nobody disturbs it."""
    found = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


def of_dashboard(file: Path) -> Iterator[Line]:
    """The whole county's dashboard on past days and now."""
    database = db.connect(str(file))
    with database.reading() as connection:
        day = config.reading_day(database, None, datetime.now().astimezone())
        plan = register.plan_in_force(connection)
        for on in (*DAYS, None):
            clocks = config.clocks(day, on, None, outlook=False)
            yield _dashboard(file, connection, plan, clocks, day.today)
    database.close()


def _dashboard(file: Path, connection: Connection, plan: Plan, clocks: Clocks, today: date) -> Line:
    def draw() -> dashboard.Drawn:
        return dashboard.draw(connection, plan, clocks, today, journal.noon(today))

    drawn = draw()
    gathered, floor = best(draw), best(lambda: drawn.page)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dashboard.html"
        command = [sys.executable, "-m", "cli", "--db", str(file), "report", "dashboard", str(out)]
        arguments = [*command, "--force", "--as-of", str(clocks.as_of)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        whole = best(lambda: subprocess.run(arguments, check=True, capture_output=True))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "report": "dashboard",
        "as_of": str(clocks.as_of),
        "households": drawn.board.flow.registered,
        "bytes": len(drawn.page.encode()),
        "whole_s": round(whole, 2),
        "whole_processor_s": round(processor / REPEATS, 2),
        "gather_s": round(gathered, 3),
        "render_floor_s": round(floor, 4),
        "gather_and_render_to_floor": round((gathered + floor) / floor, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }


def of_bulletin(file: Path) -> Iterator[Line]:
    """The whole county's bulletin of a month in its three forms, on past days."""
    database = db.connect(str(file))
    with database.reading() as connection:
        day = config.reading_day(database, None, datetime.now().astimezone())
        for on in DAYS:
            clocks = config.clocks(day, on, None, outlook=False)
            yield _bulletin(database, connection, clocks)
    database.close()


def _bulletin(database: Database, connection: Connection, clocks: Clocks) -> Line:
    def gather() -> Document:
        return bulletin.bulletin(connection, clocks.as_of, Period.MONTH, clocks=clocks)

    document = gather()
    line: Line = {
        "report": "bulletin",
        "as_of": str(clocks.as_of),
        "bytes": len(journal.canonical(dict(document))),
        "gather_s": round(best(gather), 3),
    }
    with tempfile.TemporaryDirectory() as folder:
        wanted = Wanted(Period.MONTH, clocks, None, True, FORMS)
        written = bulletin_files.write(database, Path(folder), wanted, force=True)
        page = next(file for file in written.files if file.suffix == ".html").read_text("utf-8")
        whole = best(lambda: bulletin_files.write(database, Path(folder), wanted, force=True))
        one = replace(wanted, formats=("html",))
        with_page = best(lambda: bulletin_files.write(database, Path(folder), one, force=True))
    # The floors: the same values, gathered already, through the bare templates.
    notice = written.notice
    head = bulletin_files.head(connection, wanted, notice)
    assert bulletin_page.page(notice, head, Period.MONTH.label) == page
    html = best(lambda: bulletin_page.page(notice, head, Period.MONTH.label))
    letter = best(lambda: word.letter_docx(document))
    return line | {
        "page_s": round(with_page, 3),
        "three_forms_s": round(whole, 3),
        "page_floor_s": round(html, 4),
        "word_floor_s": round(letter, 4),
        "page_to_floor": round(with_page / html, 1),
        "three_forms_to_floors": round(whole / (html + letter), 1),
    }


WORKLOADS: dict[str, Workload] = {"dashboard": of_dashboard, "bulletin": of_bulletin}


def main(arguments: Sequence[str]) -> int:
    """Prints the lines of the workloads asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("database", type=Path, help="the database of `xianli demo`")
    parser.add_argument("--only", action="append", choices=list(WORKLOADS), help="some of them")
    options = parser.parse_args(arguments)
    for name in options.only or WORKLOADS:
        for line in WORKLOADS[name](options.database):
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
