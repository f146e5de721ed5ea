"""How each notice is worded: headings, sentences and tables, once for text, HTML and Word.

What stands here knows no layout; `render` and `word` know nothing else. The order of the parts is
that of GB/T 9704-2012: 版头, 标题, 主送, 正文, 附件说明, 署名, 成文日期, 版记, then the annex.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from msgspec import Struct

from notifications import figures, notices
from notifications.notices import (
    Alarm,
    Bulletin,
    Digest,
    DigestRow,
    Document,
    Heap,
    Matter,
    NoticeKind,
    Section,
    Standing,
    Supervision,
)
from states.vocabulary import Word

TITLE_LINE = 20  # characters of 二号 on 156 mm
URGENCY = "特急"  # the higher of the two degrees of GB/T 9704, 7.2.3
NONE = "—"
BEFORE_REMOVAL = (
    "坚持先立后破。新取暖设施稳定运行满一个采暖季并经县清洁取暖工作领导小组办公室许可之前，"
    "不得拆除、封存原有取暖设施，不得封火炕、拆暖炉、没收煤炭。"
)
URGE_DEMANDS = (
    "逐户核对上表所列事项，明确责任人和完成时间，倒排工期，抓紧办理。",
    "确因电网、供货、天气等原因不能按期完成的，于办结时限前书面说明情况，按程序申请延期。",
    BEFORE_REMOVAL,
)
SUPERVISE_DEMANDS = (
    "主要负责人亲自过问，逐户查明逾期原因，制定整改措施，落实到人、明确到日。",
    "确因电网、供货、天气等原因不能按期完成的，于办结时限前书面说明情况，按程序申请延期。",
    "办理情况如实填入回执，不得以未完工、未通电的户充作办结。",
    BEFORE_REMOVAL,
)
BULLETIN_DEMANDS = (
    "逾期户较多、进度靠后的单位要逐户倒排工期，落实责任人，尽快赶上计划进度。",
    BEFORE_REMOVAL,
)
ALARM_DEMANDS = (
    "责任单位立即派人入户，当日落实临时取暖措施，优先保障老人、儿童和病人。",
    "当日查明原因，抢修或恢复新取暖设施；原取暖设施仍可恢复的，先行恢复使用。",
    "处置情况随时报告，并在系统中登记故障、修复和入户测温；恢复供热前每日报告一次。",
)


class Heading(Struct, frozen=True):
    """A heading of the first level, with its `一、`."""

    text: str
    block: str = "heading"


class Paragraph(Struct, frozen=True):
    """A paragraph; `grave` ones are set off."""

    text: str
    grave: bool = False
    block: str = "paragraph"


class Column(Struct, frozen=True):
    """A column: `width` is its share of the line, numbers are set in the middle."""

    heading: str
    width: int
    left: bool = False


class Row(Struct, frozen=True):
    """A row; with a single cell it is a band across the table, `strong` ones are sums."""

    cells: tuple[str, ...]
    strong: bool = False


class Table(Struct, frozen=True):
    """A table whose header is repeated on every page."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    block: str = "table"


Block = Heading | Paragraph | Table


class Annex(Struct, frozen=True):
    """What begins on a page of its own; `wide` lies across, `code` is for who reads the slip."""

    label: str
    title: str
    blocks: tuple[Block, ...]
    wide: bool = False
    code: str | None = None


class Letter(Struct, frozen=True):
    """A worded letter. `mark` and `caution` are empty unless it is a drill or rests on doubt.

    Without a `masthead` it is a plain sheet, not an official document. `title_lines` is the title
    as it is broken on paper.
    """

    kind: str
    mark: str
    caution: str
    urgency: str | None
    masthead: str | None
    number: str | None
    title: str
    title_lines: tuple[str, ...]
    addressee: str
    blocks: tuple[Block, ...]
    enclosure: str | None
    signature: str | None
    dated: str | None
    issued_on: date
    copies: str | None
    printed: str | None
    annex: Annex | None


def letter(document: Document) -> Letter:
    """The letter of a plain document. Raises what `notices.read` raises."""
    match notices.read(document):
        case Digest() as notice:
            return _digest(notice)
        case Supervision() as notice:
            return _supervision(notice)
        case Bulletin() as notice:
            return _bulletin(notice)
        case Alarm() as notice:
            return _alarm(notice)


