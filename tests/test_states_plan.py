import csv
import tomllib
from datetime import date
from pathlib import Path as FilePath

import pytest
from factories import WUTAI, WUTAI_TOML, XIAOXIAN, XIAOXIAN_TOML, document_of

from states import plan
from states.errors import PlanFault
from states.plan import Json
from states.vocabulary import Area, GateKind, Kind, Path, Supply, Trigger

ANNEX = FilePath(__file__).parent / "plans" / "annex-wutai-2023.csv"
COLUMNS = {
    "coal_to_electric_residential": (Path.COAL_TO_ELECTRIC, Kind.RESIDENTIAL, None),
    "coal_to_electric_collective": (Path.COAL_TO_ELECTRIC, Kind.COLLECTIVE, None),
    "central_heating_county_town": (Path.CENTRAL_HEATING, None, Area.COUNTY_TOWN),
    "central_heating_rural": (Path.CENTRAL_HEATING, None, Area.RURAL),
}


def annex() -> list[dict[str, str]]:
    with ANNEX.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fault_in(old: str, new: str, text: str = XIAOXIAN_TOML, times: int = 1) -> PlanFault:
    """The fault of the plan in which one piece of text stands otherwise."""
    assert old in text
    with pytest.raises(PlanFault) as fault:
        plan.from_toml(text.replace(old, new, times), "xian.toml")
    return fault.value


def section(first: str, after: str) -> str:
    """A piece of the made-up plan, from one line up to another."""
    begins = XIAOXIAN_TOML.index(first)
    return XIAOXIAN_TOML[begins : XIAOXIAN_TOML.index(after, begins + 1)]


# The plan of the notice


def test_the_shipped_plan_has_the_units_of_the_annex_in_its_order() -> None:
    units = [(row["unit"], row["kind"]) for row in annex() if row["kind"] != "total"]

    assert [(unit.name, unit.kind) for unit in WUTAI.units] == units


@pytest.mark.parametrize("row", annex()[:-1], ids=lambda row: row["unit"])
def test_the_shipped_plan_has_every_figure_of_the_annex(row: dict[str, str]) -> None:
    unit = WUTAI.unit(row["unit"])
    assert unit is not None

    figures = {(task.path, task.kind, task.area): task.households for task in unit.tasks}

    assert unit.task == int(row["total"])
    assert figures == {COLUMNS[name]: int(row[name]) for name in COLUMNS if row[name]}


def test_the_shipped_plan_closes_to_the_last_line_of_the_annex() -> None:
    last = annex()[-1]

    totals = {(task.path, task.kind, task.area): task.households for task in WUTAI.totals.tasks}

    assert WUTAI.totals.households == int(last["total"]) == 3966
    assert totals == {COLUMNS[name]: int(last[name]) for name in COLUMNS}


def test_the_codes_of_the_shipped_plan_find_their_units() -> None:
    codes = {"103": "豆村镇", "JJD": "交警队", "ZJJ": "住房和城乡建设管理局"}

    assert {code: unit.name for code in codes if (unit := WUTAI.unit(code))} == codes


def test_a_unit_is_found_by_code_name_and_alias_and_no_other_way() -> None:
    unit = XIAOXIAN.unit("01")

    assert unit is not None
    assert XIAOXIAN.unit("东岭镇") is XIAOXIAN.unit("东岭") is unit
    assert XIAOXIAN.unit("东") is None


def test_the_phases_of_the_shipped_plan_are_those_of_the_notice() -> None:
    phases = [(phase.key, phase.start, phase.end) for phase in WUTAI.phases]

    assert phases == [
        ("preparation", None, date(2023, 4, 30)),
        ("works", date(2023, 5, 1), date(2023, 9, 30)),
        ("acceptance", date(2023, 10, 1), date(2023, 10, 14)),
        ("evaluation", date(2023, 10, 15), date(2024, 4, 15)),
    ]


def test_only_a_phase_over_before_the_plan_took_effect_is_historic() -> None:
    assert [phase.key for phase in WUTAI.phases if WUTAI.historic(phase)] == ["preparation"]
    assert [phase.key for phase in XIAOXIAN.phases if XIAOXIAN.historic(phase)] == []


@pytest.mark.parametrize(
    ("effective", "historic"), [("2024-03-31", False), ("2024-04-01", True)], ids=str
)
def test_a_phase_is_historic_from_the_day_after_its_end(effective: str, historic: bool) -> None:
    document = document_of(XIAOXIAN)
    document["effective_from"] = effective

    changed = plan.from_json(document)

    assert changed.historic(changed.phase("preparation")) is historic


