"""The performance self-evaluation in words and tables, once for Word and for the page.

What the county office has to write itself stands as 【待填写：…】. Pictures are bars of cells: a
raster of a chart would need a library for nothing else, and tables can be copied on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from statistics import median

from msgspec import Struct

from notifications import figures, render, word
from notifications.dashboard import LACKING, AnnexLine, Proof
from notifications.letters import Block, Column, Heading, Paragraph, Row, Table
from notifications.notices import day
from notifications.pages import Head
from states.evaluation import JUDGED, Score, Tally
from states.plan import LEAD_TRIGGERS
from states.vocabulary import (
    CloseCause,
    FactKind,
    Level,
    Measure,
    Paper,
    Quota,
    Severity,
    Stability,
    State,
    Trigger,
    ViolationType,
)
from states.workdays import local_minute

NONE = "—"
MOST_LISTED = 200  # households by name in the report; all of them are in the JSON answer
_BAR = 10
_WORDY = (
    ("组织领导和责任落实", "领导小组、责任分工、调度会议次数"),
    ("能源保障", "供电、供热、洁净煤储备等保障情况和签订的供用合同"),
    ("资金使用", "到位和拨付资金、补贴标准、审计情况"),
    ("建筑节能改造", "任务 6.34 万㎡等的完成情况和能效提升"),
    ("群众满意度和舆情", "回访、满意度调查、信访和舆情办理情况"),
    ("存在问题和下一步打算", "主要问题、原因、整改措施和时限"),
)


class UnitFigures(Struct, frozen=True):
    """A unit's figures and marks."""

    code: str
    name: str
    department: bool
    tally: Tally
    scores: tuple[Score, ...]


class HouseholdLine(Struct, frozen=True):
    """A household of which something is wrong or wanting.

    `guards` are those of `permit` that refuse, `lacking` what its file should hold and does not.
    """

    code: str
    unit_name: str
    village: str
    state: State
    stability: Stability
    guards: tuple[str, ...]
    lacking: tuple[Paper, ...]


class Parameter(Struct, frozen=True):
    """A parameter that nobody has verified, with its source."""

    name: str
    value: str
    source: str


class Evaluation(Struct, frozen=True):
    """Everything the report says.

    `known` says whether the season's dates are known for every area and path, `ended` whether the
    last of them is over. `limits` are the plan's outage days: of one outage, and together.
    """

    season: str
    spans: tuple[tuple[date | None, date | None], ...]
    ended: bool
    known: bool
    units: tuple[UnitFigures, ...]
    whole: bool
    total: Tally
    scores: tuple[Score, ...]
    annex: tuple[AnnexLine, ...]
    households: tuple[HouseholdLine, ...]
    parameters: tuple[Parameter, ...]
    limits: tuple[int, int]
    phase_ends: tuple[date, date]
    proof: Proof
    head: Head


