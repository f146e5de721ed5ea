"""What a letter says, as plain documents: the one place that knows their fields.

A notice is built as one of the records here, kept and sent on as the plain document of
`document` (text, whole numbers, lists and dicts; dates as `2023-09-15`, identifiers of the
vocabulary), and read back by `read`. No document has a place for a household's name, ID, phone,
address or meter, and none is made or read that holds an ID or mobile number in any text.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import NoneType, UnionType
from typing import ClassVar, TypeVar, get_args, get_origin, get_type_hints

from msgspec import Struct
from msgspec.structs import fields

from states import evidence, identity
from states.errors import CaseError
from states.plan import Json
from states.vocabulary import Level, Path, Role, State, Word

Plain = Json
Document = Mapping[str, Plain]
One = TypeVar("One", bound=Struct)

DIGEST_ROWS = 20  # of one section: a page of a digest, the rest is for `xianli todo`


class NoticeKind(Word):
    """The kinds of documents; the official ones are numbered in a series of their own."""

    DIGEST = "digest", "每日提要"
    URGE = "urge", "催办单"
    SUPERVISE = "supervise", "督办通知"
    BULLETIN = "bulletin", "通报"
    ALARM = "alarm", "紧急报告"


class Heap(Word):
    """The sections of a digest, in the order they are read."""

    URGENT = "urgent", "紧急"
    RED = "red", "逾期·红色预警"
    ORANGE = "orange", "逾期·橙色预警"
    YELLOW = "yellow", "逾期·黄色预警"
    COMING = "coming", "将到期"
    OTHER = "other", "其他期限"
    NEWS = "news", "新情况"


class DigestRow(Struct, frozen=True, kw_only=True):
    """A matter that waits for this person; how many days are left follows from `due_on`.

    A `state` that cannot be read is None, here as elsewhere: one bad case stops no letter.
    """

    code: str
    unit_name: str
    village: str
    state: State | None
    matter: str
    due_on: date | None
    next_step: str


class Section(Struct, frozen=True, kw_only=True):
    """One heap of a digest; `more` counts what was left off, `within` days is for 将到期."""

    heap: Heap
    rows: tuple[DigestRow, ...]
    more: int = 0
    within: int | None = None


class Digest(Struct, frozen=True, kw_only=True):
    """每日提要: one person's matters of the day, the gravest first."""

    kind: ClassVar = (NoticeKind.DIGEST,)
    drill: bool
    unverified: tuple[str, ...]
    as_of: date
    name: str
    role: Role
    unit_name: str | None
    sections: tuple[Section, ...]


class Matter(Struct, frozen=True, kw_only=True):
    """A deadline that a household is past; the days it is over follow from `due_on`.

    `matter` is what was to be done by then: the phase, or an objection, complaint or violation.
    """

    code: str
    village: str
    path: Path | None
    state: State | None
    matter: str
    due_on: date


class Supervision(Struct, frozen=True, kw_only=True):
    """催办单 or 督办通知 to one unit, with the slip that comes back and closes the matters.

    `clauses` are the places of the plan document, such as `五、实施步骤（二）`; `reason` is the
    county's own cause, `earlier` the numbers of letters that went before. Without `demands` the
    standing ones are printed. `reply_by` is the day the slip is due, `feedback` says where.
    """

    kind: ClassVar = (NoticeKind.URGE, NoticeKind.SUPERVISE)
    form: NoticeKind
    drill: bool
    unverified: tuple[str, ...]
    number: str
    issuer: str
    addressee: str
    unit_name: str
    level: Level | None
    as_of: date
    issued_on: date
    plan_title: str
    plan_document: str
    clauses: tuple[str, ...]
    reason: str | None
    earlier: tuple[str, ...]
    matters: tuple[Matter, ...]
    demands: tuple[str, ...] = ()
    finish_by: date
    reply_by: date
    feedback: str
    copies: tuple[str, ...]