def test_the_shipped_plan_verifies_nothing_that_the_notice_leaves_open() -> None:
    rules = [getattr(WUTAI.rules, name) for name in WUTAI.rules.values]

    assert not any(rule.verified for rule in rules)
    assert not any(season.verified for season in WUTAI.seasons)
    assert all(rule.source for rule in rules)


def test_the_shipped_plan_exempts_no_path_and_knows_a_season_for_each() -> None:
    assert WUTAI.rules.exempt_paths.value == ()
    assert all(WUTAI.seasons_of(area, path) for area in Area for path in Path)


# Another county, another year


def test_another_county_needs_a_file_and_no_code() -> None:
    assert XIAOXIAN.unit("RQGS") is not None
    assert XIAOXIAN.rules.required_seasons.value == 2
    assert XIAOXIAN.rules.exempt_paths.value == (Path.COAL_TO_GAS,)
    assert XIAOXIAN.rules.lead_days.value[Trigger.COMPLETE] == 9
    assert XIAOXIAN.path_rule(Path.COAL_TO_GAS).supply is Supply.NETWORK
    assert XIAOXIAN.path_rule(Path.SOLAR).gate is GateKind.GRID
    gas = XIAOXIAN.acceptance_of(Path.COAL_TO_GAS, Kind.COLLECTIVE, Area.RURAL)
    assert gas.documents == ("验收表", "通气单")


def test_the_seasons_of_an_area_and_path_come_in_order_unknown_ones_too() -> None:
    seasons = XIAOXIAN.seasons_of(Area.RURAL, Path.COAL_TO_ELECTRIC)

    assert [season.label for season in seasons] == [
        "2023-2024",
        "2024-2025",
        "2025-2026",
        "2026-2027",
    ]
    assert seasons[0].last_day == date(2024, 2, 29)
    assert seasons[0].verified
    assert (seasons[3].first_day, seasons[3].last_day, seasons[3].verified) == (None, None, False)


@pytest.mark.parametrize(
    ("path", "kind", "area", "covered"),
    [
        (Path.BIOMASS, Kind.RESIDENTIAL, Area.RURAL, True),
        (Path.BIOMASS, Kind.COLLECTIVE, Area.RURAL, True),
        (Path.BIOMASS, Kind.RESIDENTIAL, Area.COUNTY_TOWN, False),
        (Path.SOLAR, Kind.RESIDENTIAL, Area.RURAL, False),
    ],
)
def test_a_figure_covers_its_path_and_any_kind_or_area_that_it_does_not_name(
    path: Path, kind: Kind, area: Area, covered: bool
) -> None:
    biomass = XIAOXIAN.units[0].tasks[1]

    assert biomass.covers(path, kind, area) is covered


def test_a_figure_that_names_a_kind_covers_that_kind_in_both_areas() -> None:
    electric = XIAOXIAN.units[0].tasks[0]

    assert electric.covers(Path.COAL_TO_ELECTRIC, Kind.RESIDENTIAL, Area.COUNTY_TOWN)
    assert not electric.covers(Path.COAL_TO_ELECTRIC, Kind.COLLECTIVE, Area.RURAL)


def test_a_path_without_seasons_has_none() -> None:
    assert XIAOXIAN.seasons_of(Area.COUNTY_TOWN, Path.BIOMASS) == ()


# The hash


def test_the_hash_of_the_shipped_plan_never_changes_by_itself() -> None:
    # Every event names its plan by this: an edit of the shipped file is a new plan, and shows here.
    assert WUTAI.hash == "b43f9e7632da41ab0fa7a5f709ec1bdb74f6c21473aab9b8ead2ca46df4f8f22"


@pytest.mark.parametrize("shipped", [WUTAI, XIAOXIAN], ids=lambda shipped: shipped.name)
def test_toml_and_the_journals_json_give_the_same_plan(shipped: plan.Plan) -> None:
    again = plan.from_json(document_of(shipped))

    assert again.hash == shipped.hash
    assert again.canonical == shipped.canonical
    assert (again.units, again.seasons, again.rules) == (
        shipped.units,
        shipped.seasons,
        shipped.rules,
    )


def test_the_hash_is_over_the_content_and_not_the_way_it_is_written() -> None:
    plain = XIAOXIAN_TOML.replace(" = ", "=").replace("# ", "#  ")

    assert plan.from_toml(plain, "plain.toml").hash == XIAOXIAN.hash


