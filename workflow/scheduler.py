"""The service: wakes the jobs at their times, in one process or several, one of which leads.

APScheduler only says when; the jobs themselves find what is to be done and may run again at any
time. What must outlive the process stands in the tables `lease` and `job`: who leads and until
when, and when each job last went well.
"""

import logging
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import SimpleQueue
from threading import Event
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from msgspec import Struct
from sqlalchemy import Connection, Row, delete, insert, select, update

from states.errors import CaseError, UsageFault
from states.workdays import local_date
from workflow import (
    backup,
    bulletin,
    checkpoint,
    db,
    dispatch,
    journal,
    oplog,
    outbox,
    quarantine,
    register,
    site,
    tables,
)
from workflow.cases import Clocks
from workflow.db import Database
from workflow.errors import BadFile, Conflict, JournalBroken, NotPermitted
from workflow.operation import Server
from workflow.oplog import Fields
from workflow.outbox import Clock, Queue
from workflow.postgresql import SessionLock
from workflow.settings import Settings
from workflow.toml_file import At

LEASE = timedelta(seconds=30)
BEAT = timedelta(seconds=5)
RETRY = timedelta(minutes=15)
ONE_DAY = timedelta(days=1)
LEAST_GRACE = timedelta(hours=1)
NAME = "scheduler"
ZONE = ZoneInfo("Asia/Shanghai")
_LEASE = tables.LEASE
_JOB = tables.JOB
Say = Callable[[str], None]


class Room(Struct, frozen=True):
    """What a job works with; `stopping` says that the service wants to end.

    `log` takes what goes into the log of what was run (`workflow.oplog`).
    """

    database: Database
    settings: Settings
    clock: Clock
    stopping: Callable[[], bool]
    log: Callable[[Fields], None] = lambda fields: None


class Job(Struct, frozen=True):
    """One of the service's jobs; `run` answers in a few words what it did."""

    name: str
    label: str
    trigger: CronTrigger
    run: Callable[[Room], str]

    def due_after(self, instant: datetime) -> datetime:
        """The first time it is due after an instant."""
        found = self.trigger.get_next_fire_time(None, instant + timedelta(microseconds=1))
        assert isinstance(found, datetime)
        return found

    def grace(self, due: datetime) -> timedelta:
        """How late a run may be before people are told: its period, an hour to a day."""
        period = self.due_after(due) - due
        return min(max(period, LEAST_GRACE), ONE_DAY)


def jobs(settings: Settings) -> tuple[Job, ...]:
    """The jobs in the order in which they run when several are due."""
    times = settings.times
    everyday = (
        Job("sweep", "到期提醒和函件", _trigger(times.sweep), _sweep),
        Job("forecast", "预测预警", _trigger(times.forecast), _forecast),
        Job("digest", "每日提要", _trigger(times.digest), _digest),
        Job("bulletin", "每周通报", _trigger(times.bulletin), _bulletin),
        Job("checkpoint", "检查点", _trigger(times.journal_check), _checkpoint),
        Job("deliver", "发出信件", CronTrigger(minute="*", timezone=ZONE), _deliver),
        Job("journal_check", "核对日志", _trigger(times.journal_check), _check_journal),
        Job("backup", "备份", _trigger(times.backup), _back_up),
    )
    if settings.site is None:
        return everyday
    # The longest comes last, so that nothing that is due waits for it.
    return (*everyday, Job("site", "重建网站", _trigger(settings.site.at), _rebuild_site))


def _trigger(at: At) -> CronTrigger:
    return CronTrigger(day_of_week=at.weekday, hour=at.hour, minute=at.minute, timezone=ZONE)


def _sweep(room: Room) -> str:
    done = dispatch.sweep(room.database, room.clock())
    told = f"看了 {done.due} 项期限，新提醒 {done.raised} 项，函件 {len(done.letters)} 份"
    if done.failures:
        first = done.failures[0]
        raise JournalBroken(
            f"{told}；{len(done.failures)} 项没有办成，首先是 {first.code}：{first.error.message}",
            place=first.code,
            remedy="xianli audit verify",
        )
    return told


