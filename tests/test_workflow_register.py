from datetime import timedelta
from pathlib import Path

import county
import pytest
from county import CODE, ONE_DAY, PAPER, County, every_row

from states import identity
from states.errors import CaseError, StepRefused, UsageFault
from states.vocabulary import GateKind, Role, State, Trigger
from workflow import audit, engine, register, setup
from workflow.attachments import File
from workflow.errors import BadFile, Conflict, NotPermitted

DAY = county.CONFIRMED
NOW = county.noon(DAY)


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def officer(place: County, login: str) -> register.Officer:
    with place.database.reading() as connection:
        return {o.login: o for o in register.officers(connection)}[login]


def add(
    place: County, login: str, role: Role, unit: str | None = None, person: str | None = None,
    actor: str = "zhang",
) -> register.Officer:  # fmt: skip
    return setup.add_officer(
        place.database, login, "新人", role, unit, person, actor=actor, now=NOW
    )


@pytest.mark.parametrize("unit", ["102", "乙乡", "乙镇"])
def test_an_officer_is_registered_under_code_name_or_alias_of_the_unit(
    place: County, unit: str
) -> None:
    made = add(place, "new", Role.UNIT_HEAD, unit)

    assert made == officer(place, "new")
    assert made == register.Officer("new", "新人", "new", Role.UNIT_HEAD, "102", True)