def test_a_changed_value_is_another_hash() -> None:
    changed = XIAOXIAN_TOML.replace("value = 16.5", "value = 16.6")

    assert plan.from_toml(changed, "xian.toml").hash != XIAOXIAN.hash


# Bad plans


def test_bad_toml_is_a_fault_with_its_line() -> None:
    fault = fault_in('county = "小县"', 'county = "小县')

    assert fault.status == 3
    assert fault.place
    assert fault.place.startswith("xian.toml 第 8 行")
    assert "第 8 行" in fault.message


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("year = 2024", 'year = 2024\nmotto = "快"', "motto"),
        ("households = 30", "households = 30, homes = 30", "units[0].tasks[0].homes"),
        ("[rules.warm_visits]", "[rules.warm_visit]", "rules.warm_visit"),
        ('source = "小县供热', 'sourse = "小县供热', "seasons[0].sourse"),
        ("verified = true", "verifed = true", "seasons[0].verifed"),
    ],
    ids=["key", "inner", "rule", "mistyped", "verified"],
)
def test_an_unknown_or_mistyped_key_is_named_with_its_place(old: str, new: str, place: str) -> None:
    fault = fault_in(old, new)

    assert fault.place == f"xian.toml: {place}"
    assert "不认识的键" in fault.message


def test_a_missing_part_is_named_with_its_place() -> None:
    fault = fault_in(section("[rules.warm_visits]", "[rules.warm_temperature]"), "")

    assert fault.place == "xian.toml: rules.warm_visits"
    assert "缺少" in fault.message


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('path = "biomass", area', 'path = "straw", area', "units[0].tasks[1].path"),
        ("households = 30", "households = -1", "units[0].tasks[0].households"),
        ("households = 30", 'households = "30"', "units[0].tasks[0].households"),
        ("households = 30", "households = true", "units[0].tasks[0].households"),
        ("format = 1", "format = 2", "format"),
        ('code = "02"', 'code = "二"', "units[1].code"),
        ("value = 16.5", "value = nan", "rules.warm_temperature.value"),
        ("value = 16.5", 'value = "16.5"', "rules.warm_temperature.value"),
        ("value = 4\n", "value = -4\n", "rules.outage_days.value"),
        ("value = 4\n", "value = 4.0\n", "rules.outage_days.value"),
        ("value = 2\n", "value = 0\n", "rules.required_seasons.value"),
        ('kind = "township"', 'kind = "village"', "units[0].kind"),
        ("verified = true", 'verified = "yes"', "seasons[0].verified"),
        ("verified = true", "verified = 1", "seasons[0].verified"),
        ("first_day = 2023-11-01", "first_day = 20231101", "seasons[0].first_day"),
        ("first_day = 2023-11-01", "first_day = 1698796800", "seasons[0].first_day"),
        ("first_day = 2023-11-01", "first_day = 2023-11-01T00:00:00", "seasons[0].first_day"),
        ("first_day = 2023-11-01", 'first_day = "2023-11-31"', "seasons[0].first_day"),
        ("first_day = 2023-11-01", "first_day = 08:00:00", "seasons[0].first_day"),
        ('label = "2023-2024"', 'label = "2023-2025"', "seasons[0].label"),
        ('label = "2023-2024"', 'label = "2023"', "seasons[0].label"),
        ("confirm = 5, ", "", "rules.lead_days.value"),
        ("confirm = 5,", "confirm = 5, permit = 1,", "rules.lead_days.value"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_a_fault_with_its_place(
    old: str, new: str, place: str
) -> None:
    fault = fault_in(old, new)

    assert fault.status == 3
    assert fault.place == f"xian.toml: {place}"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("households = 30", "households = -1", "值 -1 不合要求：应为整数，>= 0"),
        ("households = 30", 'households = "30"', "值 '30' 不合要求：应为整数"),
        ('code = "02"', 'code = "二"', "值 '二' 不合要求：应为文字，写法 '^[0-9A-Z]{2,12}$'"),
        (
            'kind = "township"',
            'kind = "village"',
            "可用：department、township",
        ),
        ("format = 1", "format = 2", "不认识的值 2，可用：1"),
        ("first_day = 2023-11-01", "first_day = 20231101", "应为日期，写作 2023-09-01"),
        ("first_day = 2023-11-01", 'first_day = "2023-11-31"', "应为日期，写作 2023-09-01"),
        ("verified = true", 'verified = "yes"', "值 'yes' 不合要求：应为 true 或 false"),
        ('title = "', 'title = "" # "', "不能为空"),
        ("confirm = 5,", "confirms = 5,", "不认识的值 'confirms'，可用：confirm、select、"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_told_in_chinese(old: str, new: str, told: str) -> None:
    assert told in fault_in(old, new).message


@pytest.mark.parametrize("text", ["小县 ", "\t小县"])
def test_blanks_around_a_text_are_no_part_of_it(text: str) -> None:
    found = plan.from_toml(XIAOXIAN_TOML.replace(f'"{XIAOXIAN.county}"', f'"{text}"'), "xian.toml")

    assert found.county == "小县"


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ('key = "works"', 'key = "acceptance"', "phases", "依次"),
        ("start = 2024-04-01", "start = 2024-03-31", "phases[1]", "2024-03-31"),
        ("end = 2024-08-31", "end = 2024-03-31", "phases[1].end", "早于起日"),
        ("end = 2024-03-31", "end = 2024-05-31", "phases[1]", "2024-05-31"),
    ],
    ids=["order", "touching", "backwards", "overlapping"],
)
def test_phases_come_in_order_and_do_not_overlap(old: str, new: str, place: str, told: str) -> None:
    fault = fault_in(old, new)

    assert fault.place == f"xian.toml: {place}"
    assert told in fault.message


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("households = 87", "households = 88", "totals.households"),
        ("households = 42", "households = 41", "totals.tasks[0].households"),
        ("households = 12", "households = 13", "totals.households"),
        ('area = "rural", households = 5', "households = 5", "totals.tasks[1].households"),
    ],
    ids=["sum", "line", "unit", "other line"],
)
def test_figures_that_do_not_add_up_are_named_with_both_sums(
    old: str, new: str, place: str
) -> None:
    fault = fault_in(old, new)

    assert fault.place == f"xian.toml: {place}"
    assert "不符" in fault.message


