from collections.abc import Mapping
from datetime import date

import pytest
from factories import DAY, LI, WUTAI, XIAOXIAN, Life, but, check_told, question, with_rules

from states import guards, lifecycle
from states.errors import Reason
from states.question import Guard, Surroundings
from states.vocabulary import FactKind, Path, Role, State, Trigger

TODAY = date(2024, 2, 20)
ID_NUMBER, PHONE = "11010519491231002X", "13812345678"

CONFIRM = {
    "visit_on": "2024-02-10",
    "notice_from": "2024-02-11",
    "notice_to": "2024-02-15",
    "consent_on": "2024-02-16",
    "consent_by": "household",
    "old_facility": "kang:in_use",
}
SELECT = {"model": "KFR-35", "selection_on": "2024-02-18", "selection_by": "family"}
COMPLETE = {
    "started_on": "2024-02-12",
    "installed_on": "2024-02-14",
    "ready_on": "2024-02-15",
    "contractor": "某公司",
    "serial": "SN-1",
    "training_on": "2024-02-16",
}
CLOSE = {"cause": "withdrawn", "requested_by": "household", "document": "sq.pdf"}
CATALOGUE = Surroundings(models={Path.COAL_TO_ELECTRIC: frozenset({"KFR-35"})})


def refusal(
    guard: Guard,
    trigger: Trigger,
    given: Mapping[str, str],
    *,
    life: Life | None = None,
    on: date | None = None,
    around: Surroundings | None = None,
) -> Reason | None:
    """The guard's answer for a case that is asked about today."""
    asked = question(
        (life or Life()).facts(),
        trigger,
        TODAY,
        *given.items(),
        on=on,
        attached=["bz.pdf"],
        around=around,
    )
    return guard(asked)


def told(reason: Reason | None) -> tuple[str, tuple[str, ...], Role | None, date | None]:
    """What a reason says beside its message: clause, missing, who, earliest."""
    assert reason is not None
    assert reason.message
    return reason.clause, reason.missing, reason.who, reason.earliest


def without(pairs: Mapping[str, str], **changes: str | None) -> dict[str, str]:
    """The evidence with some of it changed, or left out."""
    return dict(but(pairs, **changes))


# Every step and fact


@pytest.mark.parametrize(("on", "refused"), [(TODAY, False), (TODAY + DAY, True)])
def test_the_future_is_refused_until_it_is_here(on: date, refused: bool) -> None:
    reason = refusal(guards.not_future, Trigger.SELECT, {}, on=on)

    assert (reason is not None) is refused
    if refused:
        assert told(reason)[3] == on


@pytest.mark.parametrize(
    ("on", "refused"), [(date(2024, 2, 1) - DAY, True), (date(2024, 2, 1), False)]
)
def test_a_step_may_share_the_day_of_the_step_before_and_not_precede_it(
    on: date, refused: bool
) -> None:
    life = Life()
    life.confirm(date(2024, 2, 1))

    reason = refusal(guards.step_in_order, Trigger.SELECT, {}, life=life, on=on)

    assert (reason is not None) is refused


def test_the_first_step_follows_nothing() -> None:
    assert refusal(guards.step_in_order, Trigger.CONFIRM, {}, on=date(2000, 1, 1)) is None


def test_a_fact_does_not_hold_up_a_step_of_an_earlier_day() -> None:
    life = Life()
    life.fault(date(2024, 2, 10))

    assert refusal(guards.step_in_order, Trigger.CONFIRM, {}, life=life, on=TODAY - 9 * DAY) is None


@pytest.mark.parametrize(
    ("days", "document", "refused"),
    [(10, None, False), (11, None, True), (11, "bz.pdf", False), (99, "bz.pdf", False)],
)
def test_past_the_backdating_days_late_paper_needs_its_document(
    days: int, document: str | None, refused: bool
) -> None:
    given = {"late_document": document} if document else {}

    reason = refusal(guards.late_paper, Trigger.SELECT, given, on=TODAY - days * DAY)

    assert (reason is not None) is refused
    if refused:
        assert told(reason)[1:] == (("late_document",), Role.UNIT_OFFICER, TODAY)


@pytest.mark.parametrize(("name", "refused"), [("bz.pdf", False), ("qt.pdf", True)])
def test_a_late_document_is_one_of_the_attached_files(name: str, refused: bool) -> None:
    reason = refusal(guards.late_document_attached, Trigger.SELECT, {"late_document": name})

    assert (reason is not None) is refused


@pytest.mark.parametrize("number", [ID_NUMBER, PHONE])
def test_personal_numbers_are_refused_in_evidence_reasons_and_file_names(number: str) -> None:
    facts = Life().facts()
    in_evidence = question(facts, FactKind.FAULT, TODAY, ("what", f"找{number}"))
    in_reason = question(facts, Trigger.SEND_BACK, TODAY, reason=f"找{number}")
    in_file_name = question(facts, Trigger.SEND_BACK, TODAY, attached=[f"{number}.jpg"])

    assert guards.no_personal_numbers(in_evidence)
    assert guards.no_personal_numbers(in_reason)
    assert guards.no_personal_numbers(in_file_name)


