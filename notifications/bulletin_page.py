"""The 通报 as a page: the same figures as the letter and the workbook, with the course of works."""

from collections.abc import Mapping

from notifications import charts, figures, letters, render
from notifications.notices import Bulletin, Standing
from notifications.pages import Head
from states.vocabulary import State


def page(notice: Bulletin, head: Head, period: str) -> str:
    """The bulletin as one page that needs nothing else; `period` is the word for what it covers."""
    everybody = (*notice.townships, *notice.departments)
    blocks = [
        (name, lines)
        for name, lines in (("乡（镇）", notice.townships), ("县直部门", notice.departments))
        if lines
    ]
    ranked = any(line.rank is not None for line in everybody)
    return render.page(
        "bulletin.html.j2",
        head,
        notice=notice,
        period=period,
        overall=letters.overall(notice),
        terms=letters.terms(notice),
        blocks=[
            {
                "name": name,
                "rows": [_row(str(place), line) for place, line in enumerate(lines, 1)],
                "sum": _row("", letters.together("小计", lines)),
            }
            for name, lines in blocks
        ],
        several=len(everybody) > 1,
        total=_row("", letters.together("合计", everybody)),
        ranked=ranked,
        curves=[_curve(notice, size) for size in (charts.WIDE, charts.NARROW)]
        if notice.course
        else [],
        states=[state.label for state in State],
        by_state=[_states(line) for line in (*everybody, letters.together("合计", everybody))]
        if len(everybody) > 1
        else [_states(line) for line in everybody],
    )


def _row(place: str, line: Standing) -> Mapping[str, object]:
    return {
        "place": place,
        "name": line.unit_name,
        "counts": [_count(getattr(line, key)) for key in letters.CUSTOMARY],
        "rate": letters.NONE if line.accepted is None else figures.rate(line.accepted, line.task),
        "change": letters.signed(line.change),
        "down": line.change is not None and line.change < 0,
        "overdue": _count(line.overdue),
        "late": bool(line.overdue),
        "rank": _count(line.rank),
        "note": line.note or "",
    }


def _states(line: Standing) -> Mapping[str, object]:
    return {"name": line.unit_name, "counts": [_count(one) for one in line.by_state or ()]}


def _count(value: int | None) -> str:
    return letters.NONE if value is None else f"{value:,}"


def _curve(notice: Bulletin, size: charts.Size) -> charts.CurveChart:
    course, target = notice.course, notice.target_on
    assert course
    assert target is not None
    task = sum(line.task for line in (*notice.townships, *notice.departments))
    known = [(one.on, one.actual) for one in course if one.actual is not None]
    now = next((one for one in course if one.on == notice.as_of), None)
    planned, done = (now.planned, now.actual or 0) if now else (0, 0)
    return charts.curve(
        size,
        title=f"{notice.scope or '全县'}施工完成进度",
        told=f"任务 {task:,} 户，计划此时 {planned:,} 户，实际 {done:,} 户",
        span=(course[0].on, course[-1].on),
        as_of=notice.as_of,
        target_on=target,
        task=task,
        planned=[(one.on, one.planned) for one in course],
        actual=known,
        band=(),
        done=done,
        weekly=True,
    )
