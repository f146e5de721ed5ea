"""How the answers are worded on the terminal: labels, evidence, marks and days."""

from collections.abc import Mapping
from datetime import datetime

from notifications.surface import clean
from states import evidence
from states.vocabulary import (
    Area,
    Clock,
    Facility,
    FacilitySeen,
    FacilityStatus,
    FactKind,
    GateKind,
    ItemResult,
    Kind,
    Level,
    Oddity,
    Outcome,
    Path,
    Quota,
    RemovedBy,
    Role,
    Severity,
    Signatory,
    State,
    Trigger,
    ViolationType,
    VisitVerdict,
    Word,
)
from states.workdays import local_minute

Answer = Mapping[str, object]


_WORDS: Mapping[str, tuple[type[Word], ...]] = {
    "state": (State,),
    "trigger": (Trigger, FactKind),
    "kind": (Trigger, FactKind, Kind, GateKind, Oddity),
    "path": (Path,),
    "area": (Area,),
    "quota": (Quota,),
    "role": (Role,),
    "facility": (Facility,),
    "status": (FacilityStatus,),
    "by": (RemovedBy,),
    "type": (ViolationType,),
    "severity": (Severity,),
    "from": (State,),
    "to": (State,),
    "was": (State,),
    "becomes": (State,),
    "outcome": (Outcome,),
    "verdict": (VisitVerdict,),
    "clock": (Clock,),
    "level": (Level,),
}


OTHER_KINDS = {
    "registered": "登记",
    "amended": "台账更改",
}


TRACKS = {
    "old_facility": "原取暖设施",
    "works": "施工",
    "notice": "公示",
    "faults": "故障",
    "visits": "入户测温",
    "signatures": "用户签字",
    "violations": "违规",
    "complaints": "投诉",
    "findings": "审计发现",
    "objections": "公示异议",
    "pauses": "暂停",
    "extensions": "延期",
    "permissions": "许可",
}


COLUMNS = {
    "id": "编号",
    "on": "日期",
    "facility": "设施",
    "status": "状态",
    "by": "由谁",
    "started_on": "开工",
    "installed_on": "安装",
    "ready_on": "具备使用条件",
    "first_heat_on": "首次供热",
    "serial": "设备编号",
    "accepted_on": "验收",
    "from": "起",
    "to": "止",
    "until": "止",
    "what": "情况",
    "repaired_on": "修复",
    "temperature": "室内温度℃",
    "season": "采暖季",
    "type": "类型",
    "severity": "程度",
    "open": "未销号",
    "outcome": "处理结果",
    "resolved_on": "销号日期",
    "cause": "原因",
    "resumed_on": "恢复",
    "due_on": "延至",
}


def key_label(key: str) -> str:
    """What people call an evidence key or fact, with the identifier that is to be typed."""
    if key in tuple(FactKind):
        return f"{FactKind(key).label}（{key}）"
    return f"{evidence.LABELS[key]}（{key}）" if key in evidence.LABELS else key


def told(kind: str, given: Mapping[str, object]) -> str:
    """The evidence of an event in Chinese."""
    words: dict[str, type[Word]] = {}
    for known in (*Trigger, *FactKind):
        if known == kind:
            for name, key in evidence.keys(known).items():
                if issubclass(key.value, Word):
                    words[name] = key.value
    parts = []
    for name, value in given.items():
        shown = flat(value)
        if name in words and shown in tuple(words[name]):
            shown = words[name](shown).label
        elif name == "by":
            shown = label(name, shown)
        elif kind in OTHER_KINDS:
            shown = "、".join(ledger_word(name, part) for part in shown.split("、"))
        else:
            shown = "、".join(map(composite, shown.split("、")))
        parts.append(f"{evidence.LABELS.get(name, name)} {shown}")
    return "；".join(parts)


def ledger_word(name: str, text: str) -> str:
    """A word of a ledger line in Chinese: an identifier, a facility, the name of a field."""
    return evidence.LABELS.get(text) or composite(label(name, text))


