"""A county's plan for one year, as data, and every check it must pass before anybody relies on it.

The file is TOML (`states/plans/`), the journal keeps the same document as JSON; both are read here
and give the same `Plan` with the same content hash. Another county or year is another file.
"""

import copy
import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, time
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from msgspec import Meta, Struct, ValidationError, convert, inspect, to_builtins

from states.errors import PlanFault
from states.vocabulary import (
    Area,
    GateKind,
    Kind,
    Level,
    Measure,
    Path,
    PauseCause,
    Supply,
    Trigger,
)
from states.workdays import NATIONAL, Calendar

Value = TypeVar("Value")
Text = Annotated[str, Meta(min_length=1)]
Days = Annotated[int, Meta(ge=0, le=366)]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

# The phases of 五、实施步骤, in their order.
PHASES = ("preparation", "works", "acceptance", "evaluation")
LEAD_TRIGGERS = (Trigger.CONFIRM, Trigger.SELECT, Trigger.COMPLETE, Trigger.ACCEPT)


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the plan file: unknown keys are refused, nothing changes after loading."""


class _Sourced(_Part, frozen=True, kw_only=True):
    """Something the notice may leave open: where it comes from, and who vouches for it."""

    source: Text
    verified: bool = False
    document: Text | None = None
    entered_by: Text | None = None

    def __post_init__(self) -> None:
        if self.verified and not (self.document and self.entered_by):
            raise ValueError(
                "verified = true 还须有 document（来源文件的 SHA-256）和 entered_by（录入人）"
            )


class Parameter(_Sourced, Generic[Value], frozen=True, kw_only=True):
    """A policy parameter with its source."""

    value: Value


class Phase(_Part, frozen=True, kw_only=True):
    """A phase of the notice; `start` is None where the notice gives only an end."""

    key: Text
    label: Text
    start: date | None = None
    end: date
    source: Text


class Task(_Part, frozen=True, kw_only=True):
    """A figure of the annex; a `kind` or `area` of None takes in all."""

    path: Path
    kind: Kind | None = None
    area: Area | None = None
    households: Annotated[int, Meta(ge=0)]

    def covers(self, path: Path, kind: Kind, area: Area) -> bool:
        """Whether a household of this path, kind and area counts towards the figure."""
        return self.path == path and self.kind in (None, kind) and self.area in (None, area)


class Unit(_Part, frozen=True, kw_only=True):
    """责任单位: who answers for its households."""

    code: Annotated[str, Meta(pattern=r"^[0-9A-Z]{2,12}$")]
    name: Text
    kind: Literal["township", "department"]
    aliases: tuple[Text, ...] = ()
    tasks: tuple[Task, ...]

    @property
    def task(self) -> int:
        """The unit's households in the annex."""
        return sum(task.households for task in self.tasks)


class Totals(_Part, frozen=True, kw_only=True):
    """The annex's last line."""

    households: int
    tasks: tuple[Task, ...]


class PathRule(_Part, frozen=True, kw_only=True):
    """What a path heats with, and the network a village needs first."""

    path: Path
    supply: Supply
    gate: GateKind


class _SeasonTable(_Sourced, frozen=True, kw_only=True):
    label: Annotated[str, Meta(pattern=r"^\d{4}-\d{4}$")]
    areas: tuple[Area, ...]
    paths: tuple[Path, ...]
    first_day: date | None = None
    last_day: date | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.first_day is None) != (self.last_day is None):
            raise ValueError("first_day 和 last_day 要么都给出，要么都不给（未知）")
        if self.first_day and self.last_day and self.last_day <= self.first_day:
            raise ValueError(f"采暖季止日 {self.last_day} 不在起日 {self.first_day} 之后")


class _AcceptanceTable(_Part, frozen=True, kw_only=True):
    paths: tuple[Path, ...]
    kinds: tuple[Kind, ...]
    areas: tuple[Area, ...]
    items: tuple[Text, ...]
    signers: tuple[Text, ...]
    documents: tuple[Text, ...]


