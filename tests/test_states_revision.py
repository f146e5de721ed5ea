from collections.abc import Mapping
from datetime import date

import pytest
from factories import ONE_WINTER, XIAOXIAN, document_of, with_rules, with_seasons

from states import plan, revision
from states.plan import Json, Plan
from states.revision import Change
from states.vocabulary import GateKind, Supply

BEFORE_WINTER, IN_WINTER = date(2024, 6, 1), date(2024, 12, 1)


def refused(old: Plan, new: Plan, today: date = IN_WINTER) -> list[str]:
    return [change.key for change in revision.compare(old, new, today) if change.refused]


def needs_second(old: Plan, new: Plan, today: date = IN_WINTER) -> bool:
    changes = revision.compare(old, new, today)
    assert changes
    return any(change.second for change in changes)


def unverified(of: Plan, first: str, last: str) -> Plan:
    season = ("2024-2025", first, last)
    return with_seasons(of, season, verified=False, document=None, entered_by=None)


def test_the_same_plan_has_no_changes() -> None:
    assert revision.compare(XIAOXIAN, XIAOXIAN, IN_WINTER) == ()


LOOSER: list[tuple[str, Json]] = [
    ("outage_days", 99),
    ("outage_days_total", 99),
    ("first_heat_grace_days", 99),
    ("warm_visits", 0),
    ("warm_temperature", 12.0),
    ("exempt_paths", ["solar", *XIAOXIAN.rules.exempt_paths.value]),
]


@pytest.mark.parametrize(("name", "value"), LOOSER)
def test_what_removals_rest_on_is_never_loosened_and_may_always_be_tightened(
    name: str, value: Json
) -> None:
    loose = with_rules(XIAOXIAN, **{name: value})

    assert refused(XIAOXIAN, loose) == [f"rules.{name}"]
    assert refused(loose, XIAOXIAN) == []
    assert not needs_second(loose, XIAOXIAN)


def test_fewer_seasons_are_refused_and_more_are_not() -> None:
    two = with_rules(ONE_WINTER, required_seasons=2)

    assert refused(two, ONE_WINTER) == ["rules.required_seasons"]
    assert refused(ONE_WINTER, two) == []


def test_a_verified_season_that_has_begun_keeps_its_dates() -> None:
    moved = with_seasons(ONE_WINTER, ("2024-2025", "2024-11-02", "2025-03-15"))

    assert refused(ONE_WINTER, moved, date(2024, 11, 1)) == ["seasons.2024-2025"]
    assert refused(ONE_WINTER, moved, date(2024, 10, 31)) == []
    assert needs_second(ONE_WINTER, moved, date(2024, 10, 31))


def test_verified_dates_take_the_place_of_unverified_ones_even_when_the_season_is_over() -> None:
    guessed = unverified(ONE_WINTER, "2024-10-15", "2025-04-15")

    assert refused(guessed, ONE_WINTER, date(2025, 5, 1)) == []
    assert needs_second(guessed, ONE_WINTER, date(2025, 5, 1))


def test_other_unverified_dates_come_too_late_once_the_season_has_begun() -> None:
    guessed = unverified(ONE_WINTER, "2024-10-15", "2025-04-15")
    again = unverified(ONE_WINTER, "2024-11-15", "2025-03-01")

    assert refused(guessed, again, IN_WINTER) == ["seasons.2024-2025"]
    assert refused(guessed, again, BEFORE_WINTER) == []


def test_a_season_to_come_cannot_be_moved_into_the_past_unverified() -> None:
    coming = unverified(ONE_WINTER, "2024-11-01", "2025-03-15")
    past = unverified(ONE_WINTER, "2024-07-02", "2024-07-04")

    assert refused(coming, past, date(2024, 7, 20)) == ["seasons.2024-2025"]


def test_a_season_stays_within_the_years_of_its_name() -> None:
    elsewhere = with_seasons(ONE_WINTER, ("2024-2025", "2023-11-01", "2024-03-15"))

    assert refused(ONE_WINTER, elsewhere, BEFORE_WINTER) == ["seasons.2024-2025"]


