"""What has to be brought with each step and each fact: the keys of design section 8, as types.

A class here lists the keys of one trigger or fact; `parse` reads what the officer typed, `to_json`
gives what the journal keeps, `keys` lists the table. Whether a key *must* be there is a guard's
business, so that a refusal can name everything at once.
"""

import re
import types
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from typing import ClassVar, NamedTuple, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from states.errors import UsageFault
from states.plan import Json
from states.vocabulary import (
    CloseCause,
    Facility,
    FacilitySeen,
    FacilityStatus,
    FactKind,
    ItemResult,
    Outcome,
    Path,
    PauseCause,
    Quota,
    RemovedBy,
    RevokeCause,
    Severity,
    Signatory,
    Trigger,
    ViolationType,
    Word,
    YesNo,
)


class FacilityClaim(Struct, frozen=True):
    """An old facility as listed at 确户: `kang:in_use`, or `none`."""

    form: ClassVar[str] = "种类:状态（如 kang:in_use）或 none"

    facility: Facility
    status: FacilityStatus | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `kang:in_use` or `none`. Raises ValueError."""
        name, _, status = text.partition(":")
        facility = _word(Facility, name)
        if facility is Facility.NONE:
            if status:
                raise ValueError("none 后面不带状态")
            return cls(facility)
        return cls(facility, _word(FacilityStatus, status))

    def __str__(self) -> str:
        return f"{self.facility}:{self.status}" if self.status else str(self.facility)


class Sighting(Struct, frozen=True):
    """An old facility as the acceptor found it: there with a photo, or gone with an event's id."""

    form: ClassVar[str] = (
        "种类:present:照片文件名、种类:removed:许可编号、种类:gone:违规编号，或 none"
    )

    facility: Facility
    seen: FacilitySeen | None = None
    photo: str | None = None
    event: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `kang:present:FILE`, `kang:removed:ID`, `kang:gone:ID` or `none`.

        Raises ValueError.
        """
        name, _, rest = text.partition(":")
        facility = _word(Facility, name)
        if facility is Facility.NONE:
            if rest:
                raise ValueError("none 后面不带内容")
            return cls(facility)
        found, _, proof = rest.partition(":")
        seen = _word(FacilitySeen, found)
        if not proof:
            raise ValueError("缺少照片文件名或事件编号")
        if seen is FacilitySeen.PRESENT:
            return cls(facility, seen, photo=proof)
        return cls(facility, seen, event=_number(proof))

    def __str__(self) -> str:
        if self.seen is None:
            return str(self.facility)
        return f"{self.facility}:{self.seen}:{self.photo or self.event}"


class CheckedItem(Struct, frozen=True):
    """A check item of the acceptance and its answer: `通电试运行正常:pass`."""

    form: ClassVar[str] = "项目名:pass 或 项目名:fail"

    name: str
    result: ItemResult

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `NAME:pass` or `NAME:fail`. Raises ValueError."""
        name, _, result = text.rpartition(":")
        if not name:
            raise ValueError("写作 项目名:pass 或 项目名:fail")
        return cls(name, _word(ItemResult, result))

    def __str__(self) -> str:
        return f"{self.name}:{self.result}"


