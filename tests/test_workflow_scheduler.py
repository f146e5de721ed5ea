"""The service: one leads, what was missed is caught up, nothing stops it, and silence is told."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue

import county
import pytest
import server
from apscheduler.triggers.cron import CronTrigger
from county import County
from hypothesis import given
from hypothesis import strategies as st
from office import make_office
from postoffice import MORNING, configured, messages, queue

import cli
from states.errors import UsageFault
from workflow import scheduler, settings, tables
from workflow.db import Database, connect
from workflow.errors import Conflict
from workflow.scheduler import BEAT, LEASE, ZONE, Job, Room, Standing

HERE = Path(__file__).parent
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
# Long enough for a loaded machine; nothing waits for it when all is well.
PATIENCE = 120
JOBS = (
    *("sweep", "forecast", "digest", "bulletin", "checkpoint", "deliver", "journal_check"),
    "backup",
)
SERVE = """
import os, signal, sys, threading
from datetime import UTC, datetime, timedelta
sys.path.insert(0, {root!r})
from workflow import db, scheduler, settings
database = db.connect(sys.argv[1])
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
room = scheduler.Room(
    database, settings.load(None, database.home, os.environ), lambda: datetime.now(UTC), stop.is_set
)
lease = timedelta(seconds=float(sys.argv[2]))
scheduler.run(room, stop, lambda line: print(line, flush=True), lease=lease)
"""


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: datetime = MORNING) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return county.fresh(tmp_path, drill=False, verified=True).database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def room(database: Database, clock: Clock) -> Room:
    return Room(database, configured(database, ""), clock, lambda: False)


def standing(room: Room) -> Standing:
    with room.database.reading() as connection:
        return scheduler.status(connection, room.settings, room.clock())


def warning(room: Room) -> str | None:
    with room.database.reading() as connection:
        return scheduler.warning(connection, lambda: room.settings, room.clock())


def job(name: str, run: Callable[[Room], str]) -> Job:
    return Job(name, name, CronTrigger(hour=8, timezone=ZONE), run)


def noting(ran: list[Room]) -> Callable[[Room], str]:
    """What a job does that keeps count of its runs."""

    def run(room: Room) -> str:
        ran.append(room)
        return "done"

    return run


def nothing(line: str) -> None:
    pass


class Process:
    """A service in a process of its own, and what it says."""

    def __init__(self, file: Path | str, lease: float, folder: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE.format(root=str(HERE.parent)), str(file), str(lease)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        self.lines: SimpleQueue[str] = SimpleQueue()
        self.said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def wait_for(self, words: str) -> None:
        while not any(words in line for line in self.said):
            try:
                self.said.append(self.lines.get(timeout=PATIENCE))
            except Empty:
                pytest.fail(f"never said {words!r}, but {self.said}")

    def end(self, how: signal.Signals) -> int:
        os.kill(self.process.pid, how)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(file: Path | str, lease: float, folder: Path | None = None) -> Iterator[Process]:
    service = Process(file, lease, folder)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


# Which jobs are due -----------------------------------------------------------------------------


def test_a_job_that_never_went_well_is_due_and_one_that_did_is_not(room: Room) -> None:
    ran: list[Room] = []
    both = [job("good", noting(ran)), job("bad", fails)]
    for one in both:
        scheduler.run_job(room, one, None, nothing)

    assert len(ran) == 1
    assert [one.name for one in scheduler.due(room.database, both, MORNING)] == ["bad"]


def fails(room: Room) -> str:
    raise Conflict("数据库忙")


@pytest.mark.parametrize(
    ("later", "is_due"),
    [
        (timedelta(0), False),
        (timedelta(hours=22, minutes=59), False),
        (timedelta(hours=23), True),
        (DAY * 40, True),
        (-HOUR, False),
        (-DAY * 2, False),
    ],
)
def test_a_job_is_due_from_its_next_time_on_and_not_after_a_clock_was_set_back(
    room: Room, later: timedelta, is_due: bool
) -> None:
    eight = job("eight", lambda _: "done")  # it is 09:00, so the next is in 23 hours
    scheduler.run_job(room, eight, None, nothing)

    assert bool(scheduler.due(room.database, [eight], MORNING + later)) is is_due


@given(
    at=st.datetimes(datetime(2023, 1, 1), datetime(2026, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(tzinfo=UTC)
    )
)
def test_the_next_time_is_later_and_at_the_hour_of_the_county(at: datetime) -> None:
    next_at = job("eight", fails).due_after(at)

    assert at < next_at <= at + DAY
    assert (next_at.astimezone(ZONE).hour, next_at.minute, next_at.second) == (8, 0, 0)


def test_whatever_a_job_raises_is_recorded_and_kept_from_the_others(room: Room) -> None:
    said: list[str] = []

    def breaks(_: Room) -> str:
        raise ZeroDivisionError("our bug")

    well = [
        scheduler.run_job(room, one, None, said.append)
        for one in (job("a", breaks), job("b", fails), job("c", lambda _: "做了"))
    ]

    assert well == [False, False, True]
    with room.database.reading() as connection:
        rows = {row["name"]: row for row in connection.execute(tables.JOB.select()).mappings()}
    assert "ZeroDivisionError" in rows["a"]["outcome"]
    assert rows["b"]["outcome"] == "数据库忙"
    assert rows["c"]["outcome"] == "做了"
    assert [rows[name]["succeeded_at"] for name in "abc"] == [None, None, MORNING]
    assert any("Traceback" in line for line in said)


def test_a_job_that_fails_keeps_the_day_on_which_it_last_went_well(
    room: Room, clock: Clock
) -> None:
    scheduler.run_job(room, job("x", lambda _: "done"), None, nothing)
    clock.now += DAY
    scheduler.run_job(room, job("x", fails), None, nothing)

    with room.database.reading() as connection:
        row = connection.execute(tables.JOB.select()).mappings().one()
    assert (row["succeeded_at"], row["finished_at"]) == (MORNING, MORNING + DAY)


def test_the_jobs_deliver_check_the_journal_and_back_up(room: Room) -> None:
    queue(room.database, "digest:2023-06-01:wang")

    assert scheduler.run_once(room, nothing)

    assert messages(room.database)["digest:2023-06-01:wang"].status == "sent"
    [copy] = room.settings.times.backup_folder.glob("*-2023-06-01.*")
    assert copy.suffix == (".dump" if room.database.shared else ".db")
    outcomes = {one.name: one.outcome for one in standing(room).jobs}
    assert "完好" in str(outcomes["journal_check"])


def test_the_site_is_rebuilt_each_day_where_one_is_wanted(database: Database, clock: Clock) -> None:
    room = Room(database, configured(database, "[site]\nfolder = 'web'"), clock, lambda: False)
    out = database.home / "web"

    assert scheduler.run_once(room, nothing)

    assert "2023-06-01" in (out / "index.html").read_text(encoding="utf-8")
    [found] = [one for one in standing(room).jobs if one.name == "site"]
    assert found.outcome == "网站 14 页，10 户"

    clock.now += DAY
    assert scheduler.run_once(room, nothing)

    assert "截至 <b>2023-06-02</b>" in (out / "index.html").read_text(encoding="utf-8")


def test_a_folder_that_is_not_the_sites_is_kept_and_told(database: Database, clock: Clock) -> None:
    out = database.home / "web"
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    room = Room(database, configured(database, "[site]\nfolder = 'web'"), clock, lambda: False)

    assert not scheduler.run_once(room, nothing)

    found = {one.name: one for one in standing(room).jobs}
    assert "不是先立建的网站" in str(found["site"].outcome)
    assert found["site"].succeeded_at is None
    assert found["backup"].succeeded_at is not None
    assert [one.name for one in out.iterdir()] == ["letter.txt"]


def test_a_journal_that_does_not_verify_is_told_and_the_backup_is_still_made(
    room: Room, tmp_path: Path
) -> None:
    place = County(tmp_path / "county.db", room.database)
    place.tamper("UPDATE journal SET hash = 'x' WHERE seq = 2")

    assert not scheduler.run_once(room, nothing)

    found = {one.name: one for one in standing(room).jobs}
    assert found["journal_check"].succeeded_at is None
    assert found["journal_check"].overdue
    assert found["backup"].succeeded_at is not None
    assert "核对日志" in str(warning(room))


def test_once_runs_only_what_is_due_and_leaves_no_lease(room: Room, clock: Clock) -> None:
    said: list[str] = []
    scheduler.run_once(room, nothing)
    clock.now += timedelta(minutes=1)

    scheduler.run_once(room, said.append)

    assert [line.partition("：")[0] for line in said] == ["发出信件"]
    assert standing(room).leader is None
    assert warning(room) is None


# Who leads --------------------------------------------------------------------------------------


def lease(room: Room, holder: str) -> scheduler._Lease:
    return scheduler._Lease(room.database, holder, LEASE, BEAT)


def test_one_leads_until_nobody_renews(room: Room) -> None:
    one, other = lease(room, "one"), lease(room, "other")

    assert one.hold(MORNING)
    assert not other.hold(MORNING + LEASE - timedelta(seconds=1))
    assert one.hold(MORNING + LEASE - timedelta(seconds=1))
    assert not other.hold(MORNING + LEASE)
    assert other.hold(MORNING + 2 * LEASE)
    assert not one.hold(MORNING + 2 * LEASE)


def test_who_stops_makes_room_at_once(room: Room) -> None:
    one, other = lease(room, "one"), lease(room, "other")
    one.hold(MORNING)

    one.release(MORNING)

    assert other.hold(MORNING)
    one.release(MORNING)
    assert other.hold(MORNING)


def test_a_clock_set_back_does_not_keep_a_leader_in_office_that_hangs(room: Room) -> None:
    hung = lease(room, "hung")
    hung.hold(MORNING)
    other = lease(room, "other")
    earlier = MORNING - HOUR

    beats = 0
    while not other.hold(earlier + beats * BEAT):
        beats += 1
        assert beats < 20

    assert beats * BEAT >= LEASE
    # On a server its lock is its own as long as its connection is there.
    hung._give_lock()


def test_a_clock_set_back_does_not_unseat_a_leader_that_lives(room: Room) -> None:
    one, other = lease(room, "one"), lease(room, "other")
    one.hold(MORNING)

    for beat in range(100):
        now = MORNING - HOUR + beat * BEAT
        assert one.hold(now)
        assert not other.hold(now)


def test_who_lost_the_lease_in_its_sleep_begins_no_job(room: Room, clock: Clock) -> None:
    ran: list[Room] = []
    one = lease(room, "one")
    one.hold(clock.now)
    clock.now += LEASE
    lease(room, "other").hold(clock.now)

    done = scheduler.run_job(room, job("x", noting(ran)), one, nothing)

    assert not done
    assert ran == []


def test_once_makes_way_for_a_service(room: Room) -> None:
    service = lease(room, "service")
    service.hold(MORNING)

    with pytest.raises(Conflict):
        scheduler.run_once(room, nothing)

    assert standing(room).leader == "service"
    assert messages(room.database) == {}
    service._give_lock()


def test_a_clock_set_back_brings_the_next_runs_nearer(room: Room, clock: Clock) -> None:
    service = scheduler._Service(room, scheduler.jobs(room.settings), lease(room, "one"), nothing)
    service.scheduler.start(paused=True)
    service._beat(clock.now)
    service._beat(clock.now + BEAT)
    earlier = clock.now - HOUR

    service._beat(earlier)

    following = {one.id: one.next_run_time for one in service.scheduler.get_jobs()}
    service.scheduler.shutdown()
    assert following["deliver"] == earlier + timedelta(minutes=1)
    assert following["backup"] == scheduler.jobs(room.settings)[-1].due_after(earlier)


def test_a_job_that_failed_is_tried_again_before_its_next_time(room: Room, clock: Clock) -> None:
    broken = job("broken", fails)
    service = scheduler._Service(room, (broken,), lease(room, "one"), nothing)
    service.scheduler.start(paused=True)
    service._beat(clock.now)
    service.scheduler.modify_job("broken", next_run_time=broken.due_after(clock.now))

    service._run(broken)
    service._beat(clock.now + BEAT)

    (planned,) = service.scheduler.get_jobs()
    service.scheduler.shutdown()
    assert planned.next_run_time == clock.now + BEAT + scheduler.RETRY


# Leading on a server ----------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Room]:
    """A county on a real PostgreSQL."""
    place = county.fresh(tmp_path, drill=False, verified=True, shared=True)
    yield Room(place.database, settings.load(None, tmp_path, {}), Clock(), lambda: False)
    place.database.close()
    server.drop(place.url)


def leaders(room: Room) -> list[object]:
    """The server's processes that hold the lock of who leads."""
    query = """SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND d.datname = current_database()"""
    return [pid for (pid,) in County(room.database.home, room.database).sql(query)]


