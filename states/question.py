"""The question a guard answers, and the few ways in which most guards answer it."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeVar

from msgspec import Struct, field

from states import evidence as keys
from states.errors import Reason
from states.evidence import Evidence
from states.facts import Actor, CaseFacts
from states.plan import Plan
from states.vocabulary import Path, Role, State

# The clauses that guards cite: 通知 is 五政办发〔2023〕16号, 设计 the design.
NOTICE_SEASON = "通知 四"
NOTICE_CONFIRM = "通知 三（三）"
NOTICE_PUBLIC = "通知 七（五）"
NOTICE_PROCURED = "通知 五（二）"
NOTICE_NETWORK_FIRST = "通知 七（三）"
NOTICE_READY = "通知 三（一）"
NOTICE_ACCEPTANCE = "通知 五（三）"
NOTICE_FALLBACK = "通知 四"
DESIGN_TABLE = "设计 3"
DESIGN_CLOCKS = "设计 3（两个时钟）"
DESIGN_IDENTITY = "设计 5"
SEPARATION = "设计 3（职责分离）"


class Surroundings(Struct, frozen=True):
    """What a guard must know of other things than the case: read by the memory, passed in.

    `gate_opened_on` is that of the case's village for its path, `models` the catalogue's models by
    path, `twins` other open cases with the same meter or ID, `serial_holder` the open case that has
    the serial in question, `annex_left` how many more planned cases of the path in question the
    annex has room for (None: it does not count), `successor` the state of the case named in
    `replaced_by`.
    """

    gate_opened_on: date | None = None
    models: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    twins: tuple[str, ...] = ()
    serial_holder: str | None = None
    annex_left: int | None = None
    successor: State | None = None


class Question(Struct, frozen=True):
    """May this be done with the case: who asks, when, with what in hand.

    `today` is the county's date of recording, `on` the day it is said to have happened. `actor` is
    None when the question is asked for anybody of the right role.
    """

    facts: CaseFacts
    plan: Plan
    today: date
    on: date
    evidence: Evidence
    attachments: frozenset[str] = frozenset()
    reason: str | None = None
    actor: Actor | None = None
    around: Surroundings = field(default_factory=Surroundings)
    drill: bool = False


Guard = Callable[[Question], Reason | None]
SomeEvidence = TypeVar("SomeEvidence", bound=Evidence)


def typed(question: Question, model: type[SomeEvidence]) -> SomeEvidence:
    """The evidence, as the class that the guard's trigger or fact has."""
    assert isinstance(question.evidence, model)
    return question.evidence


def lacking(
    question: Question,
    guard: str,
    clause: str,
    what: Mapping[str, str],
    who: Role = Role.UNIT_OFFICER,
) -> Reason | None:
    """A reason naming those keys of `what` that the evidence has not, by their Chinese names."""
    attributes = _ATTRIBUTES[type(question.evidence)]
    missing = [name for name in what if getattr(question.evidence, attributes[name]) in (None, ())]
    if not missing:
        return None
    wanted = "、".join(f"{what[name]}（{name}）" for name in missing)
    return Reason(guard, clause, f"缺少{wanted}", tuple(missing), who, question.today)


# The attribute in which the evidence of each class has each key.
_ATTRIBUTES: Mapping[type[Evidence], Mapping[str, str]] = {
    model: {key.name: key.attribute for key in keys.keys(kind).values()}
    for kind, model in keys.MODELS.items()
}


def unattached(question: Question, key: str, names: tuple[str, ...]) -> Reason:
    """A reason saying that files were named but not attached."""
    message = f"{key} 所说的文件没有附上：{'、'.join(names)}（用 --attach 附上）"
    return Reason("attached", DESIGN_TABLE, message, (key,), Role.UNIT_OFFICER, question.today)


def not_after_step(
    question: Question, guard: str, clause: str, days: Mapping[str, date | None]
) -> Reason | None:
    """A reason when one of the named days lies after the day of the step itself."""
    late = [f"{name} {day}" for name, day in days.items() if day and day > question.on]
    if not late:
        return None
    message = f"{'、'.join(late)} 晚于办理日期 {question.on}"
    return Reason(guard, clause, message, (), Role.UNIT_OFFICER, question.today)
