"""Who sees only part of a server's journal is never told that it is broken for what he cannot see.

The check of the whole is the county's and the auditor's, and that is what he is told instead.
"""

from pathlib import Path

import county
import pytest
import server
from county import CODE, OTHER_UNIT, PERMITTED, County
from office import Office

from states.vocabulary import State, Trigger
from workflow import checkpoint, db, doctor, quarantine
from workflow.errors import JournalBroken, NotPermitted
from workflow.health import Health

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def ripe(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """A case that could be permitted, and one of another unit whose events lie in between."""
    place = county.fresh(tmp_path_factory.mktemp("ripe"))
    county.carry(place, [CODE, OTHER_UNIT], State.STABLE_SEASON)
    county.winter(place, [CODE])
    return place


@pytest.fixture
def place(ripe: County, tmp_path: Path) -> County:
    return county.copy(ripe, tmp_path)


@pytest.mark.parametrize("login", ["wang", "head"])
def test_who_may_not_permit_is_told_that(place: County, login: str) -> None:
    before = county.every_row(place)

    with pytest.raises(NotPermitted, match="由县清洁取暖办办理"):
        place.advance(CODE, Trigger.PERMIT, PERMITTED, login=login)

    assert county.every_row(place) == before


def test_the_county_still_permits_on_the_whole_journal_alone(place: County) -> None:
    place.tamper("DELETE FROM journal WHERE stream = 'gates' AND version = 1")

    with pytest.raises(JournalBroken):
        place.advance(CODE, Trigger.PERMIT, PERMITTED)


def test_the_check_of_the_whole_is_refused_to_who_sees_part(place: County) -> None:
    with place.acting("wang").reading() as connection:
        with pytest.raises(NotPermitted, match="只看得到其中一部分"):
            quarantine.check_whole(connection)
        damage = quarantine.damage(connection)

    assert (damage.whole, damage.everything) == (True, False)
    for login in ("zhang", "shen", "zhao"):
        with place.acting(login).reading() as connection:
            assert quarantine.damage(connection).everything, login
            quarantine.check_whole(connection)


def test_damage_of_the_own_unit_is_seen_all_the_same(place: County) -> None:
    place.reword(f"case:{CODE}", "KFR-35", "KFR-36")

    with place.acting("wang").reading() as connection:
        mine = quarantine.damage(connection)
    with place.acting("qian").reading() as connection:
        theirs = quarantine.damage(connection)

    assert list(mine.streams) == [f"case:{CODE}"]
    assert theirs.whole


def test_a_units_pages_say_who_checks_the_whole(
    place: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office(place, capsys, "wang")
    page, report = tmp_path / "看板.html", tmp_path / "自评.html"

    drawn = office.run("report", "dashboard", page).answer
    told = office.run("report", "evaluation", report, "--season", "2023-2024").answer

    assert (drawn["journal_broken"], drawn["journal_whole"]) == (None, False)
    assert isinstance(told["proof"], dict)
    assert (told["proof"]["broken"], told["proof"]["whole"]) == (None, False)
    for file in (page, report):
        text = file.read_text(encoding="utf-8")
        assert "整个日志由县清洁取暖办和审计人员核对" in text
        assert "不可采信" not in text
        assert "条县外无人见过" not in text


def test_a_certificate_is_for_who_can_hold_it_against_the_whole(
    place: County, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.advance(CODE, Trigger.PERMIT, PERMITTED)
    checkpoint.make(place.database, county.noon(PERMITTED))
    file = tmp_path / "证明.html"

    said = Office(place, capsys, "wang").run("audit", "certificate", CODE, file)

    assert said.status == 5
    assert "县清洁取暖办或审计人员" in said.text
    assert Office(place, capsys, "zhang").run("audit", "certificate", CODE, file).status == 0


def test_the_doctor_says_that_it_did_not_look(place: County) -> None:
    database = db.connect(server.as_login(place.url, "wang"))
    with database.reading() as connection:
        found = doctor.journal_of(connection)
    database.close()

    assert found.health is Health.WARNING
    assert "没有核对" in found.message