def wait_until_free(room: Room) -> None:
    """A server gives a lock back a moment after who held it has closed his connection."""
    while leaders(room):
        time.sleep(0.01)


@pytest.mark.server
def test_on_a_server_who_ends_makes_room_before_its_lease_runs_out(served: Room) -> None:
    one, other = lease(served, "one"), lease(served, "other")
    assert one.hold(MORNING)
    assert not other.hold(MORNING)

    served.database.close()
    assert not other.hold(MORNING)
    one._give_lock()
    wait_until_free(served)

    assert other.hold(MORNING)
    assert not one.hold(MORNING)
    assert other.hold(MORNING)


@pytest.mark.server
def test_on_a_server_who_hangs_loses_the_lease_and_then_the_lock(served: Room) -> None:
    one, other = lease(served, "one"), lease(served, "other")
    one.hold(MORNING)
    later = MORNING + LEASE

    assert other.hold(later)
    assert not one.hold(later)
    wait_until_free(served)
    assert other.hold(later)

    third = lease(served, "third")
    assert not third.hold(later)
    assert other.hold(later)
    for one_ in (one, other, third):
        one_._give_lock()


@pytest.mark.server
def test_a_lock_whose_connection_broke_is_anybodys(served: Room) -> None:
    one, other = lease(served, "one"), lease(served, "other")
    one.hold(MORNING)
    [pid] = leaders(served)
    County(served.database.home, served.database).sql("SELECT pg_terminate_backend(?, 10000)", pid)

    assert other.hold(MORNING)
    assert not one.hold(MORNING)
    other._give_lock()


