"""一户一档 against the journal: every fact on it, on past days and as known at past instants."""

import io
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from county import (
    CODE,
    CODES,
    COLLECTIVE,
    FIRST_HEAT,
    OTHER_UNIT,
    PERMITTED,
    PHOTO,
    SIGNED,
    TOWN,
    County,
    accept,
    carry,
    fresh,
    heat,
    noon,
    permit,
    sign,
    visit,
)
from PIL import Image

from notifications import dossier as worded
from notifications import thumbnails
from notifications.dossier import File, Grid, Note, Pairs, Papers
from notifications.timeline import Timeline
from states import season
from states.facts import fold
from states.vocabulary import FactKind, State, Trigger
from workflow import cases, dossier, journal, register
from workflow.attachments import File as Attachment
from workflow.cases import Clocks
from workflow.dossier import Dossier

ONE_DAY = timedelta(days=1)
LATER = date(2024, 4, 10)


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = fresh(tmp_path)
    yield made
    made.database.close()


def gathered(county: County, clocks: Clocks, *codes: str) -> list[Dossier]:
    with county.database.reading() as connection:
        plan = register.plan_in_force(connection)
        return list(dossier.Archive(connection, plan, clocks).dossiers(codes))


def file_of(county: County, code: str = CODE, on: date | None = None) -> File:
    clocks = Clocks(on, past=True) if on else Clocks(LATER)
    [found] = gathered(county, clocks, code)
    return found.file


def blocks(file: File, title: str) -> list[object]:
    [section] = [one for one in file.sections if one.title.startswith(title)]
    return list(section.blocks)


def grid(file: File, title: str, heading: str) -> list[tuple[str, ...]]:
    """The rows of the table of a section whose first column is so called."""
    found = [b for b in blocks(file, title) if isinstance(b, Grid) and b.columns[0] == heading]
    return [row for one in found for row in one.rows]


def pairs(file: File, title: str) -> dict[str, str]:
    return {k: v for b in blocks(file, title) if isinstance(b, Pairs) for k, v in b.rows}


def notes(file: File, title: str) -> str:
    return " ".join(one.text for one in blocks(file, title) if isinstance(one, Note))


def live(county: County) -> None:
    """Lives of many kinds: permitted, faulty and cold, violated, overturned, closed."""
    carry(county, [OTHER_UNIT], State.CLOSED)
    carry(county, [*TOWN[:5], COLLECTIVE], State.STABLE_SEASON)
    county.carry_out([heat(CODE)], "wang", date(2023, 11, 6))
    fault = county.advance(TOWN[1], FactKind.FAULT, date(2023, 12, 1), ("what", "主机停机"))
    violation = (("type", "kang_sealed"), ("by", "official"), ("what", "强行封炕"))
    done = county.advance(TOWN[2], FactKind.VIOLATION, date(2023, 12, 1), *violation)
    county.advance(TOWN[1], FactKind.REPAIR, date(2023, 12, 3), ("fault", str(fault.seq)))
    county.carry_out([visit(CODE)], "wang", date(2023, 12, 5))
    answer = (("id", str(done.seq)), ("outcome", "resolved"))
    paper = [Attachment("整改.pdf", b"%PDF-1.4 done")]
    county.advance(TOWN[2], FactKind.RESOLVE, date(2023, 12, 9), *answer, files=paper, login="li")
    county.advance(TOWN[1], FactKind.VISIT, date(2023, 12, 10), ("temperature", "12.5"))
    county.advance(TOWN[1], FactKind.VISIT, date(2023, 12, 12), ("temperature", "19"))
    again = (("findings", "漏水"), ("put_right_by", "2024-01-20"))
    county.advance(TOWN[3], Trigger.OVERTURN, date(2024, 1, 5), *again)
    county.carry_out([visit(CODE)], "wang", date(2024, 1, 20))
    county.carry_out([sign(CODE)], "wang", SIGNED)
    county.carry_out([permit(CODE)], "zhang", PERMITTED)


DAYS = (date(2023, 6, 1), date(2023, 7, 1), date(2023, 9, 20), date(2023, 12, 11), LATER)