def _forecast(room: Room) -> str:
    warned = bulletin.warn(room.database, room.clock())
    return f"难以按期完工的单位 {len(warned)} 个" + (f"：{'、'.join(warned)}" if warned else "")


def _digest(room: Room) -> str:
    return f"每日提要 {len(dispatch.digests(room.database, room.clock()))} 份"


def _bulletin(room: Room) -> str:
    return f"通报 {len(bulletin.publish(room.database, room.clock()))} 份"


def _checkpoint(room: Room) -> str:
    made = checkpoint.make(room.database, room.clock())
    return f"检查点：{made.checkpoint.size} 条"


def _deliver(room: Room) -> str:
    done = outbox.deliver(room.database, room.settings, room.clock, stopping=room.stopping)
    told = f"发出 {done.sent} 件，待发 {done.waiting} 件"
    # `notify list` shows them all; here a few are enough to see what is wrong.
    for problem in done.problems[:3]:
        told += f"；{'放弃' if problem.given_up else '再试'} {problem.key}：{problem.error}"
    return told + ("；……" if len(done.problems) > 3 else "")


def _check_journal(room: Room) -> str:
    with room.database.reading() as connection:
        quarantine.check_whole(connection)
        return f"日志 {journal.size(connection)} 条，哈希链完好"


def _back_up(room: Room) -> str:
    given, times = room.settings.server, room.settings.times
    database = room.database
    if database.plan is not None and given.backup_env is not None:
        database = _for_backups(database.plan, given)
    try:
        copy = backup.backup(database, times.backup_folder, room.clock(), times.keep, given)
    except NotPermitted:
        # To fail each night would tell nobody anything new; `db doctor` says that there is none.
        return "服务的账号看不到全部数据，不能备份：备份用的账号见 docs/server.md"
    finally:
        if database is not room.database:
            database.close()
    return f"备份到 {copy}"


def _for_backups(plan: str, server: Server) -> Database:
    """The same plan by the account that may read all. Raises BadFile where nobody named it."""
    url = server.environment.get(server.backup_env or "")
    if not url:
        raise BadFile(
            f"环境变量 {server.backup_env} 没有设置",
            place="postgresql.backup_url_env",
            remedy="启动服务前设好：postgresql://备份账号@主机/库名",
        )
    return db.place_of(url, plan, server.limits)


def _rebuild_site(room: Room) -> str:
    wanted = room.settings.site
    assert wanted is not None
    now = room.clock()
    today = local_date(now)
    database = room.database
    limits = room.settings.server.limits
    built = site.build(database.url, wanted.folder, None, Clocks(today), today, now, limits=limits)
    told = f"网站 {built.pages} 页，{built.households} 户"
    return told + (f"；没有单页的 {len(built.passed_over)} 户" if built.passed_over else "")


# Leading --------------------------------------------------------------------------------------