def test_a_season_is_not_struck_off() -> None:
    two = with_seasons(
        ONE_WINTER, ("2024-2025", "2024-11-01", "2025-03-15"), ("2025-2026", None, None)
    )

    assert refused(two, ONE_WINTER, BEFORE_WINTER) == ["seasons.2025-2026"]
    assert refused(ONE_WINTER, two, BEFORE_WINTER) == []


def test_taking_a_verification_back_needs_nobody_else() -> None:
    doubted = unverified(ONE_WINTER, "2024-11-01", "2025-03-15")

    assert refused(ONE_WINTER, doubted) == []
    assert not needs_second(ONE_WINTER, doubted)


def changed(of: Plan, **values: Json) -> Plan:
    return plan.from_json({**document_of(of), **values})


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "other"), ("county", "别县"), ("year", 2025), ("effective_from", "2024-01-05")],
)
def test_another_county_year_or_beginning_is_another_plan(key: str, value: Json) -> None:
    assert refused(XIAOXIAN, changed(XIAOXIAN, **{key: value})) == [key]


def test_households_moved_between_units_are_one_revision_and_need_one_officer() -> None:
    document = document_of(XIAOXIAN)
    units = document["units"]
    assert isinstance(units, list)
    first, second = (next_task(units[index]) for index in (0, 1))
    first["households"], second["households"] = minus(first, 1), minus(second, -1)
    moved = plan.from_json(document)
    changes = revision.compare(XIAOXIAN, moved, IN_WINTER)

    assert [change.what.rsplit("（")[-1] for change in changes] in (
        ["-1）", "+1）"],
        ["+1）", "-1）"],
    )
    assert not any(change.refused or change.second for change in changes)


def next_task(unit: Json) -> dict[str, Json]:
    assert isinstance(unit, dict)
    tasks = unit["tasks"]
    assert isinstance(tasks, list)
    task = tasks[0]
    assert isinstance(task, dict)
    return task


def minus(task: dict[str, Json], number: int) -> int:
    households = task["households"]
    assert isinstance(households, int)
    return households - number


@pytest.mark.parametrize(("key", "value"), [("gate", GateKind.NONE), ("supply", Supply.NETWORK)])
def test_the_grid_still_comes_first(key: str, value: str) -> None:
    document = document_of(XIAOXIAN)
    paths = document["paths"]
    assert isinstance(paths, list)
    document["paths"] = [
        {**rule, key: value}
        if isinstance(rule, dict) and rule["path"] == "coal_to_electric"
        else rule
        for rule in paths
    ]

    assert refused(XIAOXIAN, plan.from_json(document)) == ["paths.coal_to_electric"]


def test_other_acceptance_papers_need_a_second_officer() -> None:
    document = document_of(XIAOXIAN)
    lists = document["acceptance"]
    assert isinstance(lists, list)
    document["acceptance"] = [
        {**one, "signers": ["用户"]} if isinstance(one, dict) else one for one in lists
    ]

    assert needs_second(XIAOXIAN, plan.from_json(document))


def test_a_phase_that_ends_later_is_a_change_that_one_officer_may_make() -> None:
    document = document_of(XIAOXIAN)
    phases = document["phases"]
    assert isinstance(phases, list)
    works = phases[1]
    assert isinstance(works, dict)
    works["end"] = "2024-08-30"
    changes = revision.compare(XIAOXIAN, plan.from_json(document), IN_WINTER)

    assert [(change.key, change.refused, change.second) for change in changes] == [
        ("phases.works", None, False)
    ]


# What a revision says of each change, in whole


def compared(old: Plan, new: Plan, today: date = IN_WINTER) -> list[Change]:
    return list(revision.compare(old, new, today))


def part(document: Mapping[str, Json], key: str, index: int) -> dict[str, Json]:
    """One table of a list in a plan's document, to be changed in place."""
    tables = document[key]
    assert isinstance(tables, list)
    table = tables[index]
    assert isinstance(table, dict)
    return table


def with_part(key: str, index: int, **values: Json) -> Plan:
    document = document_of(XIAOXIAN)
    part(document, key, index).update(values)
    return plan.from_json(document)