@pytest.mark.parametrize("by_knowledge", [False, True])
def test_every_figure_is_what_a_fold_of_the_journal_gives(
    county: County, by_knowledge: bool
) -> None:
    live(county)
    for day in DAYS:
        clocks = Clocks(day, past=True, known_at=noon(day) if by_knowledge else None)
        with county.database.reading() as connection:
            plan, people = register.plan_in_force(connection), register.persons(connection)
            histories = dict(journal.read_cases(connection, people, known_at=clocks.known_at))
        found = {one.file.code: one for one in gathered(county, clocks, *CODES)}

        assert set(found) == {c for c, events in histories.items() if fold(c, events, day)}
        for code, one in found.items():
            events = [event for event in histories[code] if event.occurred_on <= day]
            facts = fold(code, histories[code], day)
            assert facts is not None
            file = one.file
            assert file.standing == f"{facts.state.label}（自 {facts.state_since}）"
            shown = [b for b in blocks(file, "事件") if isinstance(b, Grid)]
            assert shown[0].hashes == tuple(event.hash for event in events)
            assert [row[0] for row in shown[0].rows] == [str(event.seq) for event in events]
            assert (file.last_seq, file.last_hash) == (events[-1].seq, events[-1].hash)
            assert [row[:3] for row in grid(file, "采暖季运行", "编号") if "℃" not in row[0]][
                : len(facts.visits)
            ] == [(str(v.seq), str(v.on), f"{v.temperature:g}") for v in facts.visits]
            rows = grid(file, "采暖季运行", "采暖季")
            for row in rows:
                [known] = [
                    s for s in season.known_seasons(facts, plan) if row[0].startswith(s.label)
                ]
                lengths = season.outages(facts, plan, known, day)
                assert row[1].startswith(f"{max(lengths, default=0)}（")
                assert row[2].startswith(f"{sum(lengths)}（")
                assert row[3].startswith(f"{season.warm_visits(facts, plan, known)}（")
            matters = [m for m in facts.matters if m.kind is not FactKind.NOTICE]
            told = grid(file, "违规", "编号")
            assert [row[0] for row in told] == [str(m.seq) for m in matters]
            assert ["未销号" in row[-1] for row in told] == [m.open for m in matters]
            in_force = facts.permitted_on(day)
            assert ("允许拆除：许可编号" in notes(file, "拆除许可")) == (in_force is not None)
            [line] = [b for b in blocks(file, "采暖季运行") if isinstance(b, Timeline)]
            assert len(line.dots) == len(facts.visits)
            assert sum(dot.warm for dot in line.dots) == sum(
                v.temperature >= plan.rules.warm_temperature.value for v in facts.visits
            )


def test_a_past_day_knows_nothing_of_what_came_after_it(county: County) -> None:
    live(county)

    page = str(file_of(county, TOWN[0], FIRST_HEAT - ONE_DAY))

    assert "2024-" not in page.replace("2024-03-31", "").replace("2024-04-01", "").replace(
        "2023-2024", ""
    )
    assert "首次供热', '-'" in page


def test_a_permission_names_its_event_and_what_it_rests_on(county: County) -> None:
    carry(county, TOWN[:1], State.REMOVAL_PERMITTED)

    file = file_of(county)

    assert file.removal.text.startswith("允许拆除（许可编号")
    told = pairs(file, "拆除许可")
    assert "2023-2024 采暖季起止日期" in told["未经核实的依据"]
    assert len(told["许可事件哈希"]) == 64


def test_what_is_missing_says_who_puts_it_right_and_when_at_the_earliest(county: County) -> None:
    carry(county, TOWN[:1], State.STABLE_SEASON)

    file = file_of(county, on=date(2023, 12, 1))

    assert file.removal.text == f"不得拆除，最早 {SIGNED}"
    rows = grid(file, "拆除许可", "还缺什么")
    assert rows
    assert all(who and when for _, who, when, _ in rows)


def test_a_facility_removed_without_permission_is_said_at_the_head(county: County) -> None:
    carry(county, TOWN[:1], State.STABLE_SEASON)
    gone = (("facility", "kang"), ("status", "removed"), ("by", "contractor"))
    county.advance(CODE, FactKind.OLD_FACILITY, date(2023, 12, 2), *gone)

    file = file_of(county, on=date(2023, 12, 3))

    assert file.removal.text == "未经有效许可已拆除或封存"
    [row] = grid(file, "取暖路径", "原取暖设施")
    assert row[1:3] == ("已拆除", "2023-12-02")
    assert "当日没有有效的拆除许可" in row[3]


def test_a_facility_removed_with_permission_names_it(county: County) -> None:
    carry(county, TOWN[:1], State.REMOVAL_PERMITTED)
    gone = (("facility", "kang"), ("status", "removed"), ("by", "household"))
    county.advance(CODE, FactKind.OLD_FACILITY, PERMITTED + ONE_DAY, *gone)

    file = file_of(county)

    [row] = grid(file, "取暖路径", "原取暖设施")
    assert "当日有有效的拆除许可（编号" in row[3]


