"""The small counties that the safety check walks: a plan of a few days, and what may be done there.

Seasons are a few days long and follow at once, so that one below, on and above every limit can all
be reached. Each world has the lifecycle together with one kind of evidence in every combination.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from states import lifecycle, plan
from states.facts import Actor, CaseFacts
from states.plan import Json, Plan
from states.vocabulary import Area, FactKind, Kind, Path, Role, State, Trigger

T, F = Trigger, FactKind
_DAY = timedelta(days=1)

# `wang` and `zhao` are one person each with two logins.
WANG = Actor("wang", "wang", "王某", Role.UNIT_OFFICER, "01")
WANG_ACCEPTS = Actor("wang-2", "wang", "王某", Role.ACCEPTOR)
HEAD = Actor("qian", "qian", "钱某", Role.UNIT_HEAD, "01")
ZHAO = Actor("zhao", "zhao", "赵某", Role.ACCEPTOR)
ZHAO_PERMITS = Actor("zhao-2", "zhao", "赵某", Role.COUNTY_OFFICE)
LI = Actor("li", "li", "李某", Role.COUNTY_OFFICE)
SUN = Actor("sun", "sun", "孙某", Role.COUNTY_OFFICE)
AUDITOR = Actor("zhou", "zhou", "周某", Role.AUDITOR)
OTHERS = (SUN, ZHAO_PERMITS, ZHAO, WANG, WANG_ACCEPTS, HEAD, AUDITOR)


def day(number: int) -> date:
    """The days of the worlds by number."""
    return date(2024, 11, number)


Pairs = tuple[tuple[str, str], ...]


class Act(Struct, frozen=True):
    """Something somebody tries: `on` is the day it is said to be of, `files` what is attached.

    A `kind` of `amended` is a line of the ledger importer, with `ledger` as what it writes.
    """

    kind: Trigger | FactKind | str
    actor: Actor
    on: date
    pairs: Pairs = ()
    files: tuple[str, ...] = ()
    reason: str | None = None
    ledger: Mapping[str, Json] = field(default_factory=dict)


Acts = Callable[[CaseFacts, date], Iterator[Act]]


class World(Struct, frozen=True, dict=True):
    """A plan, its days from first to last, and what may be tried with a case on each of them.

    With `by_others` everybody tries for the permission, and as of other days; `permits` says if a
    lawful one can be reached at all.
    """

    name: str
    plan: Plan
    days: tuple[date, ...]
    acts: Acts
    by_others: bool = False
    path: Path = Path.COAL_TO_ELECTRIC
    drill: bool = False
    permits: bool = True

    @cached_property
    def first_days(self) -> frozenset[date]:
        """The first days of its seasons."""
        return frozenset(s.first_day for s in self.plan.seasons if s.first_day)


def _plan(
    *seasons: tuple[int | None, int | None],
    verified: bool = True,
    counted: bool = True,
    exempt: tuple[Path, ...] = (),
    exempt_verified: bool = True,
    **values: Json,
) -> Plan:
    """A plan with these seasons (first and last day by number), running from 2024 on."""

    def sourced(sure: bool) -> dict[str, Json]:
        proof: dict[str, Json] = {"document": "ab" * 32, "entered_by": "li"} if sure else {}
        return {"source": "安全检查", "verified": sure, **proof}

    def parameter(value: Json, sure: bool = True) -> Json:
        return {"value": value, **sourced(sure)}

    tables: list[Json] = []
    for index, (first, last) in enumerate(seasons):
        dates: dict[str, Json] = {}
        if first and last:
            dates = {"first_day": str(day(first)), "last_day": str(day(last))}
        label = f"{2024 + index}-{2025 + index}"
        tables.append(
            {
                "label": label,
                "areas": list[Json](Area),
                "paths": list[Json](Path),
                **dates,
                **sourced(verified and bool(dates)),
            }
        )
    phases: list[Json] = [
        {"key": key, "label": key, "end": f"2024-{month}-30", "source": "安全检查"}
        for key, month in zip(plan.PHASES, ("06", "07", "08", "09"), strict=True)
    ]
    task: Json = {"path": "coal_to_electric", "households": 1}
    limits: dict[str, Json] = {
        "required_seasons": 1,
        "outage_days": 1,
        "outage_days_total": 2,
        "warm_visits": 0,
        "warm_temperature": 16.0,
        "first_heat_grace_days": 1,
        "notice_days": 1,
        "backdating_days": 2,
        **values,
    }
    rules: dict[str, Json] = {name: parameter(value) for name, value in limits.items()}
    rules["required_seasons"] = parameter(limits["required_seasons"], counted)
    rules["exempt_paths"] = parameter(list[Json](exempt), exempt_verified)
    rules["lead_days"] = parameter(dict.fromkeys(("confirm", "select", "complete", "accept"), 1))
    return plan.from_json(
        {
            "format": 1,
            "name": "safety",
            "title": "安全检查",
            "document": "安全检查",
            "county": "小县",
            "year": 2024,
            "effective_from": "2024-06-01",
            "phases": phases,
            "units": [{"code": "01", "name": "甲镇", "kind": "township", "tasks": [task]}],
            "totals": {"households": 1, "tasks": [task]},
            "paths": [{"path": path, "supply": "device", "gate": "none"} for path in Path],
            "seasons": tables,
            "rules": rules,
            "acceptance": [
                {
                    "paths": list[Json](Path),
                    "kinds": list[Json](Kind),
                    "areas": list[Json](Area),
                    "items": ["试运行"],
                    "signers": [],
                    "documents": [],
                }
            ],
        }
    )


# The steps -------------------------------------------------------------------------------------


def _forward(facts: CaseFacts, on: date, *, paper: bool = False) -> Iterator[Act]:
    """The step on from the state, but for `permit`, as of a day; with a document or without."""
    given = str(on)
    late = (("late_document", "bz.pdf"),) if paper else ()
    files = ("bz.pdf", "zp.jpg") if paper else ("zp.jpg",)
    visited = _each(given, "visit_on", "notice_from", "notice_to", "consent_on")
    worked = _each(given, "started_on", "installed_on", "ready_on", "training_on")
    steps: Mapping[Trigger, tuple[Actor, Pairs]] = {
        T.CONFIRM: (
            WANG,
            (*visited, ("consent_by", "household"), ("old_facility", "kang:in_use")),
        ),
        T.SELECT: (
            WANG,
            (("model", "M-1"), ("selection_on", given), ("selection_by", "household")),
        ),
        T.COMPLETE: (WANG, (*worked, ("contractor", "施工队"), ("serial", "SN-1"))),
        T.ACCEPT: (ZHAO, (("item", "试运行:pass"), ("facility", "kang:present:zp.jpg"))),
    }
    for trigger, (actor, pairs) in steps.items():
        if facts.state in lifecycle.BY_TRIGGER[trigger].moves:
            yield Act(trigger, actor, on, (*pairs, *late), files)


def _each(text: str, *names: str) -> Pairs:
    return tuple((name, text) for name in names)


def _restart(facts: CaseFacts, on: date) -> Iterator[Act]:
    """Every step that does not lead on."""
    put_right = (("findings", "问题"), ("put_right_by", str(on)))
    other = Path.SOLAR if facts.path is Path.COAL_TO_ELECTRIC else Path.COAL_TO_ELECTRIC
    steps: Mapping[Trigger, tuple[Actor, tuple[Pairs, ...]]] = {
        T.REJECT: (ZHAO, (put_right,)),
        T.OVERTURN: (SUN, (put_right,)),
        T.REPLACE: (WANG, (put_right,)),
        T.CHANGE_PATH: (
            SUN,
            tuple((("path", str(other)), ("keep_device", keep)) for keep in ("yes", "no")),
        ),
        T.REVOKE: (
            SUN,
            tuple((("cause", why), ("findings", "问题")) for why in ("not_stable", "paper_fault")),
        ),
        T.SEND_BACK: (SUN, ((),)),
        T.CLOSE: (
            SUN,
            ((("cause", "withdrawn"), ("requested_by", "用户"), ("document", "sq.pdf")),),
        ),
        T.REINSTATE: (SUN, ((),)),
    }
    for trigger, (actor, variants) in steps.items():
        if facts.state in lifecycle.BY_TRIGGER[trigger].moves:
            for given in variants:
                yield Act(trigger, actor, on, given, reason="核实")


# The evidence ----------------------------------------------------------------------------------


def _first_heat(facts: CaseFacts, today: date) -> Iterator[Act]:
    if facts.first_heat_on is None:
        yield Act(F.WORKS, WANG, today, (("first_heat_on", str(today)),))


def _visit(today: date, temperature: str, actor: Actor = WANG) -> Act:
    return Act(F.VISIT, actor, today, (("temperature", temperature),))


def _sign(on: date, label: str) -> Act:
    pairs = (("season", label), ("by", "household"), ("late_document", "bz.pdf"))
    return Act(F.SIGNATURE, WANG, on, pairs, ("bz.pdf",))


def _faults(facts: CaseFacts, today: date, most: int) -> Iterator[Act]:
    for fault in facts.faults:
        if fault.repaired_on is None:
            yield Act(F.REPAIR, WANG, today, (("fault", str(fault.seq)),))
            return
    if len(facts.faults) < most:
        yield Act(F.FAULT, WANG, today, (("what", "不制热"),))


A, B, C = "2024-2025", "2025-2026", "2026-2027"


# What is tried in each world -------------------------------------------------------------------


def _clock(facts: CaseFacts, today: date) -> Iterator[Act]:
    yield from _forward(facts, today)
    yield from _restart(facts, today)
    yield from _heated(facts, today, 2, 5)
    yield from _sign_once(facts, today, (A, 4), (B, 7))


def _heated(facts: CaseFacts, today: date, *winters: int) -> Iterator[Act]:
    """Each winter's first heat in good time, where the days of heat are not the question."""
    for on in map(day, winters or (2,)):
        if on <= today and facts.state is State.STABLE_SEASON and on not in facts.first_heats:
            pairs = (("first_heat_on", str(on)), ("late_document", "bz.pdf"))
            yield Act(F.WORKS, WANG, on, pairs, ("bz.pdf",))
            return


