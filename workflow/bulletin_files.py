"""The 通报 as files: Word, Excel and a page, all from the same document."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from notifications import bulletin_page, notices, word
from notifications.notices import Bulletin
from notifications.pages import Head
from states.plan import Plan
from states.vocabulary import State
from workflow import (
    bulletin,
    bulletins,
    cases,
    journal,
    page_head,
    receipts,
    register,
    report_sheet,
    spreadsheet,
    whole_file,
)
from workflow.bulletin import Household, Period
from workflow.bulletins import Published
from workflow.cases import Clocks
from workflow.db import Database
from workflow.messages import Document
from workflow.receipts import Asked


class Wanted(Struct, frozen=True):
    """What is asked for; `units` None is the whole county."""

    period: Period
    clocks: Clocks
    units: Sequence[str] | None
    ranking: bool
    formats: tuple[str, ...]


class Written(Struct, frozen=True):
    """What was written; `number` and `new` only say something of a published bulletin.

    `repeated` when the same key had been used before and nothing was published.
    """

    period: Period
    notice: Bulletin
    hash: str
    files: tuple[Path, ...]
    number: str | None = None
    new: bool = False
    repeated: bool = False


def write(database: Database, folder: Path, wanted: Wanted, *, force: bool) -> Written:
    """Writes the bulletin of these clocks, without a number. Raises UsageFault, BadFile."""
    files = _files(folder, wanted)
    _refuse(files, force=force)
    with database.reading() as connection:
        document = bulletin.bulletin(
            connection,
            wanted.clocks.as_of,
            wanted.period,
            clocks=wanted.clocks,
            ranking=wanted.ranking,
            units=wanted.units,
        )
        return _write(connection, files, wanted, document)


def publish(
    database: Database,
    folder: Path,
    wanted: Wanted,
    *,
    login: str,
    now: datetime,
    force: bool,
    asked: Asked | None = None,
) -> Written:
    """Publishes the bulletin and writes it as it was frozen.

    The number is in the journal before a file is. Asked again, what files are missing are written
    and those that are there stay, unless forced. Raises as `write`, `bulletins.publish` and
    `receipts.once`.
    """
    before = receipts.answered(database, asked)
    with database.reading() as connection:
        if before is not None:
            # Asked again on a later day, it is still the day's of the first time.
            day = bulletins.named(connection, str(before["number"])).as_of
            wanted = replace(wanted, clocks=Clocks(day))
        known = bulletins.find(connection, wanted.period, wanted.clocks.as_of) is not None
    files = _files(folder, wanted)
    if known and not force:
        files = [file for file in files if not file.exists()]
    _refuse(files, force=force)

    def number(one: Database) -> Document:
        kept, new = bulletins.publish(
            one,
            wanted.period,
            wanted.clocks.as_of,
            login=login,
            ranking=wanted.ranking,
            now=now,
        )
        return {"number": kept.number, "new": new}

    told = receipts.once(database, asked, number)
    with database.reading() as connection:
        kept = bulletins.named(connection, str(told["number"]))
        frozen = replace(wanted, clocks=Clocks(kept.as_of, past=True, known_at=kept.known_at))
        new = told["new"] is True
        written = _write(connection, files, frozen, dict(kept.document), kept, new=new)
    return replace(written, repeated=told.get("repeated") is True)


def _files(folder: Path, wanted: Wanted) -> list[Path]:
    stem = f"通报-{wanted.period.label}-{wanted.clocks.as_of}"
    return [folder / f"{stem}.{suffix}" for suffix in wanted.formats]


def _refuse(files: Sequence[Path], *, force: bool) -> None:
    for file in files:
        spreadsheet.refuse_existing(file, force=force)


def _counted(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    units: Sequence[str] | None,
    kept: Published | None,
) -> list[Household]:
    """The households behind the figures; of a frozen bulletin up to its very last event."""
    positions = cases.positions(connection, plan, clocks, units)
    found = {one.code: one for one in bulletin.households(connection, plan, clocks, positions)}
    if kept is not None:
        # What was recorded after it in the same instant is known at that instant too.
        for code in journal.cases_since(connection, kept.known_seq):
            events = cases.load(connection, [code], checked=False).get(code, [])
            known = [event for event in events if event.seq <= kept.known_seq]
            found.pop(code, None)
            then = bulletin.household(code, known, plan, kept.as_of)
            if then is not None and then.state is not State.CLOSED:
                found[code] = then
    return [found[code] for code in sorted(found)]


def _write(
    connection: Connection,
    files: Sequence[Path],
    wanted: Wanted,
    document: Document,
    kept: Published | None = None,
    *,
    new: bool = False,
) -> Written:
    notice = kept.notice if kept else notices.read(document)
    assert isinstance(notice, Bulletin)
    plan = register.plan_of(connection, kept.plan) if kept else register.plan_in_force(connection)
    for file in files:
        match file.suffix:
            case ".xlsx":
                counted = _counted(connection, plan, wanted.clocks, wanted.units, kept)
                people = cases.personal(connection, [one.code for one in counted])
                names = {unit.code: unit.name for unit in plan.units}
                report_sheet.write(file, notice, counted, names, people)
            case ".docx":
                whole_file.put(file, word.letter_docx(document))
            case _:
                top = head(connection, wanted, notice, kept)
                page = bulletin_page.page(notice, top, wanted.period.label)
                whole_file.put(file, page.encode())
    digest = journal.digest(journal.canonical(dict(document)))
    number = kept.number if kept else None
    return Written(wanted.period, notice, digest, tuple(files), number, new)


def head(
    connection: Connection, wanted: Wanted, notice: Bulletin, kept: Published | None = None
) -> Head:
    """The head of the bulletin's page; of a published one as the journal stood then."""
    plan = register.plan_of(connection, kept.plan) if kept else register.plan_in_force(connection)
    whose = f"·{notice.scope}" if notice.scope else ""
    title = f"{plan.county}{plan.year}年清洁取暖改造进展情况通报{whose}"
    found = page_head.head(
        connection,
        plan,
        wanted.clocks,
        title,
        unverified=notice.unverified,
        units=wanted.units,
    )
    if kept is None:
        return found
    return replace(found, seq=kept.known_seq, recorded_until=kept.known_at)
