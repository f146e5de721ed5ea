"""Every figure of the dashboard, counted again by brute force; and what it must not show."""

import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import county
import pytest
from county import CODE, PAPER, County
from recount import CLOSED, STEPS, Recount, wander

from notifications.dashboard import Board, Curve
from states import deadlines, rungs, schedule
from states.facts import fold
from states.vocabulary import FactKind, Level, Quota, State, Trigger
from workflow import (
    cases,
    dashboard,
    overdue,
    register,
)
from workflow.cases import Clocks
from workflow.errors import BadFile

NOW = datetime(2024, 6, 1, 4, tzinfo=UTC)
SEEDS = (1, 4, 7)
DAYS = (
    *(date(2023, 5, 22), date(2023, 7, 20), date(2023, 9, 30), date(2023, 10, 9)),
    *(date(2024, 1, 22), date(2024, 3, 1)),
)


@pytest.fixture(scope="module")
def wandered(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, County]:
    found = {}
    for seed in SEEDS:
        found[seed] = county.fresh(tmp_path_factory.mktemp(f"seed{seed}"))
        wander(found[seed], seed)
    return found


def last_day(place: County) -> date:
    [(last,)] = place.sql("SELECT MAX(occurred_on) FROM journal")
    return date.fromisoformat(str(last))


def drawn(
    place: County,
    as_of: date,
    known_at: datetime | None = None,
    units: list[str] | None = None,
    *,
    ranking: bool = True,
) -> Board:
    today = last_day(place)
    clocks = Clocks(as_of, past=as_of < today, known_at=known_at)
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        return dashboard.draw(connection, plan, clocks, today, NOW, units, ranking=ranking).board


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_states_steps_and_exits_are_those_of_the_journal(
    wandered: Mapping[int, County], seed: int, day: date
) -> None:
    place = wandered[seed]
    counted = Recount(place, day)

    flow = drawn(place, day).flow

    assert {str(s): n for s, n in flow.stock.items() if n} == counted.stock()
    assert {
        (str(e.trigger), str(e.source), str(e.target)): e.times for e in flow.edges
    } == counted.edges()
    assert flow.registered == len(counted.lives)
    causes = Counter(cause for life in counted.lives.values() for cause in life.causes)
    assert {str(cause): n for cause, n in flow.causes.items()} == causes


def test_the_wandering_really_goes_everywhere(wandered: Mapping[int, County]) -> None:
    """What the recounts compare is no empty county: all ways back and out were taken."""
    taken = {
        kind
        for place in wandered.values()
        for kind, _, _ in Recount(place, date(2025, 1, 1)).edges()
    }

    assert taken >= {*STEPS[:4], "reject", "overturn", "replace", "send_back", "close"}
    assert taken >= {"reinstate", "change_path"}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_came_in_less_what_went_out_is_what_is_there(
    wandered: Mapping[int, County], seed: int
) -> None:
    flow = drawn(wandered[seed], date(2024, 3, 1)).flow

    for state in State:
        came = sum(e.times for e in flow.edges if e.target is state)
        went = sum(e.times for e in flow.edges if e.source is state)
        first = flow.registered if state is State.HOUSEHOLD_CONFIRMATION else 0
        assert first + came - went == flow.stock.get(state, 0)