@pytest.mark.parametrize(
    ("role", "unit", "actor", "error"),
    [
        (Role.UNIT_OFFICER, None, "zhang", UsageFault),
        (Role.COUNTY_OFFICE, "101", "zhang", UsageFault),
        (Role.AUDITOR, "101", "zhang", UsageFault),
        (Role.SYSTEM, None, "zhang", UsageFault),
        (Role.UNIT_OFFICER, "999", "zhang", UsageFault),
        (Role.AUDITOR, None, "wang", NotPermitted),
        (Role.AUDITOR, None, "shen", NotPermitted),
        (Role.AUDITOR, None, "ghost", NotPermitted),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(
    place: County, role: Role, unit: str | None, actor: str, error: type[CaseError]
) -> None:
    before = every_row(place)

    with pytest.raises(error):
        add(place, "new", role, unit, actor=actor)

    assert every_row(place) == before


@pytest.mark.parametrize(
    "login",
    [
        *("", "a b", "x" * 64, "a/b", "a\n", "1a", ".a", "a\u0301"),
        *("Wei", "w\u0430ng", "w\u00e4ng", "\uff57ei", "王wei", "wei王", "王" * 22),
    ],
)
def test_a_login_is_a_plain_word_of_one_alphabet(place: County, login: str) -> None:
    with pytest.raises(UsageFault, match="不合要求") as refused:
        add(place, login, Role.AUDITOR)

    assert refused.value.place == "LOGIN"
    with pytest.raises(UsageFault, match="不合要求"):
        add(place, "new", Role.AUDITOR, person=login or " ")


@pytest.mark.parametrize("login", ["wei", "wei-2.b_c", "x" * 63, "王经办", "王经办2", "王" * 21])
def test_such_a_login_can_be_had(place: County, login: str) -> None:
    assert add(place, login, Role.AUDITOR).login == login


def test_a_login_that_looks_like_one_of_before_is_not_taken(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there was a rule there were capitals."""
    with monkeypatch.context() as before:
        before.setattr(identity, "is_login", lambda text: True)
        add(place, "Wei", Role.AUDITOR)

    with pytest.raises(Conflict, match="看起来一样"):
        add(place, "wei", Role.AUDITOR)


def test_a_login_in_use_is_not_given_away(place: County) -> None:
    with pytest.raises(Conflict):
        add(place, "wang", Role.AUDITOR)


def test_a_disabled_login_comes_back_for_the_same_person_only(place: County) -> None:
    setup.disable_officer(place.database, "wang", actor="zhang", now=NOW)
    assert not officer(place, "wang").active

    with pytest.raises(Conflict):
        add(place, "wang", Role.UNIT_OFFICER, "101", "another")
    add(place, "wang", Role.UNIT_OFFICER, "102")

    assert (officer(place, "wang").active, officer(place, "wang").unit) == (True, "102")


def test_the_last_county_officer_stays(place: County) -> None:
    for login in ("li", "zhao-county"):
        setup.disable_officer(place.database, login, actor="zhang", now=NOW)
    before = every_row(place)

    with pytest.raises(StepRefused):
        setup.disable_officer(place.database, "zhang", actor="zhang", now=NOW)

    assert every_row(place) == before


def test_the_last_word_on_a_villages_gate_counts(place: County) -> None:
    for on in (DAY - timedelta(days=3), DAY):
        setup.open_gate(
            place.database, "101", "前村", GateKind.GRID, on, [PAPER], actor="zhang", now=NOW
        )

    with place.database.reading() as connection:
        opened = {(g.unit, g.village): g.opened_on for g in register.gates(connection)}
    assert opened["101", "前村"] == DAY


@pytest.mark.parametrize(
    ("kind", "days", "files", "actor", "error"),
    [
        (GateKind.GRID, 1, [PAPER], "zhang", StepRefused),
        (GateKind.GRID, 0, [], "zhang", UsageFault),
        (GateKind.NONE, 0, [PAPER], "zhang", UsageFault),
        (GateKind.GRID, 0, [PAPER], "wang", NotPermitted),
    ],
)
def test_a_gate_needs_the_county_a_document_and_a_day_that_has_come(
    place: County,
    kind: GateKind,
    days: int,
    files: list[File],
    actor: str,
    error: type[CaseError],
) -> None:
    before = every_row(place)

    with pytest.raises(error):
        setup.open_gate(
            place.database, "101", "新村", kind, DAY + days * ONE_DAY, files, actor=actor, now=NOW
        )

    assert every_row(place) == before


@pytest.mark.parametrize(("days", "refused"), [(0, False), (1, True)])
def test_a_gate_that_opens_on_the_day_of_readiness_is_in_time(
    place: County, days: int, refused: bool
) -> None:
    county.carry(place, [CODE], State.CONSTRUCTION)
    on, now = county.COMPLETED + days * ONE_DAY, county.noon(county.COMPLETED + ONE_DAY)
    setup.open_gate(
        place.database, "101", "前村", GateKind.GRID, on, [PAPER], actor="zhang", now=now
    )
    given = county.complete(CODE)
    pairs = [*county.pairs_of(given), ("grid_document", "县文件")]
    order = county.make_order(CODE, Trigger.COMPLETE, *pairs)

    answer = place.carry_out([order], "wang", county.COMPLETED + ONE_DAY)[0]

    assert isinstance(answer, engine.Refusal) is refused


def test_a_catalogue_is_taken_once_and_only_what_is_new(place: County) -> None:
    file = place.file.parent / "models.csv"
    file.write_text("型号,品牌,取暖方式,中标包号\nKFR-35,格力,煤改电,1\nX-9,美的,煤改电,2\n")

    first = setup.import_catalogue(place.database, file, actor="zhang", now=NOW)
    before = every_row(place)
    again = setup.import_catalogue(place.database, file, actor="li", now=NOW)

    assert (first["rows"], first["added"]) == (2, 1)
    assert again["added"] == 0
    assert every_row(place) == before


HEADER = "型号,品牌,取暖方式,中标包号\n"


@pytest.mark.parametrize(
    "text", ["", "品牌,型号\n格力,X\n", HEADER, f"{HEADER}X,Y,煤,1\n", f"{HEADER},Y,煤改电,1\n"]
)
def test_a_catalogue_that_is_none_is_refused(place: County, text: str) -> None:
    file = place.file.parent / "models.csv"
    file.write_text(text)
    before = every_row(place)

    with pytest.raises(BadFile):
        setup.import_catalogue(place.database, file, actor="zhang", now=NOW)

    assert every_row(place) == before


def test_a_new_database_begins_with_its_nature_its_plan_and_its_first_officer(
    tmp_path: Path,
) -> None:
    place = county.empty_wutai(tmp_path)

    kinds = [kind for (kind,) in place.sql("SELECT kind FROM journal ORDER BY seq")]
    with place.database.reading() as connection:
        assert kinds == ["init", "plan_adopted", "officer_added"]
        assert not register.is_drill(connection)
        assert register.plan_in_force(connection).totals.households == 3966
        assert audit.verification(connection).verified


def test_a_database_that_cannot_be_made_is_not_left_behind(tmp_path: Path) -> None:
    file = tmp_path / "new.db"

    with pytest.raises(UsageFault):
        setup.create(
            str(file), "wutai-2023", drill=True, login="a", name="甲", today=None, clock=NOW
        )

    assert not file.exists()
