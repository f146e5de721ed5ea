"""A sample from the draw to its conclusion, on a real database and real workbooks."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from math import ceil, comb
from pathlib import Path

import county
import openpyxl
import pytest
from county import ACCEPTED, CODES, ONE_DAY, PERMITTED, County, every_row, noon

from states.errors import CaseError, UsageFault
from states.plan import Json
from states.vocabulary import FactKind, State, Trigger
from workflow import audit, register, sample
from workflow.errors import BadFile, NotPermitted
from workflow.sample import Draw, Results, Standing, Terms

DRAWN = date(2023, 9, 20)
RETURNED = date(2023, 9, 28)
TERMS = Terms(Fraction(1, 5), Fraction(1, 5))
GOOD: Mapping[str, object] = {
    "检查日期": "2023-09-25",
    "新取暖正常": "是",
    "室内温度℃": 21.5,
    "旧炉还在": "无此设施",
    "火炕被封": "否",
    "结论": "合格",
}


@pytest.fixture
def place(tmp_path: Path) -> County:
    """All ten households in their stable season."""
    found = county.fresh(tmp_path)
    county.carry(found, CODES, State.STABLE_SEASON)
    return found


def draw(place: County, *, seed: str = "42", terms: Terms = TERMS, day: date = DRAWN) -> Draw:
    return sample.draw(place.database, "shen", noon(day), seed, terms)


def standing(place: County, id_: int | None = None) -> Standing:
    with place.database.reading() as connection:
        return sample.standing(connection, id_)


def sheet(place: County, found: Draw, name: str = "入户表.xlsx") -> Path:
    path = place.file.parent / name
    with place.database.reading() as connection:
        sample.write_sheet(connection, path, found, register.plan_in_force(connection))
    return path


def fill(path: Path, rows: Mapping[str, Mapping[str, object]]) -> Path:
    """Writes what was found into the sheet's rows, by code and heading."""
    book = openpyxl.load_workbook(path)
    for page in book:
        headings = {cell.value: cell.column for cell in page[3]}
        for row in range(4, page.max_row + 1):
            code = page.cell(row, headings["编号"]).value
            for heading, value in rows.get(str(code), {}).items():
                page.cell(row, headings[heading]).value = value
    book.save(path)
    return path


def hand_in(
    place: County, path: Path, *, day: date = RETURNED, login: str = "shen", reason: str = ""
) -> Results:
    return sample.record(place.database, path, login, noon(day), reason or None)


def returned(place: County, found: Draw, **other: Mapping[str, object]) -> Results:
    rows = {code: {**GOOD, **other.get(code.replace("-", "_"), {})} for code in found.codes}
    return hand_in(place, fill(sheet(place, found), rows))


def codes_of(results: Results) -> list[str]:
    return [fault.code for fault in results.faults]


def test_a_draw_is_an_event_that_says_all_that_is_needed_to_draw_again(place: County) -> None:
    found = draw(place)

    [(stream, kind, actor, role)] = place.sql(
        "SELECT stream, kind, actor, role FROM journal WHERE seq = ?", found.id
    )
    assert (stream, kind, actor, role) == ("samples", "sample_drawn", "shen", "auditor")
    assert found.size.population == 10
    assert found.size.size == 6
    assert {one.unit: one.drawn for one in found.size.strata} == {"101": 4, "102": 2, "RLJ": 2}
    assert len(found.codes) == 8
    assert [one.draw for one in [standing(place)]] == [found]
    assert standing(place).reproduced
    with place.database.reading() as connection:
        assert audit.verification(connection).verified


def test_the_same_draw_again_writes_nothing_and_answers_alike(place: County) -> None:
    first = draw(place)
    before = every_row(place)

    again = draw(place, day=DRAWN + ONE_DAY)

    assert (again.id, again.codes, again.repeated) == (first.id, first.codes, True)
    assert every_row(place) == before


def test_another_seed_is_another_draw_and_both_stay(place: County) -> None:
    first = draw(place)

    second = draw(place, seed="43")

    assert second.id > first.id
    with place.database.reading() as connection:
        assert [one.id for one in sample.draws(connection)] == [first.id, second.id]


@pytest.mark.parametrize("login", ["zhang", "wang", "zhao", "nobody"])
def test_only_an_auditor_draws(place: County, login: str) -> None:
    before = every_row(place)

    with pytest.raises(NotPermitted):
        sample.draw(place.database, login, noon(DRAWN), "42", TERMS)

    assert every_row(place) == before


@pytest.mark.parametrize("seed", ["", "  ", "13835001234", "a\u202eb"])
def test_a_seed_that_is_none_or_a_persons_number_is_refused(place: County, seed: str) -> None:
    before = every_row(place)

    with pytest.raises(CaseError, match=r"种子|控制字符"):
        draw(place, seed=seed)

    assert every_row(place) == before


