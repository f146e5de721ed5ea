from datetime import date
from pathlib import Path

import county
import openpyxl
import pytest
from county import CODES, County

from states.vocabulary import State, Trigger
from workflow import register, reports
from workflow.cases import Clocks
from workflow.reports import LedgerTotals

NAMES = ["确村确户台账", "设备选型台账", "工程推进台账", "验收管理台账"]
Table = list[tuple[object, ...]]


def write(
    place: County, path: Path, *, as_of: date | None = None, units: list[str] | None = None
) -> tuple[list[LedgerTotals], dict[str, Table]]:
    clocks = Clocks(as_of or county.PERMITTED, past=as_of is not None)
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        totals = reports.write_ledgers(connection, path, plan, clocks, units)
    book = openpyxl.load_workbook(path)
    return totals, {sheet.title: list(sheet.values) for sheet in book}


def row_of(table: Table, code: str) -> dict[str, object]:
    (row,) = [row for row in table if code in row]
    return dict(zip([str(heading) for heading in table[2]], row, strict=True))


@pytest.fixture
def carried(tmp_path: Path) -> County:
    """The first case accepted, the second under construction, the others as registered."""
    place = county.fresh(tmp_path)
    county.carry(place, CODES[:2], State.CONSTRUCTION)
    for order, day in (
        (county.complete(CODES[0]), county.COMPLETED),
        (county.accept(CODES[0]), county.ACCEPTED),
    ):
        place.carry_out([order], county.usual_login(order.code, order.kind), day)
    return place


def test_the_figures_of_each_ledger_reconcile_to_the_annex(carried: County, tmp_path: Path) -> None:
    totals, tables = write(carried, tmp_path / "四本台账.xlsx")

    assert list(tables) == NAMES
    assert [one.total.done for one in totals] == [2, 2, 1, 1]
    for one, table in zip(totals, tables.values(), strict=True):
        assert (one.total.task, one.total.registered, one.total.planned) == (14, 10, 10)
        rows = table[3:]
        sums = [row[-4:] for row in rows if row[1] is not None and "小计" in str(row[1])]
        (total,) = [row[-4:] for row in rows if row[1] == "合计"]
        assert total == tuple(sum(column) for column in zip(*sums, strict=True))
        assert total == (14, 10, 10, one.total.done)
        assert "附件任务 14 户，在册 10 户（计划内 10 户），计划内尚缺 4 户" in str(table[-1][0])


def test_a_ledger_shows_the_evidence_of_the_steps_that_stand(
    carried: County, tmp_path: Path
) -> None:
    _, tables = write(carried, tmp_path / "四本台账.xlsx")

    confirmed = row_of(tables[NAMES[0]], CODES[0])
    assert confirmed["确户日期"] == openpyxl.utils.datetime.from_excel(45087)
    assert confirmed["入户日期"] is not None
    assert row_of(tables[NAMES[0]], CODES[2])["确户日期"] is None
    assert row_of(tables[NAMES[1]], CODES[1])["设备型号（管网接入点）"] == county.MODEL
    assert row_of(tables[NAMES[2]], CODES[1])["完工登记"] is None
    assert row_of(tables[NAMES[3]], CODES[0])["现处环节"] == "稳定运行一季"


def test_a_step_that_was_taken_back_is_not_shown_as_done(carried: County, tmp_path: Path) -> None:
    back = county.make_order(CODES[1], Trigger.SEND_BACK, reason="型号选错")
    carried.carry_out([back], "li", county.ACCEPTED)

    totals, tables = write(carried, tmp_path / "四本台账.xlsx")

    assert totals[1].total.done == 1
    shown = row_of(tables[NAMES[1]], CODES[1])
    assert (shown["设备型号（管网接入点）"], shown["选型日期"]) == (None, None)
    assert shown["现处环节"] == "设备选型"


def test_a_ledger_of_an_earlier_day_shows_only_what_had_happened(
    carried: County, tmp_path: Path
) -> None:
    totals, tables = write(carried, tmp_path / "早.xlsx", as_of=county.SELECTED)

    assert [one.total.done for one in totals] == [2, 2, 0, 0]
    assert tables[NAMES[3]][1][-1] == "截至2023年6月15日"
    assert row_of(tables[NAMES[3]], CODES[0])["验收日期"] is None


def test_a_unit_sees_its_own_households_and_its_own_task(carried: County, tmp_path: Path) -> None:
    totals, tables = write(carried, tmp_path / "乙乡.xlsx", units=["102"])

    assert totals[0].total.task == 2
    assert {row[3] for row in tables[NAMES[0]][3:] if row[0] and row[3]} == {
        "102-0001",
        "102-0002",
    }


def test_no_page_holds_a_name_a_number_of_a_person_or_a_formula(
    carried: County, tmp_path: Path
) -> None:
    path = tmp_path / "四本台账.xlsx"
    write(carried, path)
    [*papers] = carried.sql("SELECT name, id_number, phone, meter, address FROM personal")

    book = openpyxl.load_workbook(path)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    shown = {str(cell.value) for cell in cells}
    assert not shown & {str(value) for paper in papers for value in paper if value}
    assert all(cell.data_type != "f" for cell in cells)


def test_a_page_is_set_up_to_be_printed(carried: County, tmp_path: Path) -> None:
    path = tmp_path / "四本台账.xlsx"
    write(carried, path)

    for sheet in openpyxl.load_workbook(path):
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.page_setup.paperSize == 9
        assert sheet.page_setup.fitToHeight == 0
        assert sheet.print_title_rows == "$1:$3"
        assert sheet.freeze_panes == "A4"
        assert "（演练）" in str(sheet["A1"].value)
