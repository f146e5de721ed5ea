"""Drawings as plain values: points and places of words, in a drawing's own units.

The macros of `charts.html.j2` turn them into SVG. Every drawing says in words what it shows, for
who does not see it; what it shows is in a table beside it too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

from msgspec import Struct

from states.vocabulary import State, Trigger


class Size(Struct, frozen=True):
    """A drawing's size, the room around its plot, and whether there is room for more words."""

    width: int
    height: int
    left: int
    top: int
    wordy: bool
    font: int = 12


WIDE = Size(720, 310, left=46, top=50, wordy=True)
NARROW = Size(330, 260, left=40, top=50, wordy=True)
SMALL = Size(264, 152, left=40, top=24, wordy=False)
_RIGHT, _BOTTOM = 10, 22
Places = Callable[[date], float]


class Words(Struct, frozen=True):
    """A text of a drawing; `anchor` is SVG's, `tone` a class of the page's colours."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    tone: str = ""


class Line(Struct, frozen=True):
    """A straight line of a drawing."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str


class CurveChart(Struct, frozen=True):
    """An S-curve: points as SVG writes them, empty where there is nothing to draw.

    `now` is the point reached, None when the day asked for lies outside.
    """

    width: int
    height: int
    font: int
    title: str
    told: str
    plan: str
    actual: str
    band: str
    expected: str
    now: tuple[float, float] | None
    lines: tuple[Line, ...]
    words: tuple[Words, ...]


