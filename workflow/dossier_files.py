"""一户一档 written to files: one household, or a whole county, to be interrupted at any moment.

A file comes into its place complete or not at all. Beside the files of many households stands a
register, one line for each finished file, with the digest of what it says: run again, only what is
missing, damaged or says something else by now is made anew.
"""

import gc
import hashlib
import json
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, select

from notifications import dossier as worded
from notifications import dossier_word, pdf, render
from notifications.site import Trail, next_step
from states.errors import CaseError, UsageFault
from states.facts import Actor
from states.plan import Json, Plan
from workflow import cases, db, register, spreadsheet, whole_file
from workflow.cases import Clocks
from workflow.dossier import Archive, Dossier
from workflow.errors import BadFile, Conflict, JournalBroken, NotPermitted
from workflow.operation import Limits

FORMATS = ("html", "docx", "pdf")
REGISTER = "一户一档.jsonl"
INDEX = "index.html"
PROCESSES = 2
_FEW = 60  # for so few no second process is started
_TOLD = 20  # finished households between two words of a process


@dataclass(slots=True)
class Shelf:
    """The folder when all is done: how many files are there, were made now, were sound already.

    `passed_over` are cases that cannot be read or did not exist on the day asked for.
    """

    folder: Path
    forms: tuple[str, ...]
    households: int = 0
    made: int = 0
    kept: int = 0
    size: int = 0
    passed_over: list[str] = field(default_factory=list)


def made(found: Dossier, form: str, nav: Sequence[tuple[str, str]] = ()) -> bytes:
    """The dossier as a file of this form; `nav` as `notifications.dossier.page` takes it.

    Raises UsageFault where the PDF's typst is missing.
    """
    if form == "html":
        return worded.page(found.file, found.head, nav).encode()
    if form == "docx":
        return dossier_word.docx(found.file, found.head)
    return pdf.dossier(found.file, found.head)


def one(
    connection: Connection, plan: Plan, clocks: Clocks, code: str, who: Actor | None
) -> Dossier:
    """One household's dossier.

    Raises NotPermitted when there is no such case for this officer, JournalBroken when it cannot be
    read.
    """
    cases.facts_of(connection, code, who, clocks)
    [found] = Archive(connection, plan, clocks).dossiers([code])
    return found


def write(found: Dossier, out: Path, formats: Sequence[str], *, force: bool) -> Shelf:
    """One household's file at `out`, in the form of its suffix; other forms stand beside it.

    Raises UsageFault where a file is there or the suffix is none of ours, BadFile where it cannot
    be written.
    """
    own = out.suffix.lower().removeprefix(".")
    if own not in FORMATS:
        raise UsageFault(
            f"不知道写成哪种格式：{out.name}",
            place=str(out),
            remedy="文件名以 .html、.docx 或 .pdf 结尾",
        )
    forms = tuple(dict.fromkeys((own, *formats)))
    paths = [out if form == own else out.with_suffix(f".{form}") for form in forms]
    for path in paths:
        spreadsheet.refuse_existing(path, force=force)
    contents = [made(found, form) for form in forms]
    for path, content in zip(paths, contents, strict=True):
        whole_file.put(path, content)
    return Shelf(out, forms, households=1, made=len(paths), size=sum(map(len, contents)))


# --- a whole county -------------------------------------------------------------------------------


class Line(Struct, frozen=True):
    """A finished file in the register; `digest` is of what it says, `sha256` of its bytes."""

    code: str
    form: str
    digest: str
    sha256: str
    size: int
    told: tuple[str, ...]


class Job(Struct, frozen=True):
    """What a process is to make: these cases in these forms, as the register stands.

    `site` is set where the pages are part of one; `limits` are for a server.
    """

    url: str
    folder: Path
    clocks: Clocks
    forms: tuple[str, ...]
    codes: tuple[str, ...]
    known: Mapping[tuple[str, str], Line]
    site: Trail | None = None
    limits: Limits | None = None