def test_what_is_refused_comes_first() -> None:
    both = with_rules(XIAOXIAN, notice_days=6, outage_days_total=10, backdating_days=9)

    assert [change.key for change in compared(XIAOXIAN, both)] == [
        "rules.outage_days_total",
        "rules.notice_days",
        "rules.backdating_days",
    ]


def test_another_year_is_told_and_refused_and_another_title_is_told_only() -> None:
    document = document_of(XIAOXIAN)

    renamed = plan.from_json({**document, "title": "修订方案", "document": "小政办发〔2024〕9号"})

    assert compared(XIAOXIAN, renamed) == [
        Change("title", "小县2024年清洁取暖改造方案 → 修订方案"),
        Change("document", "小政办发〔2024〕3号 → 小政办发〔2024〕9号"),
    ]
    assert compared(XIAOXIAN, changed(XIAOXIAN, year=2025)) == [
        Change("year", "2024 → 2025", "这是另一份计划，不是本计划的修订")
    ]


def test_a_phase_is_told_with_both_its_spans() -> None:
    assert compared(XIAOXIAN, with_part("phases", 1, end="2024-08-30")) == [
        Change("phases.works", "集中施工：2024-04-01 至 2024-08-31 → 2024-04-01 至 2024-08-30")
    ]


def test_units_that_come_and_go_and_a_new_total_need_a_second_officer() -> None:
    document = document_of(XIAOXIAN)
    units, totals = document["units"], document["totals"]
    assert isinstance(units, list)
    assert isinstance(totals, dict)
    new_unit: dict[str, Json] = {
        "code": "03",
        "name": "北山乡",
        "kind": "township",
        "tasks": [{"path": "coal_to_electric", "kind": "residential", "households": 7}],
    }
    document["units"] = [units[0], new_unit, units[2]]
    totals["households"] = 82
    part(totals, "tasks", 0)["households"] = 37

    found = compared(XIAOXIAN, plan.from_json(document))

    assert sorted(found, key=lambda change: change.key) == [
        Change("totals.households", "总任务 87 → 82 户，不是各单位间调剂", second=True),
        Change("units.02", "西河乡 不再是责任单位（任务 12 户）", second=True),
        Change("units.03", "新增责任单位 北山乡（任务 7 户）", second=True),
    ]


def test_a_unit_with_another_task_and_another_total_needs_a_second_officer() -> None:
    document = document_of(XIAOXIAN)
    totals = document["totals"]
    assert isinstance(totals, dict)
    next_task(part(document, "units", 1))["households"] = 13
    totals["households"] = 88
    part(totals, "tasks", 0)["households"] = 43

    found = compared(XIAOXIAN, plan.from_json(document))

    assert sorted(found, key=lambda change: change.key) == [
        Change("totals.households", "总任务 87 → 88 户，不是各单位间调剂", second=True),
        Change("units.02", "西河乡 任务 12 → 13 户（+1）", second=True),
    ]


def test_a_task_of_another_kind_and_the_same_number_is_told_as_such() -> None:
    document = document_of(XIAOXIAN)
    totals = document["totals"]
    assert isinstance(totals, dict)
    next_task(part(document, "units", 2))["area"] = "rural"
    part(totals, "tasks", 2)["area"] = "rural"

    assert compared(XIAOXIAN, plan.from_json(document)) == [
        Change("units.RQGS", "燃气公司 任务 40 → 40 户（类别调整）")
    ]