@dataclass
class _Lease:
    """The right to lead: held by whoever renews it, and taken over once nobody does.

    A standby also takes it over when it saw the same lease for a whole lease's time: a clock that
    was set back would otherwise keep a dead leader in office. On a server the leader holds a lock
    besides, which is free the moment it dies, so that nobody waits for the lease to run out; the
    lease is for a leader that hangs.
    """

    database: Database
    holder: str
    length: timedelta
    beat: timedelta
    _seen: datetime | None = None
    _beats: int = 0
    _lock: SessionLock | None = field(init=False)

    def __post_init__(self) -> None:
        self._lock = self.database.lead()

    def hold(self, now: datetime) -> bool:
        """Takes or renews the lease; whether it is ours now."""
        unled = self._takes_lock()
        with self.database.transaction() as connection:
            row = connection.execute(select(_LEASE).where(_LEASE.c.name == NAME)).first()
            until = now + self.length
            if row is None:
                connection.execute(
                    insert(_LEASE).values(name=NAME, holder=self.holder, until=until)
                )
                return True
            theirs = row.holder != self.holder and row.until > now
            if theirs and not unled and not self._is_dead(row.until):
                self._give_lock()
                return False
            connection.execute(
                update(_LEASE).where(_LEASE.c.name == NAME).values(holder=self.holder, until=until)
            )
            return True

    def is_ours(self, connection: Connection, now: datetime) -> bool:
        """Whether the lease is ours and has not run out."""
        row = connection.execute(select(_LEASE).where(_LEASE.c.name == NAME)).first()
        return row is not None and row.holder == self.holder and row.until > now

    def _is_dead(self, until: datetime) -> bool:
        self._beats = self._beats + 1 if until == self._seen else 0
        self._seen = until
        return self._beats * self.beat > self.length

    def release(self, now: datetime, *, forget: bool = False) -> None:
        """Lets another lead at once; `forget` leaves no trace that anybody led."""
        ours = (_LEASE.c.name == NAME) & (_LEASE.c.holder == self.holder)
        with self.database.transaction() as connection:
            if forget:
                connection.execute(delete(_LEASE).where(ours))
            else:
                connection.execute(update(_LEASE).where(ours).values(until=now))
        self._give_lock()

    def _takes_lock(self) -> bool:
        """Whether the lock was free, so that whoever's name stands in the lease leads no more."""
        had = self._lock is not None and self._lock.held
        return self._lock is not None and self._lock.hold() and not had

    def _give_lock(self) -> None:
        """Who hung and lost the lease lets the other have the lock as well."""
        if self._lock is not None and self._lock.held:
            self._lock.release()


def _myself() -> str:
    return f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"


# Running --------------------------------------------------------------------------------------


def run(room: Room, stop: Event, say: Say, *, lease: timedelta = LEASE) -> None:
    """Serves until `stop` is set: leads, or stands by to lead. Raises UsageFault in a drill.

    Who leads runs what was missed, then each job at its time. `lease` is how long a leader that
    died stays in office.
    """
    with room.database.reading() as connection:
        if register.is_drill(connection):
            raise UsageFault(
                "演练库的日期由 --today 指定，调度服务不能在上面长期运行",
                remedy="用 xianli --today 日期 scheduler run --once，每次做一轮",
            )
        room.settings.check_names(connection)
    # What it says of runs that were left out is no news here: the jobs find all that is to be done.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    held = _Lease(room.database, _myself(), lease, min(BEAT, lease / 6))
    _Service(room, jobs(room.settings), held, say).serve(stop)


def run_once(room: Room, say: Say) -> bool:
    """Runs each job that is due, once, and ends; whether all of them went well.

    Raises Conflict when a service leads. In a drill, where none can, no lease is taken.
    """
    with room.database.reading() as connection:
        room.settings.check_names(connection)
        drill = register.is_drill(connection)
    lease = None if drill else _Lease(room.database, _myself(), LEASE, BEAT)
    everything = jobs(room.settings)
    well = True
    try:
        for job in due(room.database, everything, room.clock()):
            if lease is not None and not lease.hold(room.clock()):
                raise Conflict(
                    "另有调度服务在主持",
                    remedy="不必再运行 --once；用 xianli scheduler status 查看",
                )
            well = run_job(room, job, lease, say) and well
    finally:
        if lease is not None:
            lease.release(room.clock(), forget=True)
    return well


def due(database: Database, of: Sequence[Job], now: datetime) -> list[Job]:
    """The jobs whose time has come since they last went well; those that never did, too."""
    with database.reading() as connection:
        last = {row.name: row.succeeded_at for row in connection.execute(select(_JOB))}
    return [
        job
        for job in of
        if (succeeded := last.get(job.name)) is None or job.due_after(succeeded) <= now
    ]