def test_there_is_nothing_to_draw_from_an_empty_population(place: County) -> None:
    with pytest.raises(UsageFault, match="没有处于 施工 的户"):
        draw(place, terms=Terms(TERMS.risk, TERMS.tolerable, 0, (State.CONSTRUCTION,)))


def test_the_sheet_is_masked_by_unit_and_to_be_filled_in(place: County) -> None:
    found = draw(place)

    book = openpyxl.load_workbook(sheet(place, found))

    assert book.sheetnames == ["甲镇", "乙乡", "热力局"]
    page = book["甲镇"]
    assert f"抽样编号：{found.id}" in str(page["A2"].value)
    assert "演练" in str(page["A1"].value)
    assert page["D4"].value == "张*"
    text = "".join(str(cell.value) for one in book for row in one for cell in row)
    assert "1383500" not in text
    assert "14092219" not in text
    assert county.id_number(1) not in text
    assert {c for c in found.codes if c in text} == set(found.codes)
    lists = {str(one.formula1) for one in page.data_validations.dataValidation}
    assert '"合格,不合格,未查到"' in lists


def test_with_every_household_right_the_bound_follows(place: County) -> None:
    found = draw(place)

    results = returned(place, found)

    assert (results.faults, results.recorded) == ((), found.codes)
    concluded = standing(place).conclusion
    assert concluded is not None
    # Were there two, the chance to see neither would be (1/3)², below the risk of 1/5.
    assert (concluded.failed, concluded.unseen) == (0, 0)
    assert (concluded.bound, concluded.reached) == (1, True)
    assert "至多 1 户（10%）" in concluded.sentence
    with place.database.reading() as connection:
        assert audit.verification(connection).verified


def test_a_household_that_could_not_be_visited_counts_as_a_deviation(place: County) -> None:
    found = draw(place)
    one, other = found.codes[0], found.codes[-1]
    wrong: Mapping[str, object] = {"结论": "不合格", "旧炉还在": "否", "情况说明": "旧炉已拆"}
    absent: Mapping[str, object] = {"结论": "未查到", "新取暖正常": None, "情况说明": "外出"}

    results = returned(
        place, found, **{one.replace("-", "_"): wrong, other.replace("-", "_"): absent}
    )

    assert results.faults == ()
    concluded = standing(place).conclusion
    assert concluded is not None
    assert (concluded.failed, concluded.unseen) == (1, 1)
    assert concluded.bound >= 2
    assert not concluded.reached
    assert "没有达到要求" in concluded.sentence


def test_there_is_no_conclusion_before_all_are_in(place: County) -> None:
    found = draw(place)
    path = fill(sheet(place, found), {found.codes[0]: GOOD})

    results = hand_in(place, path)

    assert results.recorded == found.codes[:1]
    now = standing(place)
    assert now.conclusion is None
    assert now.missing == found.codes[1:]


@pytest.mark.parametrize(
    ("wrong", "code", "heading"),
    [
        ({"结论": "还行"}, "bad_value", "结论"),
        ({"结论": None}, "required_missing", "结论"),
        ({"新取暖正常": None}, "required_missing", "新取暖正常"),
        ({"新取暖正常": "否"}, "contradiction", "结论"),
        ({"旧炉还在": "否"}, "contradiction", "结论"),
        ({"火炕被封": "是"}, "contradiction", "结论"),
        ({"结论": "不合格"}, "required_missing", "情况说明"),
        ({"结论": "未查到"}, "required_missing", "情况说明"),
        ({"情况说明": "请致电13835001234"}, "personal_number", "情况说明"),
        ({"情况说明": "=1+1"}, "formula_cell", "情况说明"),
        ({"室内温度℃": "很热"}, "bad_value", "室内温度℃"),
        ({"室内温度℃": 180}, "bad_value", "室内温度℃"),
        ({"检查日期": None}, "required_missing", "检查日期"),
        ({"检查日期": "昨天"}, "not_a_date", "检查日期"),
        ({"检查日期": "2023-09-19"}, "day_out_of_range", "检查日期"),
        ({"检查日期": "2023-09-29"}, "day_out_of_range", "检查日期"),
    ],
)
def test_a_bad_cell_is_a_fault_at_its_place_and_nothing_is_taken(
    place: County, wrong: Mapping[str, object], code: str, heading: str
) -> None:
    found = draw(place)
    bad = found.codes[0].replace("-", "_")
    before = every_row(place)

    results = returned(place, found, **{bad: wrong})

    (fault,) = results.faults
    assert (fault.code, fault.sheet, fault.cell) == (code, "甲镇", cell_of(place, heading))
    assert results.recorded == ()
    assert every_row(place) == before


