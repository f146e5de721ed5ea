"""The marks of the self-evaluation, and the indicators a plan may carry."""

from collections import Counter
from datetime import date

import county
import pytest

from states import revision
from states.errors import PlanFault
from states.evaluation import Tally, score, together
from states.plan import USUAL_INDICATORS, Indicator, Plan, from_toml
from states.vocabulary import FactKind, Measure, Outcome, Quota, Stability, Trigger

pytestmark = pytest.mark.once


def indicator(key: Measure, full: float = 100, zero: float = 50, weight: int = 20) -> Indicator:
    return Indicator(key=key, weight=weight, full=full, zero=zero, source="县级政策")


def weighed(*rows: tuple[str, int, float, float]) -> Plan:
    tables = "".join(
        f'[[evaluation]]\nkey = "{key}"\nweight = {weight}\nfull = {full}\nzero = {zero}\n'
        'source = "县级政策"\n'
        for key, weight, full, zero in rows
    )
    return from_toml(county.plan_text() + tables, "tiny.toml")


@pytest.mark.parametrize(
    ("accepted", "points"), [(0, 0), (50, 0), (51, 0.4), (75, 10), (99, 19.6), (100, 20), (130, 20)]
)
def test_marks_rise_evenly_between_the_lines_and_never_pass_the_weight(
    accepted: int, points: float
) -> None:
    found = score(
        indicator(Measure.TASK_COMPLETION), Tally(task=100, accepted=accepted), ended=True
    )

    assert (found.value, found.points) == (accepted, points)


@pytest.mark.parametrize(("number", "points"), [(0, 20), (1, 10), (2, 0), (9, 0)])
def test_where_less_is_better_the_marks_fall(number: int, points: float) -> None:
    tally = Tally(registered=200, matters=Counter({(FactKind.VIOLATION, "kang_sealed"): number}))

    found = score(indicator(Measure.VIOLATIONS, full=0, zero=1), tally, ended=True)

    assert found.points == points


def test_an_unfounded_violation_and_a_complaint_cost_nothing() -> None:
    key = FactKind.VIOLATION, "other"
    tally = Tally(
        registered=10,
        matters=Counter({key: 1, (FactKind.COMPLAINT, ""): 4}),
        unfounded=Counter({key: 1, (FactKind.COMPLAINT, ""): 2}),
    )

    assert score(indicator(Measure.VIOLATIONS, 0, 1), tally, ended=True).count == 0
    assert Outcome.UNFOUNDED


@pytest.mark.parametrize("key", list(Measure))
def test_nothing_to_measure_gives_no_marks_and_says_why(key: Measure) -> None:
    found = score(indicator(key), Tally(), ended=True)

    assert (found.value, found.points) == (None, None)
    assert found.why


@pytest.mark.parametrize("key", [Measure.STABLE, Measure.EVIDENCE_KNOWN])
def test_a_season_not_over_gives_no_marks(key: Measure) -> None:
    tally = Tally(stability=Counter({Stability.STABLE: 5, Stability.RUNNING: 1}))

    assert score(indicator(key), tally, ended=False).why == "采暖季尚未结束"
    assert score(indicator(key), tally, ended=True).points == 20


def test_gaps_count_as_not_stable_and_an_unknown_season_as_nothing() -> None:
    tally = Tally(
        stability=Counter({Stability.STABLE: 3, Stability.UNKNOWN: 1, Stability.NOT_SERVED: 9})
    )

    stable = score(indicator(Measure.STABLE), tally, ended=True)
    known = score(indicator(Measure.EVIDENCE_KNOWN), tally, ended=True)
    tally.stability[Stability.SEASON_UNKNOWN] = 1

    assert (stable.count, stable.of, stable.points) == (3, 4, 10)
    assert (known.count, known.of) == (3, 4)
    assert score(indicator(Measure.STABLE), tally, ended=True).why == "采暖季起止日期未知"


def test_who_still_waits_past_the_day_is_not_in_time() -> None:
    tally = Tally(
        steps=Counter({Trigger.COMPLETE: 6}),
        late_steps=Counter({Trigger.COMPLETE: 1}),
        waiting_late=Counter({Trigger.COMPLETE: 4}),
    )

    found = score(indicator(Measure.WORKS_IN_TIME), tally, ended=True)

    assert (found.count, found.of, found.points) == (5, 10, 0)


def test_figures_of_units_add_up_line_by_line() -> None:
    one = Tally(
        task=1, quotas=Counter({Quota.PLANNED: 1}), days={Trigger.CONFIRM: [3]}, outage_days=[1]
    )
    other = Tally(task=2, quotas=Counter({Quota.PLANNED: 2}), days={Trigger.CONFIRM: [4]})

    total = together([one, other])

    assert (total.task, total.quotas, total.going) == (3, {Quota.PLANNED: 3}, 3)
    assert (total.days, total.outage_days) == ({Trigger.CONFIRM: [3, 4]}, [1])
    assert one.days == {Trigger.CONFIRM: [3]}


# --- in the plan ----------------------------------------------------------------------------------


def test_a_plan_that_says_nothing_keeps_its_hash_and_is_weighed_by_the_program() -> None:
    plan = county.tiny_plan()

    assert plan.indicators == USUAL_INDICATORS
    assert "evaluation" not in plan.canonical.partition('"phases"')[0]
    assert sum(one.weight for one in USUAL_INDICATORS) == 100
    assert all("缺省值" in one.source and not one.verified for one in USUAL_INDICATORS)


def test_a_plan_may_weigh_its_own() -> None:
    plan = weighed(("stable", 60, 95, 50), ("violations", 40, 0, 2))

    assert [(one.key, one.weight) for one in plan.indicators] == [
        (Measure.STABLE, 60),
        (Measure.VIOLATIONS, 40),
    ]
    assert plan.hash != county.tiny_plan().hash


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("stable", 99, 100, 0)], "权重合计须为 100，现为 99"),
        ([("stable", 50, 100, 0), ("stable", 50, 90, 0)], "列了 2 次"),
        ([("luck", 100, 100, 0)], "不认识的值"),
        ([("stable", 100, 80, 80)], "不能相同"),
        ([("stable", 0, 100, 0), ("violations", 100, 0, 1)], "不合要求"),
        ([("stable", 100, 2000, 0)], "不合要求"),
    ],
)
def test_a_table_that_cannot_be_weighed_is_refused(
    rows: list[tuple[str, int, float, float]], told: str
) -> None:
    with pytest.raises(PlanFault, match=told) as fault:
        weighed(*rows)

    assert "evaluation" in str(fault.value.place)


def test_other_weights_are_told_and_are_no_loosening() -> None:
    changes = revision.compare(
        county.tiny_plan(), weighed(("stable", 100, 95, 50)), date(2023, 8, 1)
    )

    assert {change.key.partition(".")[0] for change in changes} == {"evaluation"}
    assert not any(change.refused or change.second for change in changes)
    assert any("20 分" in change.what and "100 分" in change.what for change in changes)


def test_a_past_season_is_judged_as_if_it_were_the_last() -> None:
    plan = county.tiny_plan()

    judged = plan.until_season("2023-2024")

    assert {season.label for season in judged.seasons} == {"2023-2024"}
    assert {season.label for season in plan.seasons} == {"2023-2024", "2024-2025"}
    assert judged.hash == plan.hash
