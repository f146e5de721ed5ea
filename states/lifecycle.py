"""The lifecycle: the one table from which the machine, help, diagrams and safety check are made.

Design, section 3. A row says who may pull a trigger, from which states to which, under which guards
and clause; the evidence it takes is in `states.evidence`. There is no row for forcing or skipping.
"""

from collections.abc import Mapping

from msgspec import Struct

from states import guards, guards_acceptance, guards_facts, guards_permit
from states.facts import Actor, CaseFacts
from states.question import (
    DESIGN_TABLE,
    NOTICE_ACCEPTANCE,
    NOTICE_CONFIRM,
    NOTICE_PROCURED,
    NOTICE_PUBLIC,
    NOTICE_READY,
    NOTICE_SEASON,
    Guard,
)
from states.vocabulary import FactKind, Role, State, Trigger

UNIT = (Role.UNIT_OFFICER, Role.UNIT_HEAD)
COUNTY = (Role.COUNTY_OFFICE,)
ACCEPTORS = (Role.ACCEPTOR,)
# The county office may record any fact, for any unit (design, section 9).
FIELD = (*UNIT, Role.COUNTY_OFFICE)


class Step(Struct, frozen=True):
    """One trigger of the lifecycle."""

    trigger: Trigger
    moves: Mapping[State, State]
    roles: tuple[Role, ...]
    clause: str
    guards: tuple[Guard, ...]


class Record(Struct, frozen=True):
    """One kind of fact beside the line: it is taken in any state and moves nothing."""

    kind: FactKind
    roles: tuple[Role, ...]
    clause: str
    guards: tuple[Guard, ...]


ANY_TIME: tuple[Guard, ...] = (
    guards.not_future,
    guards.late_document_attached,
    guards.no_personal_numbers,
)
EVERY_STEP: tuple[Guard, ...] = (*ANY_TIME, guards.step_in_order, guards.late_paper)
EVERY_FACT: tuple[Guard, ...] = (*ANY_TIME, guards.late_paper)

S = State
_IN_USE = (S.STABLE_SEASON, S.REMOVAL_PERMITTED)
_BEFORE_PERMISSION = (S.EQUIPMENT_SELECTION, S.CONSTRUCTION, S.ACCEPTANCE, S.STABLE_SEASON)

STEPS: tuple[Step, ...] = (
    Step(
        Trigger.CONFIRM,
        {S.HOUSEHOLD_CONFIRMATION: S.EQUIPMENT_SELECTION},
        UNIT,
        NOTICE_CONFIRM,
        (
            guards.visited,
            guards.notice_held,
            guards.no_objection,
            guards.consented,
            guards.old_facilities_listed,
            guards.meter_known,
            guards.unfit_proved,
            guards.unique,
        ),
    ),
    Step(
        Trigger.SELECT,
        {S.EQUIPMENT_SELECTION: S.CONSTRUCTION},
        UNIT,
        NOTICE_PROCURED,
        (guards.device_chosen, guards.selection_signed),
    ),
    Step(
        Trigger.COMPLETE,
        {S.CONSTRUCTION: S.ACCEPTANCE},
        UNIT,
        NOTICE_READY,
        (
            guards.works_dated,
            guards.works_agree,
            guards.gate_open,
            guards.grid_first,
            guards.works_papers,
            guards.serial_unique,
        ),
    ),
    Step(
        Trigger.REJECT,
        {S.ACCEPTANCE: S.CONSTRUCTION},
        ACCEPTORS,
        NOTICE_ACCEPTANCE,
        (guards_acceptance.put_right_dated,),
    ),
    Step(
        Trigger.ACCEPT,
        {S.ACCEPTANCE: S.STABLE_SEASON},
        ACCEPTORS,
        NOTICE_ACCEPTANCE,
        (
            guards_acceptance.all_items_pass,
            guards_acceptance.all_signed,
            guards_acceptance.dossier_complete,
            guards_acceptance.facilities_seen,
            guards_acceptance.accepted_by_another,
        ),
    ),
    Step(
        Trigger.PERMIT,
        {S.STABLE_SEASON: S.REMOVAL_PERMITTED},
        COUNTY,
        NOTICE_SEASON,
        (
            guards_permit.season_served,
            guards_permit.season_verified,
            guards_permit.no_long_outage,
            guards_permit.outages_within_total,
            guards_permit.heat_on_today,
            guards_permit.first_heat_known,
            guards_permit.warm_visits_made,
            guards_permit.season_signed,
            guards_permit.recorded_in_time,
            guards_permit.nothing_open,
            guards_permit.permitted_by_another,
            guards_permit.permitted_today,
        ),
    ),
    Step(
        Trigger.OVERTURN,
        dict.fromkeys(_IN_USE, S.CONSTRUCTION),
        COUNTY,
        NOTICE_ACCEPTANCE,
        (guards_acceptance.put_right_dated,),
    ),
    Step(
        Trigger.REPLACE,
        dict.fromkeys(_IN_USE, S.CONSTRUCTION),
        UNIT,
        DESIGN_TABLE,
        (guards_acceptance.put_right_dated,),
    ),
    Step(
        Trigger.CHANGE_PATH,
        dict.fromkeys(_BEFORE_PERMISSION, S.EQUIPMENT_SELECTION),
        COUNTY,
        NOTICE_SEASON,
        (
            guards.new_path_given,
            guards.meter_known,
            guards.unfit_proved,
            guards.annex,
            guards.put_right_not_past,
        ),
    ),
    Step(
        Trigger.REVOKE,
        {S.REMOVAL_PERMITTED: S.STABLE_SEASON},
        COUNTY,
        NOTICE_SEASON,
        (guards.revocation_explained,),
    ),
    Step(
        Trigger.SEND_BACK,
        {
            S.EQUIPMENT_SELECTION: S.HOUSEHOLD_CONFIRMATION,
            S.CONSTRUCTION: S.EQUIPMENT_SELECTION,
            S.ACCEPTANCE: S.CONSTRUCTION,
        },
        COUNTY,
        DESIGN_TABLE,
        (guards.reason_given,),
    ),
    Step(
        Trigger.CLOSE,
        {state: S.CLOSED for state in State if state is not S.CLOSED},
        COUNTY,
        DESIGN_TABLE,
        (guards.exit_explained,),
    ),
    Step(
        Trigger.REINSTATE,
        {S.CLOSED: S.HOUSEHOLD_CONFIRMATION},
        COUNTY,
        DESIGN_TABLE,
        (guards.reason_given, guards.unique, guards.annex),
    ),
)