def _unless_given(value: Value) -> Parameter[Value]:
    """What counts in a plan that says nothing of it: a plan made before the rule was."""
    return Parameter(value=value, source="计划未规定，用程序缺省值")


class Rules(_Part, frozen=True, kw_only=True):
    """The policy parameters (design, section 1: what the notice does not fix)."""

    required_seasons: Parameter[Annotated[int, Meta(ge=1, le=5)]]
    exempt_paths: Parameter[tuple[Path, ...]]
    outage_days: Parameter[Days]
    outage_days_total: Parameter[Days]
    warm_visits: Parameter[Annotated[int, Meta(ge=0, le=50)]]
    warm_temperature: Parameter[Annotated[float, Meta(ge=0, le=40)]]
    first_heat_grace_days: Parameter[Days]
    notice_days: Parameter[Days]
    backdating_days: Parameter[Days]
    lead_days: Parameter[dict[Trigger, Days]]
    reminders: Parameter[tuple[Annotated[int, Meta(ge=1, le=90)], ...]] = _unless_given(
        (30, 14, 7, 3, 1)
    )
    escalation: Parameter[dict[Level, Days]] = _unless_given({Level.ORANGE: 3, Level.RED: 7})
    objection_days: Parameter[Days] = _unless_given(5)
    complaint_days: Parameter[Days] = _unless_given(15)
    restitution_days: Parameter[Days] = _unless_given(3)
    pause_moves: Parameter[tuple[PauseCause, ...]] = _unless_given(
        (PauseCause.WEATHER, PauseCause.SUPPLY, PauseCause.GRID)
    )
    signatures: Parameter[tuple[Literal["accept", "permit", "revoke", "all"], ...]] = _unless_given(
        ()
    )
    reply_days: Parameter[Days] = _unless_given(5)

    @property
    def values(self) -> Mapping[str, Any]:
        """The value of each rule by its name, as `--json` and the plan file give it."""
        plain = {name: rule["value"] for name, rule in to_builtins(self, str_keys=True).items()}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}


Threshold = Annotated[float, Meta(ge=0, le=1000)]


class Indicator(_Sourced, frozen=True, kw_only=True):
    """A measure of the self-evaluation: its weight, and where its marks begin and end.

    From `zero` to `full` the marks rise evenly; where less is better `zero` is the larger.
    """

    key: Measure
    label: Text | None = None
    weight: Annotated[int, Meta(ge=1, le=100)]
    full: Threshold
    zero: Threshold

    @property
    def name(self) -> str:
        """What the plan calls it, else what the program does."""
        return self.label or self.key.label

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.full == self.zero:
            raise ValueError("满分线（full）和零分线（zero）不能相同")


def _usual(key: Measure, weight: int, full: float, zero: float) -> Indicator:
    source = "计划未规定，用程序缺省值；忻清洁办发〔2022〕8号的指标和权重未公开"
    return Indicator(key=key, weight=weight, full=full, zero=zero, source=source)


# What is weighed where the plan says nothing of it: a plan made before the evaluation was.
USUAL_INDICATORS = (
    _usual(Measure.TASK_COMPLETION, 25, 100, 60),
    _usual(Measure.WORKS_IN_TIME, 10, 100, 50),
    _usual(Measure.ACCEPTED_IN_TIME, 10, 100, 50),
    _usual(Measure.STABLE, 20, 100, 60),
    _usual(Measure.EVIDENCE_KNOWN, 5, 100, 50),
    _usual(Measure.VIOLATIONS, 10, 0, 1),
    _usual(Measure.ANSWERED_IN_TIME, 5, 100, 50),
    _usual(Measure.LAWFUL_REMOVALS, 5, 100, 99),
    _usual(Measure.DOSSIERS_COMPLETE, 10, 100, 60),
)