def many(
    url: str,
    folder: Path,
    units: Sequence[str] | None,
    forms: Sequence[str],
    clocks: Clocks,
    *,
    force: bool,
    progress: Callable[[int, int], None],
    processes: int = PROCESSES,
    limits: Limits | None = None,
) -> Shelf:
    """Every household of these units (None: all) as files in a folder, with index and register.

    Raises UsageFault where the folder holds something else, BadFile where it cannot be written,
    NotPermitted where the reader may see none of these units, JournalBroken for a code that no
    file can be called by.
    """
    forms = tuple(dict.fromkeys(forms))
    if units is not None and not units:
        raise NotPermitted("没有这个责任单位的户，或不在您的办理范围内", place="--unit")
    with db.connect(url, limits=limits).reading() as connection:
        case = cases.CASE.c
        query = select(case.code).order_by(case.code)
        if units is not None:
            query = query.where(case.unit.in_(units))
        codes = tuple(connection.execute(query).scalars())
        for code in codes:
            refuse_name(code)
        plan = register.plan_known_at(connection, clocks.known_at)
        head = Archive(connection, plan, clocks).head
    scope: Json = None if units is None else [*sorted(units)]
    known = _open(folder, scope, force=force)
    shelf, lines = Shelf(folder, tuple(forms)), dict(known)
    seen: dict[str, tuple[str, ...]] = {}
    job = Job(url, folder, clocks, forms, codes, known, limits=limits)
    with (folder / REGISTER).open("a", encoding="utf-8") as book:
        for line, new in work(job, processes):
            lines[line.code, line.form] = line
            seen[line.code] = line.told
            shelf.made += new
            shelf.kept += not new
            shelf.size += line.size
            if new:
                book.write(_entry(line))
                book.flush()
            progress(len(seen), len(codes))
    shelf.households = len(seen)
    shelf.passed_over = [code for code in codes if code not in seen]
    progress(len(codes), len(codes))
    text = _heading(scope) + "".join(_entry(line) for _, line in sorted(lines.items()))
    whole_file.put(folder / REGISTER, text.encode())
    rows = [
        (code, [(form, place(code, form)) for form in forms], seen[code]) for code in sorted(seen)
    ]
    whole_file.put(folder / INDEX, render.page("dossier_index.html.j2", head, rows=rows).encode())
    return shelf


def _open(folder: Path, scope: Json, *, force: bool) -> dict[tuple[str, str], Line]:
    """The folder, made where it is not there, and the lines of its register.

    Raises UsageFault where it holds what is not ours or another unit's households.
    """
    book = folder / REGISTER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not book.exists():
            if any(folder.iterdir()) and not force:
                raise UsageFault(
                    f"文件夹 {folder} 里已有别的东西",
                    place=str(folder),
                    remedy="换一个空文件夹，或加 --force 仍写在这里",
                )
            whole_file.put(book, _heading(scope).encode())
        heading, *lines = book.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadFile(
            f"写不了 {folder}：{error.strerror}", place=str(folder), remedy="换一个可写的文件夹"
        ) from error
    if heading != _heading(scope).rstrip():
        raise UsageFault(
            f"文件夹 {folder} 里是别的范围的一户一档",
            place=str(folder),
            remedy="换一个文件夹；一个文件夹只放同一范围（全县或同一单位）的",
        )
    found = {}
    for text in lines:
        # Killed in the middle of a line: its file is made again.
        with suppress(ValueError, TypeError):
            code, form, digest, sha256, size, told = json.loads(text)
            found[code, form] = Line(code, form, digest, sha256, size, tuple(told))
    return found


def _heading(scope: Json) -> str:
    return json.dumps({"xianli": "dossier", "units": scope}, ensure_ascii=False) + "\n"


def _entry(line: Line) -> str:
    told = [line.code, line.form, line.digest, line.sha256, line.size, line.told]
    return json.dumps(told, ensure_ascii=False) + "\n"


# --- in several processes -------------------------------------------------------------------------

_FAULTS = {
    kind.status: kind for kind in (UsageFault, BadFile, Conflict, NotPermitted, JournalBroken)
}