def test_it_is_told_where_a_personal_number_stands() -> None:
    asked = question(
        Life().facts(), Trigger.SEND_BACK, TODAY, reason=f"找{PHONE}", attached=[f"{PHONE}.jpg"]
    )

    reason = guards.no_personal_numbers(asked)

    assert reason is not None
    assert reason.message.startswith("--attach、--reason 中")


def test_a_personal_number_in_a_correction_is_refused_and_never_repeated() -> None:
    asked = question(Life().facts(), FactKind.CORRECT, TODAY, ("id", "2"), ("what", f"电话{PHONE}"))

    reason = guards.no_personal_numbers(asked)

    assert reason is not None
    assert PHONE not in reason.message


def test_a_serial_with_many_digits_is_no_personal_number() -> None:
    asked = question(Life().facts(), Trigger.COMPLETE, TODAY, ("serial", PHONE))

    assert guards.no_personal_numbers(asked) is None


@pytest.mark.parametrize(("reason", "refused"), [("写错了", False), ("  ", True), (None, True)])
def test_a_step_back_says_why(reason: str | None, refused: bool) -> None:
    asked = question(Life().facts(), Trigger.SEND_BACK, TODAY, reason=reason)

    found = guards.reason_given(asked)

    assert (found is not None) is refused
    if refused:
        assert told(found)[1:] == (("reason",), Role.COUNTY_OFFICE, TODAY)


# 确户完成


def test_a_complete_confirmation_is_met_by_nobody() -> None:
    asked = question(Life().facts(), Trigger.CONFIRM, TODAY, *CONFIRM.items(), actor=LI)

    assert [guard(asked) for guard in lifecycle.guards_for(Trigger.CONFIRM)] == [None] * 13


@pytest.mark.parametrize(
    ("visit", "refused"), [("2024-02-20", False), ("2024-02-21", True), (None, True)]
)
def test_the_visit_was_made_by_the_day_of_the_step(visit: str | None, refused: bool) -> None:
    given = without(CONFIRM, visit_on=visit)

    reason = refusal(guards.visited, Trigger.CONFIRM, given)

    assert (reason is not None) is refused
    if visit is None:
        assert told(reason) == ("通知 三（三）", ("visit_on",), Role.UNIT_OFFICER, TODAY)


@pytest.mark.parametrize(
    ("begins", "ends", "earliest"),
    [
        ("2024-02-16", "2024-02-20", None),
        # What is over and was too short has to be held again.
        ("2024-02-16", "2024-02-19", date(2024, 2, 24)),
        ("2024-02-17", "2024-02-21", date(2024, 2, 21)),
        ("2024-02-17", "2024-02-25", date(2024, 2, 25)),
        ("2024-02-18", "2024-02-19", date(2024, 2, 24)),
        ("2024-02-18", "2024-02-20", date(2024, 2, 22)),
        ("2024-02-18", "2024-02-17", date(2024, 2, 24)),
        ("2024-02-18", None, date(2024, 2, 22)),
        (None, None, date(2024, 2, 24)),
    ],
    ids=str,
)
def test_the_notice_was_up_for_the_plans_days_and_is_over(
    begins: str | None, ends: str | None, earliest: date | None
) -> None:
    reason = refusal(
        guards.notice_held, Trigger.CONFIRM, without(CONFIRM, notice_from=begins, notice_to=ends)
    )

    assert (reason is None) is (earliest is None)
    if reason:
        clause, missing, who, when = told(reason)
        assert (clause, who, when) == ("通知 七（五）", Role.UNIT_OFFICER, earliest)
        absent = [n for n, day in (("notice_from", begins), ("notice_to", ends)) if not day]
        assert missing == tuple(absent or ("notice_from", "notice_to"))


def test_another_county_may_ask_for_other_days_of_notice() -> None:
    asked = question(Life().facts(), Trigger.CONFIRM, TODAY, *CONFIRM.items(), of=WUTAI)

    assert guards.notice_held(asked)


def recorded_notice(objection: str | None = None) -> Life:
    life = Life()
    life.fact(FactKind.NOTICE, date(2024, 2, 15), from_="2024-02-11", to="2024-02-15")
    if objection:
        life.fact(FactKind.NOTICE, date(2024, 2, 14), objection=objection)
    return life


def test_a_recorded_notice_need_not_be_given_again() -> None:
    given = without(CONFIRM, notice_from=None, notice_to=None)

    assert refusal(guards.notice_held, Trigger.CONFIRM, given, life=recorded_notice()) is None


@pytest.mark.parametrize(("ends", "refused"), [("2024-02-15", False), ("2024-02-16", True)])
def test_a_notice_given_twice_agrees(ends: str, refused: bool) -> None:
    given = without(CONFIRM, notice_to=ends)

    reason = refusal(guards.notice_held, Trigger.CONFIRM, given, life=recorded_notice())

    assert (reason is not None) is refused