def at(points: tuple[tuple[date, int], ...], day: date) -> int:
    return next((n for on, n in reversed(points) if on <= day), 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_curve_stands_every_day_where_the_journal_has_it(
    wandered: Mapping[int, County], seed: int
) -> None:
    place = wandered[seed]
    board = drawn(place, DAYS[-1])

    for ago in range(0, 290, 7):
        day = DAYS[-1] - timedelta(days=ago)
        counted = Recount(place, day)
        for line in board.units:
            for step, curve in line.curves.items():
                assert at(curve.actual, day) == counted.done(line.code, step), (day, line, step)
        for step, curve in board.total.curves.items():
            assert at(curve.actual, day) == sum(life.past(step) for life in counted.lives.values())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_a_unit_counts_what_it_has_done_and_what_is_late(
    wandered: Mapping[int, County], seed: int, day: date
) -> None:
    place = wandered[seed]
    counted = Recount(place, day)
    board = drawn(place, day)

    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        histories = cases.load(connection, sorted(counted.lives))
    for line in board.units:
        mine = [life for life in counted.lives.values() if life.unit == line.code]
        going = [life for life in mine if life.state != CLOSED]
        late: Counter[str] = Counter()
        levels: Counter[Level] = Counter()
        for life in going:
            facts = fold(life.code, histories[life.code], day)
            assert facts is not None
            due = deadlines.due(facts, plan).due_on
            late["overdue"] += deadlines.overdue(due, day)
            late["at_risk"] += deadlines.at_risk(facts.state, due, day, plan)
            if due is not None and (reached := rungs.standing(due, day, plan).reached):
                levels[reached[-1].level] += 1
        assert line.cases == len(going)
        assert line.done == sum(life.past("accept") for life in mine)
        assert line.permitted == sum(life.state == "removal_permitted" for life in mine)
        assert (line.overdue, line.at_risk) == (late["overdue"], late["at_risk"])
        assert dict(line.rungs) == dict(levels)
        assert line.overdue == sum(n for level, n in levels.items() if level is not Level.REMIND)
    for step, curve in board.total.curves.items():
        assert curve.done == sum(life.past(step) for life in counted.lives.values())
        assert curve.planned_now == sum(
            schedule.planned(plan, unit.task, step, day) for unit in plan.units
        )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_household_stands_against_the_annex_once(
    wandered: Mapping[int, County], seed: int, day: date
) -> None:
    place = wandered[seed]
    counted = Recount(place, day)
    board = drawn(place, day)
    plan = county.tiny_plan()

    told = Counter(
        {quota: sum(getattr(line, str(quota)) for line in board.annex) for quota in Quota}
    )
    going = [life for life in counted.lives.values() if life.state != CLOSED]
    assert told == Counter({q: sum(life.quota == q for life in going) for q in Quota})
    assert sum(line.completed for line in board.annex) == sum(
        life.past("complete") for life in going
    )
    assert sum(line.accepted for line in board.annex) == sum(life.past("accept") for life in going)
    tasks = [(unit.name, task) for unit in plan.units for task in unit.tasks]
    known = [line for line in board.annex if line.task is not None]
    for (name, task), line in zip(tasks, known, strict=True):
        mine = [
            life
            for life in going
            if plan.unit(life.unit).name == name  # type: ignore[union-attr]
            and life.path == task.path
            and task.kind in (None, life.kind)
            and task.area in (None, life.area)
        ]
        assert (line.unit_name, line.task) == (name, task.households)
        assert line.planned == sum(life.quota == "planned" for life in mine)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_the_season_says_of_all_what_case_why_says_of_each(
    wandered: Mapping[int, County], seed: int, day: date
) -> None:
    place = wandered[seed]
    counted = Recount(place, day)
    waiting = sorted(c for c, life in counted.lives.items() if life.state == "stable_season")
    clocks = Clocks(day, past=day < last_day(place))

    season = drawn(place, day).season

    with place.database.reading() as connection:
        answers = [
            overdue.why(connection, code, Trigger.PERMIT, clocks, None)[0] for code in waiting
        ]
    assert season.waiting == len(waiting)
    assert season.ready == sum(answer.possible for answer in answers)
    assert dict(season.earliest) == Counter(a.earliest for a in answers if a.earliest)
    assert dict(season.never) == Counter(a.earliest_reason for a in answers if not a.earliest)
    assert dict(season.lacking) == Counter(r.guard for a in answers for r in a.reasons)
    assert season.permitted == counted.stock().get("removal_permitted", 0)
    states = ("stable_season", "removal_permitted", CLOSED)
    assert season.not_accepted == sum(life.state not in states for life in counted.lives.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_alarms_and_open_matters_are_those_of_check_and_the_register(
    wandered: Mapping[int, County], seed: int
) -> None:
    place = wandered[seed]
    day = date(2024, 1, 22)
    clocks = Clocks(day, past=day < last_day(place))

    board = drawn(place, day)

    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        checked = overdue.check(connection, plan, clocks)
        codes = sorted(Recount(place, day).lives)
        histories = cases.load(connection, codes)
    still_open = Counter(
        (code, matter.kind, matter.type)
        for code in codes
        if (facts := fold(code, histories[code], day if clocks.past else None))
        for matter in facts.matters
        if matter.open and matter.kind is not FactKind.NOTICE
    )
    assert [(a.code, a.why) for a in board.alarms] == [(a.code, a.why) for a in checked.gravest]
    assert Counter((m.code, m.kind, m.type) for m in board.matters) == still_open
    assert still_open, "a seed without any open matter shows nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_known_at_an_instant_leaves_later_entries_out(
    wandered: Mapping[int, County], seed: int
) -> None:
    place = wandered[seed]
    differed = 0
    late = place.sql(
        "SELECT DISTINCT occurred_on FROM journal WHERE stream LIKE 'case:%'"
        " AND CAST(occurred_on AS TEXT) < substr(recorded_at, 1, 10) ORDER BY occurred_on"
    )

    for (text,) in late[:20]:
        day = date.fromisoformat(str(text))
        instant = county.noon(day)
        counted = Recount(place, day, instant)
        board = drawn(place, day, instant)

        assert {str(s): n for s, n in board.flow.stock.items() if n} == counted.stock()
        going = [life for life in counted.lives.values() if life.state != CLOSED]
        assert board.total.cases == len(going)
        for line in board.units:
            for step, curve in line.curves.items():
                assert curve.done == counted.done(line.code, step) == at(curve.actual, day)
        differed += counted.edges() != Recount(place, day).edges()
    assert differed, "nothing was ever entered late"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_came_after_a_day_tells_nothing_of_it(
    wandered: Mapping[int, County], seed: int, tmp_path: Path
) -> None:
    """Cases read up to a day fold to the same facts as cases read whole."""
    place = county.copy(wandered[seed], tmp_path)
    # Late papers may have come in after the last day on which anything happened.
    [(heard,)] = place.sql("SELECT MAX(recorded_at) FROM journal")
    end = max(last_day(place), date.fromisoformat(str(heard)[:10]))
    # A fault that is told of the wrong day, and put right afterwards.
    place.advance(CODE, FactKind.FAULT, end, ("what", "停热"))
    [(fault,)] = place.sql("SELECT MAX(seq) FROM journal WHERE kind = 'fault'")
    right = end - timedelta(days=9)
    place.advance(CODE, FactKind.CORRECT, end, ("id", str(fault)), on=right, files=[PAPER])

    with place.database.reading() as connection:
        whole = cases.load(connection, county.CODES, checked=False)
        for ago in range(0, 280, 7):
            day = end - timedelta(days=ago)
            part = cases.load(connection, county.CODES, until=day, checked=False)
            for code in county.CODES:
                told, known = fold(code, part[code], day), fold(code, whole[code], day)
                for facts in (told, known):
                    if facts is not None:
                        facts.version, facts.events = 0, {}
                assert told == known
    found = fold(CODE, part[CODE], right)
    assert found is not None
    assert right in [one.on for one in found.faults]


def test_a_unit_sees_its_own_figures_only(wandered: Mapping[int, County]) -> None:
    place = wandered[1]
    day = date(2024, 1, 22)
    counted = Recount(place, day)

    board = drawn(place, day, units=["101"])

    assert [line.code for line in board.units] == ["101"]
    assert board.units[0].rank is None
    assert {str(s): n for s, n in board.flow.stock.items() if n} == counted.stock(["101"])
    assert {one.code[:3] for one in board.matters} <= {"101"}
    assert {one.code[:3] for one in board.alarms} <= {"101"}
    assert {line.unit_name for line in board.annex} == {"甲镇"}
    assert board.season.waiting == counted.stock(["101"]).get("stable_season", 0)


def test_ranking_can_be_switched_off(wandered: Mapping[int, County]) -> None:
    ranked = drawn(wandered[1], date(2023, 9, 30))
    plain = drawn(wandered[1], date(2023, 9, 30), ranking=False)

    assert [line.code for line in plain.units] == ["101", "102", "RLJ"]
    assert {line.rank for line in plain.units} == {None}
    assert [line.rank for line in ranked.units if not line.department] != [None, None]
    assert [line.rank for line in ranked.units if line.department] == [None]


def test_the_forecast_band_begins_at_what_is_done_and_never_passes_everybody(
    wandered: Mapping[int, County],
) -> None:
    board = drawn(wandered[1], date(2023, 7, 20))

    curves: list[Curve] = [line.curves[Trigger.COMPLETE] for line in board.units]
    for curve in (*curves, board.total.curves[Trigger.COMPLETE]):
        if not curve.band:
            continue
        on, low, expected, high = curve.band[0]
        assert (on, low, expected, high) == (board.as_of, *[curve.done] * 3)
        for (_, *before), (_, *after) in zip(curve.band, curve.band[1:], strict=False):
            assert before[0] <= before[1] <= before[2]
            assert [a >= b - 1 for a, b in zip(after, before, strict=True)] == [True] * 3
    assert any(curve.band for curve in curves)


def test_milestones_count_working_days_to_the_last_one(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)

    told = {one.label: one for one in drawn(place, county.LEDGER_IN).milestones}

    plan = county.tiny_plan()
    works = told[plan.phase("works").label]
    assert works.last_workday == date(2023, 9, 28)
    assert works.workdays == plan.calendar.workdays_left(county.LEDGER_IN, works.last_workday)
    assert works.to_go == 10
    acceptance = told[plan.phase("acceptance").label]
    assert acceptance.last_workday == date(2023, 10, 13)
    preparation = told[plan.phase("preparation").label]
    assert (preparation.workdays, preparation.historic) == (None, True)


def test_damage_is_told_by_its_first_event(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, [CODE], State.CONSTRUCTION)
    sound = drawn(place, county.SELECTED).proof
    [(seq,)] = place.sql("SELECT MAX(seq) FROM journal WHERE stream = ?", f"case:{CODE}")
    place.tamper("UPDATE journal SET body = body || ? WHERE seq = ?", b" ", seq)

    broken = drawn(place, county.SELECTED).proof

    assert sound.broken is None
    assert broken.broken == f"case:{CODE} seq {seq}"
    assert (sound.checked_at, sound.events, sound.witness) == (NOW, seq, None)
    assert sound.unseen == seq


def test_an_empty_database_draws_nothing_but_the_task(tmp_path: Path) -> None:
    place = county.empty_wutai(tmp_path)

    board = drawn(place, date(2023, 6, 1))

    assert (board.total.task, board.total.cases, board.flow.registered) == (3966, 0, 0)
    assert board.flow.edges == ()
    assert board.season.waiting == 0
    assert all(line.planned == 0 for line in board.annex)


def test_a_page_is_written_whole_or_not_at_all(
    wandered: Mapping[int, County], tmp_path: Path
) -> None:
    place = wandered[1]
    file = tmp_path / "看板.html"
    file.write_text("old", encoding="utf-8")
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        day = date(2023, 9, 30)
        found = dashboard.draw(connection, plan, Clocks(day, past=True), last_day(place), NOW)
    missing = tmp_path / "nowhere" / "看板.html"

    with pytest.raises(BadFile):
        dashboard.write(missing, found)
    written = dashboard.write(file, found)

    assert written == file.stat().st_size
    assert os.listdir(tmp_path) == ["看板.html"]
    assert found.page == file.read_text(encoding="utf-8")
