"""一户一档: everything of one household, in words and drawings, for page, Word and PDF alike.

`word` turns the gathered values into a `File` of sections and blocks in the order of the notice
（三（三）：用户信息、取暖路径、设备选型、实施进度、验收台账）; each form only sets it.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct

from notifications import qr, render, timeline
from notifications.pages import Head
from notifications.screen_words import label, told
from notifications.surface import clean
from notifications.timeline import Moment, Stretch, Timeline
from states import alarm, deadlines, evidence, season
from states.errors import Reason
from states.facts import GONE, CaseFacts, Event, FacilityRecord, Matter
from states.identity import PersonalData
from states.machine import Answer
from states.plan import Plan
from states.vocabulary import (
    Facility,
    FactKind,
    ItemResult,
    Kind,
    Outcome,
    Severity,
    Signatory,
    State,
    Supply,
    Trigger,
    ViolationType,
)
from states.workdays import SHANGHAI

# Raised when wording or look change, so that files of an earlier edition are made again.
EDITION = 1
ICONS = {"image": "图", "pdf": "PDF", "office": "文档", "other": "文件"}
# What leads back or out: each is told with its findings and its reason.
_STEPS_BACK = (
    Trigger.REJECT,
    Trigger.OVERTURN,
    Trigger.SEND_BACK,
    Trigger.REVOKE,
    Trigger.REPLACE,
    Trigger.CHANGE_PATH,
    Trigger.REINSTATE,
    Trigger.CLOSE,
)
_ELSEWHERE = (Trigger.REJECT, Trigger.CHANGE_PATH)  # told in sections of their own


# --- what is gathered -----------------------------------------------------------------------------


class Stored(Struct, frozen=True):
    """An attached file that is kept: its size, what it is, a small picture of it if it is one.

    `kind` is a key of `ICONS`; `fault` says why there is no picture of an image.
    """

    size: int
    kind: str
    picture: bytes | None = None
    fault: str | None = None


class Household(Struct, frozen=True, kw_only=True):
    """All that is known of a household on the clocks asked for.

    `events` are those that count, in the order of the journal; `personal` is fit to be shown;
    `next_step` and `permit` are what `case why` answers, `next_step` None where none is waited for;
    `unverified` is what a permission rests on that nobody has verified; `late` by how many days
    events came late; `files` the kept attachments by hash.
    """

    facts: CaseFacts
    events: tuple[Event, ...]
    plan: Plan
    as_of: date
    personal: PersonalData
    erased: bool
    next_step: Answer | None
    permit: Answer
    unverified: tuple[str, ...]
    late: Mapping[int, int]
    grade: str
    gate_opened_on: date | None
    model_listed: str | None
    files: Mapping[str, Stored]


# --- what is shown --------------------------------------------------------------------------------


class Pairs(Struct, frozen=True):
    """Names and what they stand for."""

    rows: tuple[tuple[str, str], ...]
    heading: str = ""


class Grid(Struct, frozen=True):
    """A table; `shares` are the widths of its columns, `hashes` stand under the rows' last cell."""

    columns: tuple[str, ...]
    shares: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    heading: str = ""
    hashes: tuple[str, ...] = ()


class Note(Struct, frozen=True):
    """A sentence; `tone` is `good`, `grave`, `soft` or nothing."""

    text: str
    tone: str = ""


