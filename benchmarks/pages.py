"""W7, what people look at: dashboard, bulletin, 一户一档 and site, each beside its bare render.

The county is that of `xianli demo` at the notice's real size. The floor of a page is its template
with the same values, gathered already; of a Word file the same words by python-docx as it comes.
Dossiers and site are whole commands, their processes, imports and files included; the floor of
these is measured on some households and multiplied.
"""

import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import docx
import verifying
from measure import FLOOR, OURS, ROOT, Clock, Figure, Took, apart, peak

from notifications import bulletin_page, word
from notifications import dossier as worded
from notifications.dossier import File, Grid, Note, Pairs, Papers
from notifications.timeline import Timeline
from workflow import bulletin, bulletin_files, config, dashboard, db, demo, journal, register
from workflow.bulletin import Period
from workflow.bulletin_files import Wanted
from workflow.dossier import Archive, Dossier

SEED = 16
DAY = date(2023, 9, 15)
SOME = 60


def county(folder: Path) -> Path:
    """The demo's county."""
    demo.run(folder / "demo", SEED, lambda done, total: None)
    return folder / "demo" / "xianli.db"


def of_dashboard(file: Path, reps: int) -> tuple[Took, Took, int]:
    """The whole county's dashboard of a day in autumn, gathered and drawn."""
    database = db.connect(str(file))
    ours, floor = Clock(), Clock()
    with database.reading() as connection:
        day = config.reading_day(database, None, datetime.now(UTC))
        plan = register.plan_in_force(connection)
        clocks = config.clocks(day, DAY, None, outlook=False)
        now = journal.noon(day.today)
        # The template is read and compiled once.
        _ = dashboard.draw(connection, plan, clocks, day.today, now).page
        for _ in range(reps):
            with ours.running():
                drawn = dashboard.draw(connection, plan, clocks, day.today, now)
                page = drawn.page
            with floor.running():
                again = drawn.page
            assert page == again
    database.close()
    return ours.median(), floor.median(), peak()


def of_bulletin(file: Path, reps: int) -> tuple[Took, Took, int]:
    """The bulletin of a month in its three forms: page, Word and workbook."""
    database = db.connect(str(file))
    ours, floor = Clock(), Clock()
    with database.reading() as connection:
        day = config.reading_day(database, None, datetime.now(UTC))
        clocks = config.clocks(day, DAY, None, outlook=False)
        document = bulletin.bulletin(connection, clocks.as_of, Period.MONTH, clocks=clocks)
        wanted = Wanted(Period.MONTH, clocks, None, True, ("docx", "xlsx", "html"))
        for _ in range(reps + 1):
            with ours.running():
                written = bulletin_files.write(database, file.parent, wanted, force=True)
            head = bulletin_files.head(connection, wanted, written.notice)
            with floor.running():
                bulletin_page.page(written.notice, head, Period.MONTH.label)
                word.letter_docx(document)
        # The first time reads and compiles the templates.
        del ours.took[0], floor.took[0]
    database.close()
    return ours.median(), floor.median(), peak()


# Whole commands for every household -----------------------------------------------------------


def some(file: Path) -> tuple[int, list[Dossier]]:
    """How many households there are, and some of them from all over."""
    database = db.connect(str(file))
    day = config.reading_day(database, None, datetime.now(UTC))
    clocks = config.clocks(day, None, None, outlook=False)
    with database.reading() as connection:
        codes = connection.exec_driver_sql("SELECT code FROM household_case ORDER BY code")
        every = [str(code) for (code,) in codes]
        archive = Archive(connection, register.plan_in_force(connection), clocks)
        found = list(archive.dossiers(every[:: max(len(every) // SOME, 1)]))
    database.close()
    return len(every), found


def bare_word(file: File) -> bytes:
    """The same words by python-docx as it comes."""
    made = docx.Document()
    for section in file.sections:
        made.add_heading(section.title)
        for block in section.blocks:
            rows: Sequence[Sequence[str]] = ()
            match block:
                case Note():
                    made.add_paragraph(block.text)
                case Pairs():
                    rows = block.rows
                case Grid():
                    rows = [block.columns, *block.rows]
                case Papers():
                    rows = [(one.name, one.told, one.sha256) for one in block.papers]
                case Timeline():
                    rows = [(str(one.on), one.text) for one in block.marks]
            if rows:
                table = made.add_table(len(rows), len(rows[0]))
                for drawn, row in zip(table.rows, rows, strict=True):
                    for cell, text in zip(drawn.cells, row, strict=True):
                        cell.text = text
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def command(file: Path, *arguments: str) -> tuple[Took, int]:
    """A command as a user starts it, and the peak of its largest process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    given = [sys.executable, "-m", "cli", "--db", str(file), *arguments]
    subprocess.run(given, check=True, capture_output=True, cwd=ROOT)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(wall, used), peak(resource.RUSAGE_CHILDREN)


def of_every_page(file: Path, form: str) -> tuple[Took, Took, int]:
    """一户一档 of every household (`html`, `docx`), or the site (`site`)."""
    every, found = some(file)
    files = [(one.file, one.head) for one in found]
    worded.page(*files[0])
    floor = Clock()
    with floor.running():
        for one, head in files:
            if form == "docx":
                bare_word(one)
            else:
                worded.page(one, head)
    [least] = floor.took
    times = every / len(found)
    out = str(file.parent / f"out-{form}")
    told = ("report", "site", out) if form == "site" else ("report", "dossier", "--all", out)
    ours, peak_mib = command(file, *told, *(() if form == "site" else ("--format", form)))
    return ours, Took(least.wall * times, least.cpu * times), peak_mib


def measure(folder: Path, reps: int, *, small: bool) -> Iterator[Figure]:
    """Every kind of page, on the demo's county or a small one."""
    file = apart(verifying.lives, folder, 20) if small else apart(county, folder)
    size = 20 if small else some(file)[0]
    kinds: list[tuple[str, Callable[[], tuple[Took, Took, int]]]] = [
        ("dashboard", lambda: apart(of_dashboard, file, reps)),
        ("bulletin, three forms", lambda: apart(of_bulletin, file, reps)),
        ("dossiers, page", lambda: apart(of_every_page, file, "html")),
    ]
    if not small:
        kinds += [
            ("dossiers, Word", lambda: apart(of_every_page, file, "docx")),
            ("site", lambda: apart(of_every_page, file, "site")),
        ]
    for name, measured in kinds:
        ours, floor, peak_mib = measured()
        took = {OURS: ours, FLOOR: floor}
        yield Figure("W7", name, size, "county", 1, took, peak_mib)
    apart(verifying.ours, file)