def test_an_objection_stands_until_it_is_answered() -> None:
    life = recorded_notice("不是本村人")
    before = refusal(guards.no_objection, Trigger.CONFIRM, CONFIRM, life=life)
    life.fact(FactKind.RESOLVE, TODAY, id=3, outcome="unfounded")

    assert told(before) == ("通知 七（五）", ("resolve",), Role.UNIT_HEAD, TODAY)
    assert refusal(guards.no_objection, Trigger.CONFIRM, CONFIRM, life=life) is None


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, None),
        ({"consent_on": None}, ("consent_on",)),
        ({"consent_by": None}, ("consent_by",)),
        ({"consent_on": None, "consent_by": None}, ("consent_on", "consent_by")),
        ({"consent_on": "2024-02-21"}, ()),
    ],
)
def test_the_household_consented_and_it_is_known_by_whom(
    changes: Mapping[str, str | None], missing: tuple[str, ...] | None
) -> None:
    reason = refusal(guards.consented, Trigger.CONFIRM, without(CONFIRM, **changes))

    assert (reason.missing if reason else None) == missing


@pytest.mark.parametrize(
    ("listed", "refused"),
    [
        (["kang:in_use"], False),
        (["kang:removed"], False),
        (["kang:in_use", "stove:standby"], False),
        ([], True),
        (["none"], True),
        (["stove:in_use"], True),
        (["kang:in_use", "none"], True),
        (["kang:in_use", "kang:standby"], True),
    ],
    ids=str,
)
def test_each_old_facility_of_the_ledger_is_listed_once(listed: list[str], refused: bool) -> None:
    asked = question(
        Life(old_facilities=["kang"]).facts(),
        Trigger.CONFIRM,
        TODAY,
        *(("old_facility", text) for text in listed),
    )

    reason = guards.old_facilities_listed(asked)

    assert (reason is not None) is refused
    if refused:
        assert told(reason) == ("通知 四", ("old_facility",), Role.UNIT_OFFICER, TODAY)


def test_none_must_be_said_and_is_enough_where_the_ledger_has_none() -> None:
    life = Life(old_facilities=["none"])

    silent = refusal(guards.old_facilities_listed, Trigger.CONFIRM, {}, life=life)
    said = refusal(
        guards.old_facilities_listed, Trigger.CONFIRM, {"old_facility": "none"}, life=life
    )

    assert silent is not None
    assert said is None


@pytest.mark.parametrize(("back", "refused"), [(False, True), (True, False)])
def test_a_facility_that_was_removed_is_not_in_use_again_by_being_listed(
    back: bool, refused: bool
) -> None:
    life = Life(old_facilities=["stove"])
    life.fact(FactKind.OLD_FACILITY, TODAY, facility="stove", status="removed", by="official")
    if back:
        life.fact(FactKind.OLD_FACILITY, TODAY, facility="stove", status="in_use", by="official")

    reason = refusal(
        guards.old_facilities_listed, Trigger.CONFIRM, {"old_facility": "stove:in_use"}, life=life
    )

    assert (reason is not None) is refused


def test_a_facility_of_which_a_fact_tells_is_listed_too() -> None:
    life = Life(old_facilities=["none"])
    life.fact(FactKind.OLD_FACILITY, TODAY, facility="stove", status="removed", by="official")

    reason = refusal(
        guards.old_facilities_listed, Trigger.CONFIRM, {"old_facility": "none"}, life=life
    )

    assert reason is not None
    assert "stove" in reason.message


@pytest.mark.parametrize(
    ("path", "holds", "refused"),
    [
        (Path.COAL_TO_ELECTRIC, ["meter"], False),
        (Path.COAL_TO_ELECTRIC, ["name"], True),
        (Path.CENTRAL_HEATING, [], False),
    ],
)
def test_a_meter_is_needed_for_electricity_only(
    path: Path, holds: list[str], refused: bool
) -> None:
    reason = refusal(guards.meter_known, Trigger.CONFIRM, CONFIRM, life=Life(path, holds=holds))

    assert (reason is not None) is refused


def test_a_change_to_electricity_needs_the_meter_too() -> None:
    life = Life(Path.SOLAR, holds=[])

    assert refusal(guards.meter_known, Trigger.CHANGE_PATH, {"path": "煤改电"}, life=life)
    assert refusal(guards.meter_known, Trigger.CHANGE_PATH, {"path": "biomass"}, life=life) is None


@pytest.mark.parametrize("path", list(Path))
def test_only_the_fallback_paths_need_the_county_document(path: Path) -> None:
    fallback = path in (Path.CLEAN_COAL, Path.BIOMASS)

    confirming_it = refusal(guards.unfit_proved, Trigger.CONFIRM, CONFIRM, life=Life(path))
    changing_to_it = refusal(guards.unfit_proved, Trigger.CHANGE_PATH, {"path": path})

    assert (confirming_it is not None, changing_to_it is not None) == (fallback, fallback)
    if fallback:
        assert told(confirming_it) == (
            "通知 四",
            ("unfit_document",),
            Role.COUNTY_OFFICE,
            TODAY,
        )


def test_a_change_that_names_no_path_is_asked_about_the_path_it_has() -> None:
    on_coal, on_solar = Life(Path.CLEAN_COAL), Life(Path.SOLAR)

    assert refusal(guards.unfit_proved, Trigger.CHANGE_PATH, {}, life=on_coal)
    assert refusal(guards.unfit_proved, Trigger.CHANGE_PATH, {}, life=on_solar) is None