class Paper(Struct, frozen=True):
    """An attached file: its name, hash, where it belongs, and its picture or icon."""

    name: str
    sha256: str
    belongs: str
    told: str
    icon: str
    picture: bytes | None
    missing: bool

    @property
    def source(self) -> str:
        """The picture as an address that needs nothing else."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.picture or b'').decode()}"


class Papers(Struct, frozen=True):
    """The attached files."""

    papers: tuple[Paper, ...]


Block = Pairs | Grid | Note | Papers | Timeline


class Section(Struct, frozen=True):
    """A numbered part of the file."""

    number: str
    title: str
    blocks: tuple[Block, ...]


class File(Struct, frozen=True):
    """一户一档 of one household: what stands at its head, then its sections."""

    code: str
    title: str
    place: str
    standing: str
    removal: Note
    alarm: str
    sections: tuple[Section, ...]
    last_seq: int
    last_hash: str
    events: int


_NUMBERS = "一二三四五六七八九十"


def word(household: Household) -> File:
    """The household's file in words."""
    facts, plan = household.facts, household.plan
    unit = plan.unit(facts.unit)
    parts = (
        ("用户信息", _household(household)),
        ("取暖路径和原取暖设施", _path(household)),
        ("确户与公示", _confirmation(household)),
        ("设备选型", _steps(household, Trigger.SELECT, "尚未选型。", _catalogue(household))),
        ("实施进度", _works(household)),
        ("验收", _acceptance(household)),
        ("采暖季运行", _season(household)),
        ("违规、投诉和审计发现", _matters(household)),
        ("拆除许可", _permission(household)),
        ("期限和下一步", _deadlines(household)),
        ("附件", _papers(household)),
        ("事件（本户在日志中的每一条）", _events(household)),
    )
    ringing = alarm.gravest(facts, plan, household.as_of)
    last = household.events[-1]
    return File(
        facts.code,
        f"一户一档 {facts.code}",
        f"{unit.name if unit else facts.unit} {facts.village}　{household.personal.name}",
        f"{facts.state.label}（自 {facts.state_since}）",
        _removal(household),
        f"最严重：{ringing.why}" if ringing else "",
        tuple(
            Section(_numeral(place), title, tuple(blocks))
            for place, (title, blocks) in enumerate(parts, start=1)
        ),
        last.seq,
        last.hash,
        len(household.events),
    )


def page(file: File, head: Head, nav: Sequence[tuple[str, str]] = ()) -> str:
    """The file as one page that needs nothing else.

    `nav` are links to neighbouring pages, as (text, address), for a site that the page is part of.
    """
    kinds: Mapping[type[object], str] = {
        Pairs: "pairs",
        Grid: "grid",
        Note: "note",
        Papers: "papers",
        Timeline: "timeline",
    }
    return render.page(
        "dossier.html.j2",
        head,
        file=file,
        nav=nav,
        kind=lambda block: kinds[type(block)],
        drawing=qr.svg(file.code),
    )


# --- the sections ---------------------------------------------------------------------------------


def _household(household: Household) -> Iterator[Block]:
    facts, personal = household.facts, household.personal
    unit = household.plan.unit(facts.unit)
    if household.erased:
        yield Note("个人信息已按规定抹去，日志里只留加盐哈希。", "soft")
    collective = facts.kind is Kind.COLLECTIVE
    yield Pairs(
        (
            ("编号", facts.code),
            ("责任单位", f"{unit.name if unit else facts.unit}（{facts.unit}）"),
            ("村（社区）", facts.village),
            ("单位名称" if collective else "户主", personal.name or "-"),
            ("户别", facts.kind.label),
            ("区域", facts.area.label),
            ("统一社会信用代码", personal.credit_code or "-")
            if collective
            else ("身份证号", personal.id_number or "-"),
            ("联系电话", personal.phone or "-"),
            ("用电户号", personal.meter or "-"),
            ("详细地址", personal.address or "-"),
            ("建筑面积", _metres(facts.building_area)),
            ("采暖面积", _metres(facts.heating_area)),
            ("计划类别", facts.quota.label),
            ("备注", personal.remarks or "-"),
        )
    )


def _path(household: Household) -> Iterator[Block]:
    facts, plan = household.facts, household.plan
    rule = plan.path_rule(facts.path)
    opened = household.gate_opened_on
    gate = "本路径不需要" if rule.gate == "none" else f"{rule.gate.label}："
    if rule.gate != "none":
        gate += f"{opened} 开通" if opened and opened <= household.as_of else "尚无开通记录"
    yield Pairs(
        (("取暖路径", facts.path.label), ("供热方式", rule.supply.label), ("网络前置", gate))
    )
    changes = [event for event in household.events if event.kind == Trigger.CHANGE_PATH]
    for event in changes:
        yield Pairs(_told(event), f"换径（编号 {event.seq}，{event.occurred_on}）")
    yield from _facilities(household)


