"""The site: the county's page, a page of each unit and of each household, as a folder of files.

A site is built apart, in a folder beside it that nobody reads, and then takes its place at once:
OUTDIR is a link, and the link is exchanged. Where there are no links (Windows) the old folder is
renamed away and the new one into its place; in between, a moment long, there is none. A run that
died leaves a folder behind that the next one removes. All pages tell of the same instant.
"""

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import select

from notifications import site as worded
from notifications.site import Home, Trail, UnitPage
from states.errors import UsageFault
from states.plan import Json, Plan
from workflow import asof, cases, dashboard, db, dossier_files, register
from workflow.cases import Clocks, Position
from workflow.dossier_files import PROCESSES
from workflow.errors import BadFile, Conflict, NotPermitted
from workflow.operation import Limits

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

MARKER = ".xianli-site.json"
LOCK = ".xianli-site.lock"
LINKS = sys.platform != "win32"


class Built(Struct):
    """The site that now stands at `folder`; `passed_over` are households without a page."""

    folder: Path
    as_of: date
    known_at: datetime
    drill: bool
    units: tuple[str, ...]
    households: int = 0
    pages: int = 0
    size: int = 0
    replaced: bool = False
    passed_over: list[str] = field(default_factory=list)


def build(
    url: str,
    out: Path,
    units: Sequence[str] | None,
    clocks: Clocks,
    today: date,
    now: datetime,
    *,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int = PROCESSES,
    links: bool = LINKS,
    limits: Limits | None = None,
) -> Built:
    """Builds the site of these units (None: the county's) and puts it at `out`.

    A site that stands there is replaced; one of other units only with `force`. What is not a site
    of ours is never replaced. `links` says whether the place is a link or the folder itself;
    `limits` are for a server.

    Raises UsageFault for a place that is not ours, Conflict where another run builds there,
    BadFile where it cannot be written, NotPermitted for no units, JournalBroken.
    """
    if units is not None and not units:
        raise NotPermitted("没有这个责任单位的户，或不在您的办理范围内", place="--unit")
    scope: Json = None if units is None else [*sorted(units)]
    place = _Place(Path(os.path.abspath(out)), scope, links=links)
    with _writing(place.out), place.alone():
        place.recover()
        replaced = place.refuse(force=force)
        place.clear()
        fresh = place.fresh()
        try:
            built = _fill(fresh, place, url, units, clocks, today, now, progress, processes, limits)
            place.swap(fresh)
        finally:
            place.recover()
            place.clear()
    built.replaced = replaced
    return built


# --- the pages ------------------------------------------------------------------------------------


def _fill(
    folder: Path,
    place: "_Place",
    url: str,
    units: Sequence[str] | None,
    clocks: Clocks,
    today: date,
    now: datetime,
    progress: Callable[[int, int], None],
    processes: int,
    limits: Limits | None,
) -> Built:
    """Writes every page into the folder."""
    with db.connect(url, limits=limits).reading() as connection:
        # The pages are made by several processes: what is recorded meanwhile is not on any.
        known_at = clocks.known_at or asof.last_known(connection, None)[1]
        clocks = replace(clocks, known_at=known_at)
        plan = register.plan_known_at(connection, known_at)
        shown = [unit for unit in plan.units if units is None or unit.code in units]
        county = dashboard.read(connection, plan, clocks, today, now)
        wanted = {unit.code for unit in shown}
        positions = [one for one in county.foreseen.positions if one.unit in wanted]
        case = cases.CASE.c
        every = select(case.code).where(case.unit.in_(wanted)).order_by(case.code)
        codes = tuple(connection.execute(every).scalars())
        for code in (*wanted, *codes):
            dossier_files.refuse_name(code)
        alone = shown[0] if units is not None and len(shown) == 1 else None
        trail = Trail(None if alone else _whole(plan, units))
        job = dossier_files.Job(url, folder, clocks, ("html",), codes, {}, trail, limits)
        size, told = 0, {}
        for line, _ in dossier_files.work(job, processes):
            told[line.code] = line.told
            size += line.size
            progress(len(told), len(codes))
        homes: dict[str, list[Home]] = {unit.code: [] for unit in shown}
        for position in positions:
            homes[position.unit].append(_home(position, told.get(position.code)))
        built = Built(
            folder=place.out,
            as_of=clocks.as_of,
            known_at=known_at,
            drill=register.is_drill(connection),
            units=tuple(unit.code for unit in shown),
            households=len(told),
            pages=len(told),
            size=size,
            passed_over=[code for code in codes if code not in told],
        )
        pages = []
        for unit in shown:
            where = worded.INDEX if alone else f"{unit.code}/{worded.INDEX}"
            page = UnitPage(unit.code, unit.name, where, tuple(homes[unit.code]))
            pages.append(page)
            drawn = dashboard.draw(connection, plan, clocks, today, now, [unit.code], county=county)
            text = worded.unit_page(drawn.board, drawn.head, page, trail.county)
            built.size += _put(folder / where, text)
        if alone is None:
            drawn = dashboard.draw(connection, plan, clocks, today, now, units, county=county)
            text = worded.county_page(drawn.board, drawn.head, pages)
            built.size += _put(folder / worded.INDEX, text)
        built.pages += len(pages) + (alone is None)
    _put(folder / MARKER, json.dumps({"xianli": "site", "units": place.scope}) + "\n")
    return built


def _whole(plan: Plan, units: Sequence[str] | None) -> str:
    return plan.county if units is None else "各单位"


