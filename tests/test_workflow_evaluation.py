"""Every figure of the self-evaluation, counted again by brute force; and its edges."""

import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import county
import pytest
from county import CODE, County
from recount import BEHIND, CLOSED, Recount, wander

from notifications import evaluation as report
from notifications.evaluation import Evaluation
from notifications.letters import Table
from states import guards_permit
from states.errors import UsageFault
from states.evaluation import JUDGED, Tally
from states.facts import fold
from states.vocabulary import FactKind, Stability, State, Trigger
from workflow import audit, cases, evaluation, overdue, register
from workflow.cases import Clocks

NOW = datetime(2024, 6, 1, 4, tzinfo=UTC)
SEASON = "2023-2024"
SEEDS = (1, 2, 3)
DAYS = (date(2023, 7, 20), date(2023, 10, 9), date(2024, 1, 22), date(2024, 4, 20))


@pytest.fixture(scope="module")
def wandered(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, County]:
    found = {}
    for seed in SEEDS:
        found[seed] = county.fresh(tmp_path_factory.mktemp(f"seed{seed}"))
        wander(found[seed], seed, days=340)
    return found


def evaluated(
    place: County,
    as_of: date,
    units: list[str] | None = None,
    known_at: datetime | None = None,
    season: str = SEASON,
) -> Evaluation:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        clocks = Clocks(as_of, past=True, known_at=known_at)
        return evaluation.evaluate(connection, plan, season, clocks, NOW, units)


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_completion_steps_and_exits_are_those_of_the_journal(
    wandered: Mapping[int, County], seed: int, day: date
) -> None:
    counted = Recount(wandered[seed], day)

    found = evaluated(wandered[seed], day)

    for unit in found.units:
        lives, tally = counted.of([unit.code]), unit.tally
        going = [one for one in lives if one.state != CLOSED]
        assert tally.registered == len(lives)
        assert tally.quotas == Counter(one.quota for one in going)
        assert tally.closed == Counter(one.causes[-1] for one in lives if one.state == CLOSED)
        assert tally.completed == sum(one.past("complete") for one in lives)
        assert tally.accepted == sum(one.past("accept") for one in lives)
        assert tally.permitted == sum(BEHIND[one.state] == 5 for one in going)
        taken = Counter(kind for one in lives for _, kind, _, _ in one.steps)
        assert {str(step): n for step, n in tally.steps.items() if n} == {
            kind: n
            for kind, n in taken.items()
            if kind in ("confirm", "select", "complete", "accept")
        }
        assert sum(len(days) for days in tally.days.values()) == sum(tally.steps.values())
        assert sum(tally.stability.values()) == len(going)


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_lateness_the_season_matters_and_papers_are_those_of_each_household(
    wandered: Mapping[int, County], seed: int, day: date
) -> None:
    place = wandered[seed]
    found = evaluated(place, day)

    late: Counter[str] = Counter()
    waiting = extensions = pauses = 0
    matters: Counter[tuple[str, str]] = Counter()
    open_matters = removed = 0
    stability: Counter[Stability] = Counter()
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        around = overdue.Around(connection)
        for code, events in cases.load(connection, county.CODES, checked=False).items():
            facts = fold(code, events, day)
            if facts is None:
                continue
            lateness = cases.lateness(events, plan)
            for event in events:
                if event.target is not None and event.occurred_on <= day:
                    late[event.kind] += event.seq in lateness
            waiting += facts.state is not State.CLOSED and cases.position(facts, plan, day).overdue
            extensions += len(facts.extensions)
            pauses += len(facts.pauses)
            matters.update((m.kind, m.type or m.severity or "") for m in facts.matters)
            open_matters += sum(m.open for m in facts.matters)
            removed += any(r.status in ("sealed", "removed") for r in facts.facilities)
            if facts.state not in (State.STABLE_SEASON, State.REMOVAL_PERMITTED):
                continue
            # The shipped season is the first of the plan, so no later one has ended on these days.
            question = around.question(facts, plan, Trigger.PERMIT, day, True)
            if guards_permit.season_served(question) is None:
                broken = any(
                    guard(question)
                    for guard in (
                        guards_permit.no_long_outage,
                        guards_permit.outages_within_total,
                        guards_permit.heat_on_today,
                    )
                )
                gap = any(
                    guard(question)
                    for guard in (
                        guards_permit.first_heat_known,
                        guards_permit.warm_visits_made,
                        guards_permit.season_signed,
                        guards_permit.recorded_in_time,
                    )
                )
                stability[
                    Stability.UNSTABLE if broken else Stability.UNKNOWN if gap else Stability.STABLE
                ] += 1

    total = found.total
    assert {str(s): n for s, n in total.late_steps.items() if n} == {
        kind: n for kind, n in late.items() if n
    }
    assert sum(total.waiting_late.values()) == waiting
    assert (total.extensions, sum(total.pauses.values())) == (extensions, pauses)
    assert {k: n for k, n in total.matters.items() if n} == matters
    assert sum(total.matters_open.values()) == open_matters
    assert total.removed == removed
    assert {one: n for one, n in total.stability.items() if n and one in JUDGED} == stability