class _Document(_Part, frozen=True, kw_only=True):
    format: Literal[1]
    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Text
    document: Text
    county: Text
    letter_mark: Text | None = None
    year: Annotated[int, Meta(ge=2000, le=2100)]
    effective_from: date
    phases: tuple[Phase, ...]
    units: tuple[Unit, ...]
    totals: Totals
    paths: tuple[PathRule, ...]
    seasons: tuple[_SeasonTable, ...]
    rules: Rules
    acceptance: tuple[_AcceptanceTable, ...]
    evaluation: tuple[Indicator, ...] | None = None


class Season(Struct, frozen=True):
    """采暖季 of one area and path; both end days belong to it, and both are None while unknown."""

    label: str
    area: Area
    path: Path
    first_day: date | None
    last_day: date | None
    verified: bool
    source: str

    @property
    def start_year(self) -> int:
        """The year its label begins with: seasons are consecutive when these are."""
        return int(self.label[:4])


class AcceptanceList(Struct, frozen=True):
    """What the plan asks of an acceptance for one path, kind and area."""

    path: Path
    kind: Kind
    area: Area
    items: tuple[str, ...]
    signers: tuple[str, ...]
    documents: tuple[str, ...]


class Plan:
    """A plan that has passed every check; made by `from_toml` or `from_json` only."""

    def __init__(self, document: _Document, canonical: str) -> None:
        self.name = document.name
        self.title = document.title
        self.document = document.document
        self.county = document.county
        # 发文机关代字, with which the numbers of letters begin; the notice itself gives none.
        self.letter_mark = document.letter_mark or f"{document.county}清办"
        self.year = document.year
        self.effective_from = document.effective_from
        self.phases = document.phases
        self.units = document.units
        self.totals = document.totals
        self.paths = document.paths
        self.rules = document.rules
        # Weights are no part of any rule: nothing but the self-evaluation looks at them.
        self.indicators = document.evaluation or USUAL_INDICATORS
        self.calendar: Calendar = NATIONAL
        self.canonical = canonical
        self.hash = hashlib.sha256(canonical.encode()).hexdigest()
        self.seasons = tuple(
            Season(
                label=table.label,
                area=area,
                path=path,
                first_day=table.first_day,
                last_day=table.last_day,
                verified=table.verified,
                source=table.source,
            )
            for table in document.seasons
            for area in table.areas
            for path in table.paths
        )
        self.acceptance = tuple(
            AcceptanceList(path, kind, area, table.items, table.signers, table.documents)
            for table in document.acceptance
            for path in table.paths
            for kind in table.kinds
            for area in table.areas
        )

    @cached_property
    def signed(self) -> frozenset[str]:
        """What it wants signed: `accept`, `permit`, `revoke`, or `all`."""
        return frozenset(self.rules.signatures.value)

    @cached_property
    def _units(self) -> Mapping[str, Unit]:
        return {name: unit for unit in self.units for name in (unit.code, unit.name, *unit.aliases)}

    @cached_property
    def _seasons(self) -> Mapping[tuple[Area, Path], tuple[Season, ...]]:
        grouped: dict[tuple[Area, Path], list[Season]] = {}
        for season in sorted(self.seasons, key=lambda season: season.label):
            grouped.setdefault((season.area, season.path), []).append(season)
        return {key: tuple(seasons) for key, seasons in grouped.items()}

    @cached_property
    def _acceptance(self) -> Mapping[tuple[Path, Kind, Area], AcceptanceList]:
        return {(row.path, row.kind, row.area): row for row in self.acceptance}

    @cached_property
    def _paths(self) -> Mapping[Path, PathRule]:
        return {rule.path: rule for rule in self.paths}

    def counting_by(self, calendar: Calendar) -> Self:
        """The same plan, its working days counted by this calendar; its hash stays."""
        counted = copy.copy(self)
        counted.calendar = calendar
        return counted

    def until_season(self, label: str) -> Self:
        """The same plan as if its seasons ended with this one: what to judge a past season by."""
        judged = copy.copy(self)
        judged.seasons = tuple(season for season in self.seasons if season.label <= label)
        judged.__dict__.pop("_seasons", None)
        return judged

    def unit(self, text: str) -> Unit | None:
        """The unit of this code, name or alias."""
        return self._units.get(text)

    def phase(self, key: str) -> Phase:
        """The phase of this key, one of `PHASES`."""
        return self.phases[PHASES.index(key)]

    def historic(self, phase: Phase) -> bool:
        """Whether the phase was already over when the plan took effect."""
        return phase.end < self.effective_from

    def seasons_of(self, area: Area, path: Path) -> tuple[Season, ...]:
        """The seasons of an area and path in order, unknown dates included."""
        return self._seasons.get((area, path), ())

    def acceptance_of(self, path: Path, kind: Kind, area: Area) -> AcceptanceList:
        """What an acceptance of this path, kind and area asks for."""
        return self._acceptance[path, kind, area]

    def path_rule(self, path: Path) -> PathRule:
        """What the path heats with and which gate it needs."""
        return self._paths[path]


