"""A notice of every kind, at the size a test asks for."""

from datetime import date, timedelta

from msgspec.structs import replace

from notifications import figures, notices
from notifications.notices import (
    Alarm,
    Bulletin,
    Cold,
    Digest,
    DigestRow,
    Heap,
    Matter,
    Notice,
    NoticeKind,
    Standing,
    Supervision,
)
from states.vocabulary import Level, Path, Role, State

AS_OF = date(2023, 10, 8)
ISSUER = "五台县清洁取暖工作领导小组办公室"
PLAN = "五台县2023年冬季清洁取暖工作实施方案"
PLAN_NUMBER = "五政办发〔2023〕16号"
VILLAGES = ("东村", "西营村", "小豆村", "南坡上庄村委会后河自然村")
UNITS = (
    ("沟南乡", 305),
    ("台城镇", 122),
    ("豆村镇", 686),
    ("高洪口乡", 215),
    ("茹村乡", 206),
    ("阳白乡", 185),
    ("蒋坊乡", 79),
    ("耿镇镇", 77),
    ("白家庄镇", 40),
    ("门限石乡", 20),
    ("东冶镇", 4),
    ("陈家庄乡", 8),
    ("建安镇", 1),
    ("东雷乡", 1),
)
DEPARTMENTS = (("交警队", 16), ("住房和城乡建设管理局", 2001))


def digest(rows: int = 3, *, drill: bool = False, unverified: tuple[str, ...] = ()) -> Digest:
    """A township head's digest; every section has this many rows before it is cut."""
    found = [
        DigestRow(
            code=f"103-{index:04d}",
            unit_name="豆村镇",
            village=VILLAGES[index % len(VILLAGES)],
            state=State.CONSTRUCTION,
            matter="组织实施阶段截止",
            due_on=AS_OF + timedelta(days=index % 5 - 2),
            next_step="办理施工完成，缺施工单位、设备编号",
        )
        for index in range(1, rows + 1)
    ]
    grave = [
        replace(
            row,
            due_on=None,
            state=State.STABLE_SEASON,
            matter="原取暖设施已拆除或封存，10月6日起停热未修复",
            next_step="当日入户，落实临时取暖，抢修设备",
        )
        for row in found[:1]
    ]
    return Digest(
        drill=drill,
        unverified=unverified,
        as_of=AS_OF,
        name="张建国",
        role=Role.UNIT_HEAD,
        unit_name="豆村镇",
        sections=(
            notices.section(Heap.URGENT, grave),
            notices.section(Heap.RED, found),
            notices.section(Heap.YELLOW, found),
            notices.section(Heap.COMING, found, within=7),
            notices.section(Heap.OTHER, found),
        ),
    )


def supervision(
    rows: int = 3,
    form: NoticeKind = NoticeKind.SUPERVISE,
    *,
    drill: bool = False,
    unverified: tuple[str, ...] = (),
) -> Supervision:
    """A letter to a township about this many overdue households."""
    return Supervision(
        form=form,
        drill=drill,
        unverified=unverified,
        number=notices.number("五清办", form, 2023, 3),
        issuer=ISSUER,
        addressee="豆村镇人民政府",
        unit_name="豆村镇",
        level=Level.RED if form is NoticeKind.SUPERVISE else Level.YELLOW,
        as_of=AS_OF,
        issued_on=AS_OF,
        plan_title=PLAN,
        plan_document=PLAN_NUMBER,
        clauses=("五、实施步骤（二）",),
        reason=None,
        earlier=("五清办催〔2023〕2号",) if form is NoticeKind.SUPERVISE else (),
        matters=tuple(
            Matter(
                code=f"103-{index:04d}",
                village=VILLAGES[index % len(VILLAGES)],
                path=Path.COAL_TO_ELECTRIC,
                state=State.CONSTRUCTION,
                matter="施工完成",
                due_on=date(2023, 9, 30),
            )
            for index in range(1, rows + 1)
        ),
        finish_by=date(2023, 10, 15),
        reply_by=date(2023, 10, 16),
        feedback="回执送县清洁取暖工作领导小组办公室（县能源局 302 室），联系电话 0350-6522345。",
        copies=("县政府办公室", "县能源局", "豆村镇纪委"),
    )


def bulletin(rows: int = 14, *, drill: bool = False, unverified: tuple[str, ...] = ()) -> Bulletin:
    """The county's week; `rows` townships, again from the first when there are more."""

    def standing(index: int, name: str, task: int) -> Standing:
        over = task + 6 if name == "台城镇" else task * 9 // 10
        return Standing(
            unit_name=name,
            task=task,
            confirmed=task,
            selected=task,
            started=over,
            completed=over,
            accepted=over,
            period_done=index * 3,
            overdue=task - min(task, over),
            at_risk=index,
            chance=figures.chance(0.873),
            rank=index,
        )

    return Bulletin(
        drill=drill,
        unverified=unverified,
        number=notices.number("五清办", NoticeKind.BULLETIN, 2023, 5),
        issuer=ISSUER,
        addressee="各乡（镇）人民政府，县直各有关单位",
        since=date(2023, 10, 2),
        as_of=AS_OF,
        issued_on=date(2023, 10, 9),
        plan_title=PLAN,
        plan_document=PLAN_NUMBER,
        townships=tuple(standing(index + 1, *UNITS[index % len(UNITS)]) for index in range(rows)),
        departments=tuple(
            standing(index, name, task) for index, (name, task) in enumerate(DEPARTMENTS, 1)
        ),
        remarks=(
            "豆村镇逾期 69 户，占全县逾期户数的三成，主要集中在东村、西营村，系电网改造滞后。",
            "建安镇、东雷乡各 1 户尚未验收。",
        ),
        copies=("市清洁取暖工作领导小组办公室", "县委办公室", "县人大办公室", "县政协办公室"),
    )


def alarm(rows: int = 1, *, drill: bool = False, unverified: tuple[str, ...] = ()) -> Alarm:
    """Households without both heats."""
    return Alarm(
        drill=drill,
        unverified=unverified,
        number=notices.number("五清办", NoticeKind.ALARM, 2023, 1),
        issuer=ISSUER,
        recipients=("县清洁取暖办", "豆村镇负责人", "豆村镇经办人", "验收人员", "审计人员"),
        as_of=date(2023, 11, 20),
        issued_on=date(2023, 11, 20),
        households=tuple(
            Cold(
                code=f"103-{index:04d}",
                unit_name="豆村镇",
                village=VILLAGES[index % len(VILLAGES)],
                path=Path.COAL_TO_ELECTRIC,
                state=State.STABLE_SEASON,
                why="原取暖设施已拆除或封存，2023-11-18 起停热未修复",
            )
            for index in range(1, rows + 1)
        ),
    )


def every_kind(
    rows: int = 3, *, drill: bool = False, unverified: tuple[str, ...] = ()
) -> list[Notice]:
    """One of each."""
    return [
        digest(rows, drill=drill, unverified=unverified),
        supervision(rows, NoticeKind.URGE, drill=drill, unverified=unverified),
        supervision(rows, NoticeKind.SUPERVISE, drill=drill, unverified=unverified),
        bulletin(rows, drill=drill, unverified=unverified),
        alarm(rows, drill=drill, unverified=unverified),
    ]