def test_with_the_county_document_a_fallback_path_is_open() -> None:
    given = without(CONFIRM, unfit_document="县文.pdf")

    assert refusal(guards.unfit_proved, Trigger.CONFIRM, given, life=Life(Path.BIOMASS)) is None


@pytest.mark.parametrize("trigger", [Trigger.CONFIRM, Trigger.REINSTATE])
def test_a_twin_is_refused_without_telling_which(trigger: Trigger) -> None:
    reason = refusal(guards.unique, trigger, {}, around=Surroundings(twins=("02-0009",)))

    assert reason is not None
    assert "02-0009" not in reason.message
    assert refusal(guards.unique, trigger, {}) is None


# 选型完成


@pytest.mark.parametrize(
    ("model", "missing"), [("KFR-35", None), ("KFR-99", ("model",)), (None, ("model",))]
)
def test_the_model_is_one_of_the_procured_list(
    model: str | None, missing: tuple[str, ...] | None
) -> None:
    reason = refusal(
        guards.device_chosen, Trigger.SELECT, without(SELECT, model=model), around=CATALOGUE
    )

    assert (reason.missing if reason else None) == missing
    if reason:
        assert reason.clause == "通知 五（二）"


def test_a_model_for_another_path_does_not_count() -> None:
    reason = refusal(
        guards.device_chosen, Trigger.SELECT, SELECT, life=Life(Path.SOLAR), around=CATALOGUE
    )

    assert reason is not None


@pytest.mark.parametrize(("point", "refused"), [("3号井", False), (None, True)])
def test_a_network_needs_its_connection_point_and_no_model(
    point: str | None, refused: bool
) -> None:
    given = without({}, connection_point=point)

    reason = refusal(guards.device_chosen, Trigger.SELECT, given, life=Life(Path.CENTRAL_HEATING))

    assert (reason is not None) is refused
    if refused:
        assert told(reason)[1] == ("connection_point",)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"selection_on": "2024-02-20"}, None),
        ({"selection_on": "2024-02-21"}, ()),
        ({"selection_on": None}, ("selection_on",)),
        ({"selection_by": None}, ("selection_by",)),
    ],
)
def test_the_selection_is_signed_by_the_day_of_the_step(
    changes: Mapping[str, str | None], missing: tuple[str, ...] | None
) -> None:
    reason = refusal(guards.selection_signed, Trigger.SELECT, without(SELECT, **changes))

    assert (reason.missing if reason else None) == missing


# 施工完成


@pytest.mark.parametrize(
    ("started", "installed", "ready", "refused"),
    [
        ("2024-02-15", "2024-02-15", "2024-02-15", False),
        ("2024-02-15", "2024-02-16", "2024-02-20", False),
        ("2024-02-16", "2024-02-15", "2024-02-17", True),
        ("2024-02-15", "2024-02-17", "2024-02-16", True),
        ("2024-02-15", "2024-02-17", "2024-02-21", True),
    ],
)
def test_works_are_started_installed_and_ready_in_this_order_by_the_day_of_the_step(
    started: str, installed: str, ready: str, refused: bool
) -> None:
    given = without(COMPLETE, started_on=started, installed_on=installed, ready_on=ready)

    reason = refusal(guards.works_dated, Trigger.COMPLETE, given)

    assert (reason is not None) is refused


def test_installed_alone_is_not_ready() -> None:
    reason = refusal(guards.works_dated, Trigger.COMPLETE, without(COMPLETE, ready_on=None))

    assert told(reason) == ("通知 三（一）", ("ready_on",), Role.UNIT_OFFICER, TODAY)


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("started_on", "2024-02-11"),
        ("installed_on", "2024-02-13"),
        ("ready_on", "2024-02-16"),
        ("serial", "SN-2"),
    ],
)
def test_what_is_stated_agrees_with_what_was_recorded(key: str, other: str) -> None:
    life = Life()
    life.add(FactKind.WORKS, date(2024, 2, 15), {key: COMPLETE[key]})

    assert refusal(guards.works_agree, Trigger.COMPLETE, COMPLETE, life=life) is None
    reason = refusal(guards.works_agree, Trigger.COMPLETE, {**COMPLETE, key: other}, life=life)
    assert told(reason)[1] == (key,)


@pytest.mark.parametrize(
    ("opened", "refused"),
    [(date(2024, 2, 15), False), (date(2024, 2, 16), True), (None, True)],
    ids=str,
)
def test_the_villages_gate_is_open_on_or_before_readiness(
    opened: date | None, refused: bool
) -> None:
    around = Surroundings(gate_opened_on=opened)

    reason = refusal(guards.gate_open, Trigger.COMPLETE, COMPLETE, around=around)

    assert (reason is not None) is refused
    if refused:
        assert told(reason) == ("通知 七（三）", ("gate",), Role.COUNTY_OFFICE, TODAY)


def test_an_open_gate_is_enough_while_readiness_is_not_stated() -> None:
    given = without(COMPLETE, ready_on=None, started_on=None)
    around = Surroundings(gate_opened_on=date(2024, 2, 18))

    assert refusal(guards.gate_open, Trigger.COMPLETE, given, around=around) is None
    assert refusal(guards.grid_first, Trigger.COMPLETE, given, around=around) is None


