"""The state machine: `transitions`, built once from the table in `states.lifecycle`.

The machine is asked once for each kind of step from each state: where it leads, and what must hold.
Nothing is written here. `auto_transitions` is off, so there is no `to_<state>()` past the guards,
and a refusal always carries every reason.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache

from msgspec import Struct
from msgspec.structs import replace
from transitions import Machine

from states import evidence as keys
from states import guards_permit, lifecycle, season
from states.errors import Reason, StepRefused, UsageFault
from states.facts import CaseFacts
from states.question import DESIGN_TABLE, Guard, Question
from states.vocabulary import FactKind, State, Trigger
from states.workdays import local_minute


class Move(Struct, frozen=True):
    """A step that the rules allow: nothing has happened yet."""

    trigger: Trigger
    source: State
    target: State


class Answer(Struct, frozen=True):
    """What `case why` says of one trigger; `earliest` as in design section 3."""

    trigger: Trigger
    reasons: tuple[Reason, ...]
    earliest: date | None
    earliest_reason: str | None

    @property
    def possible(self) -> bool:
        """Whether the step could be taken at once."""
        return not self.reasons


class _AllPass(Struct, frozen=True):
    """The condition of a transition: that every one of these guards passes."""

    guards: tuple[Guard, ...]

    def __call__(self, question: Question) -> bool:
        return not _unmet(self.guards, question)


def _unmet(guards: Sequence[Guard], question: Question) -> tuple[Reason, ...]:
    return tuple(reason for guard in guards if (reason := guard(question)) is not None)


def build(steps: Sequence[lifecycle.Step] = lifecycle.STEPS) -> Machine:
    """The machine of a lifecycle table; the program itself builds one, from the one table."""
    return Machine(
        model=None,
        states=[str(state) for state in State],
        transitions=[
            {
                "trigger": str(step.trigger),
                "source": str(source),
                "dest": str(target),
                "conditions": [_AllPass((*lifecycle.EVERY_STEP, *step.guards))],
            }
            for step in steps
            for source, target in step.moves.items()
        ],
        initial=None,
        auto_transitions=False,
    )


_MACHINE = build()


def decide(trigger: Trigger, question: Question, machine: Machine = _MACHINE) -> Move:
    """The move that the trigger makes, if every guard passes.

    Raises StepRefused with all reasons.
    """
    source = question.facts.state
    reasons: tuple[Reason, ...] = ()
    # Of several ways the first that is open is taken, as `transitions` does.
    for way in _ways(machine, trigger, source):
        reasons = _unmet(way.guards, question)
        if not reasons:
            return Move(trigger, source, way.target)
    raise _refusal(trigger, question.facts, reasons or (_wrong_state(trigger, question),))


class _Way(Struct, frozen=True):
    """What the machine knows of a kind of step from one state."""

    target: State
    guards: tuple[Guard, ...]


@cache
def _ways(machine: Machine, trigger: Trigger, source: State) -> tuple[_Way, ...]:
    """The ways of a trigger from a state, in the machine's order; by the table there is one."""
    ways = []
    for transition in machine.events[str(trigger)].transitions.get(str(source), ()):
        [condition] = transition.conditions
        assert isinstance(condition.func, _AllPass)
        ways.append(_Way(State(str(transition.dest)), condition.func.guards))
    return tuple(ways)


def check_fact(kind: FactKind, question: Question) -> None:
    """Raises StepRefused with all reasons why the fact cannot be recorded like this."""
    reasons = _unmet(lifecycle.guards_for(kind), question)
    if reasons:
        raise _refusal(kind, question.facts, reasons)


def _refusal(
    kind: Trigger | FactKind, facts: CaseFacts, reasons: tuple[Reason, ...]
) -> StepRefused:
    told = "；".join(reason.message for reason in reasons)
    if not isinstance(kind, Trigger):
        verb, remedy = "登记", "按所列原因改正后再登记"
    elif [reason.guard for reason in reasons] == ["state"]:
        verb, remedy = "办理", f"xianli case show {facts.code} 查看所处环节和下一步可办的事"
    else:
        verb, remedy = "办理", f"补齐后再办；详见 xianli case why {facts.code} {kind}"
    return StepRefused(
        f"{facts.code} 不能{verb}“{kind.label}”：{told}",
        place=facts.code,
        remedy=remedy,
        reasons=reasons,
    )