def _facilities(household: Household) -> Iterator[Block]:
    facts = household.facts
    last = facts.facility_status
    rows = []
    for facility in dict.fromkeys((*facts.ledger_facilities, *last)):
        record = last.get(facility)
        if facility is Facility.NONE:
            rows.append((facility.label, "无原取暖设施", "-", "台账所列"))
        elif record is None:
            rows.append((facility.label, "尚无现状记录", "-", "台账所列"))
        else:
            rows.append(
                (
                    facility.label,
                    record.status.label,
                    str(record.on),
                    _became(facts, record),
                )
            )
    if not rows:
        yield Note("台账和确户都没有说明原取暖设施。", "soft")
        return
    yield Grid(("原取暖设施", "现状", "日期", "依据"), (2, 2, 2, 6), tuple(rows))
    if len(facts.facilities) > len(last):
        yield Grid(
            ("编号", "日期", "原取暖设施", "状态", "由谁"),
            (2, 2, 2, 2, 2),
            tuple(
                (
                    str(record.seq),
                    str(record.on),
                    record.facility.label,
                    record.status.label,
                    label("by", record.by),
                )
                for record in sorted(facts.facilities, key=lambda one: (one.on, one.seq))
            ),
            "原取暖设施的每一次记录",
        )


def _became(facts: CaseFacts, record: FacilityRecord) -> str:
    """Where the word on a facility comes from, and whether it might go."""
    told = f"编号 {record.seq}"
    if record.by:
        told += f"，{label('by', record.by)}"
    if record.status not in GONE:
        return told
    permission = facts.permitted_on(record.on)
    if permission is None:
        return f"{told}；当日没有有效的拆除许可"
    return f"{told}；当日有有效的拆除许可（编号 {permission.seq}）"


def _confirmation(household: Household) -> Iterator[Block]:
    facts = household.facts
    yield from _steps(household, Trigger.CONFIRM, "尚未确户。")
    if notice := _notice(household):
        begins, ends = notice
        days = (ends - begins).days + 1
        least = household.plan.rules.notice_days.value
        yield Note(f"公示 {begins} 至 {ends}，共 {days} 天（计划要求至少 {least} 天）。")
    objections = [one for one in facts.matters if one.kind is FactKind.NOTICE]
    if objections:
        yield Grid(
            ("编号", "日期", "异议", "处理"),
            (2, 2, 6, 4),
            tuple(
                (str(one.seq), str(one.on), clean(one.what), _outcome(one)) for one in objections
            ),
            "公示异议",
        )
    elif notice:
        yield Note("没有登记公示异议。", "soft")


def _notice(household: Household) -> tuple[date, date] | None:
    """The days of the 公示, as recorded beside the line or with the confirmation."""
    if household.facts.notice:
        return household.facts.notice
    for event in reversed(_of(household, Trigger.CONFIRM)):
        begins, ends = event.day("notice_from"), event.day("notice_to")
        if begins and ends:
            return begins, ends
    return None


def _catalogue(household: Household) -> str:
    facts = household.facts
    if not facts.model:
        return ""
    if household.model_listed is None:
        return f"型号 {clean(facts.model)} 不在现行中标设备清单内。"
    return f"型号 {clean(facts.model)} 在中标设备清单内：{clean(household.model_listed)}。"


def _steps(household: Household, trigger: Trigger, none: str, note: str = "") -> Iterator[Block]:
    """Every time this step was taken, the last one counts."""
    taken = _of(household, trigger)
    if not taken:
        yield Note(none, "soft")
    for place, event in enumerate(taken, start=1):
        heading = (
            f"{trigger.label}（编号 {event.seq}，{event.occurred_on}{_late(household, event)}）"
        )
        if place < len(taken):
            heading += "，其后重办"
        yield Pairs(_told(event), heading)
    if note:
        yield Note(note)


def _works(household: Household) -> Iterator[Block]:
    facts = household.facts
    works, ready = facts.works, facts.ready
    network = household.plan.path_rule(facts.path).supply is Supply.NETWORK
    means = "接通、打压合格、可得热" if network else "通电、试运行"
    ready_means = f"具备使用条件（{means}）"
    yield Pairs(
        (
            ("开工", _on(works.started_on)),
            ("安装", _on(works.installed_on)),
            (ready_means, _on(works.ready_on or (ready.on if ready else None))),
            ("首次供热", _on(facts.first_heat_on)),
            ("设备编号", clean(facts.serial or works.serial or "-")),
        )
    )
    taken = _of(household, Trigger.COMPLETE)
    if not taken:
        yield Note("施工尚未办结。", "soft")
    for event in household.events:
        if event.kind in (Trigger.COMPLETE, *_STEPS_BACK) and event.kind not in _ELSEWHERE:
            heading = f"{Trigger(event.kind).label}（编号 {event.seq}，{event.occurred_on}"
            heading += f"{_late(household, event)}）"
            again = event.kind == Trigger.COMPLETE and event is not taken[-1]
            yield Pairs(_told(event), heading + ("，其后重办" if again else ""))
    if facts.pauses:
        yield Grid(
            ("编号", "停工", "原因", "复工"),
            (2, 3, 3, 3),
            tuple(
                (str(one.seq), str(one.on), one.cause.label, _on(one.resumed_on, "尚未复工"))
                for one in facts.pauses
            ),
            "停工",
        )


