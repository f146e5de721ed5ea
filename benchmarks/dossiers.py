"""What 一户一档 costs on a full county, each form beside the floor of its own kind.

`python benchmarks/dossiers.py DATABASE` prints one JSON line for each workload (`dossier-html`,
`dossier-docx`); the database is that of `xianli demo` (3,966 households). It is only read.

`whole` is the command as a user starts it, its two processes, imports and files included; its
processor time tells on a busy machine what the clock would on a quiet one. The floor of the page is
the bare Jinja2 render of values gathered already, that of Word bare python-docx: the same words,
a paragraph or a cell at a time, nothing else of a layout. Both are measured on some households, in
processor time, and multiplied.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import docx

from notifications import dossier as worded
from notifications.dossier import File, Grid, Note, Pairs, Papers
from notifications.timeline import Timeline
from workflow import config, db, register
from workflow.dossier import Archive, Dossier

SOME = 60
FORMS = ("html", "docx")


def processor(work: Callable[[], object]) -> float:
    """The processor's seconds for some work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


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


def measure(file: Path, form: str, every: int, found: Sequence[Dossier]) -> dict[str, object]:
    """The line of one form."""
    files = [(one.file, one.head) for one in found]
    worded.page(*files[0])  # the template is read and compiled once
    if form == "html":
        floor = processor(lambda: [worded.page(one, head) for one, head in files])
    else:
        floor = processor(lambda: [bare_word(one) for one, _ in files])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cli", "--db", str(file), "report", "dossier", "--all"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        subprocess.run(
            [*command, f"{folder}/out", "--format", form], check=True, capture_output=True
        )
        whole = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    floor_of_all = floor / len(found) * every
    return {
        "report": f"dossier-{form}",
        "households": every,
        "whole_s": round(whole, 1),
        "whole_processor_s": round(used, 1),
        "floor_processor_s": round(floor_of_all, 1),
        "ratio": round(used / floor_of_all, 2),
        # Of the largest process; there are three.
        "peak_mb": after.ru_maxrss // 1024,
    }


def main() -> None:
    """Prints a line for each form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("--only", action="append", choices=FORMS)
    given = parser.parse_args()
    every, found = some(given.database)
    for form in given.only or FORMS:
        print(json.dumps(measure(given.database, form, every, found)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