def cell_of(place: County, heading: str) -> str:
    """The cell under a heading in the first row of the sheet."""
    page = openpyxl.load_workbook(place.file.parent / "入户表.xlsx")["甲镇"]
    (cell,) = [cell for cell in page[3] if cell.value == heading]
    return f"{cell.column_letter}4"


def test_a_household_that_was_not_drawn_is_refused(place: County) -> None:
    found = draw(place)
    outside = next(code for code in CODES if code not in found.codes)
    path = sheet(place, found)
    fill(path, {found.codes[0]: {**GOOD, "编号": outside}})
    before = every_row(place)

    results = hand_in(place, path)

    assert codes_of(results) == ["not_in_sample"]
    assert outside in results.faults[0].message
    assert every_row(place) == before


def test_a_household_twice_on_the_sheet_is_refused(place: County) -> None:
    found = draw(place)
    path = sheet(place, found)
    fill(path, {found.codes[0]: GOOD, found.codes[1]: {**GOOD, "编号": found.codes[0]}})

    assert codes_of(hand_in(place, path)) == ["duplicate_in_file"]


def test_a_sheet_of_no_known_sample_is_refused(place: County) -> None:
    found = draw(place)
    path = fill(sheet(place, found), {found.codes[0]: GOOD})
    book = openpyxl.load_workbook(path)
    for page in book:
        page["A2"] = "单位：甲镇 抽样编号：99"
    book.save(path)

    assert codes_of(hand_in(place, path)) == ["sample_unclear"]


def test_a_sheet_without_its_number_is_refused(place: County) -> None:
    found = draw(place)
    path = fill(sheet(place, found), {found.codes[0]: GOOD})
    book = openpyxl.load_workbook(path)
    for page in book:
        page["A2"] = ""
    book.save(path)

    assert codes_of(hand_in(place, path)) == ["sample_unclear"]


def test_any_other_workbook_is_refused(place: County, tmp_path: Path) -> None:
    other = county.write_workbook(tmp_path / "台账.xlsx", county.first_ledger())

    with pytest.raises(BadFile, match="没有找到抽查入户表的表头"):
        hand_in(place, other)


@pytest.mark.parametrize("login", ["zhang", "wang"])
def test_only_an_auditor_hands_results_in(place: County, login: str) -> None:
    found = draw(place)
    path = fill(sheet(place, found), {found.codes[0]: GOOD})
    before = every_row(place)

    with pytest.raises(NotPermitted):
        hand_in(place, path, login=login)

    assert every_row(place) == before


def test_the_same_results_again_write_nothing(place: County) -> None:
    found = draw(place)
    returned(place, found)
    before = every_row(place)

    again = returned(place, found)

    assert (again.faults, again.recorded) == ((), ())
    assert every_row(place) == before


def test_another_result_needs_a_reason_and_the_old_one_stays(place: County) -> None:
    found = draw(place)
    returned(place, found)
    code = found.codes[0]
    wrong = {**GOOD, "结论": "不合格", "情况说明": "复查不热"}
    path = fill(sheet(place, found, "复查.xlsx"), {code: wrong})

    refused = hand_in(place, path)
    taken = hand_in(place, path, reason="复查")

    assert codes_of(refused) == ["already_recorded"]
    assert taken.recorded == (code,)
    now = standing(place)
    assert now.corrected == (code,)
    assert now.conclusion is not None
    assert now.conclusion.failed == 1
    assert place.sql("SELECT count(*) FROM journal WHERE kind = 'sample_results'") == [(2,)]


def test_a_population_that_changed_since_is_told_and_the_draw_still_reproduced(
    place: County,
) -> None:
    found = draw(place)
    place.advance(CODES[0], Trigger.CLOSE, RETURNED, *county.CLOSING)

    now = standing(place, found.id)

    assert (now.joined, now.left) == ((), (CODES[0],))
    assert now.reproduced


def test_a_list_that_the_seed_does_not_give_is_seen(place: County) -> None:
    found = draw(place)
    body, version = forged(place, found)
    place.tamper("UPDATE journal SET body = ? WHERE seq = ?", body, found.id)

    now = standing(place, version)

    assert not now.reproduced