def _acceptance(household: Household) -> Iterator[Block]:
    facts, plan = household.facts, household.plan
    for event in _of(household, Trigger.REJECT):
        heading = f"验收不合格（编号 {event.seq}，{event.occurred_on}）"
        yield Pairs(_told(event), heading)
    asked = plan.acceptance_of(facts.path, facts.kind, facts.area)
    accepted = _of(household, Trigger.ACCEPT)
    if not accepted:
        yield Note("尚未验收合格。", "soft")
        yield Pairs(
            (
                ("检查项目", "、".join(asked.items)),
                ("签字方", "、".join(asked.signers)),
                ("须附材料", "、".join(asked.documents)),
            ),
            "计划对本户验收的要求",
        )
        return
    for place, event in enumerate(accepted, start=1):
        again = "" if place == len(accepted) else "，其后重办"
        heading = f"验收合格（编号 {event.seq}，{event.occurred_on}"
        heading += f"{_late(household, event)}，验收人账号 {clean(event.actor)}）{again}"
        items = [tuple(text.rpartition(":")[::2]) for text in event.texts("item")]
        yield Grid(
            ("检查项目", "结果"),
            (8, 2),
            tuple((clean(name), ItemResult(result).label) for name, result in items),
            heading,
        )
        yield Pairs(tuple(pair for pair in _told(event) if pair[0] != evidence.LABELS["item"]))


def _season(household: Household) -> Iterator[Block]:
    facts, plan, as_of = household.facts, household.plan, household.as_of
    yield _timeline(household)
    clock = facts.clock_start
    rules = plan.rules
    if season.exempt(facts, plan):
        yield Note("本路径按计划不受采暖季限制。")
    window = season.window(facts, plan, as_of)
    if clock is None:
        yield Note("尚未验收合格，运行季还没有起算。", "soft")
    else:
        restarts = "、".join(f"{trigger.label} {on}" for on, trigger in facts.restarts)
        yield Pairs(
            (
                ("运行起算日", str(clock)),
                (
                    "起算依据",
                    "验收、具备使用条件" + (f"、{restarts}" if restarts else "") + "中最晚的一日",
                ),
            )
        )
    seasons = [one for one in season.known_seasons(facts, plan) if _counts(one, window, as_of)]
    if clock is not None and seasons:
        rows = []
        for one in seasons:
            lengths = season.outages(facts, plan, one, as_of)
            signed = [s for s in facts.signatures if s.season == one.label]
            rows.append(
                (
                    f"{one.label}（{one.first_day} 至 {one.last_day}）"
                    + ("" if one.verified else "，起止日期未核实"),
                    f"{max(lengths, default=0)}（上限 {rules.outage_days.value}）",
                    f"{sum(lengths)}（上限 {rules.outage_days_total.value}）",
                    f"{season.warm_visits(facts, plan, one)}（至少 {rules.warm_visits.value}）",
                    "、".join(f"{s.on} {Signatory(s.by).label}" for s in signed) or "-",
                )
            )
        yield Grid(
            ("采暖季", "单次最长停热（天）", "累计停热（天）", "测温合格（次）", "季后用户签字"),
            (5, 3, 3, 3, 3),
            tuple(rows),
            f"稳定运行核算（截至 {as_of}）",
        )
    if facts.visits:
        yield Grid(
            ("编号", "日期", "室温（℃）", "判定"),
            (2, 3, 3, 3),
            tuple(
                (
                    str(one.seq),
                    str(one.on),
                    f"{one.temperature:g}",
                    "合格" if season.warm(one, plan) else "偏冷",
                )
                for one in sorted(facts.visits, key=lambda visit: (visit.on, visit.seq))
            ),
            f"入户测温（{rules.warm_temperature.value:g} ℃ 及以上为合格）",
        )
    if facts.faults:
        yield Grid(
            ("编号", "故障日期", "情况", "修复日期"),
            (2, 3, 6, 3),
            tuple(
                (str(one.seq), str(one.on), clean(one.what), _on(one.repaired_on, "尚未修复"))
                for one in facts.faults
            ),
            "故障和修复",
        )
    if clock is not None and not facts.visits:
        yield Note("还没有入户测温记录。", "soft")