class Standing(Struct, frozen=True, kw_only=True):
    """A unit's line in the 通报: households, None where nobody counted.

    `accepted` counts every household in 稳定运行一季 or 允许拆除, over the plan too; `chance` is
    worded by `chance`. `powered` households have 具备使用条件; `change` is what `accepted` gained
    or lost since the end of the period before. `longest` is for how many days the oldest overdue
    household has been; `by_state` counts in the order of `State`, `closed` in it too.
    """

    unit_name: str
    task: int
    confirmed: int | None
    selected: int | None
    started: int | None
    completed: int | None
    accepted: int | None
    period_done: int | None
    overdue: int | None
    at_risk: int | None
    chance: str | None
    rank: int | None
    installed: int | None = None
    powered: int | None = None
    change: int | None = None
    note: str | None = None
    code: str | None = None
    closed: int | None = None
    longest: int | None = None
    by_state: tuple[int, ...] | None = None


class Point(Struct, frozen=True, kw_only=True):
    """How many households should be past the works at the end of a day, and how many were.

    `actual` is None for a day that is yet to come.
    """

    on: date
    planned: int
    actual: int | None


class Bulletin(Struct, frozen=True, kw_only=True):
    """通报: where every unit stands, townships and departments apart; sums are made when printed.

    `since` is the first day of the period that `period_done` counts. `course` is week by week;
    `scope` names the units where it is not of the whole county.
    """

    kind: ClassVar = (NoticeKind.BULLETIN,)
    drill: bool
    unverified: tuple[str, ...]
    number: str | None
    issuer: str
    addressee: str
    since: date
    as_of: date
    issued_on: date
    plan_title: str
    plan_document: str
    townships: tuple[Standing, ...]
    departments: tuple[Standing, ...]
    remarks: tuple[str, ...]
    demands: tuple[str, ...] = ()
    copies: tuple[str, ...]
    target_on: date | None = None
    course: tuple[Point, ...] | None = None
    scope: str | None = None


class Cold(Struct, frozen=True, kw_only=True):
    """A household without both heats, and why."""

    code: str
    unit_name: str
    village: str
    path: Path
    state: State
    why: str


class Alarm(Struct, frozen=True, kw_only=True):
    """紧急报告: households without both heats. `recipients` are all it went to, by office."""

    kind: ClassVar = (NoticeKind.ALARM,)
    drill: bool
    unverified: tuple[str, ...]
    number: str | None
    issuer: str
    recipients: tuple[str, ...]
    as_of: date
    issued_on: date
    households: tuple[Cold, ...]
    demands: tuple[str, ...] = ()


Notice = Digest | Supervision | Bulletin | Alarm
_NOTICES: Mapping[str, type[Notice]] = {
    kind: notice for notice in (Digest, Supervision, Bulletin, Alarm) for kind in notice.kind
}


def section(heap: Heap, rows: Sequence[DigestRow], within: int | None = None) -> Section:
    """A heap cut to what a digest shows, the rest counted."""
    shown = tuple(rows[:DIGEST_ROWS])
    return Section(heap=heap, rows=shown, more=len(rows) - len(shown), within=within)


def kind_of(notice: Notice) -> NoticeKind:
    """Which of the kinds this is."""
    return notice.form if isinstance(notice, Supervision) else notice.kind[0]


def document(notice: Notice) -> dict[str, Plain]:
    """The plain document, fit for JSON; its `kind` says what it is.

    Raises CaseError where a text holds an ID or mobile number, UsageFault where it holds what
    nobody can see.
    """
    plain: dict[str, Plain] = {"kind": str(kind_of(notice))}
    for name in notice.__struct_fields__:
        if name != "form":
            plain[name] = _plain(getattr(notice, name))
    _refuse_personal(plain)
    return plain


def read(document: Document) -> Notice:
    """The notice of a plain document, checked as when it was made.

    Raises KeyError naming the fields that are missing or unknown, and as `document` does.
    """
    _refuse_personal(document)
    kind = str(document["kind"])
    given = {name: value for name, value in document.items() if name != "kind"}
    if _NOTICES[kind] is Supervision:
        given["form"] = kind
    return _built(_NOTICES[kind], given)


def day(on: date) -> str:
    """`2023年9月15日`.

    GB/T 9704-2012, 7.3.5.4: the date of an official document is in Arabic numerals, the year in
    full, month and day without a leading nought (not 二〇二三年九月十五日, which the standard of
    1999 asked for).
    """
    return f"{on.year}年{on.month}月{on.day}日"