def test_a_rule_is_told_with_both_its_values() -> None:
    narrower = with_rules(XIAOXIAN, exempt_paths=[])
    wider = with_rules(XIAOXIAN, exempt_paths=["coal_to_gas", "solar"])
    lead: Json = {"confirm": 5, "select": 3, "complete": 8, "accept": 2}

    assert compared(XIAOXIAN, narrower) == [
        Change("rules.exempt_paths", "exempt_paths：coal_to_gas → 无")
    ]
    assert compared(XIAOXIAN, wider) == [
        Change(
            "rules.exempt_paths",
            "exempt_paths：coal_to_gas → coal_to_gas、solar",
            "不得缩小先立后破的适用范围",
        )
    ]
    assert compared(XIAOXIAN, with_rules(XIAOXIAN, outage_days=5)) == [
        Change("rules.outage_days", "outage_days：4 → 5", "不得放宽稳定运行的要求")
    ]
    assert compared(XIAOXIAN, with_rules(XIAOXIAN, lead_days=lead)) == [
        Change(
            "rules.lead_days",
            "lead_days：confirm 5、select 3、complete 9、accept 2 → "
            "confirm 5、select 3、complete 8、accept 2",
            second=True,
        )
    ]


def test_fewer_seasons_are_refused_as_fewer_seasons() -> None:
    assert compared(XIAOXIAN, with_rules(XIAOXIAN, required_seasons=1)) == [
        Change("rules.required_seasons", "required_seasons：2 → 1", "不得减少要求的采暖季数")
    ]


def with_signatures(*steps: str) -> Plan:
    document = document_of(XIAOXIAN)
    rules = document["rules"]
    assert isinstance(rules, dict)
    rules["signatures"] = {"value": list[Json](steps), "source": "县级政策"}
    return plan.from_json(document)


@pytest.mark.parametrize(
    ("before", "after", "loses"),
    [
        (["permit"], [], True),
        (["permit", "revoke"], ["permit"], True),
        (["all"], ["permit"], True),
        (["permit"], ["all"], False),
        (["permit"], ["permit", "accept"], False),
        ([], ["permit"], False),
    ],
)
def test_a_signature_once_asked_for_is_not_given_up(
    before: list[str], after: list[str], loses: bool
) -> None:
    found = compared(with_signatures(*before), with_signatures(*after))

    assert [change.key for change in found] == ["rules.signatures"]
    assert found[0].refused == ("不得取消签名的要求" if loses else None)


def test_a_rule_entered_as_verified_needs_a_second_officer() -> None:
    document = document_of(XIAOXIAN)
    rules = document["rules"]
    assert isinstance(rules, dict)
    rules["warm_visits"] = {
        "value": 3,
        "source": "小政办发〔2024〕8号",
        "verified": True,
        "document": "ab" * 32,
        "entered_by": "xian-li",
    }

    assert compared(XIAOXIAN, plan.from_json(document)) == [
        Change(
            "rules.warm_visits",
            "warm_visits：核实为 3（来源：小政办发〔2024〕8号）",
            second=True,
        )
    ]


def test_a_gate_may_be_asked_for_and_never_dropped_or_exchanged() -> None:
    asked = with_part("paths", 4, gate="grid")
    exchanged = with_part("paths", 3, gate="heat")
    supplied = with_part("paths", 3, supply="network")

    assert compared(XIAOXIAN, asked) == [
        Change("paths.biomass", "生物质：无 → 电网改造", second=True)
    ]
    assert compared(XIAOXIAN, exchanged) == [
        Change(
            "paths.solar",
            "太阳能：电网改造 → 供热管网",
            "电网、管网须前置（七、工作要求（三））",
            second=True,
        )
    ]
    assert compared(XIAOXIAN, supplied) == [
        Change(
            "paths.solar", "太阳能：电网改造 → 电网改造", "供热方式不能在办理途中改变", second=True
        )
    ]


def test_acceptance_lists_are_told_with_what_falls_away_and_what_is_added() -> None:
    less = with_part("acceptance", 2, signers=["村委会"], documents=["照片"], items=[])

    assert compared(XIAOXIAN, less) == [
        Change(f"acceptance.{key}", f"{path}{kind}验收{what}", second=True)
        for path in ("生物质", "洁净煤")
        for kind in ("居民户", "集体户")
        for key, what in (
            ("items", "检查项：减 排烟"),
            ("signers", "签字方：减 用户；增 村委会"),
            ("documents", "材料：增 照片"),
        )
    ]


# Seasons