def drawn_again(lines: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """A draw recomputed from the bundle as docs/journal.md says, without the program's own code."""
    states: dict[str, tuple[str, str]] = {}  # code -> unit, state
    for line in lines:
        body = json.loads(str(line["bytes"])) if line["type"] == "event" else {}
        code = str(body.get("stream", "")).removeprefix("case:")
        if body.get("kind") == "registered":
            states[code] = body["evidence"]["unit"], body["to"]
        elif body.get("to") is not None:
            states[code] = states[code][0], body["to"]
        if body.get("kind") == "sample_drawn":
            told = body["evidence"]
            break
    standing_in = told["states"]
    units = {code: unit for code, (unit, state) in sorted(states.items()) if state in standing_in}
    text = "".join(f"{code}\t{unit}\n" for code, unit in units.items())
    digest = hashlib.sha256(text.encode()).hexdigest()
    risk, total = Fraction(told["risk"]), len(units)
    bad, expected = max(1, ceil(Fraction(told["tolerable"]) * total)), told["expected"]

    def missed(size: int) -> Fraction:
        ways = sum(comb(bad, i) * comb(total - bad, size - i) for i in range(expected + 1))
        return Fraction(ways, comb(total, size))

    def drawn(share: int, unit: str) -> int:
        return ceil(Fraction(share * list(units.values()).count(unit), total))

    def over_units(share: int) -> bool:
        least = min(
            Fraction(drawn(share, unit), list(units.values()).count(unit))
            for unit in set(units.values())
        )
        chance = sum(
            comb(bad, i) * least**i * (1 - least) ** (bad - i) for i in range(expected + 1)
        )
        return chance <= risk and (not expected or bad * least >= expected + 1)

    size = next(n for n in range(1, total + 1) if missed(n) <= risk)
    share = (
        size
        if len(set(units.values())) == 1
        else next(t for t in range(size, total + 1) if over_units(t))
    )
    chosen: list[str] = []
    for unit in sorted(set(units.values())):
        mine = [code for code in units if units[code] == unit]
        mine.sort(key=lambda c: hashlib.sha256(f"{told['seed']}|{digest}|{c}".encode()).hexdigest())
        chosen += mine[: drawn(share, unit)]
    found = {"population": total, "population_hash": digest, "size": size}
    return {**told, **found, "codes": sorted(chosen)}


@pytest.mark.parametrize("seed", ["42", "43", "2024-04-12 第一次"])
def test_anybody_can_draw_again_from_the_bundle_alone(place: County, seed: str) -> None:
    found = draw(place, seed=seed)
    place.advance(CODES[0], Trigger.CLOSE, RETURNED, *county.CLOSING)
    with place.database.reading() as connection:
        lines = list(audit.lines(connection))
    [event] = [one for one in lines if '"kind":"sample_drawn"' in str(one.get("bytes"))]

    again = drawn_again(lines)

    assert again == json.loads(str(event["bytes"]))["evidence"]
    assert again["codes"] == sorted(found.codes)


def forged(place: County, found: Draw) -> tuple[bytes, int]:
    """The draw's bytes with a household exchanged for one that was not drawn."""
    [(body,)] = place.sql("SELECT body FROM journal WHERE seq = ?", found.id)
    assert isinstance(body, bytes)
    outside = next(code for code in CODES if code not in found.codes)
    mine = next(code for code in found.codes if code[:3] == outside[:3])
    return body.replace(mine.encode(), outside.encode()), found.id


def test_with_a_permission_at_the_draw_a_missing_stove_is_no_contradiction(place: County) -> None:
    county.winter(place, CODES[:1])
    place.advance(CODES[0], Trigger.PERMIT, PERMITTED)
    only = Terms(TERMS.risk, TERMS.tolerable, 0, (State.REMOVAL_PERMITTED,))
    found = draw(place, terms=only, day=PERMITTED)
    gone = {**GOOD, "检查日期": str(PERMITTED), "旧炉还在": "否"}

    results = hand_in(place, fill(sheet(place, found), {CODES[0]: gone}), day=PERMITTED)

    assert (results.faults, results.recorded) == ((), (CODES[0],))


def test_an_old_facility_stands_on_the_sheet_as_the_ledger_has_it(place: County) -> None:
    place.advance(
        CODES[0],
        FactKind.OLD_FACILITY,
        ACCEPTED + ONE_DAY,
        ("facility", "kang"),
        ("status", "sealed"),
        ("by", "household"),
    )
    found = draw(place, terms=Terms(Fraction(1, 100), Fraction(1, 100)))

    page = openpyxl.load_workbook(sheet(place, found))["甲镇"]

    assert [row[6] for row in page.values if row[1] == CODES[0]] == ["火炕（封存）"]


def test_a_visit_in_the_journal_holds_answers_only(place: County) -> None:
    found = draw(place)
    returned(place, found)

    row: dict[str, Json] = sample.row_of(standing(place).visits[0])

    assert row == {
        "code": found.codes[0],
        "on": "2023-09-25",
        "verdict": "pass",
        "heating": "yes",
        "stove": "none",
        "kang": "no",
        "temperature": 21.5,
        "remarks": "",
    }