@pytest.mark.crash
@pytest.mark.server
def test_of_three_services_on_a_server_the_next_leads_as_soon_as_one_is_killed(
    served: Room, tmp_path: Path
) -> None:
    place = County(served.database.home, served.database)
    # Nobody's lease runs out within this test: what is taken over is taken by the lock.
    with serving(place.url, 3600, tmp_path) as one:
        one.wait_for("由本进程主持")
        with (
            serving(place.url, 3600, tmp_path) as two,
            serving(place.url, 3600, tmp_path) as three,
        ):
            two.wait_for("已启动")
            three.wait_for("已启动")
            assert one.end(signal.SIGKILL) == -signal.SIGKILL
            first = next_leader(two, three)
            second = three if first is two else two
            assert not any("由本进程主持" in line for line in second.said)

            assert first.end(signal.SIGKILL) == -signal.SIGKILL
            second.wait_for("由本进程主持")
            assert second.end(signal.SIGTERM) == 0
    assert place.sql("SELECT COUNT(*) FROM lease") == [(1,)]


def next_leader(*services: Process) -> Process:
    """Which of them leads first."""
    while True:
        for service in services:
            while not service.lines.empty():
                service.said.append(service.lines.get())
            if any("由本进程主持" in line for line in service.said):
                return service
        assert all(service.process.poll() is None for service in services)
        time.sleep(0.05)