def curve(
    size: Size,
    *,
    title: str,
    told: str,
    span: tuple[date, date],
    as_of: date,
    target_on: date,
    task: int,
    planned: Sequence[tuple[date, int]],
    actual: Sequence[tuple[date, int]],
    band: Sequence[tuple[date, int, int, int]],
    done: int,
    weekly: bool = False,
) -> CurveChart:
    """Plan, what was done and the forecast over the days of a span.

    Nothing is clamped: the height goes up to whichever is most. `weekly` says that `actual` is
    looked at now and then and drawn straight between; else it changes on these days alone.
    """
    first, last = span
    days = max((last - first).days, 1)
    right, bottom = size.width - _RIGHT, size.height - _BOTTOM
    most = max([1, task, done, *(n for _, n in actual), *(high for *_, high in band)])

    def x(on: date) -> float:
        return _tidy(size.left + (right - size.left) * (on - first).days / days)

    def y(households: int) -> float:
        return _tidy(bottom - (bottom - size.top) * households / most)

    until = min(as_of, last)
    words = list(_months(span, x, bottom + 16, size))
    lines = [
        Line(size.left, y(0), right, y(0), "axis"),
        Line(size.left, y(task), right, y(task), "task"),
        Line(x(target_on), size.top - 4, x(target_on), bottom, "target"),
    ]
    words.append(Words(size.left - 5, y(0) + 4, "0", "end", "soft"))
    words.append(Words(size.left - 5, y(task) + 4, f"{task:,}", "end", "soft"))
    if size.wordy:
        lines.append(Line(size.left, y(task // 2), right, y(task // 2), "grid"))
        if task > 3:
            words.append(Words(size.left - 5, y(task // 2) + 4, f"{task // 2:,}", "end", "soft"))
        words += _marks(size, x, target_on, as_of, span, right)
        if first <= as_of <= last:
            lines.append(Line(x(as_of), size.top - 4, x(as_of), bottom, "today"))
    seen = [(on, households) for on, households in actual if first <= on <= until]
    steps = seen if weekly else _steps(actual, first, until)
    point = (x(until), y(done)) if first <= until else None
    if point and first <= as_of <= last:
        words.append(_value(size, point, f"{done:,}", bottom))
    return CurveChart(
        width=size.width,
        height=size.height,
        font=size.font,
        title=title,
        told=told,
        plan=_points((x(on), y(n)) for on, n in planned if first <= on <= last),
        actual=_points((x(on), y(n)) for on, n in steps),
        band=_points(
            [
                *((x(on), y(high)) for on, _, _, high in band if on <= last),
                *((x(on), y(low)) for on, low, _, _ in reversed(band) if on <= last),
            ]
        ),
        expected=_points((x(on), y(middle)) for on, _, middle, _ in band if on <= last),
        now=point if first <= as_of <= last else None,
        lines=tuple(lines),
        words=tuple(words),
    )


def _tidy(value: float) -> float:
    return round(value, 1)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _steps(actual: Sequence[tuple[date, int]], first: date, until: date) -> list[tuple[date, int]]:
    """The changes as a stair from the first day drawn to the last."""
    if until < first:
        return []
    level = 0
    found: list[tuple[date, int]] = []
    for on, households in actual:
        if on > until:
            break
        if on > first:
            if not found:
                found.append((first, level))
            if on - found[-1][0] > timedelta(days=1):
                found.append((on - timedelta(days=1), level))
            found.append((on, households))
        level = households
    if not found:
        found.append((first, level))
    return [*found, (until, level)]


def _months(span: tuple[date, date], x: Places, y: float, size: Size) -> Iterable[Words]:
    """The months below the plot, in the middle of each as far as it is drawn; some left out."""
    first, last = span
    starts = []
    month = first.replace(day=1)
    while month <= last:
        starts.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    room = (size.width - size.left - _RIGHT) / max(len(starts), 1)
    every = -(-(2.6 * size.font) // max(room, 1))
    for place, month in enumerate(starts):
        following = (month + timedelta(days=32)).replace(day=1)
        begins, ends = max(month, first), min(following, last)
        if place % every or (ends - begins).days < 9:
            continue
        yield Words(_tidy((x(begins) + x(ends)) / 2), y, f"{month.month}月", "middle", "soft")


def _marks(
    size: Size, x: Places, target_on: date, as_of: date, span: tuple[date, date], right: int
) -> Iterable[Words]:
    """The days that matter, above the plot: the deadline in one row, the day asked for below."""
    marks = [(target_on, f"计划 {target_on.month}月{target_on.day}日", size.top - 36)]
    if span[0] <= as_of <= span[1]:
        marks.append((as_of, f"截至 {as_of.month}月{as_of.day}日", size.top - 22))
    for on, text, height in marks:
        at, wide = x(on), width(text, size.font)
        anchor = "end" if at + wide / 2 > right else "start" if at - wide / 2 < size.left else ""
        yield Words(at, height, text, anchor or "middle", "soft")


def _value(size: Size, point: tuple[float, float], text: str, bottom: int) -> Words:
    """The figure beside the point reached: where an S-curve leaves room, above and to its left."""
    at, height = point
    wide = width(text, size.font)
    above = max(height - 7, size.font)
    if at - 8 - wide > size.left:
        return Words(at - 7, above, text, "end", "actual")
    return Words(at + 7, min(above, bottom - 6), text, "start", "actual")


def width(text: str, font: int) -> float:
    """About how wide a text is drawn: a Chinese character as wide as high, a digit a bit more than
    half."""
    return sum(font if ord(sign) > 0x2E80 else 0.56 * font for sign in text)


# --- bars -----------------------------------------------------------------------------------------


class Bar(Struct, frozen=True):
    """A bar in a table: its length and the mark of the whole, of 100; beyond the mark is more."""

    length: float
    mark: float | None


def bar(share: float, widest: float) -> Bar:
    """The bar of a share, where the longest of its table is `widest` (at least 1)."""
    longest = max(widest, 1.0)
    return Bar(_tidy(100 * share / longest), _tidy(100 / longest) if longest > 1 else None)


# --- the flow of states ---------------------------------------------------------------------------

_BOX, _GAP, _HIGH = 86, 40, 46
_TOP, _LANE = 26, 24
_FIRST_X = 2


class Box(Struct, frozen=True):
    """A state with the households in it."""

    x: float
    y: float
    width: float
    height: float
    label: str
    count: str


class Arrow(Struct, frozen=True):
    """A way from state to state, as an SVG path; `kind` is forward, back or leave."""

    path: str
    kind: str


class FlowChart(Struct, frozen=True):
    """The states in a row, the steps forward between them, those back and out beneath."""

    width: float
    height: float
    title: str
    told: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    words: tuple[Words, ...]


def flow(
    stock: Mapping[State, int],
    edges: Sequence[tuple[Trigger, State, State, int]],
    registered: int,
) -> FlowChart:
    """How often each step led from where to where, and how many are where now.

    Steps back share a lane where they lead between the same states; those out stand in a row of
    their own above 已退出.
    """
    line: list[State] = [state for state in State if state is not State.CLOSED]
    place: dict[State, int] = {state: n for n, state in enumerate(line)}

    def left(state: State) -> float:
        return _FIRST_X + _GAP * 0.6 + place[state] * (_BOX + _GAP)

    total = left(line[-1]) + _BOX + _FIRST_X
    boxes = [Box(left(s), _TOP, _BOX, _HIGH, s.label, f"{stock.get(s, 0):,}") for s in line]
    middle = _TOP + _HIGH / 2
    arrows = [Arrow(path((0, middle), (left(line[0]) - 1, middle)), "forward")]
    words = [Words(0, _TOP - 10, f"登记 {registered:,}", "start", "soft")]
    ways: dict[tuple[State, State], list[tuple[Trigger, int]]] = {}
    for trigger, source, target, times in edges:
        if times:
            ways.setdefault((source, target), []).append((trigger, times))
    for here, there in pairwise(line):
        times = sum(n for _, n in ways.pop((here, there), []))
        at = left(here) + _BOX
        kind = "forward" if times else "unused"
        arrows.append(Arrow(path((at, middle), (left(there) - 1, middle)), kind))
        words.append(Words(at + _GAP / 2, middle - 7, f"{times:,}"))
    back = sorted(
        ((s, t) for s, t in ways if State.CLOSED not in (s, t)),
        key=lambda way: (place[way[0]] - place[way[1]], place[way[0]]),
    )
    # Each way has a foot of its own in its two boxes, so that no two lines lie on each other.
    number = Counter(state for way in back for state in way)
    feet: dict[State, int] = dict.fromkeys(line, 0)

    def foot(state: State) -> float:
        feet[state] += 1
        return left(state) + 10 + feet[state] * min(13, (_BOX - 26) / number[state])

    base = _TOP + _HIGH
    height = float(base)
    for lane, (source, target) in enumerate(back):
        height = base + 14 + lane * _LANE + 10
        start, end = foot(source), foot(target)
        arrows.append(
            Arrow(path((start, base), (start, height), (end, height), (end, base + 1)), "back")
        )
        text = "、".join(f"{trigger.label} {n:,}" for trigger, n in ways[source, target])
        words.append(_under(text, start, end, height, total))
    leaving = [s for s in line if ways.get((s, State.CLOSED))]
    returning = ways.get((State.CLOSED, line[0]), [])
    if leaving or returning or stock.get(State.CLOSED):
        height += 30
        text = f"{State.CLOSED.label} {stock.get(State.CLOSED, 0):,}"
        boxes.append(
            Box(_FIRST_X + _GAP * 0.6, height + 14, total - _FIRST_X - _GAP * 0.6 - 2, 26, text, "")
        )
        for state in leaving:
            at = left(state) + _BOX - 8
            arrows.append(Arrow(path((at, base), (at, height + 13)), "leave"))
            n = sum(times for _, times in ways[state, State.CLOSED])
            words.append(Words(at - 4, height + 9, f"退出 {n:,}", "end"))
        if returning:
            at = left(line[0]) + 8
            arrows.append(Arrow(path((at, height + 14), (at, base + 1)), "back"))
            words.append(Words(at - 4, height - 6, f"恢复 {returning[0][1]:,}", "start"))
        height += 42
    else:
        height += 8
    told = "；".join(f"{state.label} {stock.get(state, 0):,} 户" for state in State)
    return FlowChart(
        _tidy(total),
        _tidy(height + 14),
        "各环节的户数和流向",
        told,
        tuple(boxes),
        tuple(arrows),
        tuple(words),
    )


def path(*points: tuple[float, float]) -> str:
    """A line through these points, as SVG writes it."""
    return "M" + " L".join(f"{_tidy(x):g} {_tidy(y):g}" for x, y in points)


def _under(text: str, start: float, end: float, height: float, total: float) -> Words:
    half = width(text, 12) / 2
    at = min(max((start + end) / 2, half + 2), total - half - 2)
    return Words(_tidy(at), height - 4, text)
