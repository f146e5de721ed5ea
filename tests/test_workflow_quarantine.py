"""Fail closed, and the way out that county office and auditor go together."""

import hashlib
import subprocess
import sys
from pathlib import Path

import county
import pytest
from county import CODE, PERMITTED, County, every_row

from states.errors import StepRefused
from states.facts import Actor
from states.vocabulary import FactKind, Role, State, Trigger
from workflow import audit, quarantine, register, setup
from workflow.engine import Receipt
from workflow.errors import Conflict, JournalBroken, NotPermitted
from workflow.quarantine import Quarantine

OTHER, THIRD = county.TOWN[1:3]
WHY = "硬盘坏道，纸质材料另存"


@pytest.fixture(scope="module")
def ripe(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Three cases that could be permitted today."""
    place = county.fresh(tmp_path_factory.mktemp("ripe"))
    codes = [CODE, OTHER, THIRD]
    county.carry(place, codes, State.STABLE_SEASON)
    county.winter(place, codes)
    return place


@pytest.fixture
def place(ripe: County, tmp_path: Path) -> County:
    return county.copy(ripe, tmp_path)


def garble(place: County, code: str = CODE, version: int = 3) -> int:
    """One byte of an event of the case turns over, as on a bad disk; its seq."""
    stream = f"case:{code}"
    [(seq, body)] = place.sql(
        "SELECT seq, body FROM journal WHERE stream = ? AND version = ?", stream, version
    )
    assert isinstance(body, bytes)
    place.tamper("UPDATE journal SET body = ? WHERE seq = ?", body[:50] + b"\xff" + body[51:], seq)
    return int(str(seq))


def permit(place: County, code: str) -> Receipt:
    return place.advance(code, Trigger.PERMIT, PERMITTED)


def isolate(place: County, login: str, code: str = CODE, reason: str = WHY) -> Quarantine:
    now = county.noon(PERMITTED)
    return quarantine.quarantine(place.database, code, reason, actor=login, now=now)


def test_a_broken_case_closes_itself_and_every_permission_and_nothing_else(place: County) -> None:
    seq = garble(place)
    before = every_row(place)

    for code, kind in ((CODE, FactKind.FAULT), (OTHER, Trigger.PERMIT)):
        pairs = [("what", "坏")] if kind is FactKind.FAULT else []
        with pytest.raises(JournalBroken) as broken:
            place.advance(code, kind, PERMITTED, *pairs)
        assert broken.value.status == 6
        assert broken.value.place == f"case:{CODE} seq {seq}"
        assert f"audit quarantine {CODE}" in str(broken.value.remedy)

    assert every_row(place) == before
    place.advance(OTHER, FactKind.FAULT, PERMITTED, ("what", "坏"))
    with place.database.reading() as connection:
        assert audit.report(connection).cases == 10


@pytest.mark.parametrize(("first", "second"), [("zhang", "shen"), ("shen", "zhang")])
def test_county_office_and_auditor_together_open_the_others_again(
    place: County, first: str, second: str
) -> None:
    garble(place)
    proposed = isolate(place, first)
    with pytest.raises(JournalBroken):
        permit(place, OTHER)
    confirmed = isolate(place, second)

    assert (proposed.confirmed, confirmed.confirmed) == (False, True)
    assert permit(place, OTHER).state is State.REMOVAL_PERMITTED
    with pytest.raises(JournalBroken) as closed:
        place.advance(CODE, FactKind.FAULT, PERMITTED, ("what", "坏"))
    assert closed.value.code == "quarantined"
    with place.database.reading() as connection:
        assert quarantine.codes(connection) == (CODE,)


def test_it_is_in_the_journal_and_the_damage_stays_a_finding(place: County) -> None:
    seq = garble(place)
    isolate(place, "zhang")
    isolate(place, "shen")

    with place.database.reading() as connection:
        report = audit.report(connection)
        found = audit.verification(connection, report)

    assert report.quarantined == (CODE,)
    assert not found.verified
    assert {one.code for one in report.integrity} <= {
        "hash_mismatch",
        "event_malformed",
        "chain_broken",
        "edge_not_allowed",
        "version_gap",
        "projection_differs",
        "separation",
        "reference_unknown",
        "permission_unlawful",
    }
    assert seq in {one.seq for one in report.integrity}
    streams = [row[0] for row in place.sql("SELECT kind FROM journal WHERE stream = 'quarantine'")]
    assert streams == ["quarantine_proposed", "quarantine_confirmed"]


@pytest.mark.parametrize(
    ("first", "second"), [("zhang", "zhang"), ("zhang", "li"), ("shen", "shen")]
)
def test_one_side_alone_cannot(place: County, first: str, second: str) -> None:
    garble(place)
    isolate(place, first)
    before = every_row(place)

    with pytest.raises(StepRefused) as refused:
        isolate(place, second)

    assert [reason.guard for reason in refused.value.reasons] == ["separation"]
    assert every_row(place) == before
    with pytest.raises(JournalBroken):
        permit(place, OTHER)


def test_one_person_under_two_logins_cannot(place: County) -> None:
    garble(place)
    setup.add_officer(
        place.database,
        "zhang-audits",
        "张县办",
        Role.AUDITOR,
        None,
        "zhang",
        actor="zhang",
        now=county.noon(PERMITTED),
    )
    isolate(place, "zhang")

    with pytest.raises(StepRefused):
        isolate(place, "zhang-audits")


@pytest.mark.parametrize("login", ["wang", "head", "zhao"])
def test_nobody_else_may(place: County, login: str) -> None:
    garble(place)

    with pytest.raises(NotPermitted):
        isolate(place, login)


def test_a_case_that_verifies_is_not_put_away(place: County) -> None:
    with pytest.raises(StepRefused):
        isolate(place, "zhang")
    garble(place)
    with pytest.raises(StepRefused):
        isolate(place, "zhang", OTHER)
    with pytest.raises(NotPermitted):
        isolate(place, "zhang", "101-9999")


def test_it_is_done_once(place: County) -> None:
    garble(place)
    isolate(place, "zhang")
    isolate(place, "shen")

    for login in ("zhang", "shen"):
        with pytest.raises(Conflict):
            isolate(place, login)


def test_further_damage_needs_a_further_quarantine(place: County) -> None:
    garble(place)
    isolate(place, "zhang")
    isolate(place, "shen")
    garble(place, version=5)

    with pytest.raises(JournalBroken):
        permit(place, OTHER)
    assert isolate(place, "zhang").confirmed is False
    with pytest.raises(JournalBroken):
        permit(place, OTHER)
    assert isolate(place, "shen").confirmed
    permit(place, OTHER)


def test_damage_between_proposal_and_confirmation_begins_anew(place: County) -> None:
    garble(place)
    isolate(place, "zhang")
    garble(place, version=5)

    assert not isolate(place, "shen").confirmed
    assert isolate(place, "zhang").confirmed


def test_another_broken_case_still_stops_permissions(place: County) -> None:
    garble(place)
    isolate(place, "zhang")
    isolate(place, "shen")
    garble(place, OTHER)

    with pytest.raises(JournalBroken) as broken:
        permit(place, THIRD)

    assert str(broken.value.place).startswith(f"case:{OTHER}")


def test_a_hole_in_the_journal_goes_with_its_case(place: County) -> None:
    [(seq,)] = place.sql("SELECT seq FROM journal WHERE stream = ? AND version = 4", f"case:{CODE}")
    place.tamper("DELETE FROM journal WHERE seq = ?", seq)
    with pytest.raises(JournalBroken):
        permit(place, OTHER)
    isolate(place, "zhang")

    assert isolate(place, "shen").missing == (seq,)
    permit(place, OTHER)


def test_a_row_that_its_events_do_not_make_is_damage_too(place: County) -> None:
    place.tamper("UPDATE household_case SET version = version - 1 WHERE code = ?", CODE)

    with pytest.raises(JournalBroken) as broken:
        permit(place, OTHER)

    assert str(broken.value.place).startswith(f"case:{CODE}")
    isolate(place, "zhang")
    isolate(place, "shen")
    permit(place, OTHER)


def test_a_case_that_was_mended_stays_closed(place: County) -> None:
    seq = garble(place)
    isolate(place, "zhang")
    isolate(place, "shen")

    place.tamper("UPDATE journal SET body = ? WHERE seq = ?", mended(place, seq), seq)

    with pytest.raises(JournalBroken) as closed:
        place.advance(CODE, FactKind.FAULT, PERMITTED, ("what", "坏"))
    assert closed.value.code == "quarantined"
    permit(place, OTHER)


def mended(place: County, seq: int) -> bytes:
    """The bytes that were there: one was overwritten, the hash says which it was."""
    [(body, wanted)] = place.sql("SELECT body, hash FROM journal WHERE seq = ?", seq)
    assert isinstance(body, bytes)
    for byte in range(256):
        tried = body[:50] + bytes([byte]) + body[51:]
        if hashlib.sha256(tried).hexdigest() == wanted:
            return tried
    raise AssertionError


def test_a_broken_stream_that_is_no_case_names_the_backup(place: County) -> None:
    place.tamper("UPDATE journal SET previous = 'x' WHERE stream = 'gates' AND version = 2")

    with pytest.raises(JournalBroken) as broken:
        permit(place, OTHER)

    assert "备份" in str(broken.value.remedy)


def test_a_quarantine_by_one_role_in_a_forged_journal_is_found(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    garble(place)
    isolate(place, "zhang")
    place.sql("UPDATE officer SET role = 'auditor' WHERE login = 'li'")
    with pytest.raises(JournalBroken, match="人员名册"):
        isolate(place, "li")
    # As a program that does not look would write it.
    actor = Actor("li", "li", "李县办", Role.AUDITOR)
    monkeypatch.setattr(register, "writer", lambda connection, login: actor)
    isolate(place, "li")

    with place.database.reading() as connection:
        report = audit.report(connection)

    assert "role_mismatch" in {one.code for one in report.integrity}


def test_reading_goes_on(place: County, tmp_path: Path) -> None:
    garble(place)
    isolate(place, "zhang")
    isolate(place, "shen")
    place.database.close()
    base = [sys.executable, "-m", "cli", "--db", place.url]
    root = Path(__file__).parent.parent
    for command in (
        ["check"],
        ["case", "list"],
        ["case", "show", OTHER],
        ["todo"],
        ["batch", "template", "resolve", str(tmp_path / "resolve.xlsx")],
        ["audit", "status"],
        ["report", "ledgers", str(tmp_path / "four.xlsx")],
    ):
        done = subprocess.run(
            [*base, *command], cwd=root, capture_output=True, check=False, text=True
        )

        assert done.returncode == 0, done.stderr
        reports = command[0] in ("check", "report") or command[-1] == "status"
        assert not reports or f"已隔离（日志对不上，不再写入）：{CODE}" in done.stdout