def _sign_once(facts: CaseFacts, today: date, *seasons: tuple[str, int]) -> Iterator[Act]:
    """The signature of each season, once, on the day after its last."""
    signed = {signature.season for signature in facts.signatures}
    for label, last in seasons:
        if today > day(last) and label not in signed:
            yield _sign(day(last + 1), label)


def _papers(facts: CaseFacts, today: date) -> Iterator[Act]:
    """The works and the acceptance of earlier days, with a document or without."""
    last = facts.last_step
    if last is None or last.kind == T.CONFIRM:
        yield from _forward(facts, today)
    elif facts.state in (State.CONSTRUCTION, State.ACCEPTANCE):
        for on in sorted({day(2), day(3), day(4), today}):
            if last.occurred_on <= on <= today:
                yield from _forward(facts, on)
            if last.occurred_on <= on < today:
                yield from _forward(facts, on, paper=True)
    yield from _heated(facts, today, 2, 5)
    yield from _sign_once(facts, today, (A, 4), (B, 7))
    if today == day(4):
        for act in _restart(facts, today):
            if act.kind is T.OVERTURN:
                yield act


def _heat(facts: CaseFacts, today: date) -> Iterator[Act]:
    """Accepted in time; first heat, a fault and visits, each on any day."""
    yield from _days_of_heat(facts, today, faults=1, temperatures=("16", "15.9"))