def _counts(one: season.Dated, window: season.Window | None, as_of: date) -> bool:
    return one in window.seasons if window else one.first_day <= as_of


def _matters(household: Household) -> Iterator[Block]:
    found = [one for one in household.facts.matters if one.kind is not FactKind.NOTICE]
    if not found:
        yield Note("没有登记违规、投诉或审计发现。", "soft")
        return
    if open_ := [one for one in found if one.open and one.freezes]:
        yield Note(
            f"{len(open_)} 件未销号：销号前不许可拆除，已有的许可中止。",
            "grave",
        )
    yield Grid(
        ("编号", "事项", "日期", "情况", "处理"),
        (2, 3, 2, 6, 4),
        tuple(
            (str(one.seq), _matter(one), str(one.on), _about(one), _outcome(one)) for one in found
        ),
    )


def _matter(one: Matter) -> str:
    more = ""
    if one.type:
        more = ViolationType(one.type).label
    elif one.severity:
        more = Severity(one.severity).label
    return one.kind.label + (f"·{more}" if more else "")


def _about(one: Matter) -> str:
    return clean(one.what) + (f"（{label('by', one.by)}）" if one.by else "")


def _outcome(one: Matter) -> str:
    if one.outcome is None:
        return "未销号"
    return f"{Outcome(one.outcome).label}（{one.resolved_on}）"


def _removal(household: Household) -> Note:
    """Whether the old facility may go, in a line."""
    facts, permit = household.facts, household.permit
    in_force = facts.permitted_on(household.as_of)
    if in_force is not None:
        return Note(f"允许拆除（许可编号 {in_force.seq}，{in_force.day}）", "good")
    if facts.state is State.REMOVAL_PERMITTED:
        return Note("许可中止，不得拆除", "red")
    if any(
        record.status in GONE and facts.permitted_on(record.on) is None
        for record in facts.facility_status.values()
    ):
        return Note("未经有效许可已拆除或封存", "red")
    if permit.possible:
        return Note("条件已满足，尚未许可，不得拆除")
    when = f"，最早 {permit.earliest}" if permit.earliest else ""
    return Note(f"不得拆除{when}")


def _permission(household: Household) -> Iterator[Block]:
    facts, plan, as_of = household.facts, household.plan, household.as_of
    in_force = facts.permitted_on(as_of)
    if in_force is not None:
        event = facts.events[in_force.seq]
        yield Note(f"允许拆除：许可编号 {in_force.seq}，自 {in_force.day} 起有效。", "good")
        yield Pairs(
            (
                ("许可人账号", clean(event.actor)),
                ("许可事件哈希", event.hash),
                ("条款", f"{plan.document} {plan.rules.required_seasons.source}"),
                ("未经核实的依据", "；".join(household.unverified) or "无"),
            )
        )
        yield Note("许可不是义务，拆除由住户自愿。", "soft")
    elif facts.state is State.REMOVAL_PERMITTED:
        yield Note("许可因上列未销号的事项中止，销号前不得拆除。", "grave")
    if len(facts.permissions) > (1 if in_force else 0):
        yield Grid(
            ("许可编号", "自", "至（不含）"),
            (3, 3, 3),
            tuple((str(one.seq), str(one.day), _on(one.ended_on)) for one in facts.permissions),
            "历次许可",
        )
    if facts.state is not State.REMOVAL_PERMITTED:
        yield from _answer(household.permit, "现在可以办理允许拆除。", "还不能允许拆除")
        if household.unverified:
            yield Note(f"所依据的未经核实：{'；'.join(household.unverified)}。", "soft")


def _answer(answer: Answer, possible: str, not_yet: str) -> Iterator[Block]:
    if answer.possible:
        yield Note(possible, "good")
        return
    when = f"最早 {answer.earliest}" if answer.earliest else f"最早日期：{answer.earliest_reason}"
    yield Note(f"{not_yet}；{clean(when)}。")
    yield Grid(
        ("还缺什么", "由谁办", "最早", "依据"),
        (7, 3, 3, 4),
        tuple(map(_reason, answer.reasons)),
    )


