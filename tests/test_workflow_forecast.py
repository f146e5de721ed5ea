"""The forecast: what it counts, what it says at the edges, and how it did in seasons gone by."""

from datetime import date, timedelta
from pathlib import Path

import county
import forecast as backtest
import pytest
import seasons
from county import CODE, ONE_DAY, County
from msgspec.structs import replace

from states.plan import Plan
from states.vocabulary import FactKind, Quota, State, Trigger
from workflow import cases, config, forecast, register
from workflow.cases import Clocks
from workflow.forecast import Forecast, Household, Outlook, UnitWork

DAY = date(2023, 8, 15)
WORKS_END, TARGET = date(2023, 9, 30), date(2023, 9, 28)
NEVER: tuple[date | None, ...] = (None, None, None, None)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return config.load_plan("wutai-2023")


def household(state: State, days: int = 40, *, redone: bool = False) -> Household:
    """A household that took a step every ten days; the first `days` before `DAY`."""
    states = (*forecast.WAITS_IN, State.STABLE_SEASON)
    taken = states.index(state)
    first = [DAY - timedelta(days=days - 10 * step) for step in range(taken)]
    if redone and taken < 3:
        first += [DAY] * (3 - taken)
    return Household(state, (*first, *NEVER[len(first) :]), redone, planned=True, entered_after=0)


def unit(*households: Household, task: int | None = None, code: str = "200") -> UnitWork:
    number = len(households) if task is None else task
    return forecast.unit_work(code, number, households, DAY, DAY)


def building(left: int, weekly: int, code: str = "200") -> UnitWork:
    """A unit that has completed so many households in each of eight weeks."""
    done = [
        Household(
            State.ACCEPTANCE,
            (date(2023, 5, 1), date(2023, 5, 8), DAY - timedelta(days=7 * week + 1), None),
            redone=False,
            planned=True,
            entered_after=0,
        )
        for week in range(8)
        for _ in range(weekly)
    ]
    ready = replace(done[0], state=State.CONSTRUCTION, first=(*done[0].first[:2], None, None))
    return unit(*done, *[ready] * left, code=code)


def outlook(work: UnitWork, plan: Plan, *others: UnitWork) -> Outlook:
    return forecast.outlooks([work, *others], plan, DAY)[work.unit]


def test_the_same_question_gets_the_same_answer(plan: Plan) -> None:
    work = building(60, 10)

    assert outlook(work, plan) == outlook(work, plan)


def test_households_wait_in_their_states_and_closed_ones_leave() -> None:
    found = unit(
        household(State.HOUSEHOLD_CONFIRMATION),
        household(State.EQUIPMENT_SELECTION),
        household(State.CONSTRUCTION),
        household(State.ACCEPTANCE),
        household(State.STABLE_SEASON),
        replace(household(State.CONSTRUCTION), state=State.CLOSED),
    )

    assert found.waiting == (1, 1, 1, 1)
    assert (found.to_build, found.households) == (3, 5)


def test_households_of_the_annex_without_a_case_are_still_to_be_confirmed() -> None:
    closed = replace(household(State.CONSTRUCTION), state=State.CLOSED)
    over_plan = replace(household(State.CONSTRUCTION), planned=False)

    found = unit(closed, over_plan, household(State.CONSTRUCTION), task=10)

    # The closed one was registered and leaves no gap; the one over the plan fills none.
    assert found.waiting == (8, 0, 2, 0)


def test_rejected_works_count_for_the_acceptance_only(plan: Plan) -> None:
    rejected = household(State.CONSTRUCTION, redone=True)

    found = unit(household(State.STABLE_SEASON), rejected)

    assert (found.to_build, found.redoing, found.rejected) == (0, 1, 1)
    said = outlook(found, plan)
    assert said.p_construction == 1
    assert 0 < said.p_acceptance < 1
    assert said.expected == said.low == said.high == DAY
    assert said.binding_state is State.ACCEPTANCE


def test_works_sent_back_before_anything_was_completed_are_to_be_built() -> None:
    assert unit(household(State.CONSTRUCTION)).to_build == 1


@pytest.mark.parametrize(
    ("on", "p"), [(WORKS_END, 1.0), (WORKS_END + ONE_DAY, 0.0)], ids=["in time", "a day late"]
)
def test_a_finished_unit_is_certain(plan: Plan, on: date, p: float) -> None:
    late = replace(household(State.STABLE_SEASON), first=(DAY, DAY, on, on))
    work = forecast.unit_work("200", 1, [late], date(2023, 10, 20), date(2023, 10, 20))

    said = forecast.outlooks([work], plan, date(2023, 10, 20))["200"]

    assert (said.p_construction, said.expected, said.pace_needed) == (p, on, 0.0)
    assert said.p_acceptance == 1.0
    assert said.binding_state is None