def run_job(room: Room, job: Job, lease: _Lease | None, say: Say) -> bool:
    """Runs a job and records how it went; whether it went well. Whatever it raises is recorded."""
    try:
        if not _began(room, job, lease):
            return False
        began, told = room.clock(), dict[str, object](event="job", job=job.name, error=None)
        try:
            outcome, well = job.run(room), True
        except CaseError as error:
            outcome, well = error.message, False
            told["error"] = error.code
        except Exception as error:
            # Our bug, and still no reason to leave the other jobs undone. What people's eyes and
            # the journal of the operating system get holds no values.
            say(oplog.traceback(error))
            outcome, well = f"程序出错：{type(error).__name__}", False
            told |= {"error": "bug", "bug": oplog.failure(error)}
        _ended(room, job, outcome, well=well)
        room.log({**told, "well": well, "seconds": (room.clock() - began).total_seconds()})
    except CaseError as error:
        # The database could not be written, so neither could this.
        say(f"{job.label}：{error.message}")
        return False
    say(f"{job.label}：{'' if well else '没有做成：'}{outcome}")
    return well


def _began(room: Room, job: Job, lease: _Lease | None) -> bool:
    now = room.clock()
    values = {"started_at": now, "finished_at": None, "next_at": job.due_after(now)}
    with room.database.transaction() as connection:
        # Who slept and lost the lease meanwhile must not wake up and begin.
        if lease is not None and not lease.is_ours(connection, now):
            return False
        known = connection.execute(update(_JOB).where(_JOB.c.name == job.name).values(**values))
        if known.rowcount == 0:
            connection.execute(insert(_JOB).values(name=job.name, **values))
    return True


def _ended(room: Room, job: Job, outcome: str, *, well: bool) -> None:
    now = room.clock()
    values: dict[str, object] = {"finished_at": now, "outcome": outcome}
    if well:
        values["succeeded_at"] = now
    with room.database.transaction() as connection:
        connection.execute(update(_JOB).where(_JOB.c.name == job.name).values(**values))