def _faults_only(facts: CaseFacts, today: date) -> Iterator[Act]:
    """Accepted in time; first heat, faults and a warm visit, each on any day; works paused."""
    yield from _days_of_heat(facts, today, faults=2, temperatures=("16",))
    if today == day(3) and facts.state is State.STABLE_SEASON and not facts.pauses:
        yield Act(F.PAUSE, WANG, today, (("cause", "household"),))


def _days_of_heat(
    facts: CaseFacts, today: date, *, faults: int, temperatures: tuple[str, ...]
) -> Iterator[Act]:
    if facts.state is not State.STABLE_SEASON:
        if today == day(2):
            yield from _forward(facts, today)
        return
    over = today > day(5)
    if over and not facts.signatures:
        yield from _sign_once(facts, today, (A, 5))
        return
    if today == day(4) or (today == day(5) and faults == 1):
        yield from _first_heat(facts, today)
    if today > day(2):
        yield from _faults(facts, today, faults)
        if len(facts.visits) < len(temperatures):
            for temperature in temperatures:
                yield _visit(today, temperature)
        elif all(visit.temperature < 16 for visit in facts.visits):
            yield _visit(today, "16")


def _visits(facts: CaseFacts, today: date) -> Iterator[Act]:
    """Visits and signatures of the days about a season, late ones too, and a wrong one righted."""
    if facts.state is not State.STABLE_SEASON:
        if today == day(2):
            yield from _forward(facts, today)
        return
    yield from _heated(facts, today)
    if facts.first_heat_on is None:
        return
    # Those of the last day of the season come in on the last day of the world.
    on = day(5) if today == day(7) else today
    if len(facts.visits) < 2 and today not in (day(4), day(5)):
        yield _visit(on, "16")
        yield _visit(on, "15.9")
    if on >= day(5) and not facts.signatures:
        yield _sign(on, A)
        yield _sign(on, B)
    if facts.visits and today == day(6):
        right = (("id", str(facts.visits[0].seq)), ("temperature", "16"))
        yield Act(F.CORRECT, SUN, facts.visits[0].on, right, ("bz.pdf",))
        yield Act(F.CORRECT, SUN, day(5), right, ("bz.pdf",))


