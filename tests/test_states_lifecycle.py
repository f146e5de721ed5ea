import pytest
from factories import Life, officer

from states import lifecycle
from states.vocabulary import FactKind, Role, State, Trigger

S, R = State, Role
LINE = [S.EQUIPMENT_SELECTION, S.CONSTRUCTION, S.ACCEPTANCE, S.STABLE_SEASON]
UNIT = {R.UNIT_OFFICER, R.UNIT_HEAD}
FIELD = {*UNIT, R.COUNTY_OFFICE}

# Design, section 3, row by row: from -> to, and who.
TABLE: dict[Trigger, tuple[dict[State, State], set[Role]]] = {
    Trigger.CONFIRM: ({S.HOUSEHOLD_CONFIRMATION: S.EQUIPMENT_SELECTION}, UNIT),
    Trigger.SELECT: ({S.EQUIPMENT_SELECTION: S.CONSTRUCTION}, UNIT),
    Trigger.COMPLETE: ({S.CONSTRUCTION: S.ACCEPTANCE}, UNIT),
    Trigger.REJECT: ({S.ACCEPTANCE: S.CONSTRUCTION}, {R.ACCEPTOR}),
    Trigger.ACCEPT: ({S.ACCEPTANCE: S.STABLE_SEASON}, {R.ACCEPTOR}),
    Trigger.PERMIT: ({S.STABLE_SEASON: S.REMOVAL_PERMITTED}, {R.COUNTY_OFFICE}),
    Trigger.OVERTURN: (
        {S.STABLE_SEASON: S.CONSTRUCTION, S.REMOVAL_PERMITTED: S.CONSTRUCTION},
        {R.COUNTY_OFFICE},
    ),
    Trigger.REPLACE: (
        {S.STABLE_SEASON: S.CONSTRUCTION, S.REMOVAL_PERMITTED: S.CONSTRUCTION},
        UNIT,
    ),
    Trigger.CHANGE_PATH: (dict.fromkeys(LINE, S.EQUIPMENT_SELECTION), {R.COUNTY_OFFICE}),
    Trigger.REVOKE: ({S.REMOVAL_PERMITTED: S.STABLE_SEASON}, {R.COUNTY_OFFICE}),
    Trigger.SEND_BACK: (
        {
            S.EQUIPMENT_SELECTION: S.HOUSEHOLD_CONFIRMATION,
            S.CONSTRUCTION: S.EQUIPMENT_SELECTION,
            S.ACCEPTANCE: S.CONSTRUCTION,
        },
        {R.COUNTY_OFFICE},
    ),
    Trigger.CLOSE: (
        dict.fromkeys([S.HOUSEHOLD_CONFIRMATION, *LINE, S.REMOVAL_PERMITTED], S.CLOSED),
        {R.COUNTY_OFFICE},
    ),
    Trigger.REINSTATE: ({S.CLOSED: S.HOUSEHOLD_CONFIRMATION}, {R.COUNTY_OFFICE}),
}

FACTS: dict[FactKind, set[Role]] = {
    **dict.fromkeys(FactKind, FIELD),
    FactKind.VISIT: {*FIELD, R.ACCEPTOR},
    FactKind.FINDING: {R.AUDITOR, R.COUNTY_OFFICE},
    FactKind.EXTENSION: {R.COUNTY_OFFICE},
    FactKind.RESOLVE: {R.COUNTY_OFFICE, R.UNIT_HEAD},
    FactKind.CORRECT: {R.COUNTY_OFFICE},
}