def test_a_closed_gate_is_told_once_and_an_open_one_with_its_day() -> None:
    late = Surroundings(gate_opened_on=date(2024, 2, 18))

    closed = refusal(guards.gate_open, Trigger.COMPLETE, COMPLETE)
    opened = refusal(guards.gate_open, Trigger.COMPLETE, COMPLETE, around=late)

    assert closed is not None
    assert opened is not None
    assert "尚未登记开通" in closed.message
    assert "2024-02-18" in opened.message
    assert refusal(guards.grid_first, Trigger.COMPLETE, COMPLETE) is None


def test_a_gate_that_the_path_does_not_need_is_not_asked_for_first() -> None:
    around = Surroundings(gate_opened_on=date(2024, 2, 18))
    life = Life(Path.BIOMASS)

    assert refusal(guards.grid_first, Trigger.COMPLETE, COMPLETE, life=life, around=around) is None


def test_works_recorded_and_not_stated_again_do_not_disagree() -> None:
    life = Life()
    life.add(FactKind.WORKS, date(2024, 2, 15), {"started_on": date(2024, 2, 12)})

    assert refusal(guards.works_agree, Trigger.COMPLETE, {}, life=life) is None


def test_a_path_without_a_gate_waits_for_none() -> None:
    life = Life(Path.BIOMASS)

    assert refusal(guards.gate_open, Trigger.COMPLETE, COMPLETE, life=life) is None
    assert refusal(guards.grid_first, Trigger.COMPLETE, COMPLETE, life=life) is None


@pytest.mark.parametrize(
    ("opened", "document", "refused"),
    [
        (date(2024, 2, 12), None, False),
        (date(2024, 2, 13), None, True),
        (date(2024, 2, 13), "县文.pdf", False),
    ],
)
def test_works_begun_before_the_network_need_a_county_document(
    opened: date, document: str | None, refused: bool
) -> None:
    reason = refusal(
        guards.grid_first,
        Trigger.COMPLETE,
        without(COMPLETE, grid_document=document),
        around=Surroundings(gate_opened_on=opened),
    )

    assert (reason is not None) is refused
    if reason:
        assert reason.guard == "grid_not_first"
        assert told(reason)[1:3] == (("grid_document",), Role.COUNTY_OFFICE)


@pytest.mark.parametrize("key", ["contractor", "serial", "training_on"])
def test_contractor_serial_and_training_are_needed(key: str) -> None:
    reason = refusal(guards.works_papers, Trigger.COMPLETE, without(COMPLETE, **{key: None}))

    assert told(reason)[1] == (key,)
    assert refusal(guards.works_papers, Trigger.COMPLETE, COMPLETE) is None


@pytest.mark.parametrize(("day", "refused"), [("2024-02-20", False), ("2024-02-21", True)])
def test_training_is_signed_by_the_day_of_the_step(day: str, refused: bool) -> None:
    reason = refusal(guards.works_papers, Trigger.COMPLETE, without(COMPLETE, training_on=day))

    assert (reason is not None) is refused


def test_a_network_connection_has_no_serial() -> None:
    given = without(COMPLETE, serial=None)

    assert (
        refusal(guards.works_papers, Trigger.COMPLETE, given, life=Life(Path.CENTRAL_HEATING))
        is None
    )


def test_one_serial_belongs_to_one_open_case() -> None:
    taken = Surroundings(serial_holder="02-0009")

    reason = refusal(guards.serial_unique, Trigger.COMPLETE, COMPLETE, around=taken)

    assert told(reason)[1] == ("serial",)
    assert reason is not None
    assert "02-0009" not in reason.message
    assert refusal(guards.serial_unique, Trigger.COMPLETE, COMPLETE) is None


# 换径, 撤销, 退出, 恢复


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"path": "solar", "keep_device": "no"}, None),
        ({"path": "coal_to_electric", "keep_device": "no"}, ("path",)),
        ({"path": "solar"}, ("keep_device",)),
        ({}, ("path", "keep_device")),
    ],
)
def test_a_change_of_path_names_another_path_and_what_becomes_of_the_device(
    given: Mapping[str, str], missing: tuple[str, ...] | None
) -> None:
    reason = refusal(guards.new_path_given, Trigger.CHANGE_PATH, given)

    assert (reason.missing if reason else None) == missing


@pytest.mark.parametrize("trigger", [Trigger.CHANGE_PATH, Trigger.REINSTATE])
@pytest.mark.parametrize(
    ("left", "quota", "refused"),
    [
        (1, None, False),
        (0, None, True),
        (-3, None, True),
        (0, "over_plan", False),
        (0, "planned", True),
        (None, None, False),
    ],
)
def test_a_planned_case_does_not_pass_the_annex(
    trigger: Trigger, left: int | None, quota: str | None, refused: bool
) -> None:
    given = {"quota": quota} if quota else {}

    reason = refusal(guards.annex, trigger, given, around=Surroundings(annex_left=left))

    assert (reason is not None) is refused
    if refused:
        assert told(reason) == ("通知 附件", ("quota",), Role.COUNTY_OFFICE, TODAY)