def _matters(facts: CaseFacts, today: date) -> Iterator[Act]:
    """What freezes a permission, by whom it was recorded, and who answers it."""
    if facts.state not in (State.STABLE_SEASON, State.REMOVAL_PERMITTED):
        if today == day(2):
            yield from _works_by(facts, today)
        return
    yield from _sign_once(facts, today, (A, 4))
    for act in _restart(facts, today):
        if act.kind is T.REVOKE:
            yield act
    if today < day(5):
        return
    if len(facts.matters) < 2:
        what = ("what", "情况")
        violation = (("type", "kang_sealed"), what)
        yield Act(F.VIOLATION, WANG, today, (*violation, ("by", "li")))
        yield Act(F.COMPLAINT, SUN, today, (what,))
        yield Act(F.FINDING, AUDITOR, today, (what, ("severity", "serious")))
        yield Act(F.FINDING, AUDITOR, today, (what, ("severity", "note")))
    for matter in facts.matters:
        if matter.open:
            given = (("id", str(matter.seq)), ("outcome", "resolved"))
            for actor in (LI, SUN):
                yield Act(F.RESOLVE, actor, today, given, ("bz.pdf",))
    if not facts.facility_gone:
        taken = (("facility", "kang"), ("status", "removed"), ("by", "household"))
        yield Act(F.OLD_FACILITY, WANG, today, taken)


def _works_by(facts: CaseFacts, today: date) -> Iterator[Act]:
    """The way to 验收 and on, tried by people who did the works as well."""
    yield from _forward(facts, today)
    if facts.state is State.ACCEPTANCE:
        if facts.first_heat_on is None:
            for actor in (WANG, ZHAO_PERMITS):
                yield Act(F.WORKS, actor, today, (("first_heat_on", str(today)),))
        for act in _forward(facts, today):
            yield replace(act, actor=WANG_ACCEPTS)
    else:
        yield from _first_heat(facts, today)