# The letter's number and the code by which its slip comes back ------------------------------

_SIGNS = {
    NoticeKind.URGE: ("催", "C"),
    NoticeKind.SUPERVISE: ("督", "D"),
    NoticeKind.BULLETIN: ("通", "T"),
    NoticeKind.ALARM: ("急", "J"),
}
_NUMBER = re.compile(r"([催督])〔([0-9]{4})〕([1-9][0-9]{0,3})号$")
_CODE = re.compile(r"HZ-?([CD])-?([0-9]{4})-?([0-9]{4})-?([0-9X])(?![0-9])")


def number(office: str, kind: NoticeKind, year: int, serial: int) -> str:
    """The 发文字号: `五清办督〔2023〕3号` of the office `五清办`; no leading noughts."""
    return f"{office}{_SIGNS[kind][0]}〔{year}〕{serial}号"


def reply_code(number: str) -> str:
    """The code on the reply slip of the letter of this number: `HZ-D-2023-0003-8`.

    The last character is a check: a single wrong figure, or two that changed places, are seen.
    Raises ValueError when no slip goes with such a number.
    """
    found = _NUMBER.search(number)
    if found is None:
        raise ValueError(f"no reply slip goes with {number!r}")
    sign = dict(_SIGNS.values())[found[1]]
    return _code(sign, found[2], found[3].zfill(4))


def reply_codes(text: str) -> list[str]:
    """The codes of reply slips found in a text as people type it, without those that are wrong."""
    plain = re.sub(r"[\s\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", text.upper()))
    plain = re.sub(r"-+", "-", plain)
    found = [(_code(*match.group(1, 2, 3)), match[4]) for match in _CODE.finditer(plain)]
    return list(dict.fromkeys(code for code, check in found if code[-1] == check))


def _code(sign: str, year: str, serial: str) -> str:
    digits = str("CD".index(sign)) + year + serial
    # Weights 2 to 10 modulo 11, a prime: every single slip changes the sum.
    check = sum(weight * int(digit) for weight, digit in enumerate(digits, 2)) % 11
    return f"HZ-{sign}-{year}-{serial}-{'0123456789X'[check]}"


# Between records and plain values -----------------------------------------------------------


def _plain(value: object) -> Plain:
    match value:
        case Word():
            return str(value)
        case date():
            return value.isoformat()
        case None | bool() | int() | str():
            return value
        case tuple():
            return [_plain(one) for one in value]
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    raise TypeError(f"{value!r} has no place in a document")


def _built(of: type[One], given: Mapping[str, Plain]) -> One:
    hints = {name: hint for name, hint in get_type_hints(of).items() if name != "kind"}
    # A notice that was queued before a figure was counted has none of it.
    late = {one.name for one in fields(of) if one.default is None}
    if odd := (hints.keys() ^ given.keys()) - (late - given.keys()):
        raise KeyError(f"{of.__name__}: {', '.join(sorted(odd))}")
    return of(**{name: _value(hints[name], value) for name, value in given.items()})


def _value(hint: object, given: Plain) -> object:
    if get_origin(hint) is UnionType:
        if given is None:
            return None
        (hint,) = (one for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is tuple and isinstance(given, list):
        return tuple(_value(get_args(hint)[0], one) for one in given)
    if isinstance(hint, type):
        if issubclass(hint, Struct) and isinstance(given, dict):
            return _built(hint, given)
        if isinstance(given, str) and issubclass(hint, Word):
            return hint(given)
        if isinstance(given, str) and hint is date:
            return date.fromisoformat(given)
        if type(given) is hint:
            return given
    raise TypeError(f"{given!r} is not {hint}")


def _refuse_personal(document: Document) -> None:
    for place, text in _texts("", dict(document)):
        evidence.plain(text, place)
        if identity.holds_personal_number(text):
            raise CaseError(
                "通知的文字中含有身份证号或手机号，不能发出",
                place=place,
                remedy="更正台账或登记中的这一处后再发",
                code="personal_number",
            )


def _texts(place: str, value: Plain) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield place, value
        case list():
            for index, one in enumerate(value):
                yield from _texts(f"{place}[{index}]", one)
        case dict():
            for name, one in value.items():
                yield from _texts(f"{place}.{name}" if place else name, one)