class NamedDocument(Struct, frozen=True):
    """A dossier item and the attached file that holds it: `验收单:ysd.pdf`."""

    form: ClassVar[str] = "材料名:附件文件名"

    name: str
    file: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `NAME:FILE`. Raises ValueError."""
        name, _, file = text.partition(":")
        if not name or not file:
            raise ValueError("写作 材料名:附件文件名")
        return cls(name, file)

    def __str__(self) -> str:
        return f"{self.name}:{self.file}"


AnyWord = TypeVar("AnyWord", bound=Word)


class Evidence(Struct, frozen=True, kw_only=True):
    """The key that anything coming late may carry: the name of one of the attached files.

    `identifiers` are the keys whose text names a thing (a serial, a model): long numbers in it are
    not personal data.
    """

    identifiers: ClassVar[frozenset[str]] = frozenset()

    late_document: str | None = None


class Confirm(Evidence, frozen=True, kw_only=True):
    """确户完成."""

    visit_on: date | None = None
    notice_from: date | None = None
    notice_to: date | None = None
    consent_on: date | None = None
    consent_by: Signatory | None = None
    old_facility: tuple[FacilityClaim, ...] = ()
    unfit_document: str | None = None


class Select(Evidence, frozen=True, kw_only=True):
    """选型完成."""

    identifiers: ClassVar = frozenset({"model", "connection_point"})

    model: str | None = None
    connection_point: str | None = None
    selection_on: date | None = None
    selection_by: Signatory | None = None


class Complete(Evidence, frozen=True, kw_only=True):
    """施工完成."""

    identifiers: ClassVar = frozenset({"serial"})

    started_on: date | None = None
    installed_on: date | None = None
    ready_on: date | None = None
    contractor: str | None = None
    serial: str | None = None
    training_on: date | None = None
    grid_document: str | None = None


class PutRight(Evidence, frozen=True, kw_only=True):
    """验收不合格, 抽查推翻, 换机: what was found, and by when it has to be put right."""

    findings: str | None = None
    put_right_by: date | None = None


class Accept(Evidence, frozen=True, kw_only=True):
    """验收合格."""

    item: tuple[CheckedItem, ...] = ()
    signer: tuple[str, ...] = ()
    facility: tuple[Sighting, ...] = ()
    document: tuple[NamedDocument, ...] = ()


class Permit(Evidence, frozen=True, kw_only=True):
    """允许拆除: everything it rests on is in the journal already."""


class ChangePath(Evidence, frozen=True, kw_only=True):
    """换径: the new path, and all of 确户 that is its own."""

    path: Path | None = None
    keep_device: YesNo | None = None
    unfit_document: str | None = None
    quota: Quota | None = None
    put_right_by: date | None = None


class Revoke(Evidence, frozen=True, kw_only=True):
    """撤销许可."""

    cause: RevokeCause | None = None
    findings: str | None = None


class SendBack(Evidence, frozen=True, kw_only=True):
    """退回: the reason is given with --reason."""


class Close(Evidence, frozen=True, kw_only=True):
    """退出."""

    identifiers: ClassVar = frozenset({"replaced_by"})

    cause: CloseCause | None = None
    requested_by: str | None = None
    document: str | None = None
    replaced_by: str | None = None


class Reinstate(Evidence, frozen=True, kw_only=True):
    """恢复: the reason is given with --reason."""

    quota: Quota | None = None


class Works(Evidence, frozen=True, kw_only=True):
    """施工情况, as it happens."""

    identifiers: ClassVar = frozenset({"serial"})

    started_on: date | None = None
    installed_on: date | None = None
    ready_on: date | None = None
    first_heat_on: date | None = None
    serial: str | None = None

    def days(self) -> tuple[date, ...]:
        """The days it tells of."""
        told = (self.started_on, self.installed_on, self.ready_on, self.first_heat_on)
        return tuple(day for day in told if day)


class Notice(Evidence, frozen=True, kw_only=True):
    """公示, and objections to it."""

    from_: date | None = None
    to: date | None = None
    objection: str | None = None


class OldFacility(Evidence, frozen=True, kw_only=True):
    """What became of an old facility."""

    facility: Facility | None = None
    status: FacilityStatus | None = None
    by: RemovedBy | None = None


class Fault(Evidence, frozen=True, kw_only=True):
    """故障."""

    what: str | None = None


class Repair(Evidence, frozen=True, kw_only=True):
    """修复 of the fault with this id."""

    fault: int | None = None


class Visit(Evidence, frozen=True, kw_only=True):
    """入户测温, in degrees Celsius indoors."""

    temperature: float | None = None


class Signature(Evidence, frozen=True, kw_only=True):
    """The household's signature after a season."""

    identifiers: ClassVar = frozenset({"season"})

    season: str | None = None
    by: Signatory | None = None