def composite(text: str) -> str:
    """`stove:in_use` in Chinese; what is no identifier stays."""
    parts = text.split(":")
    words = (Facility, FacilityStatus, FacilitySeen, ItemResult)
    for index, part in enumerate(parts):
        found = next((kind(part).label for kind in words if part in tuple(kind)), part)
        parts[index] = found
    return "：".join(parts)


def label(key: str, value: object) -> str:
    """The Chinese label of an identifier under this key; an absent value is a dash."""
    if value is None or value == "":
        return "-"
    for words in _WORDS.get(key, ()):
        if value in tuple(words):
            return words(str(value)).label
    if isinstance(value, bool):
        return "是" if value else "否"
    return clean(OTHER_KINDS.get(str(value), value))


def track(name: str, key: str, value: object) -> str:
    if name == "signatures" and key == "by":
        return Signatory(str(value)).label
    if value == "ledger":
        return "台账所列"
    return label(key, value)


def due(answer: Answer) -> str:
    """A deadline, marked while the holidays of its year are not known."""
    return f"{answer['due_on'] or '-'}{'（暂定）' if answer['provisional'] else ''}"


def standing(case: Answer) -> str:
    return ("（暂定）" if case["provisional"] else "") + lateness(case)


def missing(year: object) -> list[str]:
    if year is None:
        return []
    return [
        f"注意：还没有 {year} 年的节假日安排，{year} 年的期限都是暂定；"
        "由县清洁取暖办用 xianli calendar import 录入，或升级程序的 chinesecalendar"
    ]


def lateness(case: Answer) -> str:
    return "逾期" if case["overdue"] else "有风险" if case["at_risk"] else ""


def drill(answer: Answer) -> str:
    return "  【演练】" if answer.get("drill") else ""


def unverified(answer: Answer) -> list[str]:
    found = strings(answer["unverified"])
    if not found:
        return []
    mark = "演练·未核实" if answer.get("drill") else "未核实"
    return [f"【{mark}】所依据的 {'；'.join(found)} 尚未核实"]


def strings(value: object) -> list[str]:
    return [clean(one) for one in value] if isinstance(value, list) else []


def rows(value: object) -> list[Answer]:
    return list(value) if isinstance(value, list) else []


def named(value: object) -> list[str]:
    return [f"{label('trigger', one)}（{one}）" for one in strings(value)]


def near(day: object, as_of: object) -> str:
    """A day without its year, which the forecast's horizon leaves no doubt of; None lies beyond."""
    if day is None:
        return "更晚"
    before = str(day) < str(as_of) and str(day)[:4] != str(as_of)[:4]
    return str(day) if before else str(day)[5:]


def flat(value: object) -> str:
    if isinstance(value, list):
        return "、".join(str(one) for one in value) or "无"
    if isinstance(value, Mapping):
        return "、".join(f"{key} {one}" for key, one in value.items())
    return str(value)


def quarantined(found: Answer) -> list[str]:
    codes = strings(found["quarantined"])
    return [f"已隔离（日志对不上，不再写入）：{'、'.join(codes)}"] if codes else []


def local(instant: object) -> str:
    """An instant of the answers on the county's own clock."""
    return local_minute(datetime.fromisoformat(str(instant)))


def days(days: object) -> str:
    assert isinstance(days, int)
    return f"逾期 {days} 天" if days > 0 else f"还有 {-days} 天"


def days_left(left: object) -> str:
    """How many days are left, in words."""
    if not isinstance(left, int):
        return "-"
    if left < 0:
        return f"逾期 {-left} 天"
    return f"还有 {left} 天" if left else "今天到期"


def few(values: object, most: int) -> str:
    """The first of a list, and how many there are."""
    found = [clean(one) for one in values] if isinstance(values, list) else []
    return "、".join(found[:most]) + (f" 等 {len(found)}" if len(found) > most else "")