def test_works_unfinished_after_their_end_have_missed_it(plan: Plan) -> None:
    after = date(2023, 10, 1)
    work = forecast.unit_work("200", 1, [household(State.CONSTRUCTION)], after, after)

    said = forecast.outlooks([work], plan, after)["200"]

    assert said.p_construction == 0
    assert said.pace_needed is None
    assert said.low is not None
    assert said.low > after


def test_the_pace_needed_counts_working_days_up_to_the_last_one(plan: Plan) -> None:
    said = outlook(building(66, 12), plan)

    # (08-15, 09-28] holds 32 working days: 6.4 weeks of five.
    assert said.pace_needed == pytest.approx(66 / 6.4, abs=0.05)
    assert said.pace_shown == 12.0


def test_more_work_or_a_slower_pace_is_less_likely_to_be_done(plan: Plan) -> None:
    chances = [outlook(building(left, 12), plan).p_construction for left in (12, 60, 90, 400)]
    slower = outlook(building(60, 4), plan)

    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.8
    assert chances[-1] < 0.05
    assert slower.p_construction < chances[1]


def test_the_interval_holds_the_expected_day_and_is_wider_further_ahead(plan: Plan) -> None:
    near, far = outlook(building(12, 12), plan), outlook(building(90, 12), plan)

    for said in (near, far):
        assert said.low is not None
        assert said.expected is not None
        assert said.high is not None
        assert DAY < said.low <= said.expected <= said.high
    assert near.high is not None
    assert near.low is not None
    assert far.high is not None
    assert far.low is not None
    assert near.high - near.low < far.high - far.low


def test_what_takes_longer_than_the_horizon_has_no_day(plan: Plan) -> None:
    said = outlook(building(5000, 2), plan)

    assert said.expected is None
    assert said.high is None


def test_a_unit_without_history_goes_by_the_county(plan: Plan) -> None:
    fresh = unit(*[household(State.CONSTRUCTION)] * 40)
    quick = [building(10, 30, code) for code in ("100", "103", "202")]
    slow = [building(300, 2, code) for code in ("100", "103", "202")]

    by_quick, by_slow = outlook(fresh, plan, *quick), outlook(fresh, plan, *slow)

    assert by_quick.expected is not None
    assert by_slow.expected is not None
    assert by_quick.expected + timedelta(days=60) < by_slow.expected
    assert by_quick.p_construction > by_slow.p_construction


def test_a_county_without_history_goes_by_the_plan(plan: Plan) -> None:
    spring = date(2023, 5, 20)
    work = [
        forecast.unit_work(code, task, (), spring, spring)
        for code, task in (("200", 305), ("107", 1))
    ]

    said = forecast.outlooks(work, plan, spring)

    for one in said.values():
        assert 0.05 < one.p_construction < 0.95
        assert one.low is not None
        assert one.low > spring + timedelta(days=14)
        assert one.binding_state is not None


def test_the_binding_state_is_where_the_work_takes_longest(plan: Plan) -> None:
    mine = building(10, 12)
    unconfirmed = replace(mine, waiting=(200, 0, 10, 0))

    assert outlook(mine, plan).binding_state is State.CONSTRUCTION
    assert outlook(unconfirmed, plan).binding_state is State.HOUSEHOLD_CONFIRMATION


def test_what_is_entered_late_is_not_taken_for_idleness() -> None:
    late = replace(household(State.ACCEPTANCE), entered_after=6)

    live = forecast.unit_work("200", 1, [late], DAY, DAY)
    a_week_on = forecast.unit_work("200", 1, [late], DAY, DAY + timedelta(days=4))
    looked_back = forecast.unit_work("200", 1, [late], DAY, DAY + timedelta(days=60))

    assert live.seen_on == DAY - timedelta(days=6)
    assert a_week_on.seen_on == DAY - timedelta(days=2)
    assert looked_back.seen_on == DAY


def test_a_backlog_of_papers_is_not_the_usual_lag() -> None:
    old = replace(household(State.ACCEPTANCE), entered_after=100)

    assert forecast.unit_work("200", 1, [old], DAY, DAY).seen_on == DAY - timedelta(days=14)