def _reason(one: Reason) -> tuple[str, ...]:
    missing = f"（缺：{'、'.join(map(key_name, one.missing))}）" if one.missing else ""
    return (
        clean(one.message) + missing,
        one.who.label if one.who else "-",
        str(one.earliest) if one.earliest else clean(one.earliest_reason or "-"),
        one.clause,
    )


def key_name(key: str) -> str:
    """What people call an evidence key or a fact."""
    return FactKind(key).label if key in tuple(FactKind) else evidence.LABELS.get(key, key)


def _deadlines(household: Household) -> Iterator[Block]:
    facts, plan, as_of = household.facts, household.plan, household.as_of
    own = deadlines.due(facts, plan)
    running = deadlines.deadlines(facts, plan)
    if own.due_on is None:
        yield Note(f"本环节没有期限：{own.due_reason}。", "soft")
    if running:
        yield Grid(
            ("事项", "由来", "期限", "情形"),
            (3, 5, 3, 4),
            tuple(
                (
                    one.of.label,
                    own.due_reason if one.of is own.of else f"编号 {one.seq}",
                    f"{one.due_on}{'（暂定）' if deadlines.provisional(one.due_on, plan) else ''}",
                    _days(one.due_on, as_of)
                    + (
                        "，余下的工作日不够"
                        if one.of is own.of
                        and deadlines.at_risk(facts.state, one.due_on, as_of, plan)
                        else ""
                    ),
                )
                for one in running
            ),
        )
    if own.plan_due_on and own.plan_due_on != own.due_on:
        yield Note(f"计划原定期限 {own.plan_due_on}。", "soft")
    if deadlines.missed_historic(facts.state, facts.select_on, plan, as_of):
        yield Note("计划生效前的节点未赶上，单独统计，不报警。", "soft")
    if household.late:
        told = "；".join(f"编号 {seq} 晚 {days} 天" for seq, days in household.late.items())
        yield Note(f"逾期办理的：{told}。")
    if household.next_step is not None:
        name = household.next_step.trigger.label
        yield from _answer(
            household.next_step, f"下一步“{name}”现在可以办理。", f"下一步“{name}”还不能办理"
        )


def _papers(household: Household) -> Iterator[Block]:
    papers = []
    for event in household.events:
        for one in event.attachments:
            kept = household.files.get(one.sha256)
            if kept is None:
                told, icon = "原件不在库中", "缺"
            else:
                told, icon = kept.fault or _size(kept.size), ICONS[kept.kind]
            papers.append(
                Paper(
                    clean(one.name),
                    one.sha256,
                    f"编号 {event.seq} {label('kind', event.kind)} {event.occurred_on}",
                    told,
                    icon,
                    kept.picture if kept else None,
                    kept is None,
                )
            )
    if not papers:
        yield Note("没有附件。", "soft")
        return
    yield Papers(tuple(papers))


def _events(household: Household) -> Iterator[Block]:
    yield Note(
        f"证明等级：{household.grade}。哈希为事件正文的 SHA-256，可与审计包逐条核对。", "soft"
    )
    rows = []
    for event in household.events:
        moved = ""
        if event.target:
            source = f"{event.source.label} → " if event.source else ""
            moved = f"{source}{event.target.label}"
        said = (
            moved,
            told(event.kind, event.evidence),
            event.reason or "",
            f"逾期 {household.late[event.seq]} 天" if event.seq in household.late else "",
        )
        at = f"{event.recorded_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        rows.append(
            (
                str(event.seq),
                str(event.occurred_on),
                at,
                label("kind", event.kind),
                f"{clean(event.actor)}（{event.role.label}）",
                clean("；".join(part for part in said if part)) or "-",
            )
        )
    yield Grid(
        ("编号", "发生", "登记", "事项", "登记人", "内容和事件哈希"),
        (4, 6, 6, 5, 8, 20),
        tuple(rows),
        hashes=tuple(event.hash for event in household.events),
    )


# --- the timeline ---------------------------------------------------------------------------------

_TONES = {
    State.HOUSEHOLD_CONFIRMATION: "step1",
    State.EQUIPMENT_SELECTION: "step2",
    State.CONSTRUCTION: "step3",
    State.ACCEPTANCE: "step4",
    State.STABLE_SEASON: "step5",
    State.REMOVAL_PERMITTED: "step6",
    State.CLOSED: "step7",
}