class _Service:
    """One process that serves; all but the jobs themselves happens in the thread of `serve`."""

    def __init__(self, room: Room, jobs: tuple[Job, ...], lease: _Lease, say: Say) -> None:
        self.room, self.jobs, self.lease, self.say = room, jobs, lease, say
        self.leading = False
        self.failed: SimpleQueue[Job] = SimpleQueue()
        self.last = room.clock()
        # One worker: the jobs run one after another, and none waits for another's transaction.
        self.scheduler = BackgroundScheduler(
            timezone=ZONE,
            executors={"default": ThreadPoolExecutor(1)},
            # No run is too late: the machine may have slept for days. Of several missed, one.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def serve(self, stop: Event) -> None:
        self.scheduler.start()
        self._tell("started", "调度服务已启动")
        try:
            while not stop.is_set():
                try:
                    self._beat(self.room.clock())
                except CaseError as error:
                    # The database is busy or the disk is full: the next beat tries again.
                    self.say(f"租约没有续上：{error.message}")
                stop.wait(self.lease.beat.total_seconds())
        finally:
            self.say("正在停止，先做完手头的任务")
            self.scheduler.shutdown(wait=True)
            if self.leading:
                self.lease.release(self.room.clock())
            self._tell("stopped", "调度服务已停止")

    def _tell(self, what: str, words: str) -> None:
        self.room.log({"event": "service", "service": what})
        self.say(words)

    def _beat(self, now: datetime) -> None:
        held = self.lease.hold(now)
        if held and not self.leading:
            self._take_office(now)
        elif self.leading and not held:
            self.scheduler.remove_all_jobs()
            self._tell("stands_by", "另一进程已接手，本进程待命")
        elif held and now < self.last:
            # The clock was set back: the next runs, planned by the old one, are too far off.
            for job in self.jobs:
                self.scheduler.modify_job(job.name, next_run_time=job.due_after(now))
        self.leading, self.last = held, now
        while not self.failed.empty():
            self._try_again(self.failed.get(), now + RETRY)

    def _take_office(self, now: datetime) -> None:
        missed = due(self.room.database, self.jobs, now)
        late = "、".join(job.label for job in missed) or "无"
        self._tell("leads", f"由本进程主持；补做：{late}")
        for place, job in enumerate(self.jobs):
            # What was missed runs in the order of the list, each after the one before.
            first = now + timedelta(milliseconds=place) if job in missed else job.due_after(now)
            self.scheduler.add_job(self._run, job.trigger, [job], id=job.name, next_run_time=first)

    def _try_again(self, job: Job, at: datetime) -> None:
        planned = self.scheduler.get_job(job.name)
        if planned is not None and planned.next_run_time > at:
            planned.modify(next_run_time=at)

    def _run(self, job: Job) -> None:
        if not run_job(self.room, job, self.lease, self.say):
            # Not planned anew from here: a scheduler that shuts down waits for this thread.
            self.failed.put(job)


# How it stands -----------------------------------------------------------------------------------


class JobStanding(Struct, frozen=True):
    """A job's last run, its last good one and its next; `overdue` when it should have gone well."""

    name: str
    label: str
    started_at: datetime | None
    finished_at: datetime | None
    succeeded_at: datetime | None
    outcome: str | None
    next_at: datetime
    overdue: bool


class Standing(Struct, frozen=True):
    """Who leads and until when, the jobs, the outbox, and what people must be warned of."""

    leader: str | None
    lease_until: datetime | None
    jobs: tuple[JobStanding, ...]
    messages: Queue
    warning: str | None


def status(connection: Connection, settings: Settings, now: datetime) -> Standing:
    """How the service stands."""
    lease = connection.execute(select(_LEASE).where(_LEASE.c.name == NAME)).first()
    leads = lease is not None and lease.until > now
    rows = {row.name: row for row in connection.execute(select(_JOB))}
    found = tuple(_job_standing(job, rows.get(job.name), now) for job in jobs(settings))
    return Standing(
        lease.holder if lease is not None and leads else None,
        lease.until if lease is not None else None,
        found,
        outbox.standing(connection),
        _warned(found, silent_since=lease.until if lease is not None and not leads else None),
    )


def warning(connection: Connection, read: Callable[[], Settings], now: datetime) -> str | None:
    """The dead man's warning: nobody leads any more, or a job is overdue.

    None when all is well, and where no service ever ran. A configuration that cannot be read is
    a warning too: with it no service starts, and who only looks must still be able to look.
    """
    try:
        settings = read()
    except CaseError as error:
        reason = error.message.splitlines()[0].rstrip("：")
        return f"{reason}，信件发不出去；用 xianli scheduler status 看是哪几处"
    return status(connection, settings, now).warning


def _job_standing(job: Job, row: "Row[tuple[object, ...]] | None", now: datetime) -> JobStanding:
    if row is None:
        return JobStanding(job.name, job.label, None, None, None, None, job.due_after(now), False)
    missed = job.due_after(row.succeeded_at or row.started_at)
    late = missed + job.grace(missed) < now
    never = row.succeeded_at is None and row.finished_at is not None
    following = row.next_at if row.next_at is not None and row.next_at > now else job.due_after(now)
    return JobStanding(
        job.name,
        job.label,
        row.started_at,
        row.finished_at,
        row.succeeded_at,
        row.outcome,
        following,
        overdue=late or never,
    )


def _warned(found: Sequence[JobStanding], silent_since: datetime | None) -> str | None:
    told = []
    if silent_since is not None:
        told.append(
            f"调度服务没有在运行（{silent_since.astimezone(ZONE):%Y-%m-%d %H:%M} 起）："
            "到期提醒、信件和备份都停了；请启动 xianli scheduler run"
        )
    late = [job.label for job in found if job.overdue]
    if late:
        told.append(f"逾时没有做成：{'、'.join(late)}；原因见 xianli scheduler status")
    return "；".join(told) or None
