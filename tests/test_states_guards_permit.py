from datetime import date

import pytest
from factories import (
    DAY,
    ONE_WINTER,
    XIAOXIAN,
    Life,
    check_told,
    officer,
    question,
    with_rules,
    with_seasons,
)

from states import guards_permit as permit
from states import season
from states.errors import Reason
from states.plan import Plan
from states.question import Guard
from states.vocabulary import Area, FactKind, Path, Role, Trigger

# The winter of ONE_WINTER. Its limits: 4 days of outage at once, 9 in all, 3 warm visits of 16.5 ℃.
FIRST_DAY, LAST_DAY = date(2024, 11, 1), date(2025, 3, 15)
PERMIT_DAY = date(2025, 4, 3)
NOTICE, U, C = "通知 四", Role.UNIT_OFFICER, Role.COUNTY_OFFICE
UNVERIFIED = with_seasons(
    ONE_WINTER,
    ("2024-2025", "2024-11-01", "2025-03-15"),
    verified=False,
    document=None,
    entered_by=None,
)
NO_LIMITS_LEFT = with_rules(ONE_WINTER, outage_days=0, outage_days_total=0)


def winter() -> Life:
    """A case that ran through the winter without fault and was signed for."""
    return Life().to_stable().good_winter()


def answer(
    guard: Guard,
    life: Life,
    today: date = PERMIT_DAY,
    of: Plan = ONE_WINTER,
    *,
    on: date | None = None,
    person: str = "li",
    drill: bool = False,
) -> Reason | None:
    """The guard's answer to a permission asked for today."""
    actor = officer(Role.COUNTY_OFFICE, person)
    return guard(
        question(life.facts(), Trigger.PERMIT, today, of=of, on=on, actor=actor, drill=drill)
    )


def broken(*days: date, length: int) -> Life:
    """A good winter but for faults that last so many days each."""
    life = winter()
    for day in days:
        life.fault(day, day + length * DAY)
    return life


def cold() -> Life:
    life = winter()
    life.visits(date(2025, 3, 1), temperature=12.0)
    return life


def open_fault() -> Life:
    life = winter()
    life.fault(date(2025, 3, 1))
    return life


def unheated() -> Life:
    life = Life().to_stable()
    life.visits(date(2024, 12, 1), date(2025, 1, 5), date(2025, 2, 1))
    life.sign(date(2025, 4, 2))
    return life


def seldom_visited() -> Life:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.visits(date(2024, 12, 1), date(2025, 1, 5))
    life.sign(date(2025, 4, 2))
    return life


def unsigned() -> Life:
    life = Life().to_stable()
    life.heat(FIRST_DAY)
    life.visits(date(2024, 12, 1), date(2025, 1, 5), date(2025, 2, 1))
    return life


def accepted_on_late_paper() -> Life:
    life = Life().to_acceptance()
    life.accept(date(2024, 7, 1), recorded=FIRST_DAY + DAY)
    return life.good_winter()


def complained() -> Life:
    life = winter()
    life.fact(FactKind.COMPLAINT, date(2025, 3, 20), what="x")
    return life


def test_a_good_winter_is_met_by_no_guard_of_the_permission() -> None:
    guards = (
        permit.season_served,
        permit.season_verified,
        permit.no_long_outage,
        permit.outages_within_total,
        permit.heat_on_today,
        permit.first_heat_known,
        permit.warm_visits_made,
        permit.season_signed,
        permit.recorded_in_time,
        permit.nothing_open,
        permit.permitted_by_another,
        permit.permitted_today,
    )

    assert [answer(guard, winter()) for guard in guards] == [None] * 12


TOLD: list[tuple[Guard, Life, date, Reason]] = [
    (
        permit.season_served,
        Life().to_acceptance(),
        date(2024, 7, 1),
        Reason("season_served", NOTICE, "1 个采暖季 现在尚未验收", (), None, None, "尚未验收"),
    ),
    (
        permit.season_served,
        Life().to_stable(),
        date(2024, 12, 1),
        Reason(
            "season_served",
            NOTICE,
            "1 个采暖季（2024-2025，止于 2025-03-15） 2024-07-01",
            (),
            None,
            LAST_DAY + DAY,
        ),
    ),
    (
        permit.season_served,
        Life().to_stable(FIRST_DAY + DAY),
        date(2024, 12, 1),
        Reason(
            "season_served",
            NOTICE,
            "1 个采暖季 起算日 2024-11-02",
            (),
            None,
            None,
            season.NO_LATER_SEASON,
        ),
    ),
    (
        permit.no_long_outage,
        broken(date(2024, 12, 10), length=5),
        PERMIT_DAY,
        Reason(
            "no_long_outage",
            NOTICE,
            "2024-2025 5 天 4 天",
            (),
            None,
            None,
            season.NO_LATER_SEASON,
        ),
    ),
    (
        permit.outages_within_total,
        broken(date(2024, 12, 10), date(2025, 1, 10), date(2025, 2, 10), length=4),
        PERMIT_DAY,
        Reason(
            "outages_within_total",
            NOTICE,
            "2024-2025 12 天 9 天",
            (),
            None,
            None,
            season.NO_LATER_SEASON,
        ),
    ),
    (
        permit.heat_on_today,
        open_fault(),
        PERMIT_DAY,
        Reason("heat_on_today", NOTICE, "2025-03-01 故障", ("repair",), U, PERMIT_DAY),
    ),
    (
        permit.heat_on_today,
        cold(),
        PERMIT_DAY,
        Reason("heat_on_today", NOTICE, "2025-03-01 测温", ("visit",), U, PERMIT_DAY),
    ),
    (
        permit.first_heat_known,
        unheated(),
        PERMIT_DAY,
        Reason("first_heat_known", NOTICE, "first_heat_on", ("first_heat_on",), U, PERMIT_DAY),
    ),
    (
        permit.first_heat_known,
        Life().to_stable(),
        date(2024, 8, 1),
        Reason("first_heat_known", NOTICE, "first_heat_on", ("first_heat_on",), U, FIRST_DAY),
    ),
    (
        permit.warm_visits_made,
        seldom_visited(),
        PERMIT_DAY,
        Reason("warm_visits_made", NOTICE, "2024-2025 16.5 2 次 3 次", ("visit",), U, PERMIT_DAY),
    ),
    (
        permit.warm_visits_made,
        Life().to_stable(),
        date(2024, 8, 1),
        Reason("warm_visits_made", NOTICE, "0 次", ("visit",), U, FIRST_DAY),
    ),
    (
        permit.season_signed,
        unsigned(),
        PERMIT_DAY,
        Reason("season_signed", NOTICE, "2024-2025 2025-03-15", ("signature",), U, PERMIT_DAY),
    ),
    (
        permit.season_signed,
        unsigned(),
        LAST_DAY,
        Reason("season_signed", NOTICE, "2024-2025", ("signature",), U, LAST_DAY + DAY),
    ),
    (
        permit.recorded_in_time,
        accepted_on_late_paper(),
        PERMIT_DAY,
        Reason(
            "recorded_in_time",
            NOTICE,
            "2024-11-01 编号 5（2024-11-02",
            (),
            None,
            None,
            season.NO_LATER_SEASON,
        ),
    ),
    (
        permit.nothing_open,
        complained(),
        PERMIT_DAY,
        Reason("nothing_open", NOTICE, "投诉（编号 11）", ("resolve",), C, PERMIT_DAY),
    ),
]