def _timeline(household: Household) -> Timeline:
    facts, plan, as_of = household.facts, household.plan, household.as_of
    known = season.known_seasons(facts, plan)
    first = min(event.occurred_on for event in household.events)
    # The season that the household is waiting for belongs into the picture before it begins.
    coming = next((one.last_day for one in known if one.last_day >= first), as_of)
    last = max(as_of, coming, *(event.occurred_on for event in household.events))
    spans = [
        Stretch(begin, end, "停热", "outage")
        for one in known
        for begin, end in season.outage_spans(facts, plan, one, as_of)
    ]
    inside = [(span.first, span.last) for span in spans]
    for fault in facts.faults:
        # Out of season a fault is no outage, but it was one.
        end = (fault.repaired_on or as_of) - timedelta(days=1)
        if end >= fault.on and not any(a <= end and fault.on <= b for a, b in inside):
            spans.append(Stretch(fault.on, end, "故障", "fault"))
    return timeline.draw(
        first - timedelta(days=4),
        last + timedelta(days=8),
        as_of,
        seasons=[
            Stretch(one.first_day, one.last_day, f"{one.label} 采暖季", "season") for one in known
        ],
        states=list(_stretches(household, as_of)),
        outages=spans,
        visits=[(v.on, v.temperature, season.warm(v, plan)) for v in facts.visits],
        moments=list(_moments(household)),
    )


def _stretches(household: Household, as_of: date) -> Iterator[Stretch]:
    moves = [event for event in household.events if event.target is not None]
    moves.sort(key=lambda event: (event.occurred_on, event.seq))
    for place, event in enumerate(moves):
        assert event.target is not None
        after = moves[place + 1].occurred_on if place + 1 < len(moves) else None
        end = after - timedelta(days=1) if after else max(as_of, event.occurred_on)
        if end >= event.occurred_on:
            state = event.target
            yield Stretch(event.occurred_on, end, state.label, _TONES[state])


def _moments(household: Household) -> Iterator[Moment]:
    facts = household.facts
    for event in household.events:
        match event.kind:
            case Trigger.ACCEPT | Trigger.PERMIT:
                yield Moment(event.occurred_on, Trigger(event.kind).label, "good")
            case _ if event.kind in _STEPS_BACK:
                yield Moment(event.occurred_on, Trigger(event.kind).label, "bad")
            case Trigger.COMPLETE:
                yield Moment(event.occurred_on, "施工完成")
    if facts.ready:
        yield Moment(facts.ready.on, "具备使用条件")
    if facts.first_heat_on:
        yield Moment(facts.first_heat_on, "首次供热")
    if facts.clock_start:
        yield Moment(facts.clock_start, "运行起算")
    for signature in facts.signatures:
        yield Moment(signature.on, f"用户签字（{signature.season}）", "good")
    for matter in facts.matters:
        yield Moment(
            matter.on, _matter(matter) if matter.kind is not FactKind.NOTICE else "公示异议", "bad"
        )
        if matter.resolved_on:
            yield Moment(matter.resolved_on, f"销号（编号 {matter.seq}）")
    for record in facts.facilities:
        if record.status in GONE:
            yield Moment(record.on, f"{record.facility.label}{record.status.label}", "bad")


# --- words ----------------------------------------------------------------------------------------


def _of(household: Household, trigger: Trigger) -> list[Event]:
    return [event for event in household.events if event.kind == trigger]


def _told(event: Event) -> tuple[tuple[str, str], ...]:
    """The evidence of an event, a pair for each key, and the reason."""
    pairs = []
    for name, value in event.evidence.items():
        key, _, text = told(event.kind, {name: value}).partition(" ")
        pairs.append((key, clean(text)))
    if event.reason:
        pairs.append(("理由", clean(event.reason)))
    return tuple(pairs)


def _late(household: Household, event: Event) -> str:
    days = household.late.get(event.seq)
    return f"，逾期 {days} 天" if days else ""


def _days(due_on: date, as_of: date) -> str:
    if deadlines.overdue(due_on, as_of):
        return f"逾期 {(as_of - due_on).days} 天"
    return f"还有 {(due_on - as_of).days} 天"


def _on(day: date | None, none: str = "-") -> str:
    return none if day is None else str(day)


def _metres(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:g} ㎡"


def _size(size: int) -> str:
    return f"{size / 1024:.0f} KB" if size >= 1024 else f"{size} 字节"


def _numeral(place: int) -> str:
    return _NUMBERS[place - 1] if place <= 10 else f"十{_NUMBERS[place - 11]}"