# What must hold, by the names of the guards: dropping one shows here.
GUARDS: dict[Trigger, str] = {
    Trigger.CONFIRM: "visited notice_held no_objection consented old_facilities_listed "
    "meter_known unfit_proved unique",
    Trigger.SELECT: "device_chosen selection_signed",
    Trigger.COMPLETE: "works_dated works_agree gate_open grid_first works_papers serial_unique",
    Trigger.REJECT: "put_right_dated",
    Trigger.ACCEPT: "all_items_pass all_signed dossier_complete facilities_seen "
    "accepted_by_another",
    Trigger.PERMIT: "season_served season_verified no_long_outage outages_within_total "
    "heat_on_today first_heat_known warm_visits_made season_signed recorded_in_time nothing_open "
    "permitted_by_another permitted_today",
    Trigger.OVERTURN: "put_right_dated",
    Trigger.REPLACE: "put_right_dated",
    Trigger.CHANGE_PATH: "new_path_given meter_known unfit_proved annex put_right_not_past",
    Trigger.REVOKE: "revocation_explained",
    Trigger.SEND_BACK: "reason_given",
    Trigger.CLOSE: "exit_explained",
    Trigger.REINSTATE: "reason_given unique annex",
}
ALWAYS = ["not_future", "late_document_attached", "no_personal_numbers"]
FACT_GUARDS: dict[FactKind, str] = {
    FactKind.WORKS: "works_stated first_heat_once same_device serial_unique",
    FactKind.NOTICE: "notice_stated",
    FactKind.OLD_FACILITY: "keys_given facility_named",
    FactKind.FAULT: "keys_given",
    FactKind.REPAIR: "keys_given fault_open",
    FactKind.VISIT: "keys_given",
    FactKind.SIGNATURE: "keys_given season_named",
    FactKind.VIOLATION: "keys_given",
    FactKind.COMPLAINT: "keys_given",
    FactKind.FINDING: "keys_given",
    FactKind.PAUSE: "keys_given not_paused_yet",
    FactKind.RESUME: "paused",
    FactKind.EXTENSION: "keys_given extends",
    FactKind.RESOLVE: "keys_given matter_open documented answered_by_another",
    FactKind.CORRECT: "keys_given correctable fault_named fault_before_repair documented "
    "answered_by_another",
}


@pytest.mark.parametrize("trigger", list(Trigger), ids=str)
def test_the_table_is_that_of_the_design(trigger: Trigger) -> None:
    moves, roles = TABLE[trigger]

    row = lifecycle.BY_TRIGGER[trigger]

    assert dict(row.moves) == moves
    assert set(lifecycle.roles_for(trigger)) == roles
    assert row.clause


def test_each_trigger_has_one_row() -> None:
    assert [step.trigger for step in lifecycle.STEPS] == list(Trigger)


def test_each_fact_has_one_row_and_the_roles_of_the_design() -> None:
    assert [record.kind for record in lifecycle.RECORDS] == list(FactKind)
    assert {record.kind: set(record.roles) for record in lifecycle.RECORDS} == FACTS


@pytest.mark.parametrize("trigger", list(Trigger), ids=str)
def test_what_must_hold_is_what_the_design_says(trigger: Trigger) -> None:
    names = [guard.__name__ for guard in lifecycle.guards_for(trigger)]

    assert names == [*ALWAYS, "step_in_order", "late_paper", *GUARDS[trigger].split()]


@pytest.mark.parametrize("kind", list(FactKind), ids=str)
def test_a_fact_meets_the_general_guards_and_a_correction_is_never_late(kind: FactKind) -> None:
    names = [guard.__name__ for guard in lifecycle.guards_for(kind)]

    late = [] if kind is FactKind.CORRECT else ["late_paper"]
    assert names == [*ALWAYS, *late, *FACT_GUARDS[kind].split()]


def test_the_way_forward_is_one_line() -> None:
    state, way = State.HOUSEHOLD_CONFIRMATION, []
    while state in lifecycle.FORWARD:
        way.append(state)
        state = lifecycle.BY_TRIGGER[lifecycle.FORWARD[state]].moves[state]

    assert way == [State.HOUSEHOLD_CONFIRMATION, *LINE]
    assert state is State.REMOVAL_PERMITTED


@pytest.mark.parametrize(
    ("state", "triggers"),
    [
        (S.HOUSEHOLD_CONFIRMATION, "confirm close"),
        (S.EQUIPMENT_SELECTION, "select change_path send_back close"),
        (S.CONSTRUCTION, "complete change_path send_back close"),
        (S.ACCEPTANCE, "reject accept change_path send_back close"),
        (S.STABLE_SEASON, "permit overturn replace change_path close"),
        (S.REMOVAL_PERMITTED, "overturn replace revoke close"),
        (S.CLOSED, "reinstate"),
    ],
)
def test_the_triggers_of_each_state_are_those_of_the_design(state: State, triggers: str) -> None:
    assert lifecycle.legal_from(state) == tuple(triggers.split())