def test_nobody_without_heat_is_overlooked(county: County) -> None:
    carry(county, TOWN[:1], State.STABLE_SEASON)
    gone = (("facility", "kang"), ("status", "sealed"), ("by", "official"))
    county.advance(CODE, FactKind.OLD_FACILITY, date(2023, 12, 2), *gone)
    county.advance(CODE, FactKind.FAULT, date(2023, 12, 3), ("what", "停机"))

    assert file_of(county, on=date(2023, 12, 4)).alarm.startswith("最严重：")


def test_personal_data_never_leaves_unmasked(county: County) -> None:
    with county.database.reading() as connection:
        known = cases.personal(connection, CODES)
    for one in gathered(county, Clocks(LATER), *CODES):
        page = worded.page(one.file, one.head)
        person = known[one.file.code]
        for value in (person.name, person.id_number, person.phone, person.meter, person.address):
            assert not value or value not in page


def photo(side: int = 900, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side // 2), "brown").save(out, form)
    return out.getvalue()


def test_an_attached_picture_is_shown_small_and_others_by_their_kind(county: County) -> None:
    carry(county, TOWN[:1], State.ACCEPTANCE)
    order = accept(CODE)
    files = tuple(
        Attachment(one.name, photo()) if one.name == PHOTO.name else one for one in order.files
    )
    county.advance(
        CODE,
        Trigger.ACCEPT,
        date(2023, 9, 10),
        ("item", "试运行正常:pass"),
        ("signer", "监理"),
        ("signer", "用户"),
        ("facility", f"kang:present:{PHOTO.name}"),
        ("document", "验收单:dossier.pdf"),
        files=files,
    )

    [papers] = [b for b in blocks(file_of(county), "附件") if isinstance(b, Papers)]

    by_name = {one.name: one for one in papers.papers}
    small = by_name[PHOTO.name].picture
    assert small is not None
    assert Image.open(io.BytesIO(small)).size == (120, 60)
    assert by_name["dossier.pdf"].icon == "PDF"


def test_a_file_that_is_gone_or_no_picture_says_so(county: County) -> None:
    carry(county, TOWN[:1], State.STABLE_SEASON)
    county.sql("DELETE FROM attachment WHERE content = ?", b"%PDF-1.4 the dossier")

    [papers] = [b for b in blocks(file_of(county), "附件") if isinstance(b, Papers)]

    by_name = {one.name: one for one in papers.papers}
    assert by_name["dossier.pdf"].missing
    assert by_name["dossier.pdf"].told == "原件不在库中"
    assert by_name[PHOTO.name].picture is None


def test_a_picture_that_unfolds_to_gigabytes_is_left_alone() -> None:
    out = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(out, "PNG")
    bomb = out.getvalue()

    assert len(bomb) < 1_000_000
    assert thumbnails.thumbnail(bomb) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", photo()[:300], b"\x89PNG" + b"x" * 99])
def test_a_damaged_picture_is_no_reason_to_stop(content: bytes) -> None:
    assert thumbnails.thumbnail(content) is None


def test_a_thumbnail_carries_no_place_or_camera() -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Phone of Zhang San"
    Image.new("RGB", (400, 300)).save(out, "JPEG", exif=exif)

    small = thumbnails.thumbnail(out.getvalue())

    assert small is not None
    assert b"Zhang" not in small
    assert not Image.open(io.BytesIO(small)).getexif()


def test_erased_personal_data_is_said_to_be_erased(county: County) -> None:
    county.sql(
        "UPDATE personal SET name='', id_number='', credit_code='', phone='', meter='',"
        " address='', remarks='', salt='' WHERE case_code = ?",
        CODE,
    )

    assert "已按规定抹去" in notes(file_of(county), "用户信息")


def test_the_same_data_give_the_same_bytes(county: County) -> None:
    live(county)

    once = [worded.page(one.file, one.head) for one in gathered(county, Clocks(LATER), *CODES)]
    again = [worded.page(one.file, one.head) for one in gathered(county, Clocks(LATER), *CODES)]

    assert once == again


def test_another_households_event_leaves_the_page_as_it_is(county: County) -> None:
    carry(county, TOWN[:1], State.STABLE_SEASON)
    [before] = gathered(county, Clocks(LATER), CODE)
    county.advance(TOWN[1], FactKind.COMPLAINT, LATER, ("what", "不暖和"))

    [after] = gathered(county, Clocks(LATER), CODE)

    assert worded.page(after.file, after.head) == worded.page(before.file, before.head)