def from_toml(text: str, place: str) -> Plan:
    """The plan in a TOML text; `place` names the file in errors.

    Raises PlanFault with the key in the file.
    """
    parsed = toml(text, "计划文件", place, "states/plans/wutai-2023.toml")
    return _load(_as_json(parsed), place)


def toml(text: str, what: str, place: str, example: str) -> dict[str, object]:
    """A file's TOML; `what` it is, where (`place`) and an `example` of it are for the error.

    Raises PlanFault with the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"第 {found[1]} 行第 {found[2]} 列" if found else "末尾"
        raise PlanFault(
            f"{what}{where}的写法不是 TOML（{error}）",
            place=f"{place} {where}",
            remedy=f"改正这一处后再试；写法见 {example}",
        ) from error


def from_json(document: Mapping[str, Json]) -> Plan:
    """The plan as the journal keeps it. Raises PlanFault."""
    return _load(dict(document), "journal")


def _as_json(value: object) -> Json:
    match value:
        case dict():
            return {str(key): _as_json(inner) for key, inner in value.items()}
        case list():
            return [_as_json(inner) for inner in value]
        case date() | time():
            return value.isoformat()
        case None | bool() | int() | float() | str():
            return value
    raise PlanFault(f"计划文件里有不认识的值：{value!r}")


def _load(document: Json, place: str) -> Plan:
    try:
        parsed = convert(_stripped(document), _Document)
    except ValidationError as error:
        key, message = _in_chinese(str(error), document)
        raise PlanFault(
            message,
            place=f"{place}: {key}",
            remedy="改正计划文件的这一处后再试；写法见 states/plans/wutai-2023.toml",
        ) from error
    for key, message in _contradictions(parsed):
        raise PlanFault(message, place=f"{place}: {key}", remedy="改正计划文件的这一处后再试")
    canonical = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Plan(parsed, canonical)


def _stripped(value: Json) -> Json:
    match value:
        case dict():
            return {key: _stripped(inner) for key, inner in value.items()}
        case list():
            return [_stripped(inner) for inner in value]
        case str():
            return value.strip()
    return value


# What the decoder says: Expected `int` >= 0 - at `$.units[0].tasks[0].households`
_FAULT = re.compile(r"(.*?)(?: - at (?:`key` in )?`\$\.?(.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(\w+)(?: \| null)?` ?(.*?)(?:, got `.*`)?", re.DOTALL)
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_TYPES = {
    "int": "整数",
    "float": "数字",
    "str": "文字",
    "bool": " true 或 false",
    "date": "日期，写作 2023-09-01",
    "array": "列表",
    "object": "表",
}


def _in_chinese(told: str, document: Json) -> tuple[str, str]:
    """The key in the file and what is wrong there, of what the decoder says."""
    found = _FAULT.fullmatch(told)
    assert found is not None
    what, key = found[1], found[2] or ""
    if field := _FIELD.fullmatch(what):
        said = "缺少这一项" if field[1] == "missing required" else "不认识的键"
        return (f"{key}.{field[2]}" if key else field[2]), said
    given = _given(document, key)
    if what.startswith("Invalid enum value"):
        value = what.removeprefix("Invalid enum value ")
        return key, f"不认识的值 {value}，可用：{'、'.join(_possible(key))}"
    if what.startswith("Invalid RFC3339"):
        return key, f"值 {given!r} 不合要求：应为{_TYPES['date']}"
    if expected := _EXPECTED.fullmatch(what):
        kind, bound = _TYPES.get(expected[1], expected[1]), expected[2]
        bound = bound.replace("of length >= 1", "不能为空").replace("matching regex", "写法")
        return key, f"值 {given!r} 不合要求：应为{kind}{f'，{bound}' if bound else ''}"
    return key, what


def _given(document: Json, key: str) -> Json:
    """What the document has at a key such as `units[0].tasks`."""
    for name, place in _STEP.findall(key):
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and place:
            document = document[int(place)]
    return document


def _possible(key: str) -> list[str]:
    """The words that may stand at a key."""
    kind: inspect.Type = inspect.type_info(_Document)
    for name, place in _STEP.findall(key):
        kind = _inner(kind)
        if name and isinstance(kind, inspect.StructType):
            kind = next(field.type for field in kind.fields if field.name == name)
        elif place and isinstance(kind, inspect.VarTupleType):
            kind = kind.item_type
    kind = _inner(kind)
    if isinstance(kind, inspect.DictType):
        kind = kind.key_type
    if isinstance(kind, inspect.EnumType):
        return [str(member.value) for member in kind.cls]
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _inner(kind: inspect.Type) -> inspect.Type:
    """The type itself where it may also be left out."""
    if isinstance(kind, inspect.UnionType):
        return next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind


def _contradictions(plan: _Document) -> Iterator[tuple[str, str]]:
    """Every contradiction between the parts, as (key in the file, message)."""
    yield from _phase_faults(plan)
    yield from _unit_faults(plan)
    yield from _total_faults(plan)
    yield from _coverage_faults(plan)
    yield from _season_faults(plan)
    yield from _indicator_faults(plan)
    yield from _escalation_faults(plan.rules.escalation.value)
    for trigger in LEAD_TRIGGERS:
        if trigger not in plan.rules.lead_days.value:
            yield "rules.lead_days.value", f"缺少 {trigger} 的工作日数"
    for trigger in plan.rules.lead_days.value:
        if trigger not in LEAD_TRIGGERS:
            yield "rules.lead_days.value", f"{trigger} 不是要排工期的环节"


def _escalation_faults(escalation: Mapping[Level, int]) -> Iterator[tuple[str, str]]:
    where = "rules.escalation.value"
    if set(escalation) != {Level.ORANGE, Level.RED}:
        yield where, "须恰好给出 orange 和 red 两级的工作日数"
    elif not 0 < escalation[Level.ORANGE] < escalation[Level.RED]:
        yield where, "红色预警的工作日数须多于橙色预警，都须大于 0"


def _phase_faults(plan: _Document) -> Iterator[tuple[str, str]]:
    keys = tuple(phase.key for phase in plan.phases)
    if keys != PHASES:
        yield "phases", f"阶段须依次为 {'、'.join(PHASES)}，现为 {'、'.join(keys)}"
        return
    previous_end: date | None = None
    for index, phase in enumerate(plan.phases):
        if phase.start and phase.end < phase.start:
            yield f"phases[{index}].end", f"{phase.label} 止于 {phase.end}，早于起日 {phase.start}"
        start = phase.start or phase.end
        if previous_end and start <= previous_end:
            yield (
                f"phases[{index}]",
                f"{phase.label} 与上一阶段（止于 {previous_end}）次序颠倒或重叠",
            )
        previous_end = phase.end


def _unit_faults(plan: _Document) -> Iterator[tuple[str, str]]:
    names: dict[str, int] = {}
    for index, unit in enumerate(plan.units):
        for name in (unit.code, unit.name, *unit.aliases):
            if names.setdefault(name, index) != index:
                yield f"units[{index}]", f"“{name}”已是另一责任单位的编码、名称或别名"


def _total_faults(plan: _Document) -> Iterator[tuple[str, str]]:
    households = sum(unit.task for unit in plan.units)
    if households != plan.totals.households:
        yield (
            "totals.households",
            f"各责任单位合计 {households} 户，与总任务 {plan.totals.households} 户不符",
        )
    by_line: Counter[tuple[Path, Kind | None, Area | None]] = Counter()
    for unit in plan.units:
        for task in unit.tasks:
            by_line[task.path, task.kind, task.area] += task.households
    for index, total in enumerate(plan.totals.tasks):
        found = by_line.pop((total.path, total.kind, total.area), 0)
        if found != total.households:
            yield (
                f"totals.tasks[{index}].households",
                f"{total.path.label} 各责任单位合计 {found} 户，与合计行 {total.households} 户不符",
            )
    for path, _, _ in by_line:
        yield "totals.tasks", f"合计行缺少 {path.label} 的一类任务"


def _coverage_faults(plan: _Document) -> Iterator[tuple[str, str]]:
    paths = Counter(rule.path for rule in plan.paths)
    for path in Path:
        if paths[path] != 1:
            yield "paths", f"{path.label}（{path}）须恰好列出一次，现有 {paths[path]} 次"
    lists = Counter(
        (path, kind, area)
        for table in plan.acceptance
        for path in table.paths
        for kind in table.kinds
        for area in table.areas
    )
    for path in Path:
        for kind in Kind:
            for area in Area:
                if lists[path, kind, area] != 1:
                    yield (
                        "acceptance",
                        f"{path.label}·{kind.label}·{area.label} 的验收要求须恰好列出一次，"
                        f"现有 {lists[path, kind, area]} 次",
                    )


def _season_faults(plan: _Document) -> Iterator[tuple[str, str]]:
    listed: set[tuple[Area, Path, str]] = set()
    ends: dict[tuple[Area, Path], tuple[str, date]] = {}
    for index, table in enumerate(plan.seasons):
        first, second = map(int, table.label.split("-"))
        if second != first + 1:
            yield f"seasons[{index}].label", "采暖季写作相连的两年，如 2023-2024"
    for index, table in sorted(enumerate(plan.seasons), key=lambda pair: pair[1].label):
        for area in table.areas:
            for path in table.paths:
                where = f"seasons[{index}]"
                if (area, path, table.label) in listed:
                    yield where, f"{table.label} 采暖季的 {area.label}·{path.label} 列了两次"
                listed.add((area, path, table.label))
                if table.first_day is None or table.last_day is None:
                    continue
                before = ends.get((area, path))
                if before and table.first_day <= before[1]:
                    both = f"{table.label} 采暖季与 {before[0]} 采暖季"
                    yield where, f"{both}重叠（{area.label}·{path.label}）"
                ends[area, path] = (table.label, table.last_day)


def _indicator_faults(plan: _Document) -> Iterator[tuple[str, str]]:
    if plan.evaluation is None:
        return
    for key, times in Counter(one.key for one in plan.evaluation).items():
        if times > 1:
            yield "evaluation", f"指标 {key}（{key.label}）列了 {times} 次"
    total = sum(one.weight for one in plan.evaluation)
    if total != 100:
        yield "evaluation", f"各指标权重合计须为 100，现为 {total}"