def test_a_season_of_every_area_and_path_is_told_once() -> None:
    moved = with_seasons(ONE_WINTER, ("2024-2025", "2024-11-02", "2025-03-15"))

    assert compared(ONE_WINTER, moved, BEFORE_WINTER) == [
        Change(
            "seasons.2024-2025",
            "2024-2025 采暖季（各区域各路径）：2024-11-01 至 2025-03-15（已核实） → "
            "2024-11-02 至 2025-03-15（已核实）",
            second=True,
        )
    ]


def test_a_season_of_some_households_names_them() -> None:
    # 2026-2027 is announced for three paths in both areas, its dates unknown.
    known = with_part("seasons", 3, first_day="2026-11-01", last_day="2027-03-15")
    document = document_of(XIAOXIAN)
    seasons = document["seasons"]
    assert isinstance(seasons, list)
    document["seasons"] = seasons[:-1]

    where = "县城集中供热、县城煤改气、县城煤改电、农村集中供热、农村煤改气、农村煤改电"
    dates = "2026-11-01 至 2027-03-15（未核实）"
    found = compared(XIAOXIAN, known)
    assert [(change.key, change.refused, change.second) for change in found] == [
        ("seasons.2026-2027", None, True)
    ]
    told = found[0].what.removeprefix("2026-2027 采暖季（").removesuffix(f"）：未知 → {dates}")
    assert sorted(told.split("、")) == sorted(where.split("、"))
    assert compared(XIAOXIAN, plan.from_json(document)) == [
        Change(
            "seasons.2024-2025",
            "2024-2025 采暖季（农村洁净煤）：未知 → （未列）",
            "不能删去计划已列的采暖季",
        )
    ]


def test_a_refused_season_says_why_and_is_no_matter_of_a_second_officer() -> None:
    guessed = unverified(ONE_WINTER, "2024-10-15", "2025-04-15")
    again = unverified(ONE_WINTER, "2024-11-15", "2025-03-01")
    moved = with_seasons(ONE_WINTER, ("2024-2025", "2024-11-02", "2025-03-15"))
    elsewhere = with_seasons(ONE_WINTER, ("2024-2025", "2023-11-01", "2024-03-15"))

    found = [
        compared(guessed, again),
        compared(ONE_WINTER, moved),
        compared(ONE_WINTER, elsewhere, BEFORE_WINTER),
    ]

    assert [[(change.refused, change.second) for change in changes] for changes in found] == [
        [("已开始的采暖季，未核实的日期只能换成核实的日期", False)],
        [("已核实并已开始的采暖季，起止日期不能再改", False)],
        [("起止日期不在该采暖季的年度之内", False)],
    ]


@pytest.mark.parametrize(
    ("today", "late"), [(date(2024, 10, 14), False), (date(2024, 10, 15), True)]
)
def test_a_season_has_begun_on_its_first_day(today: date, late: bool) -> None:
    guessed = unverified(ONE_WINTER, "2024-10-15", "2025-04-15")
    again = unverified(ONE_WINTER, "2024-11-15", "2025-03-01")

    assert refused(guessed, again, today) == (["seasons.2024-2025"] if late else [])


def test_unverified_dates_of_a_season_to_come_move_with_a_second_officer() -> None:
    guessed = unverified(ONE_WINTER, "2024-10-15", "2025-04-15")
    again = unverified(ONE_WINTER, "2024-11-15", "2025-03-01")
    unknown = with_seasons(
        ONE_WINTER, ("2024-2025", None, None), verified=False, document=None, entered_by=None
    )

    for revised in (again, unknown):
        assert refused(guessed, revised, BEFORE_WINTER) == []
        assert needs_second(guessed, revised, BEFORE_WINTER)


@pytest.mark.parametrize(
    ("first", "last", "within"),
    [
        ("2024-07-01", "2025-07-31", True),
        ("2024-06-30", "2025-07-31", False),
        ("2024-07-01", "2025-08-01", False),
    ],
)
def test_the_years_of_a_season_reach_from_july_to_july(first: str, last: str, within: bool) -> None:
    moved = with_seasons(ONE_WINTER, ("2024-2025", first, last))

    assert (refused(ONE_WINTER, moved, date(2024, 5, 1)) == []) is within