# Read from the database -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Three households accepted, one rejected, one confirmed, one closed; recorded late or not."""
    place = county.fresh(tmp_path_factory.mktemp("forecast"))
    town = county.TOWN
    county.carry(place, town[:4], State.ACCEPTANCE)
    place.carry_out([county.confirm(town[4])], "wang", county.COMPLETED)
    place.advance(town[5], Trigger.CLOSE, date(2023, 9, 1), *county.CLOSING)
    place.carry_out([county.accept(code) for code in town[:3]], "zhao", county.ACCEPTED)
    findings = (("findings", "管道漏水"), ("put_right_by", "2023-09-20"))
    place.advance(town[3], Trigger.REJECT, county.ACCEPTED, *findings)
    return place


def foresee(place: County, clocks: Clocks, today: date, units: list[str] | None = None) -> Forecast:
    with place.database.reading() as connection:
        return forecast.foresee(
            connection, register.plan_in_force(connection), clocks, today, units
        )


def test_it_counts_what_the_register_holds(place: County) -> None:
    said = foresee(place, Clocks(county.ACCEPTED), county.ACCEPTED).by_unit

    # Eight in the annex: five open cases, one closed, two nobody registered.
    assert said["101"].to_build == 3
    assert said["101"].pace_shown == 0.0
    assert list(said) == ["101", "102", "RLJ"]


@pytest.mark.parametrize(
    ("day", "to_build"),
    [
        (county.COMPLETED - ONE_DAY, 8),
        (county.COMPLETED, 4),
        (date(2023, 8, 31), 4),
        (date(2023, 9, 1), 3),
        (county.ACCEPTED, 3),
    ],
)
def test_a_past_day_is_told_by_what_was_true_then(place: County, day: date, to_build: int) -> None:
    past = foresee(place, Clocks(day, past=True), county.ACCEPTED).by_unit["101"]

    assert past.to_build == to_build


def test_an_instant_is_told_by_what_was_known_then(place: County) -> None:
    known = foresee(
        place, Clocks(county.ACCEPTED, known_at=county.noon(county.SELECTED)), county.ACCEPTED
    )

    assert known.by_unit["101"].to_build == 8


def test_a_day_to_come_is_looked_at_from_today(place: County) -> None:
    today = county.ACCEPTED
    ahead = foresee(place, Clocks(today + 10 * ONE_DAY), today).by_unit["101"]

    now = foresee(place, Clocks(today), today).by_unit["101"]
    assert ahead.to_build == now.to_build
    assert ahead.pace_needed is not None
    assert now.pace_needed is not None
    assert ahead.pace_needed > now.pace_needed
    assert ahead.low is not None
    assert ahead.low > today


def test_one_unit_asked_for_learns_from_all(place: County) -> None:
    clocks = Clocks(county.ACCEPTED)

    alone = foresee(place, clocks, county.ACCEPTED, ["102"])

    everybody = foresee(place, clocks, county.ACCEPTED)
    assert list(alone.by_unit) == ["102"]
    assert alone.by_unit["102"] == everybody.by_unit["102"]
    assert len(alone.positions) == len(county.CODES)


@pytest.mark.parametrize(
    "clocks",
    [
        Clocks(county.ACCEPTED),
        Clocks(date(2023, 8, 31), past=True),
        Clocks(county.ACCEPTED, known_at=county.noon(county.SELECTED)),
    ],
)
def test_who_shows_no_cases_is_told_the_same(place: County, clocks: Clocks) -> None:
    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        found = forecast.look_ahead(connection, plan, clocks, county.ACCEPTED)

    assert found.by_unit == foresee(place, clocks, county.ACCEPTED).by_unit
    assert not found.positions


def test_the_cases_it_rests_on_are_those_of_the_clocks(place: County) -> None:
    clocks = Clocks(date(2023, 8, 31), past=True)

    found = foresee(place, clocks, county.ACCEPTED).positions

    with place.database.reading() as connection:
        plan = register.plan_in_force(connection)
        assert list(found) == cases.positions(connection, plan, clocks)


def test_a_case_over_the_plan_leaves_the_annex_as_it_is(place: County, tmp_path: Path) -> None:
    fresh = county.fresh(tmp_path)
    county.carry(fresh, [CODE], State.EQUIPMENT_SELECTION)
    pairs = (("path", "solar"), ("keep_device", "no"), ("quota", "over_plan"))
    fresh.advance(CODE, Trigger.CHANGE_PATH, county.SELECTED, *pairs, reason="不通电")
    with fresh.database.reading() as connection:
        plan = register.plan_in_force(connection)
        listed = {p.code: p for p in cases.positions(connection, plan, Clocks(county.SELECTED))}
    assert listed[CODE].quota is Quota.OVER_PLAN

    said = foresee(fresh, Clocks(county.SELECTED), county.SELECTED).by_unit["101"]

    # Five planned cases, three more of the annex, and the one over the plan.
    assert said.to_build == 9