def test_only_permit_leads_to_the_permission() -> None:
    leading = [
        step.trigger for step in lifecycle.STEPS if State.REMOVAL_PERMITTED in step.moves.values()
    ]

    assert leading == [Trigger.PERMIT]


# Who may


@pytest.mark.parametrize("kind", [*Trigger, *FactKind], ids=str)
@pytest.mark.parametrize("role", list(Role), ids=str)
def test_a_role_may_what_the_design_gives_it_and_nothing_else(
    role: Role, kind: Trigger | FactKind
) -> None:
    life = Life()
    objection = life.fact(FactKind.NOTICE, life.events[0].occurred_on, objection="x")
    allowed = TABLE[kind][1] if isinstance(kind, Trigger) else FACTS[kind]

    assert lifecycle.permits(officer(role), kind, life.facts(), objection) is (role in allowed)


@pytest.mark.parametrize("kind", [Trigger.CONFIRM, FactKind.FAULT], ids=str)
@pytest.mark.parametrize(("unit", "allowed"), [("01", True), ("02", False), (None, True)])
def test_an_officer_of_a_unit_acts_for_that_unit_only(
    unit: str | None, allowed: bool, kind: Trigger | FactKind
) -> None:
    actor = officer(Role.UNIT_OFFICER, unit=unit)

    assert lifecycle.permits(actor, kind, Life(unit="01").facts(), None) is allowed


def test_a_unit_head_records_what_answers_nothing() -> None:
    assert lifecycle.permits(officer(Role.UNIT_HEAD), FactKind.FAULT, Life().facts(), None)


def test_a_unit_head_answers_objections_and_nothing_else() -> None:
    life = Life()
    objection = life.fact(FactKind.NOTICE, life.events[0].occurred_on, objection="x")
    complaint = life.fact(FactKind.COMPLAINT, life.events[0].occurred_on, what="x")
    head, county = officer(Role.UNIT_HEAD, unit="01"), officer(Role.COUNTY_OFFICE)

    def may(actor_is_head: bool, seq: int | None) -> bool:
        actor = head if actor_is_head else county
        return lifecycle.permits(actor, FactKind.RESOLVE, life.facts(), seq)

    assert [may(True, seq) for seq in (objection, complaint, 99, None)] == [
        True,
        False,
        False,
        False,
    ]
    assert [may(False, seq) for seq in (objection, complaint)] == [True, True]


CLAUSES: dict[str, tuple[Trigger | FactKind, ...]] = {
    "通知 三（三）": (Trigger.CONFIRM,),
    "通知 五（二）": (Trigger.SELECT,),
    "通知 三（一）": (Trigger.COMPLETE, FactKind.WORKS),
    "通知 五（三）": (Trigger.REJECT, Trigger.ACCEPT, Trigger.OVERTURN),
    "通知 七（五）": (FactKind.NOTICE, FactKind.COMPLAINT),
    "通知 四": (
        Trigger.PERMIT,
        Trigger.CHANGE_PATH,
        Trigger.REVOKE,
        FactKind.OLD_FACILITY,
        FactKind.FAULT,
        FactKind.REPAIR,
        FactKind.VISIT,
        FactKind.SIGNATURE,
        FactKind.VIOLATION,
    ),
    "设计 3": (
        Trigger.REPLACE,
        Trigger.SEND_BACK,
        Trigger.CLOSE,
        Trigger.REINSTATE,
        FactKind.FINDING,
        FactKind.PAUSE,
        FactKind.RESUME,
        FactKind.EXTENSION,
        FactKind.RESOLVE,
        FactKind.CORRECT,
    ),
}


def test_each_row_cites_its_clause() -> None:
    cited: dict[str, set[Trigger | FactKind]] = {}
    for step in lifecycle.STEPS:
        cited.setdefault(step.clause, set()).add(step.trigger)
    for record in lifecycle.RECORDS:
        cited.setdefault(record.clause, set()).add(record.kind)

    assert cited == {clause: set(rows) for clause, rows in CLAUSES.items()}