class Violation(Evidence, frozen=True, kw_only=True):
    """封火炕, 拆暖炉, 没收煤炭, other. `by` says who: a role, a unit or a login."""

    type: ViolationType | None = None
    by: str | None = None
    what: str | None = None


class Complaint(Evidence, frozen=True, kw_only=True):
    """投诉."""

    what: str | None = None


class Finding(Evidence, frozen=True, kw_only=True):
    """审计发现."""

    what: str | None = None
    severity: Severity | None = None


class Pause(Evidence, frozen=True, kw_only=True):
    """暂停."""

    cause: PauseCause | None = None


class Resume(Evidence, frozen=True, kw_only=True):
    """恢复施工."""


class Extension(Evidence, frozen=True, kw_only=True):
    """延期."""

    due_on: date | None = None
    requested_by: str | None = None


class Resolve(Evidence, frozen=True, kw_only=True):
    """销号 of the violation, complaint, finding or objection with this id."""

    id: int | None = None
    outcome: Outcome | None = None


class Correct(Evidence, frozen=True, kw_only=True):
    """更正 of the fact with this id; `values` are its right values, under the fact's own keys."""

    id: int | None = None
    values: tuple[tuple[str, str], ...] = ()


MODELS: Mapping[Trigger | FactKind, type[Evidence]] = {
    Trigger.CONFIRM: Confirm,
    Trigger.SELECT: Select,
    Trigger.COMPLETE: Complete,
    Trigger.REJECT: PutRight,
    Trigger.ACCEPT: Accept,
    Trigger.PERMIT: Permit,
    Trigger.OVERTURN: PutRight,
    Trigger.REPLACE: PutRight,
    Trigger.CHANGE_PATH: ChangePath,
    Trigger.REVOKE: Revoke,
    Trigger.SEND_BACK: SendBack,
    Trigger.CLOSE: Close,
    Trigger.REINSTATE: Reinstate,
    FactKind.WORKS: Works,
    FactKind.NOTICE: Notice,
    FactKind.OLD_FACILITY: OldFacility,
    FactKind.FAULT: Fault,
    FactKind.REPAIR: Repair,
    FactKind.VISIT: Visit,
    FactKind.SIGNATURE: Signature,
    FactKind.VIOLATION: Violation,
    FactKind.COMPLAINT: Complaint,
    FactKind.FINDING: Finding,
    FactKind.PAUSE: Pause,
    FactKind.RESUME: Resume,
    FactKind.EXTENSION: Extension,
    FactKind.RESOLVE: Resolve,
    FactKind.CORRECT: Correct,
}

# What people call each key.
LABELS: Mapping[str, str] = {
    "visit_on": "入户日期",
    "notice_from": "公示起日",
    "notice_to": "公示止日",
    "consent_on": "同意日期",
    "consent_by": "由谁同意",
    "old_facility": "原取暖设施",
    "unfit_document": "不具备条件的文件",
    "model": "设备型号",
    "connection_point": "管网接入点",
    "selection_on": "选型确认日期",
    "selection_by": "选型由谁签字",
    "started_on": "开工日期",
    "installed_on": "安装日期",
    "ready_on": "具备使用条件日期",
    "first_heat_on": "首次供热日期",
    "contractor": "施工单位",
    "serial": "设备编号",
    "training_on": "使用培训签字日期",
    "grid_document": "先于网络施工的县级文件",
    "findings": "发现的问题",
    "put_right_by": "整改期限",
    "item": "检查项目",
    "signer": "验收签字",
    "facility": "原设施",
    "document": "材料",
    "path": "取暖路径",
    "keep_device": "已装设备是否保留",
    "quota": "计划类别",
    "cause": "原因",
    "requested_by": "由谁提出",
    "replaced_by": "接替户编号",
    "late_document": "补录证明材料",
    "from": "公示起日",
    "to": "公示止日",
    "objection": "异议",
    "season": "采暖季",
    "by": "由谁",
    "status": "状态",
    "what": "情况",
    "fault": "故障编号",
    "temperature": "室内温度（℃）",
    "type": "违规类型",
    "severity": "程度",
    "due_on": "延至日期",
    "id": "事件编号",
    "outcome": "处理结果",
    # What a ledger line says, and what a permission may also wait for.
    "unit": "责任单位",
    "village": "村",
    "kind": "户别",
    "area": "区域",
    "building_area": "建筑面积",
    "heating_area": "采暖面积",
    "old_facilities": "台账所列原设施",
    "holds": "已填个人信息",
    "name": "户主姓名",
    "id_number": "身份证号",
    "credit_code": "统一社会信用代码",
    "phone": "联系电话",
    "meter": "用电户号",
    "address": "详细地址",
    "remarks": "备注",
    "gate": "网络开通",
    "reason": "理由",
}