@pytest.mark.parametrize(
    ("day", "refused"), [("2024-02-19", True), ("2024-02-20", False), (None, False)]
)
def test_a_put_right_date_is_not_past(day: str | None, refused: bool) -> None:
    given = without({"path": "solar"}, put_right_by=day)

    assert (refusal(guards.put_right_not_past, Trigger.CHANGE_PATH, given) is not None) is refused


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"cause": "paper_fault", "findings": "x"}, None),
        ({"cause": "paper_fault"}, ("findings",)),
        ({}, ("cause", "findings")),
    ],
)
def test_a_revocation_says_cause_and_findings(
    given: Mapping[str, str], missing: tuple[str, ...] | None
) -> None:
    reason = refusal(guards.revocation_explained, Trigger.REVOKE, given)

    assert (reason.missing if reason else None) == missing


@pytest.mark.parametrize("key", list(CLOSE))
def test_an_exit_says_cause_who_asked_and_its_document(key: str) -> None:
    reason = refusal(guards.exit_explained, Trigger.CLOSE, without(CLOSE, **{key: None}))

    assert told(reason)[1:] == ((key,), Role.COUNTY_OFFICE, TODAY)
    assert refusal(guards.exit_explained, Trigger.CLOSE, CLOSE) is None


@pytest.mark.parametrize(
    ("replaced_by", "successor", "refused"),
    [
        ("01-0002", State.HOUSEHOLD_CONFIRMATION, False),
        ("01-0002", State.CLOSED, True),
        ("01-0002", None, True),
        ("01-0001", State.CONSTRUCTION, True),
        (None, None, True),
    ],
)
def test_a_replaced_case_names_another_open_one_in_its_place(
    replaced_by: str | None, successor: State | None, refused: bool
) -> None:
    given = without(CLOSE, cause="replaced", replaced_by=replaced_by)

    reason = refusal(
        guards.exit_explained, Trigger.CLOSE, given, around=Surroundings(successor=successor)
    )

    assert (reason is not None) is refused
    if refused:
        assert told(reason)[1] == ("replaced_by",)


def test_limits_come_from_the_plan_and_not_from_the_code() -> None:
    strict = with_rules(XIAOXIAN, backdating_days=0, notice_days=6)
    asked = question(
        Life().facts(), Trigger.CONFIRM, TODAY, *CONFIRM.items(), of=strict, on=TODAY - DAY
    )

    assert guards.late_paper(asked)
    assert guards.notice_held(asked)


def test_a_notice_of_one_day_is_enough_where_the_plan_asks_for_one() -> None:
    given = {**CONFIRM, "notice_from": "2024-02-15", "notice_to": "2024-02-15"}
    one_day = with_rules(XIAOXIAN, notice_days=1)
    asked = question(Life().facts(), Trigger.CONFIRM, TODAY, *given.items(), of=one_day)

    assert guards.notice_held(asked) is None


# Each refusal, in whole

G, U, C = guards, Role.UNIT_OFFICER, Role.COUNTY_OFFICE
CONFIRMED, TABLE, CLOCKS, IDENTITY = "通知 三（三）", "设计 3", "设计 3（两个时钟）", "设计 5"
PUBLIC, PROCURED, READY, FIRST = "通知 七（五）", "通知 五（二）", "通知 三（一）", "通知 七（三）"
TOMORROW = "2024-02-21"
NO_NOTICE = {"notice_from": None, "notice_to": None}


def objected() -> Life:
    return recorded_notice("不是本村人")


def confirmed() -> Life:
    life = Life()
    life.confirm(date(2024, 2, 12))
    return life


def works_recorded() -> Life:
    life = Life()
    life.add(FactKind.WORKS, date(2024, 2, 15), {"ready_on": "2024-02-14", "serial": "SN-1"})
    return life


def on_path(path: Path, *holds: str) -> Life:
    return Life(path, holds=holds)