_KEYS = (guards_facts.keys_given,)
RECORDS: tuple[Record, ...] = (
    Record(
        FactKind.WORKS,
        FIELD,
        NOTICE_READY,
        (
            guards_facts.works_stated,
            guards_facts.first_heat_once,
            guards_facts.same_device,
            guards.serial_unique,
        ),
    ),
    Record(FactKind.NOTICE, FIELD, NOTICE_PUBLIC, (guards_facts.notice_stated,)),
    Record(FactKind.OLD_FACILITY, FIELD, NOTICE_SEASON, (*_KEYS, guards_facts.facility_named)),
    Record(FactKind.FAULT, FIELD, NOTICE_SEASON, _KEYS),
    Record(FactKind.REPAIR, FIELD, NOTICE_SEASON, (*_KEYS, guards_facts.fault_open)),
    Record(FactKind.VISIT, (*FIELD, Role.ACCEPTOR), NOTICE_SEASON, _KEYS),
    Record(FactKind.SIGNATURE, FIELD, NOTICE_SEASON, (*_KEYS, guards_facts.season_named)),
    Record(FactKind.VIOLATION, FIELD, NOTICE_SEASON, _KEYS),
    Record(FactKind.COMPLAINT, FIELD, NOTICE_PUBLIC, _KEYS),
    Record(FactKind.FINDING, (Role.AUDITOR, Role.COUNTY_OFFICE), DESIGN_TABLE, _KEYS),
    Record(FactKind.PAUSE, FIELD, DESIGN_TABLE, (*_KEYS, guards_facts.not_paused_yet)),
    Record(FactKind.RESUME, FIELD, DESIGN_TABLE, (guards_facts.paused,)),
    Record(FactKind.EXTENSION, COUNTY, DESIGN_TABLE, (*_KEYS, guards_facts.extends)),
    Record(
        FactKind.RESOLVE,
        # A unit head answers objections to the 公示, and nothing else: see `permits`.
        (Role.COUNTY_OFFICE, Role.UNIT_HEAD),
        DESIGN_TABLE,
        (
            *_KEYS,
            guards_facts.matter_open,
            guards_facts.documented,
            guards_facts.answered_by_another,
        ),
    ),
    Record(
        FactKind.CORRECT,
        COUNTY,
        DESIGN_TABLE,
        (
            *_KEYS,
            guards_facts.correctable,
            guards_facts.fault_named,
            guards_facts.fault_before_repair,
            guards_facts.documented,
            guards_facts.answered_by_another,
        ),
    ),
)

BY_TRIGGER: Mapping[Trigger, Step] = {step.trigger: step for step in STEPS}
BY_FACT: Mapping[FactKind, Record] = {record.kind: record for record in RECORDS}

# The trigger that takes a case forward from each state.
FORWARD: Mapping[State, Trigger] = {
    S.HOUSEHOLD_CONFIRMATION: Trigger.CONFIRM,
    S.EQUIPMENT_SELECTION: Trigger.SELECT,
    S.CONSTRUCTION: Trigger.COMPLETE,
    S.ACCEPTANCE: Trigger.ACCEPT,
    S.STABLE_SEASON: Trigger.PERMIT,
}


def roles_for(kind: Trigger | FactKind) -> tuple[Role, ...]:
    """The roles that may pull the trigger or record the fact."""
    row = BY_TRIGGER[kind] if isinstance(kind, Trigger) else BY_FACT[kind]
    return row.roles


def guards_for(kind: Trigger | FactKind) -> tuple[Guard, ...]:
    """Every guard of the trigger or fact, the general ones first."""
    if isinstance(kind, Trigger):
        return (*EVERY_STEP, *BY_TRIGGER[kind].guards)
    # A correction brings its own document and is dated by the day that is right.
    general = ANY_TIME if kind is FactKind.CORRECT else EVERY_FACT
    return (*general, *BY_FACT[kind].guards)


def legal_from(state: State) -> tuple[Trigger, ...]:
    """The triggers that lead on from a state, whoever may pull them."""
    return tuple(step.trigger for step in STEPS if state in step.moves)


def permits(actor: Actor, kind: Trigger | FactKind, facts: CaseFacts, answered: int | None) -> bool:
    """Whether the officer's role and unit allow this with this case.

    `answered` is the id that a `resolve` names: a unit head may answer objections only.
    """
    if actor.role not in roles_for(kind) or not actor.answers_for(facts.unit):
        return False
    if kind is FactKind.RESOLVE and actor.role is Role.UNIT_HEAD:
        matter = guards_facts.matter_of(facts, answered or 0)
        return matter is not None and matter.kind is FactKind.NOTICE
    return True