# Real processes ---------------------------------------------------------------------------------


@pytest.mark.crash
def test_of_two_services_one_leads_and_when_it_is_killed_the_other_takes_over(
    database: Database,
) -> None:
    queue(database, "first", at=datetime.now(UTC) - HOUR)
    database.close()
    with serving(database.url, 3) as one:
        one.wait_for("备份：")
        assert messages(database)["first"].status == "sent"
        with serving(database.url, 3) as other:
            other.wait_for("已启动")
            assert one.end(signal.SIGKILL) == -signal.SIGKILL
            queue(database, "second", at=datetime.now(UTC) - HOUR)
            with database.transaction() as connection:
                # As if the dead one had not delivered for an hour: this, and only this, is missed.
                connection.execute(
                    tables.JOB.update()
                    .where(tables.JOB.c.name == "deliver")
                    .values(succeeded_at=datetime.now(UTC) - HOUR)
                )
            other.wait_for("由本进程主持")
            other.wait_for("发出 1 件，待发 0 件")
            assert other.end(signal.SIGTERM) == 0
            other.wait_for("已停止")

    # Until it led, the other did nothing; and it did nothing that was done already.
    works = [line for line in other.said if line.startswith(("发出信件：", "核对日志：", "备份："))]
    assert "由本进程主持" in other.said[1]
    assert {line.partition("：")[0] for line in works} == {"发出信件"}
    rows = messages(database)
    assert {row.status for row in rows.values()} == {"sent"}
    room = Room(database, configured(database, ""), lambda: datetime.now(UTC), lambda: False)
    assert standing(room).leader is None
    assert len(list(database.home.joinpath("outbox").rglob("second-*.txt"))) == 1