def flat(value: object) -> str:
    """A parameter's value as people read it."""
    if isinstance(value, list):
        return "、".join(map(str, value)) or "无"
    if isinstance(value, dict):
        names = {str(word): word.label for word in (*Trigger, *Level)}
        return "、".join(f"{names.get(key, key)} {one}" for key, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def page(found: Evaluation) -> str:
    """The report as one page that needs nothing else."""
    sections: list[tuple[str, list[Block]]] = []
    lead: list[Block] = []
    for block in blocks(found):
        if isinstance(block, Heading):
            sections.append((block.text, []))
        else:
            (sections[-1][1] if sections else lead).append(block)
    return render.page("evaluation.html.j2", found.head, opening=lead, sections=sections)


def word_file(found: Evaluation) -> bytes:
    """The report as a Word file."""
    head = found.head
    return word.report_docx(
        title=head.title,
        drill=head.drill,
        unverified=head.unverified,
        cautions=head.cautions,
        blocks=tuple(blocks(found)),
        foot=(
            f"数字由日志第 1 至 {head.seq} 条算出，末条登记于 "
            f"{local_minute(head.recorded_until)}（北京时间）。"
        ),
        as_of=head.as_of,
        county=head.county,
    )


def points(scores: Sequence[Score]) -> tuple[float, int]:
    """The marks together, and the weight of the indicators that could be computed."""
    counted = [one for one in scores if one.points is not None]
    return round(sum(one.points or 0 for one in counted), 2), sum(
        one.indicator.weight for one in counted
    )


def blocks(found: Evaluation) -> Iterator[Block]:
    """The report's headings, sentences and tables, in order."""
    head = found.head
    known = f"，按 {local_minute(head.known_at)} 所知" if head.known_at else ""
    yield Paragraph(
        f"根据《{head.plan_title}》（{head.plan_document}）五、实施步骤（四）关于绩效评估的要求，"
        f"对 {found.season} 采暖季清洁取暖改造情况自评如下。数字截至{day(head.as_of)}{known}，"
        "由日志逐户算出；标有【待填写】的部分由县清洁取暖工作领导小组办公室补充。"
    )
    yield Paragraph(_season_said(found), grave=not found.ended)
    yield from _scores(found)
    yield from _completion(found)
    yield from _timeliness(found)
    yield from _stability(found)
    yield from _matters(found)
    yield from _dossiers(found)
    yield from _unverified(found)
    yield from _proof(found)
    yield Heading("九、由县办补充的内容")
    for title, what in _WORDY:
        yield Paragraph(f"{title}：【待填写：{what}】")
    yield from _households(found)


def _season_said(found: Evaluation) -> str:
    spans = "；".join(f"{first} 至 {last}" for first, last in found.spans)
    if not found.known:
        what = f"（已知 {spans}）" if spans else ""
        return (
            f"{found.season} 采暖季起止日期尚有未知{what}，稳定运行情况不能评定，有关指标无法计算。"
        )
    if found.ended:
        return f"{found.season} 采暖季（{spans}）已结束。"
    return (
        f"{found.season} 采暖季（{spans}）尚未结束：稳定运行、季末用户签字和运行证据要到季末"
        "才能评定，有关指标无法计算，以下运行数字只是到截止日为止的情况。"
    )


# --- the marks ------------------------------------------------------------------------------------


def _scores(found: Evaluation) -> Iterator[Block]:
    got, computable = points(found.scores)
    yield Heading("一、自评得分")
    told = f"可计算的指标权重 {computable} 分，自评得 {got:g} 分"
    if computable < 100:
        told += f"；其余 {100 - computable} 分的指标无法计算，不计分，也不按满分折算"
    yield Paragraph(f"{told}。指标、权重和满分线取自计划文件，市级评价办法未公开，以正式办法为准。")
    rows = []
    for one in found.scores:
        value = NONE if one.value is None else figures.rate(one.count, one.of)
        if one.value is not None and one.indicator.key is Measure.VIOLATIONS:
            value = f"{one.value:.2f}"
        marks = "无法计算" if one.points is None else f"{one.points:g}"
        line = f"{one.indicator.full:g} / {one.indicator.zero:g}"
        weight = f"{one.indicator.weight}"
        share = 0.0 if one.points is None else one.points / one.indicator.weight
        rows.append(
            Row(
                (
                    *(one.indicator.name, weight, f"{one.count}/{one.of}", value, line, marks),
                    one.why or bar(share),
                )
            )
        )
    rows.append(Row(("合计", "100", "", "", "", f"{got:g}", f"满分 {computable}"), strong=True))
    yield Table(
        (
            *(Column("指标", 30, left=True), Column("权重", 10), Column("实数/应数", 20)),
            *(Column("指标值", 16), Column("满分线/零分线", 18), Column("得分", 16)),
            Column("得分率", 30, left=True),
        ),
        tuple(rows),
    )
    if len(found.units) > 1:
        rows = []
        for unit in found.units:
            got, computable = points(unit.scores)
            share = got / computable if computable else 0.0
            few = "户数少，仅供参考" if unit.tally.task < figures.RATE_FROM else ""
            rows.append(
                Row((unit.name, f"{unit.tally.task}", f"{got:g}", f"{computable}", bar(share), few))
            )
        yield Table(
            (
                *(Column("责任单位", 34, left=True), Column("任务", 14), Column("得分", 14)),
                *(Column("可计算满分", 18), Column("得分率", 30, left=True)),
                Column("说明", 30, left=True),
            ),
            tuple(rows),
            caption="各责任单位按同一指标计算",
        )


def bar(share: float) -> str:
    """A bar of ten cells; more than the whole is not shown as more, its figure stands beside it."""
    full = min(max(round(share * _BAR), 0), _BAR)
    return "█" * full + "░" * (_BAR - full)


# --- completion -----------------------------------------------------------------------------------


def _completion(found: Evaluation) -> Iterator[Block]:
    total = found.total
    yield Heading("二、任务完成")
    yield Paragraph(
        f"附件任务 {total.task} 户；在册 {total.registered} 户，其中计划内 "
        f"{total.quotas[Quota.PLANNED]} 户、结转 {total.quotas[Quota.CARRIED_OVER]} 户、超计划 "
        f"{total.quotas[Quota.OVER_PLAN]} 户、已退出 {sum(total.closed.values())} 户。施工完成 "
        f"{total.completed} 户，验收合格 {total.accepted} 户"
        f"（{_share(total.accepted, total.task)}），允许拆除 {total.permitted} 户。"
        "完成率以附件任务为分母，可以超过 100%。"
    )
    yield _by_unit(
        found,
        (
            *("任务", "计划内", "结转", "超计划", "已退出", "施工完成", "验收合格"),
            "完成率",
        ),
        lambda t: (
            *_numbers(t.task, *(t.quotas[one] for one in Quota), sum(t.closed.values())),
            *_numbers(t.completed, t.accepted),
            _share(t.accepted, t.task),
        ),
    )
    rows = [
        Row(
            (
                one.unit_name,
                _what(one),
                NONE if one.task is None else f"{one.task}",
                *_numbers(one.planned, one.carried_over, one.over_plan, one.completed),
                f"{one.accepted}",
                NONE if one.task is None else _share(one.accepted, one.task),
            )
        )
        for one in found.annex
    ]
    known = [one.task or 0 for one in found.annex]
    sums = (
        *(sum(known), sum(a.planned for a in found.annex)),
        *(sum(a.carried_over for a in found.annex), sum(a.over_plan for a in found.annex)),
        *(sum(a.completed for a in found.annex), sum(a.accepted for a in found.annex)),
    )
    rows.append(Row(("合计", "", *_numbers(*sums), _share(sums[-1], sums[0])), strong=True))
    headings = ("任务", "计划内", "结转", "超计划", "施工完成", "验收合格", "完成率")
    yield Table(
        (
            *(Column("责任单位", 34, left=True), Column("路径、户别、区域", 34, left=True)),
            *(Column(text, _wide(text)) for text in headings),
        ),
        tuple(rows),
        caption="对照附件逐项（不含已退出）",
    )
    if total.closed:
        causes = [one for one in CloseCause if total.closed[one]]
        yield _by_unit(
            found,
            (*(one.label for one in causes), "合计"),
            lambda t: _numbers(*(t.closed[one] for one in causes), sum(t.closed.values())),
            caption="已退出的户，按原因（没有退出的单位不列）",
            shown=lambda t: bool(t.closed),
        )
    else:
        yield Paragraph("没有退出的户。")


def _what(one: AnnexLine) -> str:
    parts = (one.path.label, one.kind.label if one.kind else "", one.area.label if one.area else "")
    return "".join(parts) + ("（附件未列）" if one.task is None else "")


# --- timeliness -----------------------------------------------------------------------------------


def _timeliness(found: Evaluation) -> Iterator[Block]:
    total = found.total
    works, acceptance = found.phase_ends
    yield Heading("三、时限")
    yield Paragraph(
        f"施工期限 {works}，验收期限 {acceptance}；整改、延期和停工顺延的，按各户当时的期限判定。"
        "每做一次环节计一次，返工的另计。"
    )
    two = (Trigger.COMPLETE, Trigger.ACCEPT)
    yield _by_unit(
        found,
        (
            *("完工按期", "完工逾期", "逾期未完工", "验收按期", "验收逾期", "逾期未验收"),
            *("整改按期", "整改逾期", "逾期未整改"),
        ),
        lambda t: _numbers(
            *(
                number
                for step in two
                for number in (
                    t.steps[step] - t.late_steps[step],
                    t.late_steps[step],
                    t.waiting_late[step],
                )
            ),
            *(t.put_right - t.put_right_late, t.put_right_late, t.put_right_waiting),
        ),
        caption="单位：次（户）",
    )
    yield _by_unit(
        found,
        (*(f"{step.label}" for step in LEAD_TRIGGERS), "延期", "停工", "停工天数"),
        lambda t: (
            *(_median(t.days.get(step, ())) for step in LEAD_TRIGGERS),
            *_numbers(t.extensions, sum(t.pauses.values()), t.pause_days),
        ),
        caption="各环节用时的中位天数；延期、停工的次数",
    )
    if total.pauses:
        causes = "、".join(f"{cause.label} {n} 次" for cause, n in sorted(total.pauses.items()))
        yield Paragraph(f"停工原因：{causes}。")


def middle(days: Sequence[int]) -> float | None:
    """The median, None of nothing."""
    return float(median(days)) if days else None


def _median(days: Sequence[int]) -> str:
    found = middle(days)
    return NONE if found is None else f"{found:g}"


# --- the season -----------------------------------------------------------------------------------


def _stability(found: Evaluation) -> Iterator[Block]:
    total = found.total
    yield Heading("四、采暖季稳定运行")
    stable = total.stability[Stability.STABLE]
    if total.judged:
        yield Paragraph(
            f"经历全季的 {total.judged} 户中，全季稳定 {stable} 户"
            f"（{_share(stable, total.judged)}），不稳定 {total.stability[Stability.UNSTABLE]} 户，"
            f"证据不全 {total.stability[Stability.UNKNOWN]} 户。证据不全不当作稳定。"
        )
    elif not total.accepted:
        yield Paragraph("没有验收合格的户，谈不上稳定运行。")
    else:
        yield Paragraph("还没有经历全季的户。")
    kinds = [one for one in Stability if one in JUDGED or total.stability[one]]
    yield _by_unit(
        found,
        (*(one.label for one in kinds), "合计"),
        lambda t: _numbers(*(t.stability[one] for one in kinds), sum(t.stability.values())),
        caption="各户在该采暖季的情况（不含已退出）",
    )
    if total.refusals:
        yield _counted("采暖季不稳定或证据不全的原因（一户可有几项）", total.refusals, LACKING)
    if total.outage_days:
        yield _outages(found)
        yield Paragraph(
            f"季内入户测温偏冷 {total.cold_visits} 次，涉及 {total.cold_households} 户；"
            f"首次供热晚于宽限 {total.late_heat} 户；季内故障 {total.faults} 起，"
            f"其中未修复 {total.faults_open} 起，修复用时中位 {_median(total.repair_days)} 天、"
            f"最长 {max(total.repair_days, default=0)} 天。"
        )
    waiting = total.accepted - total.permitted
    yield Paragraph(
        f"截至截止日，已许可拆除 {total.permitted} 户；其余验收合格的 {waiting} 户中，具备许可条件 "
        f"{total.qualified} 户，不具备 {waiting - total.qualified} 户"
        "（逐户判断，与 xianli case why 一致）。"
    )
    if total.not_qualified:
        yield _counted("不具备许可条件的原因（一户可有几项）", total.not_qualified, LACKING)


def _outages(found: Evaluation) -> Table:
    single, together = found.limits
    bounds = [
        ("没有停热", 0, 0),
        (f"1—{single} 天", 1, single),
        (f"{single + 1}—{together} 天", single + 1, together),
        (f"超过 {max(single, together)} 天", max(single, together) + 1, 10_000),
    ]
    days = found.total.outage_days
    rows = []
    for label, low, high in bounds:
        if low > high:
            continue
        number = sum(low <= one <= high for one in days)
        share = number / len(days)
        rows.append(Row((label, f"{number}", _share(number, len(days)), bar(share))))
    rows.append(Row(("合计", f"{len(days)}", "", ""), strong=True))
    return Table(
        (
            *(Column("季内停热累计", 40, left=True), Column("户数", 20), Column("占比", 20)),
            Column("", 40, left=True),
        ),
        tuple(rows),
        caption="停热天数的分布",
    )


def _counted(caption: str, counts: Mapping[str, int], names: Mapping[str, str]) -> Table:
    most = max(counts.values())
    rows = tuple(
        Row((names.get(key, key), f"{n}", bar(n / most)))
        for key, n in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    )
    columns = (Column("原因", 90, left=True), Column("户数", 20), Column("", 40, left=True))
    return Table(columns, rows, caption=caption)


# --- violations, removals -------------------------------------------------------------------------


def _matters(found: Evaluation) -> Iterator[Block]:
    total = found.total
    yield Heading("五、违规、投诉、审计发现和拆除")
    kinds: list[tuple[FactKind, str]] = [
        *((FactKind.VIOLATION, str(one)) for one in ViolationType),
        (FactKind.COMPLAINT, ""),
        *((FactKind.FINDING, str(one)) for one in Severity),
        (FactKind.NOTICE, ""),
    ]
    rows = [
        Row(
            (
                _matter(kind, what),
                *_numbers(
                    total.matters[kind, what],
                    total.matters_open[kind, what],
                    total.unfounded[kind, what],
                ),
            )
        )
        for kind, what in kinds
    ]
    sums = (total.matters, total.matters_open, total.unfounded)
    rows.append(Row(("合计", *_numbers(*(sum(one.values()) for one in sums))), strong=True))
    yield Table(
        (
            *(Column("事项", 60, left=True), Column("件数", 20), Column("未销号", 20)),
            Column("不属实", 20),
        ),
        tuple(rows),
    )
    yield Paragraph(
        f"有期限的事项（异议、投诉、须恢复原状的违规）已办结或逾期 {total.answers} 件，其中按期 "
        f"{total.answers - total.answers_late} 件，逾期 {total.answers_late} 件。"
    )
    yield Paragraph(
        f"原取暖设施有拆除或封存记录的 {total.removed} 户，"
        f"其中有许可、依规的 {total.removed_lawful} 户，"
        f"无许可的 {total.removed - total.removed_lawful} 户。",
        grave=total.removed > total.removed_lawful,
    )
    if total.matters or total.removed:
        yield _by_unit(
            found,
            ("违规", "投诉", "审计发现", "公示异议", "未销号", "拆除封存", "依规"),
            lambda t: _numbers(
                *(
                    sum(n for (kind, _), n in t.matters.items() if kind is one)
                    for one in (
                        *(FactKind.VIOLATION, FactKind.COMPLAINT, FactKind.FINDING),
                        FactKind.NOTICE,
                    )
                ),
                *(sum(t.matters_open.values()), t.removed, t.removed_lawful),
            ),
        )


def _matter(kind: FactKind, what: str) -> str:
    if kind is FactKind.VIOLATION:
        return f"违规：{ViolationType(what).label}"
    if kind is FactKind.FINDING:
        return f"审计发现：{Severity(what).label}"
    return "公示异议" if kind is FactKind.NOTICE else kind.label


# --- ledgers and files ----------------------------------------------------------------------------


def _dossiers(found: Evaluation) -> Iterator[Block]:
    total = found.total
    yield Heading("六、台账和一户一档")
    complete = _share(total.dossiers_complete, total.dossiers) if total.dossiers else NONE
    yield Paragraph(
        f"已确户应建档 {total.dossiers} 户，按所处环节材料齐全 {total.dossiers_complete} 户"
        f"（{complete}）。下表为各单位缺某项的户数。"
    )
    papers = [one for one in Paper if total.papers[one]]
    yield _by_unit(
        found,
        ("应建档", "齐全", *(f"缺{one.label}" for one in papers)),
        lambda t: _numbers(t.dossiers, t.dossiers_complete, *(t.papers[one] for one in papers)),
    )


def _unverified(found: Evaluation) -> Iterator[Block]:
    yield Heading("七、未核实的参数")
    if not found.parameters:
        yield Paragraph("所依据的参数都已核实。")
        return
    yield Paragraph("以下参数通知没有规定或来源尚未核实，依其算出的数字以核实后为准。")
    rows = tuple(Row((one.name, one.value, one.source)) for one in found.parameters)
    columns = (Column("参数", 40, left=True), Column("值", 36), Column("来源", 74, left=True))
    yield Table(columns, rows)


def _proof(found: Evaluation) -> Iterator[Block]:
    proof = found.proof
    yield Heading("八、数据可信度")
    broken = f"核对不符，第一处在 {proof.broken}" if proof.broken else "未见改动"
    if proof.witnessed:
        seen = f"最近一次由 {proof.witness} 见证到第 {proof.witnessed} 条"
        seen += f"（{local_minute(proof.witnessed_at)}）" if proof.witnessed_at else ""
    else:
        seen = "还没有县外见证"
    if proof.everything:
        told = (
            f"日志共 {proof.events} 条，哈希链{broken}；{seen}。"
            f"证据等级：已见证 {proof.witnessed} 条，见证以后 {proof.unseen} 条；"
            f"有办理人签名 {proof.signed} 条，其余只有本机时钟为证。"
        )
    else:
        told = (
            f"本账号看得到的各户日志 {proof.events} 条，哈希链{broken}；{seen}。"
            "整个日志由县清洁取暖办和审计人员核对（xianli audit verify），本报告没有核对。"
        )
    yield Paragraph(told, grave=proof.broken is not None)


# --- the households -------------------------------------------------------------------------------


def _households(found: Evaluation) -> Iterator[Block]:
    yield Heading("附：不稳定、证据不全、有缺项或有未销号事项的户")
    # Who has only not yet been through a season is counted above, and named in the JSON answer.
    named = [one for one in found.households if one.lacking or set(one.guards) - {"season_served"}]
    listed = named[:MOST_LISTED]
    if not listed:
        yield Paragraph("没有。")
        return
    if len(listed) < len(named):
        yield Paragraph(
            f"共 {len(named)} 户，列出前 {len(listed)} 户；全部见 xianli --json report evaluation。"
        )
    rows = []
    for one in listed:
        guards = "；".join(LACKING.get(guard, guard) for guard in one.guards)
        papers = "、".join(paper.label for paper in one.lacking)
        judged = one.stability is not Stability.NOT_ACCEPTED
        state = one.stability.label if judged else one.state.label
        rows.append(Row((one.code, one.unit_name, state, guards or NONE, papers or NONE)))
    yield Table(
        (
            *(Column("户编号", 22), Column("责任单位", 24), Column("采暖季或环节", 24)),
            *(Column("不具备许可条件的原因", 54, left=True), Column("缺项", 40, left=True)),
        ),
        tuple(rows),
    )


# --- tables by unit -------------------------------------------------------------------------------


def _by_unit(
    found: Evaluation,
    headings: Sequence[str],
    cells: Callable[[Tally], Sequence[str]],
    caption: str = "",
    shown: Callable[[Tally], bool] = bool,
) -> Table:
    rows = [Row((unit.name, *cells(unit.tally))) for unit in found.units if shown(unit.tally)]
    if len(found.units) > 1:
        rows.append(Row(("合计", *cells(found.total)), strong=True))
    columns = (Column("责任单位", 34, left=True), *(Column(text, _wide(text)) for text in headings))
    return Table(columns, tuple(rows), caption=caption)


def _wide(heading: str) -> int:
    return 20 if heading == "完成率" else 15


def _numbers(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number}" for number in numbers)


def _share(part: int, whole: int) -> str:
    return figures.rate(part, whole) if whole else NONE