def _home(position: Position, told: tuple[str, ...] | None) -> Home:
    householder, next_step = told or ("—", "日志读不出来，已隔离")
    return Home(
        code=position.code,
        village=position.village,
        householder=householder or "—",
        path=position.path,
        state=position.state,
        since=position.state_since,
        due_on=position.due_on,
        provisional=position.provisional,
        overdue=position.overdue,
        at_risk=position.at_risk,
        next_step=next_step,
        page=dossier_files.place(position.code, "html") if told else None,
    )


def _put(path: Path, text: str) -> int:
    path.parent.mkdir(exist_ok=True)
    return path.write_bytes(text.encode())


# --- the place ------------------------------------------------------------------------------------


class _Place:
    """OUTDIR, and the folder beside it in which its versions are built.

    The folder beside it lists nothing to others, and its versions have names that nobody guesses: a
    server that shares the parent, too, shows only what stands at OUTDIR.
    """

    def __init__(self, out: Path, scope: Json, *, links: bool) -> None:
        self.out, self.scope, self.links = out, scope, links
        self.beside = out.with_name(f".{out.name}.versions") if out.name else out

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The place for one run at a time. Raises Conflict."""
        if not self.out.name:
            raise _not_ours(self.out, "不能写在根目录")
        if self.beside.is_symlink() or (
            self.beside.exists()
            and not (self.beside / LOCK).exists()
            and any(self.beside.iterdir())
        ):
            raise _not_ours(self.beside, "不是先立建的文件夹")
        if not (self.beside / LOCK).exists():
            self.refuse(force=True)  # before anything is made
        self.beside.mkdir(mode=0o711, parents=True, exist_ok=True)
        handle = os.open(self.beside / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                if sys.platform == "win32":
                    msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
                else:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Conflict(
                    f"另有一次运行正在重建 {self.out}",
                    place=str(self.out),
                    remedy="等它结束；原有网站照常可看",
                ) from None
            yield
        finally:
            os.close(handle)

    def recover(self) -> None:
        """Puts back the site that a run renamed away and died before the new one had its place."""
        away = self.beside / "old"
        if away.exists() and not os.path.lexists(self.out):
            away.rename(self.out)

    def refuse(self, *, force: bool) -> bool:
        """Whether a site of ours stands here. Raises UsageFault where something else does."""
        if not os.path.lexists(self.out):
            return False
        if self.out.is_symlink() and self._target() is None:
            raise _not_ours(self.out, "是指向别处的链接")
        if not self.out.is_dir():
            if self.out.is_symlink():
                return False  # its version is gone: whoever removed it, the link is ours
            raise _not_ours(self.out, "是一个文件")
        marker = self.out / MARKER
        if not marker.exists():
            if not self.out.is_symlink() and not any(self.out.iterdir()):
                return False
            raise _not_ours(self.out, "里有别的东西，不是先立建的网站")
        try:
            document = json.loads(marker.read_text(encoding="utf-8"))
            other = document["units"]
            ours = document["xianli"] == "site"
        except (ValueError, KeyError, TypeError):
            ours, other = False, None
        if not ours:
            raise _not_ours(self.out, f"里的 {MARKER} 不是先立写的")
        if other != self.scope and not force:
            raise UsageFault(
                f"{self.out} 是另一范围的网站（{_scope(other)}），这次要建的是{_scope(self.scope)}",
                place=str(self.out),
                remedy="换一个文件夹；确实要换成这一范围，加 --force",
            )
        return True

    def _target(self) -> Path | None:
        """The version that the link shows, None where it shows something that is not ours."""
        target = Path(os.path.normpath(self.out.parent / os.readlink(self.out)))
        return target if target.parent == self.beside else None

    def fresh(self) -> Path:
        """An empty folder for a new version; who may read it is said by the process's umask."""
        made = self.beside / secrets.token_hex(8)
        made.mkdir()
        return made

    def swap(self, fresh: Path) -> None:
        """Puts the finished version into its place."""
        if sys.platform != "win32":
            os.sync()  # a machine that loses power must not be left with a place and no pages
        old = self.beside / "old"
        real = self.out.is_dir() and not self.out.is_symlink()
        if real and not any(self.out.iterdir()):
            self.out.rmdir()
        elif real:
            self.out.rename(old)
        if self.links:
            link = self.beside / "link"
            link.symlink_to(Path(self.beside.name) / fresh.name, target_is_directory=True)
            os.replace(link, self.out)
        else:
            if self.out.is_symlink():
                self.out.unlink()
            fresh.rename(self.out)

    def clear(self) -> None:
        """Removes every version but the one that is shown, and what else a dead run left."""
        shown = self._target() if self.out.is_symlink() else None
        for one in self.beside.iterdir():
            if one.name == LOCK or one == shown:
                continue
            if one.is_symlink() or not one.is_dir():
                one.unlink(missing_ok=True)
            else:
                # Who may not remove it must not fail the run that made the new one.
                shutil.rmtree(one, ignore_errors=True)


def _not_ours(path: Path, told: str) -> UsageFault:
    return UsageFault(
        f"{path} {told}",
        place=str(path),
        remedy="换一个还没有的或空的文件夹；先立只替换自己建的网站",
    )


def _scope(units: Json) -> str:
    return (
        "全县" if units is None else "、".join(map(str, units)) if isinstance(units, list) else ""
    )


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadFile(
            f"写不了 {out}：{error.strerror}", place=str(out), remedy="换一个可写、有空间的文件夹"
        ) from error