@pytest.mark.parametrize("seed", SEEDS)
def test_the_units_add_up_to_the_total_and_the_tables_to_their_last_row(
    wandered: Mapping[int, County], seed: int
) -> None:
    found = evaluated(wandered[seed], date(2024, 4, 20))

    for name in Tally.__struct_fields__:
        parts = [getattr(unit.tally, name) for unit in found.units]
        whole = getattr(found.total, name)
        if isinstance(whole, int):
            assert whole == sum(parts)
        elif isinstance(whole, Counter):
            assert whole == sum(parts, Counter())
    checked = 0
    for block in report.blocks(found):
        if not isinstance(block, Table) or not block.rows[-1].strong:
            continue
        if len(block.rows) < 3 or block.caption.startswith("各环节用时"):
            continue
        for column, last in enumerate(block.rows[-1].cells):
            cells = [row.cells[column] for row in block.rows[:-1]]
            if last.isdigit() and all(cell.isdigit() for cell in cells):
                assert sum(map(int, cells)) == int(last), (block.caption, column)
                checked += 1
    assert checked > 30


def test_lawful_removals_are_those_of_the_independent_audit(
    wandered: Mapping[int, County],
) -> None:
    for place in wandered.values():
        with place.database.reading() as connection:
            told = audit.report(connection)
        total = evaluated(place, date(2025, 1, 1)).total

        assert (total.removed, total.removed_lawful) == (told.removed, told.lawful)


# --- edges ----------------------------------------------------------------------------------------


def whole_text(found: Evaluation) -> str:
    return re.sub(r"<[^>]+>", "", report.page(found))


def test_a_season_that_is_not_over_says_so_and_gives_no_marks(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.STABLE_SEASON)

    found = evaluated(place, date(2024, 1, 10))

    assert not found.ended
    assert found.total.stability[Stability.RUNNING] == 1
    assert "尚未结束" in whole_text(found)
    points = {str(one.indicator.key): (one.points, one.why) for one in found.scores}
    assert points["stable"] == (None, "采暖季尚未结束")
    assert report.points(found.scores)[1] < 100


def test_a_stable_winter_a_gap_and_a_late_acceptance_are_told_apart(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, county.TOWN[:2], State.STABLE_SEASON)
    county.winter(place, county.TOWN[:1])

    found = evaluated(place, date(2024, 4, 20))

    assert found.ended
    assert found.total.stability[Stability.STABLE] == 1
    assert found.total.stability[Stability.UNKNOWN] == 1
    assert found.total.qualified == 1
    (gap,) = [one for one in found.households if one.stability is Stability.UNKNOWN]
    assert gap.code == county.TOWN[1]
    assert {str(paper) for paper in gap.lacking} == {"first_heat", "visits", "signature"}


def test_a_season_nobody_went_through_is_not_judged(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)

    found = evaluated(place, date(2024, 4, 20))

    assert found.total.judged == 0
    assert found.total.stability == {Stability.NOT_ACCEPTED: len(county.CODES)}
    assert "没有验收合格的户" in whole_text(found)
    assert {one.why for one in found.scores if one.indicator.key == "stable"} == {
        "没有经历全季的户"
    }


def test_a_season_the_plan_does_not_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="2030-2031"):
        evaluated(county.fresh(tmp_path), date(2024, 4, 20), season="2030-2031")


def test_a_unit_sees_itself_only_and_few_households_show_counts(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [county.OTHER_UNIT], State.STABLE_SEASON)

    found = evaluated(place, date(2023, 11, 20), ["102"])

    assert [unit.code for unit in found.units] == ["102"]
    assert found.total.task == 2
    assert "1/2" in whole_text(found)
    assert "甲镇" not in whole_text(found)
    assert "50.0%" not in whole_text(found)


def test_what_was_not_known_yet_is_left_out(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.STABLE_SEASON)

    known = datetime(2023, 6, 12, tzinfo=UTC)

    assert evaluated(place, date(2024, 4, 20), known_at=known).total.accepted == 0


def test_the_word_file_is_the_same_bytes_and_holds_what_is_to_be_filled_in(
    wandered: Mapping[int, County],
) -> None:
    found = evaluated(wandered[1], date(2024, 4, 20))

    made = report.word_file(found)

    assert made == report.word_file(found)
    text = zipfile.ZipFile(io.BytesIO(made)).read("word/document.xml").decode()
    assert text.count("【待填写：") == 6
    assert "演练" in text
    assert FactKind.COMPLAINT.label in text


def test_no_personal_data_stands_in_the_report(wandered: Mapping[int, County]) -> None:
    found = evaluated(wandered[1], date(2024, 4, 20))
    page = report.page(found)

    with wandered[1].database.reading() as connection:
        people = cases.personal(connection)
    for person in people.values():
        assert person.name not in page
        assert not person.phone or person.phone not in page