def test_facts_beside_the_line_change_nothing(place: County) -> None:
    clocks, today = Clocks(county.ACCEPTED), county.ACCEPTED
    before = foresee(place, clocks, today).by_unit
    place.advance(CODE, FactKind.VISIT, today, ("temperature", "20"))

    assert foresee(place, clocks, today).by_unit == before


# Against seasons that were made up before it ----------------------------------------------------

# A few seasons of the back-test in docs/forecast.md, of which nothing was chosen on these seeds.
SAMPLE = (3000, 3001, 3002)


def test_a_band_begins_with_what_is_done_and_ends_with_everybody(plan: Plan) -> None:
    outlook = forecast.outlooks([building(20, 5)], plan, DAY)["200"]

    now, soon, late = forecast.bands([outlook], [DAY, DAY + timedelta(7), DAY + timedelta(280)])

    assert (now.low, now.expected, now.high) == (40, 40, 40)
    assert 40 <= soon.low < soon.high <= 60
    assert (late.expected, late.high) == (60, 60)
    assert late.low >= 59, "a household that is never at home"


def test_a_band_lies_evenly_between_the_ends_of_two_weeks(plan: Plan) -> None:
    futures = forecast.Futures(DAY, 10, ((17, 24),) * 3)

    assert [futures.at(0, DAY + timedelta(days)) for days in (-3, 0, 1, 6, 7, 8, 14, 99)] == [
        *(10, 10, 11, 16, 17, 18, 24, 24),
    ]


def test_the_bands_of_many_units_are_added_as_if_all_went_alike(plan: Plan) -> None:
    found = forecast.outlooks([building(20, 5, "200"), building(90, 9, "103")], plan, DAY)
    day = DAY + timedelta(days=28)

    [both] = forecast.bands(found.values(), [day])

    apart = [forecast.bands([one], [day])[0] for one in found.values()]
    assert both.low == sum(one.low for one in apart)
    assert both.high == sum(one.high for one in apart)


def test_a_finished_unit_stays_where_it_is(plan: Plan) -> None:
    done = unit(*[household(State.STABLE_SEASON)] * 4)
    found = forecast.outlooks([done], plan, DAY)

    [band] = forecast.bands(found.values(), [DAY + timedelta(days=30)])

    assert (band.low, band.expected, band.high) == (4, 4, 4)


def test_the_band_of_the_county_holds_what_came_in_a_few_seasons() -> None:
    found = [one for seed in range(2000, 2003) for one in backtest.bands_of(seed)]

    units = [within for _, within, _, _ in found if within is not None]
    assert sum(units) / len(units) > 0.75
    assert sum(inside for _, _, inside, _ in found) / len(found) > 0.65


def test_it_does_as_well_on_a_few_seasons_as_the_document_says() -> None:
    """One test, so that the seasons are played once; the limits allow for their small number."""
    told = [case for seed in SAMPLE for case in backtest.cases_of(seed)]
    large = [case for case in told if case.work.households >= backtest.LARGE]
    unfinished, warned = backtest.unfinished(large), backtest.warnings(large)

    assert min(warned.missing, warned.making + warned.through) >= 8
    assert 0.70 <= backtest.coverage(unfinished) <= 0.90
    ours, line, recent = backtest.brier(unfinished)
    assert ours < 0.8 * min(line, recent)
    assert warned.recall >= 0.85
    assert warned.false_alarms <= 0.25
    assert warned.wrong_share <= 0.25


def test_a_season_is_the_same_each_time() -> None:
    once, again = seasons.simulate(5), seasons.simulate(5)

    ends = [(unit.task, unit.finished_on, unit.accepted_on) for unit in once.units]
    assert ends == [(unit.task, unit.finished_on, unit.accepted_on) for unit in again.units]


def test_the_forecast_sees_nothing_that_was_entered_later() -> None:
    season = seasons.simulate(5)
    cut = date(2023, 8, 15)
    for unit_ in season.units:
        before = backtest.unit_work(unit_, cut)
        for household_ in unit_.households:
            household_.steps = [step for step in household_.steps if step.entered_on <= cut]
        assert backtest.unit_work(unit_, cut) == before
