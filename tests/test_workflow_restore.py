"""A backup takes the database's place whole, and nothing is lost without anybody being told."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

import county
import pytest
from county import CODE, TOWN, County
from older import older
from proofs import witnessed

from states.errors import CaseError, UsageFault
from states.vocabulary import State
from workflow import audit, backup, restore
from workflow.cases import Clocks
from workflow.errors import Conflict, JournalBroken
from workflow.note import Receipt
from workflow.weigh import Restored

pytestmark = pytest.mark.sqlite

NOW = datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)
LATER = date(2023, 6, 20)
DAMAGED = b"SQLite format 3\x00" + b"\x07" * 9000


@pytest.fixture
def place(tmp_path: Path) -> County:
    """A county with one household confirmed, and its backup `copy.db`."""
    place = county.fresh(tmp_path)
    place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    backup.copy_to(place.file, tmp_path / "copy.db")
    return place


def put_back(
    place: County, *receipts: Receipt, accept_loss: bool = False, file: Path | None = None
) -> Restored:
    copy = file or place.file.with_name("copy.db")
    return restore.restore(copy, str(place.file), receipts, accept_loss=accept_loss, now=NOW)


def left(place: County) -> list[str]:
    """What lies in the folder beside the database and its backup."""
    names = {one.name for one in place.file.parent.iterdir()}
    return sorted(
        name for name in names if not name.startswith(("county.db", "copy.db")) or "part" in name
    )


def test_a_backup_of_now_is_put_back_and_nothing_is_lost(place: County) -> None:
    before = county.every_row(place)

    done = put_back(place)

    assert (done.lost, done.upgraded, done.cases) == (0, False, len(county.CODES))
    assert county.every_row(place) == before
    assert left(place) == ["county-replaced-20260301T010203Z.db"]


def test_a_database_that_is_gone_comes_back(place: County) -> None:
    before = county.every_row(place)
    place.database.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{place.file}{suffix}").unlink(missing_ok=True)

    done = put_back(place)

    assert (done.lost, done.replaced) == (None, None)
    assert county.every_row(place) == before
    assert place.file.stat().st_mode & 0o777 == 0o600


def test_registrations_are_not_lost_unsaid(place: County) -> None:
    place.carry_out([county.confirm(code) for code in TOWN[1:3]], "wang", LATER)
    before = county.every_row(place)

    with pytest.raises(Conflict, match="有 2 条不在备份里") as refused:
        put_back(place)

    assert refused.value.code == "would_lose"
    assert county.every_row(place) == before
    assert left(place) == []


def test_a_loss_that_is_accepted_is_told_and_what_was_there_is_kept(place: County) -> None:
    with_one = county.every_row(place)
    place.carry_out([county.confirm(code) for code in TOWN[1:3]], "wang", LATER)
    with_three = county.every_row(place)

    done = put_back(place, accept_loss=True)

    assert done.lost == 2
    assert done.replaced is not None
    assert county.every_row(place) == with_one
    assert county.every_row(county.open_at(done.replaced)) == with_three
    with place.database.reading() as connection:
        assert audit.verification(connection).verified


def test_who_reads_meanwhile_goes_on_and_sees_it_afterwards(place: County) -> None:
    place.carry_out([county.confirm(code) for code in TOWN[1:3]], "wang", LATER)
    count = "SELECT count(*) FROM journal"
    with place.database.reading() as connection:
        before = connection.exec_driver_sql(count).scalar_one()

        put_back(place, accept_loss=True)

        assert connection.exec_driver_sql(count).scalar_one() == before
    with place.database.reading() as connection:
        assert connection.exec_driver_sql(count).scalar_one() == before - 2


def test_what_was_written_while_it_was_weighed_is_not_lost(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = backup.copy_beside

    def meanwhile(source: Path, folder: Path, why: str, now: datetime) -> Path:
        copy = aside(source, folder, why, now)
        place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
        return copy

    monkeypatch.setattr(backup, "copy_beside", meanwhile)

    with pytest.raises(Conflict, match="其间又有人写入"):
        put_back(place, accept_loss=True)

    with place.database.reading() as connection:
        assert audit.verification(connection).verified
    found = {one.code: one.state for one in county.listed(place, Clocks(LATER))}
    assert found[TOWN[1]] is State.EQUIPMENT_SELECTION


def test_the_backup_of_another_database_is_refused(place: County, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = county.empty_wutai(tmp_path / "other")
    backup.copy_to(other.file, tmp_path / "other.db")
    before = county.every_row(place)

    with pytest.raises(UsageFault, match="另一个数据库"):
        put_back(place, file=tmp_path / "other.db", accept_loss=True)

    assert county.every_row(place) == before


@pytest.mark.parametrize(
    "content", [b"", b"not a database", b"SQLite format 3\x00" + b"\x07" * 9000]
)
def test_what_is_no_backup_is_refused(place: County, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "garbage.db").write_bytes(content)
    before = county.every_row(place)

    with pytest.raises(CaseError):
        put_back(place, file=tmp_path / "garbage.db", accept_loss=True)

    assert county.every_row(place) == before
    assert left(place) == ["garbage.db"]


def test_a_backup_that_was_tampered_with_is_refused(place: County) -> None:
    copy = place.file.with_name("copy.db")
    with closing(sqlite3.connect(copy)) as plain:
        plain.execute("DROP TRIGGER journal_no_update")
        plain.execute("UPDATE journal SET actor = 'nobody' WHERE seq = 5")
        plain.commit()
    before = county.every_row(place)

    with pytest.raises(JournalBroken, match="核验不通过"):
        put_back(place, accept_loss=True)

    assert county.every_row(place) == before


def test_an_old_copy_is_held_against_what_the_witness_saw(place: County, tmp_path: Path) -> None:
    place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
    receipt = witnessed(place, tmp_path)
    before = county.every_row(place)

    with pytest.raises(Conflict, match="已有见证人见过"):
        put_back(place, receipt)

    assert county.every_row(place) == before


def test_a_receipt_counts_where_the_database_is_gone(place: County, tmp_path: Path) -> None:
    place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
    receipt = witnessed(place, tmp_path)
    place.database.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{place.file}{suffix}").unlink(missing_ok=True)

    with pytest.raises(Conflict, match="其后 1 条已有见证人见过"):
        put_back(place, receipt)
    done = put_back(place, receipt, accept_loss=True)

    assert done.witnessed == receipt.checkpoint.size == done.events + 1


def test_another_history_than_the_witness_saw_is_never_put_back(
    place: County, tmp_path: Path
) -> None:
    fork = county.open_at(backup_at(place, tmp_path / "fork.db"))
    fork.carry_out([county.confirm(TOWN[2])], "wang", LATER)
    backup.copy_to(fork.file, tmp_path / "copy.db")
    place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
    receipt = witnessed(place, tmp_path)

    with pytest.raises(JournalBroken, match="不是见证人所见"):
        put_back(place, receipt, accept_loss=True)


def test_a_fork_of_the_same_journal_is_told_by_what_would_be_lost(
    place: County, tmp_path: Path
) -> None:
    fork = county.open_at(backup_at(place, tmp_path / "fork.db"))
    fork.carry_out([county.confirm(TOWN[2])], "wang", LATER)
    backup.copy_to(fork.file, tmp_path / "copy.db")
    place.carry_out([county.confirm(TOWN[1])], "wang", LATER)

    with pytest.raises(Conflict, match="有 1 条不在备份里"):
        put_back(place)


def test_a_damaged_database_is_set_aside_as_it_is(place: County) -> None:
    """With its WAL, whose committed pages SQLite would otherwise play into the new file."""
    before, wal = county.every_row(place), Path(f"{place.file}-wal")
    with place.database.reading():
        place.carry_out([county.confirm(TOWN[1])], "wang", LATER)
        stale = wal.read_bytes()
    place.database.close()
    place.file.write_bytes(DAMAGED)
    wal.write_bytes(stale)

    done = put_back(place)

    assert done.lost is None
    assert county.every_row(county.open_at(place.file)) == before
    aside = place.file.with_name("county-damaged-20260301T010203Z.db")
    assert done.replaced == aside
    assert aside.read_bytes() == DAMAGED
    assert Path(f"{aside}-wal").read_bytes() == stale


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(
    place: County, tmp_path: Path
) -> None:
    old = older(place, tmp_path / "old.db", "0001")
    before = county.every_row(place)

    done = put_back(place, file=old)

    assert done.upgraded
    assert county.every_row(place)["journal"] == before["journal"]
    assert county.every_row(place)["deadline"] == before["deadline"]


def test_the_database_itself_is_no_backup_of_itself(place: County) -> None:
    with pytest.raises(UsageFault, match="就是数据库本身"):
        put_back(place, file=place.file)


@pytest.mark.crash
def test_killed_at_any_page_it_is_the_old_one_or_the_new_one(place: County, tmp_path: Path) -> None:
    """A real process dies by SIGKILL at one step of the copy after another."""
    place.carry_out([county.confirm(code) for code in TOWN[1:3]], "wang", LATER)
    place.database.close()
    master, seen = tmp_path / "master.db", set()
    backup.copy_to(place.file, master)
    long, short = county.every_row(place), county.every_row(county.open_at(tmp_path / "copy.db"))
    for step in range(1, 200):
        shutil.copy(master, place.file)
        lived = _killed_at(place, step)
        found = county.every_row(county.open_at(place.file))
        assert found in (long, short)
        seen.add(found == short)
        for one in place.file.parent.glob("county-replaced-*"):
            one.unlink()
        if lived:
            break

    assert lived
    assert seen == {True, False}
    assert put_back(place, accept_loss=True).events > 0


def _killed_at(place: County, step: int) -> bool:
    """Whether the child that restores came to its end; it dies at a step of the last copy."""
    child = os.fork()
    if child == 0:
        _Dying.dies_at = step
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_Dying))
            put_back(place, accept_loss=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


class _Dying(sqlite3.Connection):
    """Copies as ever, and is gone at the step of a number."""

    dies_at: ClassVar[int]

    def backup(
        self,
        target: sqlite3.Connection,
        *,
        pages: int = -1,
        progress: Callable[[int, int, int], object] | None = None,
        name: str = "main",
        sleep: float = 0.25,
    ) -> None:
        steps = 0

        def counted(status: int, remaining: int, total: int) -> None:
            nonlocal steps
            steps += 1
            if steps == self.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            assert progress is not None
            progress(status, remaining, total)

        watch = None if progress is None else counted
        super().backup(target, pages=pages, progress=watch, name=name, sleep=sleep)


def backup_at(place: County, file: Path) -> Path:
    backup.copy_to(place.file, file)
    return file
