"""Each oddity is planted in a real county and found; what is ordinary is not."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import county
import pytest
from county import ACCEPTED, CODE, CODES, COMPLETED, FIRST_HEAT, ONE_DAY, TOWN, County, noon

from states.vocabulary import FactKind, GateKind, Oddity, State, Trigger
from workflow import engine, ledger, oddities, register, setup
from workflow.attachments import File
from workflow.engine import Order, Receipt
from workflow.oddities import Odd

TODAY = date(2024, 1, 31)
MANY = range(100, 100 + oddities.BURST)


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


def ranked(
    place: County, kind: Oddity | None = None, units: Sequence[str] | None = None
) -> list[Odd]:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = oddities.ranking(connection, plan, TODAY, units)
    return [one for one in found if kind is None or one.kind is kind]


def accept(code: str) -> Order:
    """A right acceptance with a photo of its own."""
    order = county.accept(code)
    photo = File(county.PHOTO.name, f"a photo of {code}".encode())
    return Order(order.code, order.kind, order.evidence, None, (photo, county.DOSSIER), None, None)


def build(place: County, codes: Sequence[str], *, photos: bool = True) -> None:
    """Takes cases to their stable season, each with its own photo, or all with the same."""
    county.carry(place, codes, State.ACCEPTANCE)
    make = accept if photos else county.accept
    for answer in place.carry_out([make(code) for code in codes], "zhao", ACCEPTED):
        assert isinstance(answer, Receipt), answer


def settle(place: County, codes: Sequence[str]) -> None:
    """First heat and a warm visit, neither of them round."""
    for number, code in enumerate(codes):
        place.advance(code, FactKind.WORKS, FIRST_HEAT, ("first_heat_on", str(FIRST_HEAT)))
        place.advance(code, FactKind.VISIT, FIRST_HEAT, ("temperature", f"20.{number % 9 + 1}"))


def test_an_ordinary_county_has_no_oddity(place: County) -> None:
    build(place, CODES)
    settle(place, CODES)

    assert ranked(place) == []


def test_one_photo_in_several_files_is_odd(place: County) -> None:
    build(place, TOWN, photos=False)

    (found,) = ranked(place, Oddity.PHOTO_IN_SEVERAL)

    assert found.codes == tuple(TOWN)
    assert "在 6 户的材料里" in found.message
    assert len(found.seqs) == 6


def test_one_serial_in_two_cases_is_odd_and_worse_in_two_villages_on_a_day(place: County) -> None:
    first, second, third = TOWN[:3]
    county.carry(place, [first, second, third, "102-0001"], State.CONSTRUCTION)
    place.carry_out([county.complete(first, serial="SN 1")], "wang", COMPLETED)
    place.advance(first, Trigger.CLOSE, COMPLETED, *county.CLOSING)
    place.carry_out([county.complete("102-0001", serial="sn1")], "qian", COMPLETED)
    place.carry_out([county.complete(second, serial="SN2")], "wang", COMPLETED)
    place.advance(second, Trigger.CLOSE, COMPLETED, *county.CLOSING)
    later = COMPLETED + ONE_DAY
    place.carry_out([county.complete(third, serial="SN2")], "wang", later)

    (villages,) = ranked(place, Oddity.DEVICE_IN_TWO_VILLAGES)
    (serial,) = ranked(place, Oddity.SERIAL_IN_SEVERAL)

    assert villages.codes == (first, "102-0001")
    assert villages.units == ("101", "102")
    assert "前村、后村" in villages.message
    assert serial.codes == (second, third)
    assert villages.strength > serial.strength


def test_acceptance_before_the_village_was_energised_is_odd(place: County) -> None:
    build(place, TOWN[:1])
    opened = ACCEPTED + 3 * ONE_DAY
    setup.open_gate(
        place.database,
        "101",
        "前村",
        GateKind.GRID,
        opened,
        [county.PAPER],
        actor="zhang",
        now=noon(opened),
    )

    (found,) = ranked(place, Oddity.ACCEPTED_BEFORE_ENERGISED)

    assert found.codes == (CODE,)
    assert found.message == f"{ACCEPTED} 验收合格，前村电网改造开通在 {opened}，验收在前"


def test_no_heat_after_acceptance_is_odd_once_the_season_and_its_grace_ran(place: County) -> None:
    build(place, TOWN[:3])
    settle(place, TOWN[:1])
    place.advance(TOWN[1], FactKind.VISIT, FIRST_HEAT, ("temperature", "12.3"))

    found = ranked(place, Oddity.NO_HEAT_AFTER_ACCEPTANCE)

    assert {one.codes for one in found} == {(TOWN[1],), (TOWN[2],)}
    assert "2023-11-01 起应已供热" in found[0].message
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        for day, number in ((date(2023, 11, 6), 0), (date(2023, 11, 7), 2)):
            early = oddities.ranking(connection, plan, day)
            kinds = [one.kind for one in early]
            assert kinds.count(Oddity.NO_HEAT_AFTER_ACCEPTANCE) == number


def test_a_fault_that_nobody_repaired_since_acceptance_is_odd(place: County) -> None:
    build(place, TOWN[:2])
    settle(place, TOWN[:2])
    broken = FIRST_HEAT + 5 * ONE_DAY
    for code in TOWN[:2]:
        place.advance(code, FactKind.FAULT, broken, ("what", "压缩机不转"))
    place.advance(TOWN[1], FactKind.VISIT, broken + ONE_DAY, ("temperature", "19.4"))

    (found,) = ranked(place, Oddity.NO_HEAT_AFTER_ACCEPTANCE)

    assert found.codes == (TOWN[0],)
    assert "压缩机不转" in found.message


def many_households(place: County) -> list[str]:
    """As many households more as make a burst."""
    rows = [county.household(number, "101", 计划类别="超计划") for number in MANY]
    file = county.write_workbook(place.file.parent / "更多.xlsx", rows)
    imported = ledger.import_file(place.database, file, "zhang", noon(county.LEDGER_IN))
    assert (imported.faults, len(imported.codes)) == ((), oddities.BURST)
    return list(imported.codes)


@pytest.mark.parametrize(("fewer", "bursts"), [(0, 1), (1, 0)])
def test_sixty_acceptances_by_one_person_in_ten_minutes_are_odd(
    place: County, fewer: int, bursts: int
) -> None:
    codes = many_households(place)[fewer:]
    county.carry(place, codes, State.ACCEPTANCE)
    # The last one is recorded exactly ten minutes after the first.
    first, last = noon(ACCEPTED), noon(ACCEPTED) + oddities.BURST_WITHIN
    for batch, at in ((codes[:1], first), (codes[1:], last)):
        engine.carry_out(place.database, [accept(code) for code in batch], "zhao", at)

    found = ranked(place, Oddity.ACCEPTANCE_BURST)

    assert len(found) == bursts
    if found:
        assert found[0].codes == tuple(sorted(codes))
        assert f"10 分钟内登记验收合格 {oddities.BURST} 户" in found[0].message


def test_sixty_acceptances_in_more_than_ten_minutes_are_not(place: County) -> None:
    codes = many_households(place)
    county.carry(place, codes, State.ACCEPTANCE)
    later = noon(ACCEPTED) + oddities.BURST_WITHIN + timedelta(seconds=1)
    for batch, at in ((codes[:1], noon(ACCEPTED)), (codes[1:], later)):
        engine.carry_out(place.database, [accept(code) for code in batch], "zhao", at)

    assert ranked(place, Oddity.ACCEPTANCE_BURST) == []


def test_an_edit_after_acceptance_is_odd_and_one_of_what_came_later_is_not(place: County) -> None:
    build(place, TOWN[:2])
    settle(place, TOWN[:2])
    day = FIRST_HEAT + ONE_DAY
    row = county.household(1, "101", 编号=TOWN[0], 建筑面积="180", 采暖面积="160")
    [(version,)] = place.sql("SELECT version FROM household_case WHERE code = ?", TOWN[0])
    row["版本"] = str(version)
    file = county.write_workbook(place.file.parent / "改.xlsx", [row], [*row])
    changed = ledger.import_file(place.database, file, "wang", noon(day))
    assert (changed.faults, changed.changed) == ((), 1)
    [(visit,)] = place.sql(
        "SELECT seq FROM journal WHERE kind = 'visit' AND stream = ?", f"case:{TOWN[1]}"
    )
    right = ("id", str(visit)), ("temperature", "19.9")
    place.advance(TOWN[1], FactKind.CORRECT, day, *right, on=FIRST_HEAT, files=(county.PAPER,))

    (found,) = ranked(place, Oddity.EDITED_AFTER_ACCEPTANCE)

    assert found.codes == (TOWN[0],)
    assert f"改动验收以前的登记 1 次（{day}）" in found.message


@pytest.mark.parametrize(("odd_degrees", "bursts"), [(2, 1), (3, 0)])
def test_temperatures_in_whole_numbers_in_a_row_are_odd(
    place: County, odd_degrees: int, bursts: int
) -> None:
    codes = many_households(place)[: oddities.ROUND_LEAST]
    for number, code in enumerate(codes):
        degrees = "19.5" if number < odd_degrees else "20"
        place.advance(code, FactKind.VISIT, TODAY, ("temperature", degrees))

    found = ranked(place, Oddity.ROUND_NUMBERS)

    assert len(found) == bursts
    if found:
        assert found[0].codes == tuple(codes[odd_degrees:])
        assert "最多的是 20 ℃" in found[0].message


def test_the_strongest_stand_first_and_a_unit_sees_its_own(place: County) -> None:
    build(place, ["101-0001", "102-0001"], photos=False)

    found = ranked(place)

    assert [one.kind for one in found] == [
        Oddity.NO_HEAT_AFTER_ACCEPTANCE,
        Oddity.NO_HEAT_AFTER_ACCEPTANCE,
        Oddity.PHOTO_IN_SEVERAL,
    ]
    assert [one.strength for one in found] == sorted((o.strength for o in found), reverse=True)
    assert {one.units for one in ranked(place, units=["102"])} == {("102",), ("101", "102")}
    assert ranked(place, units=["RLJ"]) == []