# What `correct` may right: what was seen and measured. A violation, complaint or finding is
# answered by `resolve` and never rewritten; an extension is followed by another.
CORRECTABLE = (
    FactKind.WORKS,
    FactKind.NOTICE,
    FactKind.OLD_FACILITY,
    FactKind.FAULT,
    FactKind.REPAIR,
    FactKind.VISIT,
    FactKind.SIGNATURE,
    FactKind.PAUSE,
    FactKind.RESUME,
)


class Key(Struct, frozen=True):
    """One evidence key: its name, the Python type of one value, whether it may be repeated."""

    name: str
    attribute: str
    value: type
    repeated: bool
    identifier: bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The identifiers it may take, empty where it is open."""
        return tuple(self.value) if issubclass(self.value, Word) else ()

    @property
    def form(self) -> str:
        """How a value is written, for people."""
        if self.choices:
            return "|".join(self.choices)
        if self.value is date:
            return "YYYY-MM-DD"
        if self.value is int:
            return "事件编号"
        if self.value is float:
            return "数字"
        return str(getattr(self.value, "form", "文字"))


@cache
def keys(kind: Trigger | FactKind) -> Mapping[str, Key]:
    """The keys of a trigger or fact, by name."""
    model = MODELS[kind]
    hints = get_type_hints(model)
    found = {}
    for attribute in model.__struct_fields__:
        if model is Correct and attribute == "values":
            continue
        value, repeated = _value_type(hints[attribute])
        name = attribute.rstrip("_")
        found[name] = Key(name, attribute, value, repeated, attribute in model.identifiers)
    return found


def _value_type(hint: object) -> tuple[type, bool]:
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    assert isinstance(hint, type)
    return hint, False


def parse(kind: Trigger | FactKind, pairs: Iterable[tuple[str, str]]) -> Evidence:
    """The evidence that was typed as `KEY=VALUE` pairs; absent keys stay None.

    Chinese labels are taken for the identifiers. Raises UsageFault for an unknown key, a key given
    twice, a date that is none, or a value outside its enumeration.
    """
    known = keys(kind)
    given: dict[str, list[object]] = {}
    values: list[tuple[str, str]] = []
    for name, text in pairs:
        key = known.get(name)
        if key is None and kind is FactKind.CORRECT and name in _correctable_names():
            values.append((name, text))
            continue
        if key is None:
            raise UsageFault(
                f"“{kind.label}”没有 {name} 这个材料项",
                place=f"-e {name}",
                remedy=f"可用的材料项：{'、'.join(known)}",
            )
        if key.attribute in given and not key.repeated:
            raise UsageFault(f"{name} 只能给一次", place=f"-e {name}", remedy="去掉重复的一项")
        given.setdefault(key.attribute, []).append(_parse_value(key, text))
    arguments = {
        key.attribute: tuple(given[key.attribute]) if key.repeated else given[key.attribute][0]
        for key in known.values()
        if key.attribute in given
    }
    if kind is FactKind.CORRECT:
        arguments["values"] = tuple(values)
    make: Callable[..., Evidence] = MODELS[kind]
    return make(**arguments)


@cache
def _correctable_names() -> frozenset[str]:
    names = {name for kind in CORRECTABLE for name in keys(kind)}
    return frozenset(names | {"old_facility"})


def plain(text: str, place: str) -> str:
    """The text, if it holds nothing unseen: control, direction and line characters, broken bytes.

    Raises UsageFault.
    """
    unseen = ("Cc", "Cf", "Cs", "Zl", "Zp")
    if any(unicodedata.category(character) in unseen for character in text):
        raise UsageFault("文字中含有控制字符", place=place, remedy="删去不可见的字符后再试")
    return text


def _parse_value(key: Key, text: str) -> object:
    text = plain(text.strip(), f"-e {key.name}")
    try:
        if not text:
            raise ValueError("不能为空")
        if issubclass(key.value, Word):
            return _word(key.value, text)
        if key.value is date:
            return _day(text)
        if key.value is int:
            return _number(text)
        if key.value is float:
            return _degrees(text)
        parse_one = getattr(key.value, "parse", None)
        return parse_one(text) if parse_one else text
    except ValueError as error:
        raise UsageFault(
            f"{key.name} 的值“{text}”不对：{error}",
            place=f"-e {key.name}",
            remedy=f"写法：{key.form}",
        ) from error


def _word(words: type[AnyWord], text: str) -> AnyWord:
    for word in words:
        if text in (word.value, word.label):
            return word
    raise ValueError(f"不在可选值之内（{'、'.join(f'{word} {word.label}' for word in words)}）")


def _day(text: str) -> date:
    # `fromisoformat` alone would also take a week date such as 2023-W35-5.
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("不是日期，写作 2023-09-01")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError("不是事件编号")
    return int(text)


def _degrees(text: str) -> float:
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", text, re.ASCII):
        raise ValueError("不是数字")
    value = float(text)
    if not -50 <= value <= 60:
        raise ValueError("室内温度应在 -50 到 60 ℃ 之间")
    # Never rounded: 17.96 must not become a warm visit.
    return value


def to_json(evidence: Evidence) -> dict[str, Json]:
    """What the journal keeps: the keys that were given, dates and composite values as text."""
    kept: dict[str, Json] = {}
    for entry in _ENTRIES[type(evidence)]:
        value = getattr(evidence, entry.attribute)
        if value is None or value == ():
            continue
        if entry.attribute == "values" and isinstance(evidence, Correct):
            continue
        kept[entry.name] = _json_value(value)
    return kept


class _Entry(NamedTuple):
    """A field of an evidence class: its name, and whether it names a thing."""

    name: str
    attribute: str
    identifier: bool


_ENTRIES: Mapping[type[Evidence], tuple[_Entry, ...]] = {
    model: tuple(
        _Entry(attribute.rstrip("_"), attribute, attribute in model.identifiers)
        for attribute in model.__struct_fields__
    )
    for model in MODELS.values()
}


def _json_value(value: object) -> Json:
    match value:
        case tuple():
            return [str(inner) for inner in value]
        case date():
            return value.isoformat()
        case int() | float():
            return value
    return str(value)


def texts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every free text of the evidence with its key: what must not hold personal numbers."""
    for entry in _ENTRIES[type(evidence)]:
        value = getattr(evidence, entry.attribute)
        if entry.identifier or value is None:
            continue
        if entry.attribute == "values" and isinstance(evidence, Correct):
            yield from evidence.values
            continue
        for inner in value if isinstance(value, tuple) else (value,):
            if not isinstance(inner, (Word, date, int, float)):
                yield entry.name, str(inner)