@pytest.mark.parametrize(
    ("guard", "life", "today", "expected"),
    TOLD,
    ids=[f"{index}-{case[-1].guard}" for index, case in enumerate(TOLD)],
)
def test_a_refusal_says_guard_clause_what_is_missing_who_can_put_it_right_and_when(
    guard: Guard, life: Life, today: date, expected: Reason
) -> None:
    check_told(answer(guard, life, today), expected)


def test_the_person_and_the_day_of_a_permission_are_told_in_whole() -> None:
    own = answer(permit.permitted_by_another, winter(), person="zhao")
    yesterday = answer(permit.permitted_today, winter(), on=PERMIT_DAY - DAY)

    check_told(own, Reason("separation", "设计 3（职责分离）", "另一人", (), C, PERMIT_DAY))
    check_told(yesterday, Reason("permitted_today", "设计 3", "2025-04-02", (), C, PERMIT_DAY))


# What nobody has verified


def unverified(*words: str) -> Reason:
    return Reason(
        "season_verified",
        "设计 1（未核实不许可）",
        " ".join(words),
        (),
        C,
        None,
        "核实前无法确定",
    )


def test_unverified_dates_refuse_and_are_named() -> None:
    check_told(
        answer(permit.season_verified, winter(), of=UNVERIFIED),
        unverified("2024-2025 采暖季起止日期"),
    )


def test_before_any_season_counts_all_unverified_ones_of_the_path_are_named() -> None:
    case = Life(Path.BIOMASS)
    facts = case.facts()

    basis = permit.unverified_basis(facts, XIAOXIAN, date(2024, 6, 1))

    assert facts.area is Area.RURAL
    assert basis == ("2024-2025 采暖季起止日期", "2025-2026 采暖季起止日期")


def test_a_real_database_knows_no_day_for_unverified_dates_and_says_why() -> None:
    asked = answer(permit.season_served, Life().to_stable(), date(2024, 12, 1), UNVERIFIED)
    drilled = answer(
        permit.season_served, Life().to_stable(), date(2024, 12, 1), UNVERIFIED, drill=True
    )

    assert asked is not None
    assert drilled is not None
    assert asked.earliest is None
    assert asked.earliest_reason == "采暖季起止日期或要求的采暖季数尚未核实"
    assert (drilled.earliest, drilled.earliest_reason) == (LAST_DAY + DAY, None)


# Edges of the window and of the limits


def test_where_no_day_of_outage_is_allowed_a_winter_without_one_still_passes() -> None:
    assert answer(permit.no_long_outage, winter(), of=NO_LIMITS_LEFT) is None
    assert answer(permit.outages_within_total, winter(), of=NO_LIMITS_LEFT) is None
    facts = winter().facts()
    assert season.earliest(facts, NO_LIMITS_LEFT, PERMIT_DAY, drill=False) == (PERMIT_DAY, None)


def test_on_its_last_day_a_season_is_still_waited_for_until_tomorrow() -> None:
    facts = Life().to_stable(FIRST_DAY).facts()

    found = season.window(facts, ONE_WINTER, LAST_DAY)

    assert found is not None
    assert (found.ended, found.clock_start) == (False, FIRST_DAY)
    assert (found.first_day, found.last_day) == (FIRST_DAY, LAST_DAY)
    assert season.earliest(facts, ONE_WINTER, LAST_DAY, drill=False) == (LAST_DAY + DAY, None)


def test_a_window_of_an_ended_season_says_so_and_when_the_clock_started() -> None:
    found = season.window(winter().facts(), ONE_WINTER, LAST_DAY + DAY)

    assert found is not None
    assert found.ended is True
    assert found.clock_start == date(2024, 7, 1)