def work(job: Job, processes: int = PROCESSES) -> Iterator[tuple[Line, bool]]:
    """Every file of the job as it is finished, and whether it had to be made.

    Raises what the processes that share the job raise, and ends the others.
    """
    if processes == 1 or len(job.codes) < _FEW:
        yield from _make(job)
        return
    jobs = [replace(job, codes=job.codes[n::processes]) for n in range(processes)]
    # Spawned, not forked: a fork would share the database's connections.
    context = get_context("spawn")
    pipes, children = [], []
    for job in jobs:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(job, theirs), daemon=True)
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    try:
        while pipes:
            for pipe in wait(pipes):
                assert isinstance(pipe, Pipe)
                try:
                    told = pipe.recv()
                except EOFError:
                    raise RuntimeError("a process of the dossiers ended before its work") from None
                match told:
                    case None:
                        pipes.remove(pipe)
                    case dict():
                        raise _FAULTS.get(told.pop("status"), CaseError)(**told)
                    case _:
                        yield from told
    finally:
        for child in children:
            child.terminate()
            child.join()


def _child(job: Job, pipe: Pipe) -> None:
    """What a process does: its job, told in portions, then None; of a fault its words."""
    # Ctrl-C reaches every process; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    portion: list[tuple[Line, bool]] = []
    # Who listened is gone: the files are sound, whoever runs again looks at them.
    with suppress(BrokenPipeError):
        try:
            for done in _make(job):
                portion.append(done)
                if len(portion) >= _TOLD:
                    pipe.send(portion)
                    portion = []
                    if "docx" in job.forms:
                        # Word trees stand in circles, and would pile up between collections.
                        gc.collect()
            pipe.send(portion)
            pipe.send(None)
        except CaseError as fault:
            words = ("status", "code", "message", "place", "remedy")
            pipe.send({name: getattr(fault, name) for name in words})


def _make(job: Job) -> Iterator[tuple[Line, bool]]:
    with db.connect(job.url, limits=job.limits).reading() as connection:
        plan = register.plan_known_at(connection, job.clocks.known_at)
        for found in Archive(connection, plan, job.clocks).dossiers(job.codes):
            file = found.file
            facts = found.household.facts
            told: tuple[str, ...] = (
                found.unit_name,
                facts.village,
                facts.state.label,
                file.removal.text,
            )
            nav: Sequence[tuple[str, str]] = ()
            if job.site is not None:
                told = (found.household.personal.name or "", next_step(found.household))
                nav = job.site.to_household(facts.unit, found.unit_name)
            for form in job.forms:
                digest = _digest(found, file, form)
                known = job.known.get((file.code, form))
                path = job.folder / place(file.code, form)
                if known and known.digest == digest and _sound(path, known):
                    yield replace(known, told=told), False
                    continue
                content = made(found, form, nav)
                whole_file.put(path, content)
                sha256 = hashlib.sha256(content).hexdigest()
                yield Line(file.code, form, digest, sha256, len(content), told), True


def _digest(found: Dossier, file: worded.File, form: str) -> str:
    """Of all that the file says: another digest, another file."""
    told = (worded.EDITION, form, file, found.head)
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _sound(path: Path, line: Line) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == line.sha256
    except OSError:
        return False


# A code becomes the name of a file: nothing else than this is ever one.
_CODE = re.compile(r"[0-9A-Z]{2,12}(-[0-9A-Z]{1,12}){0,2}")


def refuse_name(code: str) -> None:
    """Raises JournalBroken for a unit's or household's code that must not name a file."""
    if _CODE.fullmatch(code) is None:
        raise JournalBroken(
            f"编号 {code!r} 不能作文件名，数据库可能被改动过",
            place="household_case",
            remedy="运行 xianli audit verify 查看哪一户",
        )


def place(code: str, form: str) -> str:
    """Where a household's file stands in the folder: under its unit's code."""
    return f"{code.rpartition('-')[0]}/{code}.{form}"