@pytest.mark.crash
def test_a_service_killed_in_the_middle_catches_up_when_it_starts_again(
    database: Database,
) -> None:
    now = datetime.now(UTC)
    with database.transaction() as connection:
        connection.execute(
            tables.JOB.insert(),
            [
                # Begun and never ended; and done within this day.
                {"name": "backup", "started_at": now - DAY, "succeeded_at": now - 9 * DAY},
                {"name": "journal_check", "started_at": now, "succeeded_at": now + HOUR},
            ],
        )
        connection.execute(
            tables.LEASE.insert(),
            {"name": "scheduler", "holder": "dead", "until": now - HOUR},
        )
    database.close()
    with serving(database.url, 3) as service:
        service.wait_for("备份：")
        assert service.end(signal.SIGTERM) == 0

    (office,) = [line for line in service.said if "由本进程主持" in line]
    assert office.endswith("、发出信件、备份")
    assert "核对日志" not in office
    assert sum(line.startswith("备份：") for line in service.said) == 1


@pytest.mark.crash
def test_the_command_serves_until_it_is_told_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = make_office(tmp_path, capsys)
    command = [sys.executable, str(HERE.parent / "cli.py"), *office.acting]
    service = subprocess.Popen(
        [*command, "scheduler", "run"], stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert service.stderr is not None
    said = []
    for line in service.stderr:
        said.append(line)
        if "备份：" in line:
            break

    status = office.run("scheduler", "status").answer
    service.send_signal(signal.SIGINT)
    _, rest = service.communicate(timeout=PATIENCE)

    assert service.returncode == 0, said
    assert "已停止" in rest
    assert status["leader"] is not None
    assert status["warning"] is None
    after = office.run("scheduler", "status").answer
    assert after["leader"] is None
    assert "没有在运行" in str(after["warning"])


# How it stands ----------------------------------------------------------------------------------


def test_where_no_service_ever_ran_nobody_is_warned(room: Room) -> None:
    assert warning(room) is None
    assert [one.next_at is not None for one in standing(room).jobs] == [True] * len(JOBS)


def test_a_dead_service_is_told_from_the_moment_its_lease_ran_out(room: Room, clock: Clock) -> None:
    lease(room, "one").hold(clock.now)
    clock.now += LEASE - timedelta(seconds=1)
    assert warning(room) is None
    clock.now += timedelta(seconds=1)

    assert "没有在运行" in str(warning(room))
    assert standing(room).leader is None


@pytest.mark.parametrize(
    ("after", "late"),
    [
        (timedelta(minutes=61), []),
        (timedelta(minutes=62), ["deliver"]),
        (DAY * 3, [name for name in JOBS if name != "bulletin"]),
        (DAY * 15, [*JOBS]),
    ],
)
def test_a_job_is_overdue_once_its_time_is_past_by_a_period_an_hour_to_a_day(
    room: Room, clock: Clock, after: timedelta, late: list[str]
) -> None:
    scheduler.run_once(room, nothing)
    clock.now += after

    assert [one.name for one in standing(room).jobs if one.overdue] == late
    assert (warning(room) is not None) is bool(late)


def test_a_drill_is_not_served_but_does_a_round(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    room = Room(
        place.database,
        configured(place.database, ""),
        lambda: county.noon(county.CONFIRMED),
        lambda: False,
    )

    with pytest.raises(UsageFault):
        scheduler.run(room, threading.Event(), nothing)
    assert scheduler.run_once(room, nothing)
    assert scheduler.run_once(room, nothing)

    assert standing(room).lease_until is None


def test_check_warns_of_a_dead_service_where_one_ever_ran(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = make_office(tmp_path, capsys)
    never = office.run("check").answer["service_warning"]
    office.run("scheduler", "run", "--once")
    served = office.run("check").answer["service_warning"]
    with connect(office.place.url).transaction() as connection:
        job = tables.JOB
        long_ago = datetime.now(UTC) - 9 * DAY
        connection.execute(job.update().values(succeeded_at=long_ago, finished_at=long_ago))

    dead = office.run("check", as_json=False)

    assert (never, served) == (None, None)
    assert "注意：" in dead.text
    assert "备份" in dead.text


def test_check_can_be_looked_at_in_a_served_drill_without_a_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = county.fresh(tmp_path)
    given = ["--db", place.url]
    assert cli.run([*given, "--today", str(county.CONFIRMED), "scheduler", "run", "--once"]) == 0

    assert cli.run([*given, "check"]) == 0
    assert cli.run([*given, "check", "--as-of", str(county.CONFIRMED)]) == 0


def test_a_configuration_that_cannot_be_read_does_not_keep_check_from_being_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = make_office(tmp_path, capsys)
    office.run("scheduler", "run", "--once")
    (tmp_path / "xianli.toml").write_text('[delivery]\nquiet = ["x"]\n', encoding="utf-8")

    looked = office.run("check", as_json=False)

    assert looked.status == 0
    assert "注意：配置文件有 1 处要改" in looked.text


def test_the_commands_answer_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = make_office(tmp_path, capsys)

    sent = office.run("notify", "send", "--now").answer
    once = office.run("scheduler", "run", "--once")
    status = office.run("scheduler", "status").answer

    assert sent == {"sent": 0, "retried": 0, "given_up": 0, "waiting": 0, "problems": []}
    assert once.status == 0
    assert set(status) == {"leader", "lease_until", "jobs", "messages", "warning"}
    jobs = status["jobs"]
    assert isinstance(jobs, list)
    assert tuple(one["name"] for one in jobs) == JOBS
    assert set(jobs[0]) == {
        "name",
        "label",
        "started_at",
        "finished_at",
        "succeeded_at",
        "outcome",
        "next_at",
        "overdue",
    }


def test_a_faulty_configuration_stops_the_command_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = make_office(tmp_path, capsys)
    office.folder.joinpath("xianli.toml").write_text("[delivery]\nqiuet = []", encoding="utf-8")

    for command in (["notify", "send"], ["scheduler", "run"], ["scheduler", "status"]):
        failed = office.run(*command)
        assert failed.status == 3
        assert "qiuet" in failed.text


def test_only_the_county_office_sends_and_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = county.fresh(tmp_path)
    queue(place.database, "digest")
    given = [*county.acting(place, "wang"), "--json", "--today", "2023-06-10"]
    for command in (["notify", "send"], ["scheduler", "run", "--once"], ["scheduler", "status"]):
        capsys.readouterr()

        assert cli.run([*given, *command]) == 5
        assert json.loads(capsys.readouterr().out)["error"]["status"] == 5

    assert messages(place.database)["digest"].status == "queued"