def subject(document: Document) -> str:
    """The subject line of the message that carries this letter."""
    worded = letter(document)
    mark = f"【{worded.mark}】" if worded.mark else ""
    number = f"（{worded.number}）" if worded.number else ""
    return f"{mark}{worded.title}{number}"


def masthead_size(name: str) -> float:
    """Points for the name at the head: one line of the 156 mm, not above 48 pt."""
    return min(48.0, 430 // max(len(name), 1))


# The daily digest -------------------------------------------------------------------------


def _digest(notice: Digest) -> Letter:
    mark, caution = marks(notice.drill, notice.unverified)
    sections = [one for one in notice.sections if one.rows or one.more]
    office = f"{notice.unit_name}{notice.role.label}" if notice.unit_name else notice.role.label
    as_of = notices.day(notice.as_of)
    if sections:
        opening = f"截至{as_of}，{_opening(sections)}。"
    else:
        opening = f"截至{as_of}，没有待您办理的期限事项。"
    blocks: list[Block] = [Paragraph(opening)]
    several = len({row.unit_name for one in sections for row in one.rows}) > 1
    for index, one in enumerate(sections):
        blocks.append(Heading(f"{_numeral(index)}、{_heap(one)}（{_size(one)}件）"))
        news = one.heap is Heap.NEWS
        blocks.append(
            _news_table(one.rows, several)
            if news
            else _digest_table(one.rows, notice.as_of, several)
        )
        if one.more:
            blocks.append(Paragraph(f"另有{one.more}件，见 xianli todo"))
    return Letter(
        kind=NoticeKind.DIGEST,
        mark=mark,
        caution=caution,
        urgency=None,
        masthead=None,
        number=None,
        title=f"清洁取暖每日提要（{as_of}）",
        title_lines=(f"清洁取暖每日提要（{as_of}）",),
        addressee=f"{notice.name}（{office}）：",
        blocks=tuple(blocks),
        enclosure=None,
        signature=None,
        dated=None,
        issued_on=notice.as_of,
        copies=None,
        printed=None,
        annex=None,
    )


def _opening(sections: Sequence[Section]) -> str:
    """What waits for the reader, apart from what he is only to know."""

    def counted(news: bool) -> str:
        mine = [one for one in sections if (one.heap is Heap.NEWS) is news]
        return "、".join(f"{_heap(one)}{_size(one)}件" for one in mine)

    waiting, news = counted(news=False), counted(news=True)
    if not waiting:
        return f"有{news}"
    return f"待您办理的有：{waiting}。请由急到缓依次办理" + (f"；另有{news}" if news else "")


def _heap(one: Section) -> str:
    if one.heap is Heap.COMING and one.within is not None:
        return f"{one.within}天内到期"
    return one.heap.label


def _size(one: Section) -> int:
    return len(one.rows) + one.more


def _digest_table(rows: Sequence[DigestRow], as_of: date, several: bool) -> Table:
    columns = [
        *_whose(several),
        Column("期限事项", 32, left=True),
        Column("期限日", 26),
        Column("还剩/已超", 20),
        Column("下一步", 34, left=True),
    ]
    return Table(
        tuple(columns),
        tuple(
            Row(
                (
                    *_who(row, several),
                    row.matter,
                    row.due_on.isoformat() if row.due_on else NONE,
                    _left(row.due_on, as_of),
                    row.next_step,
                )
            )
            for row in rows
        ),
    )


def _news_table(rows: Sequence[DigestRow], several: bool) -> Table:
    """What others did, or what is foreseen: there is no day to it and no next step."""
    columns = (*_whose(several), Column("情况", 110, left=True))
    return Table(columns, tuple(Row((*_who(row, several), row.matter)) for row in rows))


def _whose(several: bool) -> list[Column]:
    unit = [Column("责任单位", 24)] if several else []
    return [Column("户编号", 22), *unit, Column("村", 22), Column("环节", 18)]


def _who(row: DigestRow, several: bool) -> list[str]:
    unit = [row.unit_name] if several else []
    return [row.code or NONE, *unit, row.village, _word(row.state)]


def _word(word: Word | None) -> str:
    return word.label if word else NONE


def _left(due_on: date | None, as_of: date) -> str:
    if due_on is None:
        return NONE
    days = (due_on - as_of).days
    if days == 0:
        return "今天到期"
    return f"还剩{days}天" if days > 0 else f"已超{-days}天"


# 催办单 and 督办通知 -----------------------------------------------------------------------


def _supervision(notice: Supervision) -> Letter:
    mark, caution = marks(notice.drill, notice.unverified)
    kind = notice.form
    what = "逾期事项" if notice.matters else "有关事项"
    about = (f"关于{notice.unit_name}", f"清洁取暖改造{what}的{kind.label}")
    standing = URGE_DEMANDS if kind is NoticeKind.URGE else SUPERVISE_DEMANDS
    blocks: list[Block] = [
        Heading("一、事由与依据"),
        *_grounds(notice),
        Heading("二、逾期事项"),
        *_overdue(notice),
        Heading("三、办理要求"),
        *_numbered(notice.demands or standing),
        Heading("四、办结时限"),
        Paragraph(f"请于{notices.day(notice.finish_by)}前办结上列事项。"),
        Heading("五、反馈方式"),
        Paragraph(
            f"请逐户填写所附回执，由责任人签字并加盖公章，于{notices.day(notice.reply_by)}前"
            f"反馈。{notice.feedback}"
        ),
    ]
    return Letter(
        kind=kind,
        mark=mark,
        caution=caution,
        urgency=None,
        masthead=notice.issuer,
        number=notice.number,
        title="".join(about),
        title_lines=_lines(*about),
        addressee=f"{notice.addressee}：",
        blocks=tuple(blocks),
        enclosure="附件：办理情况回执",
        signature=notice.issuer,
        dated=notices.day(notice.issued_on),
        issued_on=notice.issued_on,
        copies=_copies(notice.copies),
        printed=f"{notices.day(notice.issued_on)}印发",
        annex=_slip(notice),
    )


def _grounds(notice: Supervision) -> Iterable[Paragraph]:
    rung = f"，列为{notice.level.label}" if notice.level else ""
    clauses = "、".join(f"“{clause}”" for clause in notice.clauses)
    where = f"{clauses}的规定" if clauses else "的规定"
    yield Paragraph(
        f"根据《{notice.plan_title}》（{notice.plan_document}）{where}，"
        f"截至{notices.day(notice.as_of)}，你单位有{_counted(notice.matters)}"
        f"超过办理期限{rung}。现将逾期事项及办理要求通知如下。"
        if notice.matters
        else f"根据《{notice.plan_title}》（{notice.plan_document}）{where}，"
        "现将有关事项及办理要求通知如下。"
    )
    if notice.reason:
        yield Paragraph(notice.reason)
    if notice.earlier:
        yield Paragraph(f"此前已发{'、'.join(notice.earlier)}，至今尚未办结。")


def _counted(matters: Sequence[Matter]) -> str:
    """Households, and the matters where one household has several."""
    households = len({one.code for one in matters})
    more = f"{len(matters)}件事项" if len(matters) > households else ""
    return f"{households}户{more}"


def _overdue(notice: Supervision) -> Iterable[Block]:
    if not notice.matters:
        return (Paragraph("截至上述日期，没有逾期户。"),)
    rows = [
        (
            str(index),
            one.code,
            one.village,
            _word(one.path),
            _word(one.state),
            one.matter,
            one.due_on.isoformat(),
            str((notice.as_of - one.due_on).days),
        )
        for index, one in enumerate(notice.matters, 1)
    ]
    columns = (
        Column("序号", 12),
        Column("户编号", 21),
        Column("村", 22),
        Column("取暖路径", 20),
        Column("所处环节", 20),
        Column("逾期事项", 22),
        Column("办理期限", 23),
        Column("超期（天）", 16),
    )
    return (Table(columns, tuple(map(Row, rows))),)


def _slip(notice: Supervision) -> Annex:
    columns = (
        Column("序号", 12),
        Column("户编号", 21),
        Column("村", 22),
        Column("逾期事项", 22),
        Column("办理情况", 33, left=True),
        Column("办结日期", 20),
        Column("责任人签字", 26),
    )
    rows = tuple(
        Row((str(index), matter.code, matter.village, matter.matter, "", "", ""))
        for index, matter in enumerate(notice.matters, 1)
    )
    blank = Row(("",) * len(columns))
    return Annex(
        label="附件",
        title=f"{notice.form.label}办理情况回执",
        blocks=(
            Paragraph(f"来文编号：{notice.number}　　填报单位：{notice.unit_name}"),
            Table(columns, rows or (blank,)),
            Paragraph(
                "填写说明：逐户填写办理情况（已办结、正在办理、不能办结及原因），"
                "不填姓名、身份证号和电话；可附页。"
            ),
            Paragraph("单位负责人（签字）：　　　　　　　　　　　　单位（盖章）："),
            Paragraph("填报日期：　　　　年　　月　　日"),
        ),
        code=notices.reply_code(notice.number),
    )


# 通报 --------------------------------------------------------------------------------------

_FIGURES = (
    ("确户", "confirmed"),
    ("选型", "selected"),
    ("开工", "started"),
    ("安装", "installed"),
    ("通电", "powered"),
    ("施工完成", "completed"),
    ("验收合格", "accepted"),
)
# The customary columns of counts, as page and workbook have them.
CUSTOMARY = ("task", "confirmed", "selected", "started", "installed", "powered", "accepted")
_INSTEAD = {
    "completed": "powered",
    "period_done": "change",
    "chance": "change",
    "at_risk": "change",
}
_LATENESS = (("逾期", "overdue"), ("有风险", "at_risk"))


def _bulletin(notice: Bulletin) -> Letter:
    mark, caution = marks(notice.drill, notice.unverified)
    blocks: list[Block] = [
        Paragraph(
            f"现将《{notice.plan_title}》（{notice.plan_document}）截至"
            f"{notices.day(notice.as_of)}的进展情况通报如下。"
        ),
        Heading("一、总体进展"),
        Paragraph(overall(notice)),
    ]
    parts = [("需要关注的问题", notice.remarks), ("工作要求", notice.demands or BULLETIN_DEMANDS)]
    for index, (name, texts) in enumerate((part for part in parts if part[1]), 1):
        blocks += [Heading(f"{_numeral(index)}、{name}"), *_numbered(texts)]
    about = f"关于{notice.as_of.year}年", "清洁取暖改造进展情况的通报"
    return Letter(
        kind=NoticeKind.BULLETIN,
        mark=mark,
        caution=caution,
        urgency=None,
        masthead=notice.issuer,
        number=notice.number,
        title="".join(about),
        title_lines=_lines(*about),
        addressee=f"{notice.addressee}：",
        blocks=tuple(blocks),
        enclosure=f"附件：清洁取暖改造进展情况表（截至{notice.as_of.month}月{notice.as_of.day}日）",
        signature=notice.issuer,
        dated=notices.day(notice.issued_on),
        issued_on=notice.issued_on,
        copies=_copies(notice.copies),
        printed=f"{notices.day(notice.issued_on)}印发",
        annex=Annex(
            label="附件",
            title="清洁取暖改造进展情况表",
            blocks=(
                _standings(notice),
                Paragraph(f"注：{terms(notice)}"),
            ),
            wide=True,
        ),
    )


def note(line: Standing, *, warned: bool) -> str | None:
    """What a reader of the line must not miss, in few words and in households: the 备注."""
    over = (line.accepted or 0) - line.task
    told = [
        f"超任务{over}户" if over > 0 else "",
        f"逾期最久{line.longest}天" if line.longest else "",
        f"按期概率{line.chance}" if warned and line.chance else "",
        f"已退出{line.closed}户" if line.closed else "",
    ]
    return "、".join(one for one in told if one) or None


def terms(notice: Bulletin) -> str:
    """What the words of the table mean, and what it ranks by."""
    lines = (*notice.townships, *notice.departments)
    period = f"{notices.day(notice.since)}至{notices.day(notice.as_of)}"
    return (
        f"{_period_terms(lines, period)}"
        "完成率为验收合格户数（含计划外户）与任务户数之比，可以超过100%；任务不足"
        f"{figures.RATE_FROM}户的单位列户数，不列比率。“有风险”不含已逾期的户。" + _ranked_by(lines)
    )


def _period_terms(lines: Sequence[Standing], period: str) -> str:
    if all(line.change is None for line in lines):
        return f"“本期验收”指{period}。"
    return (
        f"本期为{period}，“较上期”为验收合格户数与上期末之差。“开工”“安装”“通电”按工程登记的日期，"
        "“通电”即具备使用条件，不含已关闭的户。"
    )


def _ranked_by(lines: Sequence[Standing]) -> str:
    if all(line.rank is None for line in lines):
        return ""
    return "排名按完成率，限乡（镇），相同的并列。"


def overall(notice: Bulletin) -> str:
    """The bulletin in two or three sentences."""
    lines = (*notice.townships, *notice.departments)
    period = f"{notices.day(notice.since)}至{notices.day(notice.as_of)}"
    sums = {key: _sum(lines, key) for _, key in _FIGURES}
    if sums["powered"] is not None:
        sums["completed"] = None  # as in the table: the newer figure instead
    done = [f"{name}{sums[key]}户" for name, key in _FIGURES if sums[key] is not None]
    task, accepted = sum(line.task for line in lines), _sum(lines, "accepted")
    whose = f"{notice.scope or '全县'}任务{task}户"
    sentences = [f"{whose}，{'、'.join(done)}" if done else whose]
    if accepted is not None:
        sentences.append(f"完成率{figures.rate(accepted, task)}")
    text = "，".join(sentences) + "。"
    if (week := _sum(lines, "period_done")) is not None:
        text += f"{period}新增验收合格{week}户。"
    late = [f"{name}{n}户" for name, key in _LATENESS if (n := _sum(lines, key)) is not None]
    return text + ("目前" + "、".join(late) + "。" if late else "")


def _standings(notice: Bulletin) -> Table:
    everybody = (*notice.townships, *notice.departments)
    shown = [
        (Column("序号", 12), None),
        (Column("责任单位", 46), None),
        (Column("任务数", 16), None),
        *((Column(name.removesuffix("合格"), 15), key) for name, key in _FIGURES),
        (Column("完成率", 18), "accepted"),
        (Column("本期验收", 18), "period_done"),
        (Column("较上期", 16), "change"),
        *((Column(name, 15), key) for name, key in _LATENESS),
        (Column("按期完成概率", 27), "chance"),
        (Column("排名", 12), "rank"),
        (Column("备注", 58, left=True), "note"),
    ]
    known = {
        key
        for _, key in shown
        if key is not None and any(getattr(line, key) is not None for line in everybody)
    }
    # A figure that nobody has is no column; nor one that a newer column says better.
    known -= {old for old, new in _INSTEAD.items() if new in known}
    kept = [index for index, (_, key) in enumerate(shown) if key is None or key in known]

    def row(first: str, line: Standing, *, strong: bool = False) -> Row:
        cells = _standing(first, line)
        return Row(tuple(cells[index] for index in kept), strong)

    rows = []
    for name, lines in (("乡（镇）", notice.townships), ("县直部门", notice.departments)):
        if not lines:
            continue
        rows.append(Row((name,), strong=True))
        rows += [row(str(index), line) for index, line in enumerate(lines, 1)]
        if len(everybody) > 1:
            rows.append(row("", together("小计", lines), strong=True))
    if len(everybody) > 1:
        rows.append(row("", together("合计", everybody), strong=True))
    return Table(
        tuple(shown[index][0] for index in kept),
        tuple(rows),
        caption=f"截至{notices.day(notice.as_of)}　　单位：户",
    )


def _standing(first: str, line: Standing) -> tuple[str, ...]:
    return (
        first,
        line.unit_name,
        str(line.task),
        *(_told(getattr(line, key)) for _, key in _FIGURES),
        NONE if line.accepted is None else figures.rate(line.accepted, line.task),
        _told(line.period_done),
        signed(line.change),
        *(_told(getattr(line, key)) for _, key in _LATENESS),
        _told(line.chance),
        _told(line.rank),
        line.note or "",
    )


def signed(change: int | None) -> str:
    """A gain or loss: `+3`, `-1`, `0`."""
    return NONE if change is None else f"{change:+d}" if change else "0"


def together(name: str, lines: Sequence[Standing]) -> Standing:
    """A line that adds up; what cannot be added is None."""
    return Standing(
        unit_name=name,
        task=sum(line.task for line in lines),
        confirmed=_sum(lines, "confirmed"),
        selected=_sum(lines, "selected"),
        started=_sum(lines, "started"),
        completed=_sum(lines, "completed"),
        accepted=_sum(lines, "accepted"),
        period_done=_sum(lines, "period_done"),
        overdue=_sum(lines, "overdue"),
        at_risk=_sum(lines, "at_risk"),
        chance=None,
        rank=None,
        installed=_sum(lines, "installed"),
        powered=_sum(lines, "powered"),
        change=_sum(lines, "change"),
        closed=_sum(lines, "closed"),
        by_state=_states(lines),
    )


def _states(lines: Sequence[Standing]) -> tuple[int, ...] | None:
    known = [line.by_state for line in lines if line.by_state is not None]
    return tuple(map(sum, zip(*known, strict=True))) if len(known) == len(lines) else None


def _sum(lines: Sequence[Standing], key: str) -> int | None:
    """The sum of a figure, None where one unit has none: a part is not the whole."""
    figures = [getattr(line, key) for line in lines]
    return None if None in figures else sum(figures)


def _told(value: object) -> str:
    return NONE if value is None else str(value)


# 紧急报告 ----------------------------------------------------------------------------------


def _alarm(notice: Alarm) -> Letter:
    mark, caution = marks(notice.drill, notice.unverified)
    number = len(notice.households)
    about = f"关于{number}户新旧取暖设施均不能供热的", NoticeKind.ALARM.label
    rows = tuple(
        Row((one.code, one.unit_name, one.village, one.path.label, one.state.label, one.why))
        for one in notice.households
    )
    columns = (
        Column("户编号", 22),
        Column("责任单位", 26),
        Column("村", 24),
        Column("取暖路径", 20),
        Column("所处环节", 20),
        Column("情况", 48, left=True),
    )
    blocks: list[Block] = [
        Paragraph(
            f"截至{notices.day(notice.as_of)}，有{number}户原取暖设施已拆除或封存、"
            "新取暖设施又不能供热，家中没有取暖。须立即处置。",
            grave=True,
        ),
        Heading("一、户况"),
        Table(columns, rows),
        Heading("二、立即要做的事"),
        *_numbered(notice.demands or ALARM_DEMANDS),
        Heading("三、本报告已送"),
        Paragraph(f"{'、'.join(notice.recipients)}。"),
    ]
    return Letter(
        kind=NoticeKind.ALARM,
        mark=mark,
        caution=caution,
        urgency=URGENCY,
        masthead=notice.issuer,
        number=notice.number,
        title="".join(about),
        title_lines=_lines(*about),
        addressee="各有关单位：",
        blocks=tuple(blocks),
        enclosure=None,
        signature=notice.issuer,
        dated=notices.day(notice.issued_on),
        issued_on=notice.issued_on,
        copies=None,
        printed=None,
        annex=None,
    )


# What they share ---------------------------------------------------------------------------


def marks(drill: bool, unverified: Sequence[str]) -> tuple[str, str]:
    """The mark of a paper made by a drill or resting on doubt, and the sentence that says so."""
    mark = "·".join(
        word for word, holds in (("演练", drill), ("未核实", bool(unverified))) if holds
    )
    cautions = []
    if drill:
        cautions.append("本件由演练产生，不是正式公文，不作为办理依据。")
    if unverified:
        cautions.append(f"所依据的{'、'.join(unverified)}尚未核实，有关日期和数字以核实后为准。")
    return mark, "".join(cautions)


def _lines(first: str, second: str) -> tuple[str, ...]:
    """7.3.1: a title too long for a line is broken where its sense allows."""
    return (first + second,) if len(first + second) <= TITLE_LINE else (first, second)


def _numbered(texts: Iterable[str]) -> list[Paragraph]:
    return [Paragraph(f"{index}．{text}") for index, text in enumerate(texts, 1)]


def _numeral(index: int) -> str:
    tens, figure = divmod(index, 10)
    return "十" * tens + "一二三四五六七八九十"[figure]


def _copies(copies: Sequence[str]) -> str | None:
    return f"抄送：{'，'.join(copies)}。" if copies else None