def _winters(facts: CaseFacts, today: date) -> Iterator[Act]:
    """Several seasons: the evidence of each, and the permission taken back in between."""
    if facts.state is not State.STABLE_SEASON:
        if facts.state is State.ACCEPTANCE or today == day(1):
            yield from _forward(facts, today)
    else:
        yield from _heated(facts, today, 2, 5, 8)
        first_days = (day(2), day(5), day(8))
        if today in first_days and all(visit.on != today for visit in facts.visits):
            yield _visit(today, "16")
        yield from _sign_once(facts, today, (A, 3), (B, 6), (C, 9))
    for act in _restart(facts, today):
        if act.kind is T.REVOKE:
            yield act


def _plain(facts: CaseFacts, today: date) -> Iterator[Act]:
    """A case that goes well, and from one path to the other."""
    yield from _forward(facts, today)
    yield from _heated(facts, today)
    yield from _sign_once(facts, today, (A, 4))
    for act in _restart(facts, today):
        if act.kind is T.CHANGE_PATH:
            yield act


def _paths(facts: CaseFacts, today: date) -> Iterator[Act]:
    """Between a path that the plan exempts and one that it does not, with a fault or without."""
    yield from _plain(facts, today)
    if facts.faults or today == day(4):
        yield from _faults(facts, today, 1)


def _ledger(facts: CaseFacts, today: date) -> Iterator[Act]:
    """The ledger's lines: path and quota while confirming, the rest at any time, moving nothing."""
    yield from _forward(facts, today)
    yield from _heated(facts, today)
    yield from _sign_once(facts, today, (A, 4))
    if facts.state is State.HOUSEHOLD_CONFIRMATION:
        for path in (Path.SOLAR, Path.COAL_TO_ELECTRIC):
            line: dict[str, Json] = {"path": path, "quota": "over_plan", "area": Area.COUNTY_TOWN}
            yield Act("amended", WANG, today, ledger=line)
    # Keys of other events, which the ledger has no business to bring.
    foreign: dict[str, Json] = {
        "building_area": 99,
        "state": State.REMOVAL_PERMITTED,
        "ready_on": str(day(1)),
        "first_heat_on": str(day(1)),
    }
    yield Act("amended", WANG, today, ledger=foreign)


def _days(first: int, last: int) -> tuple[date, ...]:
    return tuple(day(number) for number in range(first, last + 1))


_TWO = _plan((3, 4), (6, 7), outage_days=9, outage_days_total=9)
_SOLAR = (Path.SOLAR,)

WORLDS: tuple[World, ...] = (
    World("起算与重来", _TWO, _days(2, 8), _clock),
    World("补录", _TWO, _days(2, 8), _papers),
    World("停热", _plan((3, 5), warm_visits=1), _days(2, 6), _heat),
    World(
        "累计停热",
        _plan((3, 5), warm_visits=1, outage_days_total=1),
        _days(2, 6),
        _faults_only,
    ),
    World(
        "测温与签字",
        _plan((3, 5), (9, 10), warm_visits=2, outage_days=9, outage_days_total=9),
        _days(2, 7),
        _visits,
    ),
    World("未销号事项与职责", _plan((3, 4)), _days(2, 6), _matters, by_others=True),
    World(
        "两个采暖季",
        _plan((2, 3), (5, 6), (8, 9), required_seasons=2, warm_visits=1),
        _days(1, 10),
        _winters,
    ),
    World(
        "中间一季日期未知",
        _plan((2, 3), (None, None), (8, 9), required_seasons=2),
        _days(1, 10),
        _winters,
        permits=False,
    ),
    World("豁免路径", _plan((3, 4), exempt=_SOLAR), _days(2, 6), _paths),
    World("豁免未核实", _plan((3, 4), exempt=_SOLAR, exempt_verified=False), _days(2, 6), _paths),
    World("采暖季未核实", _plan((3, 4), exempt=_SOLAR, verified=False), _days(2, 6), _plain),
    World("季数未核实", _plan((3, 4), exempt=_SOLAR, counted=False), _days(2, 6), _plain),
    World(
        "演练",
        _plan((3, 4), exempt=_SOLAR, verified=False, counted=False),
        _days(2, 6),
        _plain,
        drill=True,
    ),
    World("台账导入", _plan((3, 4), exempt=_SOLAR), _days(2, 6), _ledger),
)
