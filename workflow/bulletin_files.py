"""The 通报 as files: Word, Excel and a page, all from the same document."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from notifications import notices, render, word
from notifications.notices import Bulletin
from states.vocabulary import State
from workflow import bulletin, bulletins, cases, journal, register, report_sheet, spreadsheet
from workflow.bulletin import Household, Period
from workflow.bulletins import Published
from workflow.cases import Clocks
from workflow.db import Database
from workflow.errors import BadFile
from workflow.messages import Document


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; `units` None is the whole county."""

    period: Period
    clocks: Clocks
    units: Sequence[str] | None
    ranking: bool
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written; `number` and `new` only say something of a published bulletin."""

    period: Period
    notice: Bulletin
    hash: str
    files: tuple[Path, ...]
    number: str | None = None
    new: bool = False


def write(database: Database, folder: Path, wanted: Wanted, *, force: bool) -> Written:
    """Writes the bulletin of these clocks, without a number. Raises UsageFault, BadFile."""
    files = _refused(folder, wanted, force=force)
    with database.reading() as connection:
        document = bulletin.bulletin(
            connection,
            wanted.clocks.as_of,
            wanted.period,
            clocks=wanted.clocks,
            ranking=wanted.ranking,
            units=wanted.units,
        )
        counted = _counted(connection, wanted.clocks, wanted.units, None)
        return _write(connection, files, wanted.period, document, counted)


def publish(
    database: Database, folder: Path, wanted: Wanted, *, login: str, now: datetime, force: bool
) -> Written:
    """Publishes the bulletin and writes it as it was frozen.

    The number is in the journal before a file is; files that a crash left out are written when the
    same is asked again. Raises as `write` and `bulletins.publish`.
    """
    files = _refused(folder, wanted, force=force)
    kept, new = bulletins.publish(
        database,
        wanted.period,
        wanted.clocks.as_of,
        login=login,
        ranking=wanted.ranking,
        now=now,
    )
    with database.reading() as connection:
        frozen = Clocks(kept.as_of, past=True, known_at=kept.known_at)
        counted = _counted(connection, frozen, None, kept)
        return _write(connection, files, kept.period, dict(kept.document), counted, kept, new=new)


def _refused(folder: Path, wanted: Wanted, *, force: bool) -> list[Path]:
    stem = f"通报-{wanted.period.value}-{wanted.clocks.as_of}"
    files = [folder / f"{stem}.{suffix}" for suffix in wanted.formats]
    for file in files:
        spreadsheet.refuse_existing(file, force=force)
    return files


def _counted(
    connection: Connection, clocks: Clocks, units: Sequence[str] | None, kept: Published | None
) -> list[Household]:
    """The households behind the figures; of a frozen bulletin up to its very last event."""
    plan = register.plan_in_force(connection)
    positions = cases.positions(connection, plan, clocks, units)
    found = {one.code: one for one in bulletin.households(connection, plan, clocks, positions)}
    if kept is not None:
        for code in journal.cases_since(connection, kept.known_seq):
            events = cases.load(connection, [code], checked=False).get(code, [])
            known = [event for event in events if event.seq <= kept.known_seq]
            found.pop(code, None)
            then = bulletin.household(code, known, plan, kept.as_of)
            if then is not None and then[0] is not State.CLOSED:
                found[code] = then[1]
    return [found[code] for code in sorted(found)]


def _write(
    connection: Connection,
    files: Sequence[Path],
    period: Period,
    document: Document,
    counted: Sequence[Household],
    kept: Published | None = None,
    *,
    new: bool = False,
) -> Written:
    notice = kept.notice if kept else notices.read(document)
    assert isinstance(notice, Bulletin)
    names = {unit.code: unit.name for unit in register.plan_in_force(connection).units}
    try:
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".xlsx":
                people = cases.personal(connection, [one.code for one in counted])
                report_sheet.write(file, notice, counted, names, people)
                continue
            page = file.suffix == ".html"
            content = render.letter_html(document).encode() if page else word.letter_docx(document)
            temporary = file.with_name(f".{file.name}.part")
            temporary.write_bytes(content)
            os.replace(temporary, file)
    except OSError as error:
        raise BadFile(f"写不了文件：{error.strerror}", place=str(error.filename)) from error
    digest = journal.digest(journal.canonical(dict(document)))
    number = kept.number if kept else None
    return Written(period, notice, digest, tuple(files), number, new)