def test_a_task_that_the_totals_leave_out_is_a_fault() -> None:
    line = '    { path = "biomass", area = "rural", households = 5 },\n'
    totals = section("[totals]", "[[paths]]")

    fault = fault_in(totals, totals.replace(line, ""))

    assert fault.place == "xian.toml: totals.tasks"
    assert "生物质" in fault.message


@pytest.mark.parametrize("last", ["2023-10-31", "2023-11-01"])
def test_a_season_that_does_not_end_after_it_begins_is_a_fault(last: str) -> None:
    fault = fault_in("last_day = 2024-02-29", f"last_day = {last}")

    assert fault.place == "xian.toml: seasons[0]"
    assert last in fault.message


def test_a_season_with_one_of_its_days_is_a_fault() -> None:
    fault = fault_in("last_day = 2024-02-29\n", "")

    assert fault.place == "xian.toml: seasons[0]"


def test_the_thirtieth_of_february_is_a_fault() -> None:
    fault = fault_in("last_day = 2024-02-29", "last_day = 2024-02-30")

    assert fault.status == 3


@pytest.mark.parametrize("last", ["2024-11-01", "2024-12-01"])
def test_seasons_that_share_a_day_are_a_fault(last: str) -> None:
    fault = fault_in("last_day = 2024-02-29", f"last_day = {last}")

    assert fault.place == "xian.toml: seasons[1]"
    assert "重叠" in fault.message


def test_seasons_overlap_across_one_of_unknown_dates_too() -> None:
    unknown = "first_day = 2024-11-01\nlast_day = 2025-03-15\n"
    text = XIAOXIAN_TOML.replace(unknown, "", 1)

    fault = fault_in("last_day = 2024-02-29", "last_day = 2025-11-05", text)

    assert fault.place == "xian.toml: seasons[2]"
    assert "2023-2024" in fault.message


def test_a_phase_may_be_a_single_day_and_one_without_a_start_still_follows_the_last() -> None:
    one_day = XIAOXIAN_TOML.replace("start = 2024-09-01\n", "start = 2024-09-20\n")
    no_start = 'label = "集中施工"\nstart = 2024-04-01\nend = 2024-08-31'

    assert plan.from_toml(one_day, "xian.toml").phase("acceptance").end == date(2024, 9, 20)
    fault = fault_in(no_start, 'label = "集中施工"\nend = 2024-03-31')
    assert fault.place == "xian.toml: phases[1]"


def test_a_season_may_begin_on_the_day_after_the_last_one() -> None:
    text = XIAOXIAN_TOML.replace("last_day = 2024-02-29", "last_day = 2024-10-31")

    assert plan.from_toml(text, "xian.toml").seasons