GATE_LATE = Surroundings(gate_opened_on=date(2024, 2, 18))
TOLD: list[tuple[Guard, Trigger, Mapping[str, str], Life, date, Surroundings, Reason]] = [
    (guard, trigger, given, life or Life(), on, around or Surroundings(), reason)
    for guard, trigger, given, life, on, around, reason in (
        (
            G.not_future,
            Trigger.SELECT,
            {},
            None,
            TODAY + DAY,
            None,
            Reason("not_future", CLOCKS, "2024-02-21 2024-02-20", (), U, TODAY + DAY),
        ),
        (
            G.step_in_order,
            Trigger.SELECT,
            {},
            confirmed(),
            date(2024, 2, 11),
            None,
            Reason("step_in_order", CLOCKS, "2024-02-11 2024-02-12", (), U, TODAY),
        ),
        (
            G.late_paper,
            Trigger.SELECT,
            {},
            None,
            TODAY - 11 * DAY,
            None,
            Reason("late_paper", CLOCKS, "11 10", ("late_document",), U, TODAY),
        ),
        (
            G.late_document_attached,
            Trigger.SELECT,
            {"late_document": "qt.pdf"},
            None,
            TODAY,
            None,
            Reason("attached", TABLE, "late_document qt.pdf", ("late_document",), U, TODAY),
        ),
        (
            G.no_personal_numbers,
            Trigger.COMPLETE,
            {"contractor": f"找{PHONE}"},
            None,
            TODAY,
            None,
            Reason("no_personal_numbers", IDENTITY, "contractor", (), U, TODAY),
        ),
        (
            G.reason_given,
            Trigger.SEND_BACK,
            {},
            None,
            TODAY,
            None,
            Reason("reason_given", TABLE, "--reason", ("reason",), C, TODAY),
        ),
        (
            G.visited,
            Trigger.CONFIRM,
            without(CONFIRM, visit_on=None),
            None,
            TODAY,
            None,
            Reason("visited", CONFIRMED, "入户日期（visit_on）", ("visit_on",), U, TODAY),
        ),
        (
            G.visited,
            Trigger.CONFIRM,
            without(CONFIRM, visit_on=TOMORROW),
            None,
            TODAY,
            None,
            Reason("visited", CONFIRMED, f"入户日期 {TOMORROW}", (), U, TODAY),
        ),
        (
            G.notice_held,
            Trigger.CONFIRM,
            without(CONFIRM, **NO_NOTICE),
            None,
            TODAY,
            None,
            Reason(
                "notice_held",
                PUBLIC,
                "notice_from、notice_to 5",
                ("notice_from", "notice_to"),
                U,
                TODAY + 4 * DAY,
            ),
        ),
        (
            G.notice_held,
            Trigger.CONFIRM,
            without(CONFIRM, notice_to="2024-02-16"),
            recorded_notice(),
            TODAY,
            None,
            Reason(
                "notice_held",
                PUBLIC,
                "2024-02-16 2024-02-15 不一致",
                ("notice_from", "notice_to"),
                U,
                TODAY,
            ),
        ),
        (
            G.notice_held,
            Trigger.CONFIRM,
            without(CONFIRM, notice_to="2024-02-14"),
            None,
            TODAY,
            None,
            Reason(
                "notice_held",
                PUBLIC,
                "共 4 天， 不足 5 天",
                ("notice_from", "notice_to"),
                U,
                TODAY + 4 * DAY,
            ),
        ),
        (
            G.no_objection,
            Trigger.CONFIRM,
            CONFIRM,
            objected(),
            TODAY,
            None,
            Reason("no_objection", PUBLIC, "编号 3）", ("resolve",), Role.UNIT_HEAD, TODAY),
        ),
        (
            G.consented,
            Trigger.CONFIRM,
            without(CONFIRM, consent_by=None),
            None,
            TODAY,
            None,
            Reason("consented", PUBLIC, "由谁同意（consent_by）", ("consent_by",), U, TODAY),
        ),
        (
            G.consented,
            Trigger.CONFIRM,
            without(CONFIRM, consent_on=TOMORROW),
            None,
            TODAY,
            None,
            Reason("consented", PUBLIC, f"同意日期 {TOMORROW}", (), U, TODAY),
        ),
        (
            G.old_facilities_listed,
            Trigger.CONFIRM,
            {"old_facility": "stove:in_use"},
            None,
            TODAY,
            None,
            Reason(
                "old_facilities_listed", "通知 四", "（kang） id=1", ("old_facility",), U, TODAY
            ),
        ),
        (
            G.meter_known,
            Trigger.CONFIRM,
            CONFIRM,
            on_path(Path.COAL_TO_ELECTRIC, "name"),
            TODAY,
            None,
            Reason("meter_known", CONFIRMED, "用电户号", ("meter",), U, TODAY),
        ),
        (
            G.unfit_proved,
            Trigger.CONFIRM,
            CONFIRM,
            on_path(Path.BIOMASS),
            TODAY,
            None,
            Reason("unfit_proved", "通知 四", "县级", ("unfit_document",), C, TODAY),
        ),
        (
            G.unique,
            Trigger.CONFIRM,
            CONFIRM,
            None,
            TODAY,
            Surroundings(twins=("02-0009",)),
            Reason("unique", IDENTITY, "重复", (), C, TODAY),
        ),
        (
            G.device_chosen,
            Trigger.SELECT,
            {},
            on_path(Path.CENTRAL_HEATING),
            TODAY,
            None,
            Reason(
                "device_chosen",
                PROCURED,
                "管网接入点（connection_point）",
                ("connection_point",),
                U,
                TODAY,
            ),
        ),
        (
            G.device_chosen,
            Trigger.SELECT,
            {},
            None,
            TODAY,
            CATALOGUE,
            Reason("device_chosen", PROCURED, "缺少设备型号（model）", ("model",), U, TODAY),
        ),
        (
            G.device_chosen,
            Trigger.SELECT,
            without(SELECT, model="KFR-99"),
            None,
            TODAY,
            CATALOGUE,
            Reason("device_chosen", PROCURED, "KFR-99 煤改电", ("model",), U, TODAY),
        ),
        (
            G.selection_signed,
            Trigger.SELECT,
            {},
            None,
            TODAY,
            None,
            Reason(
                "selection_signed",
                PROCURED,
                "selection_on selection_by",
                ("selection_on", "selection_by"),
                U,
                TODAY,
            ),
        ),
        (
            G.selection_signed,
            Trigger.SELECT,
            without(SELECT, selection_on=TOMORROW),
            None,
            TODAY,
            None,
            Reason("selection_signed", PROCURED, TOMORROW, (), U, TODAY),
        ),
        (
            G.works_dated,
            Trigger.COMPLETE,
            without(COMPLETE, started_on=None, ready_on=None),
            None,
            TODAY,
            None,
            Reason(
                "works_dated", READY, "started_on ready_on", ("started_on", "ready_on"), U, TODAY
            ),
        ),
        (
            G.works_dated,
            Trigger.COMPLETE,
            without(COMPLETE, started_on="2024-02-15"),
            None,
            TODAY,
            None,
            Reason("works_dated", READY, "开工 2024-02-15、安装 2024-02-14", (), U, TODAY),
        ),
        (
            G.works_dated,
            Trigger.COMPLETE,
            without(COMPLETE, ready_on=TOMORROW),
            None,
            TODAY,
            None,
            Reason("works_dated", READY, f"具备使用条件日期 {TOMORROW}", (), U, TODAY),
        ),
        (
            G.works_agree,
            Trigger.COMPLETE,
            without(COMPLETE, serial="SN-2"),
            works_recorded(),
            TODAY,
            None,
            Reason(
                "works_agree",
                READY,
                "ready_on 现为 2024-02-15，已登记 serial 现为 SN-2，已登记 SN-1",
                ("ready_on", "serial"),
                U,
                TODAY,
            ),
        ),
        (
            G.gate_open,
            Trigger.COMPLETE,
            COMPLETE,
            None,
            TODAY,
            None,
            Reason("gate_open", FIRST, "前村 电网", ("gate",), C, TODAY),
        ),
        (
            G.gate_open,
            Trigger.COMPLETE,
            COMPLETE,
            None,
            TODAY,
            GATE_LATE,
            Reason("gate_open", FIRST, "前村 2024-02-18 2024-02-15", ("gate",), C, TODAY),
        ),
        (
            G.grid_first,
            Trigger.COMPLETE,
            COMPLETE,
            None,
            TODAY,
            GATE_LATE,
            Reason(
                "grid_not_first", FIRST, "2024-02-12 前村 2024-02-18", ("grid_document",), C, TODAY
            ),
        ),
        (
            G.works_papers,
            Trigger.COMPLETE,
            without(COMPLETE, serial=None),
            None,
            TODAY,
            None,
            Reason("works_papers", READY, "设备编号（serial）", ("serial",), U, TODAY),
        ),
        (
            G.works_papers,
            Trigger.COMPLETE,
            without(COMPLETE, training_on=TOMORROW),
            None,
            TODAY,
            None,
            Reason("works_papers", READY, TOMORROW, (), U, TODAY),
        ),
        (
            G.serial_unique,
            Trigger.COMPLETE,
            COMPLETE,
            None,
            TODAY,
            Surroundings(serial_holder="02-0009"),
            Reason("serial_unique", IDENTITY, "设备编号", ("serial",), U, TODAY),
        ),
        (
            G.new_path_given,
            Trigger.CHANGE_PATH,
            {"path": "solar"},
            None,
            TODAY,
            None,
            Reason("new_path_given", TABLE, "keep_device", ("keep_device",), C, TODAY),
        ),
        (
            G.new_path_given,
            Trigger.CHANGE_PATH,
            {"path": "coal_to_electric", "keep_device": "no"},
            None,
            TODAY,
            None,
            Reason("new_path_given", TABLE, "相同（煤改电）", ("path",), C, TODAY),
        ),
        (
            G.annex,
            Trigger.REINSTATE,
            {},
            None,
            TODAY,
            Surroundings(annex_left=0),
            Reason("annex", "通知 附件", "quota=over_plan", ("quota",), C, TODAY),
        ),
        (
            G.put_right_not_past,
            Trigger.CHANGE_PATH,
            {"put_right_by": "2024-02-19"},
            None,
            TODAY,
            None,
            Reason(
                "put_right_not_past", TABLE, "2024-02-19 2024-02-20", ("put_right_by",), C, TODAY
            ),
        ),
        (
            G.revocation_explained,
            Trigger.REVOKE,
            {},
            None,
            TODAY,
            None,
            Reason("revocation_explained", TABLE, "findings", ("cause", "findings"), C, TODAY),
        ),
        (
            G.exit_explained,
            Trigger.CLOSE,
            without(CLOSE, cause="replaced"),
            None,
            TODAY,
            None,
            Reason(
                "exit_explained", TABLE, "接替户的编号（replaced_by）", ("replaced_by",), C, TODAY
            ),
        ),
        (
            G.exit_explained,
            Trigger.CLOSE,
            without(CLOSE, cause="replaced", replaced_by="01-0002"),
            None,
            TODAY,
            None,
            Reason("exit_explained", TABLE, "01-0002", ("replaced_by",), C, TODAY),
        ),
    )
]


@pytest.mark.parametrize(
    ("guard", "trigger", "given", "life", "on", "around", "expected"),
    TOLD,
    ids=[f"{index}-{case[-1].guard}" for index, case in enumerate(TOLD)],
)
def test_a_refusal_says_guard_clause_what_is_missing_who_can_put_it_right_and_when(
    guard: Guard,
    trigger: Trigger,
    given: Mapping[str, str],
    life: Life,
    on: date,
    around: Surroundings,
    expected: Reason,
) -> None:
    check_told(refusal(guard, trigger, given, life=life, on=on, around=around), expected)