def _wrong_state(trigger: Trigger, question: Question) -> Reason:
    facts = question.facts
    sources = "、".join(state.label for state in lifecycle.BY_TRIGGER[trigger].moves)
    message = f"现处于“{facts.state.label}”，只有“{sources}”的户才能办理“{trigger.label}”"
    last = facts.last_step
    if last is not None:
        done = Trigger(last.kind).label
        at = local_minute(last.recorded_at)
        message += f"；上一环节“{done}”由 {last.actor} 于 {at} 登记"
    day, why = _earliest_from_elsewhere(trigger, question)
    return Reason("state", DESIGN_TABLE, message, (), None, day, why)


def _earliest_from_elsewhere(
    trigger: Trigger, question: Question
) -> tuple[date | None, str | None]:
    """The earliest day of a step that lies further along the line, as if all went at once."""
    facts, today = question.facts, question.today
    if trigger is Trigger.PERMIT and facts.state is State.REMOVAL_PERMITTED:
        return None, "已获许可"
    line = list(lifecycle.FORWARD.values())
    if facts.state not in lifecycle.FORWARD or trigger not in line:
        return None, f"须先回到可以办理“{trigger.label}”的环节"
    here = lifecycle.FORWARD[facts.state]
    if line.index(here) > line.index(trigger):
        return None, f"已办过“{trigger.label}”"
    reached = today
    if here is Trigger.CONFIRM:
        confirmed = ask(Trigger.CONFIRM, nothing_in_hand(question, Trigger.CONFIRM))
        if confirmed.earliest is None:
            return None, confirmed.earliest_reason
        reached = confirmed.earliest
    if trigger is not Trigger.PERMIT:
        return reached, None
    return season.earliest(facts, question.plan, today, drill=question.drill, clock=reached)


def nothing_in_hand(question: Question, kind: Trigger) -> Question:
    """The same question about another trigger, with no evidence brought yet."""
    empty = complete_evidence(question.facts, kind, keys.parse(kind, ()))
    return replace(question, evidence=empty, attachments=frozenset(), reason=None)


def ask(trigger: Trigger, question: Question, machine: Machine = _MACHINE) -> Answer:
    """Whether the step could be taken now, every reason if not, and the earliest day."""
    try:
        decide(trigger, question, machine)
    except StepRefused as refusal:
        reasons = refusal.reasons
    else:
        return Answer(trigger, (), question.today, None)
    unknown = next((reason for reason in reasons if reason.earliest is None), None)
    if unknown is not None:
        return Answer(trigger, reasons, None, unknown.earliest_reason)
    days = [reason.earliest for reason in reasons if reason.earliest is not None]
    return Answer(trigger, reasons, max([question.today, *days]), None)


def complete_evidence(
    facts: CaseFacts, kind: Trigger | FactKind, given: keys.Evidence
) -> keys.Evidence:
    """The evidence with what is on record filled in: works and 公示 need not be stated twice."""
    if kind is Trigger.COMPLETE and isinstance(given, keys.Complete):
        works = facts.works
        return replace(
            given,
            started_on=given.started_on or works.started_on,
            installed_on=given.installed_on or works.installed_on,
            ready_on=given.ready_on or works.ready_on,
            serial=given.serial or works.serial,
        )
    if kind is Trigger.CONFIRM and isinstance(given, keys.Confirm) and facts.notice:
        return replace(
            given,
            notice_from=given.notice_from or facts.notice[0],
            notice_to=given.notice_to or facts.notice[1],
        )
    return given


def right_values(facts: CaseFacts, given: keys.Correct) -> keys.Evidence | None:
    """A correction's values as the evidence of the fact it rights; None where there is none.

    Raises UsageFault for a key that the fact does not have.
    """
    event = facts.events.get(given.id or 0)
    if event is None:
        return None
    if event.kind == "registered":
        if any(name != "old_facility" for name, _ in given.values):
            raise UsageFault(
                "台账登记只能更正 old_facility；其余请改台账后重新导入", place="record correct"
            )
        return keys.parse(Trigger.CONFIRM, given.values)
    if event.kind not in keys.CORRECTABLE:
        return None
    if any(name == "serial" for name, _ in given.values):
        raise UsageFault(
            "设备编号不能用更正修改", place="-e serial", remedy="重新登记 works；换了设备的办理换机"
        )
    return keys.parse(FactKind(event.kind), given.values)


def unverified(question: Question) -> tuple[str, ...]:
    """What a permission now would rest on that nobody has verified (演练·未核实)."""
    return guards_permit.unverified_basis(question.facts, question.plan, question.today)