def test_one_season_listed_twice_for_the_same_path_is_a_fault() -> None:
    fault = fault_in('label = "2024-2025"', 'label = "2023-2024"')

    assert fault.place == "xian.toml: seasons[1]"
    assert "两次" in fault.message


@pytest.mark.parametrize("name", ["东岭镇", "东岭", "01"])
def test_a_name_that_belongs_to_two_units_is_a_fault(name: str) -> None:
    fault = fault_in('name = "西河乡"', f'name = "{name}"')

    assert fault.place == "xian.toml: units[1]"
    assert name in fault.message


@pytest.mark.parametrize("left_out", ["document", "entered_by"])
def test_verified_without_document_and_name_is_a_fault(left_out: str) -> None:
    rule = section("[rules.required_seasons]", "[rules.exempt_paths]")
    without = "\n".join(line for line in rule.splitlines() if not line.startswith(left_out))

    fault = fault_in(rule, without + "\n")

    assert fault.place == "xian.toml: rules.required_seasons"
    assert "verified" in fault.message


def test_a_missing_path_is_a_fault() -> None:
    fault = fault_in('[[paths]]\npath = "solar"\nsupply = "device"\ngate = "grid"\n', "")

    assert fault.place == "xian.toml: paths"
    assert "太阳能" in fault.message


def test_a_path_listed_twice_is_a_fault() -> None:
    fault = fault_in('path = "solar"\nsupply', 'path = "biomass"\nsupply')

    assert fault.place == "xian.toml: paths"


def test_a_second_acceptance_list_for_one_path_is_a_fault() -> None:
    fault = fault_in(
        'paths = ["biomass", "clean_coal"]\nkinds',
        'paths = ["biomass", "clean_coal", "solar"]\nkinds',
    )

    assert fault.place == "xian.toml: acceptance"
    assert "2 次" in fault.message


def test_a_path_without_an_acceptance_list_is_a_fault() -> None:
    fault = fault_in('paths = ["biomass", "clean_coal"]\nkinds', 'paths = ["biomass"]\nkinds')

    assert fault.place == "xian.toml: acceptance"
    assert "洁净煤" in fault.message


def test_a_bad_document_in_the_journal_is_the_same_fault() -> None:
    document: dict[str, Json] = {**document_of(XIAOXIAN), "motto": "快"}

    with pytest.raises(PlanFault) as fault:
        plan.from_json(document)

    assert fault.value.place == "journal: motto"


def test_every_fault_says_how_to_put_it_right() -> None:
    assert fault_in("households = 87", "households = 88").remedy
    assert fault_in("year = 2024", "year = 2024\nmotto = 1").remedy
    assert fault_in("year = 2024", "year =").remedy
    assert fault_in("end = 2024-03-31", "end = 08:00:00").remedy


def test_the_files_are_toml_that_any_reader_reads() -> None:
    assert tomllib.loads(WUTAI_TOML)["format"] == tomllib.loads(XIAOXIAN_TOML)["format"] == 1


# What must be signed


def signing(value: str) -> str:
    """The made-up plan with a policy of signatures."""
    policy = f'[rules.signatures]\nvalue = {value}\nsource = "县级政策"\nverified = false\n\n'
    begins = XIAOXIAN_TOML.index("[rules.required_seasons]")
    return XIAOXIAN_TOML[:begins] + policy + XIAOXIAN_TOML[begins:]


@pytest.mark.parametrize("found", [WUTAI, XIAOXIAN])
def test_a_plan_that_says_nothing_of_signatures_wants_none(found: plan.Plan) -> None:
    assert found.rules.signatures.value == ()
    assert not found.rules.signatures.verified
    assert found.rules.signatures.source
    assert "signatures" not in found.canonical


@pytest.mark.parametrize("value", ['["accept", "permit", "revoke"]', '["all"]', "[]"])
def test_a_plan_says_what_must_be_signed(value: str) -> None:
    found = plan.from_toml(signing(value), "xian.toml")

    assert list(found.rules.signatures.value) == tomllib.loads(f"v = {value}")["v"]
    assert found.hash != XIAOXIAN.hash


@pytest.mark.parametrize("value", ['["confirm"]', '"all"', "[1]", '["ALL"]'])
def test_a_policy_of_signatures_that_nobody_knows_is_a_fault(value: str) -> None:
    with pytest.raises(PlanFault) as fault:
        plan.from_toml(signing(value), "xian.toml")

    assert "rules.signatures.value" in str(fault.value.place)
