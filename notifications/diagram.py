"""The lifecycle as people read it: diagrams and Markdown tables, made from the one table.

`docs/lifecycle.md` holds what these functions answer, and a test holds it fresh.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise

from msgspec import Struct

from notifications import render
from notifications.charts import Arrow, Box, Words, path
from states import evidence, lifecycle
from states.question import Guard
from states.vocabulary import FactKind, Role, State, Trigger


class Live(Struct, frozen=True):
    """What the households did: where they are, how often each step was taken, who waits too long.

    `overdue` are the households of a state whose deadline is past: they wait for the step onward.
    """

    as_of: date
    drill: bool
    registered: int
    stock: Mapping[State, int]
    edges: Mapping[tuple[Trigger, State, State], int]
    overdue: Mapping[State, int]


def ways() -> Mapping[tuple[State, State], Sequence[Trigger]]:
    """Every way of the table from state to state, with the triggers that lead there."""
    found: dict[tuple[State, State], list[Trigger]] = {}
    for step in lifecycle.STEPS:
        for source, target in step.moves.items():
            found.setdefault((source, target), []).append(step.trigger)
    return found


def mermaid(live: Live | None = None) -> str:
    """The state diagram, without the fence; triggers between the same states share an arrow."""
    first = next(iter(State))
    return "\n".join(
        (
            *([f"%% {_said_of(live)}"] if live else []),
            "stateDiagram-v2",
            *(f'    state "{_stock(state, live)}" as {state}' for state in State),
            f"    [*] --> {first}: 登记{f' {live.registered}' if live else ''}",
            *(
                f"    {source} --> {target}: {_all(source, target, triggers, live)}"
                for (source, target), triggers in ways().items()
            ),
        )
    )


def _said_of(live: Live) -> str:
    return f"截至 {live.as_of}{'【演练】' if live.drill else ''}"


def _stock(state: State, live: Live | None) -> str:
    return state.label if live is None else f"{state.label} {live.stock.get(state, 0)}"


def _all(source: State, target: State, triggers: Iterable[Trigger], live: Live | None) -> str:
    taken = "、".join(_taken(one, source, target, live) for one in triggers)
    return taken + _waiting(source, target, live)


def _taken(trigger: Trigger, source: State, target: State, live: Live | None) -> str:
    if live is None:
        return _named(trigger)
    return f"{_named(trigger)} {live.edges.get((trigger, source, target), 0)}"


def _waiting(source: State, target: State, live: Live | None) -> str:
    late = live.overdue.get(source, 0) if live and _onward(source, target) else 0
    return f"（逾期待办 {late}）" if late else ""


def _onward(source: State, target: State) -> bool:
    line = tuple(State)
    return target is not State.CLOSED and line.index(target) == line.index(source) + 1


# --- the drawing ----------------------------------------------------------------------------------

_BOX, _GAP, _HIGH, _LEFT, _LINE = 112, 104, 52, 88, 15
_LOOP = 62  # above the boxes: the way back into the same state


class Picture(Struct, frozen=True):
    """The drawing's values: boxes, arrows and words of `notifications.charts`, laid out by hand."""

    width: float
    height: float
    title: str
    told: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    words: tuple[Words, ...]


def picture(live: Live | None = None) -> Picture:
    """The six states in a row, the steps onward between them, each way back in a lane beneath.

    Words stand in the gaps between the states, where no line goes up or down; so none is crossed.
    """
    line: list[State] = [state for state in State if state is not State.CLOSED]
    place: dict[State, int] = {state: n for n, state in enumerate(line)}
    top = _LOOP + (22 if live else 0)
    base, middle = top + _HIGH, top + _HIGH / 2
    every = dict(ways())

    def left(state: State) -> float:
        return _LEFT + place[state] * (_BOX + _GAP)

    total = left(line[-1]) + _BOX + _LEFT
    boxes = [Box(left(s), top, _BOX, _HIGH, s.label, _count(s, live)) for s in line]
    first = left(line[0])
    arrows = [Arrow(path((6, middle), (first - 1, middle)), "forward")]
    words = [Words(6, middle - 8, "登记" + (f" {live.registered:,}" if live else ""), "start")]
    if live:
        words.append(Words(6, 16, _said_of(live), "start", "soft"))
    for here, there in pairwise(line):
        at = left(here) + _BOX
        triggers = every.pop((here, there))
        arrows.append(Arrow(path((at, middle), (left(there) - 1, middle)), "forward"))
        lines = [_label(one, here, there, live) for one in triggers]
        words += _stacked(at + _GAP / 2 - 3, middle - 8 - _LINE * (len(lines) - 1), lines)
        late = live.overdue.get(here, 0) if live else 0
        if late:
            words.append(Words(at + _GAP / 2 - 3, middle + 19, f"逾期 {late:,}", "middle", "late"))
    for state in line:
        if triggers := every.pop((state, state), []):
            x = left(state) + _BOX / 2
            high = top - 26
            loop = path((x + 22, top), (x + 22, high), (x - 22, high), (x - 22, top - 1))
            arrows.append(Arrow(loop, "back"))
            lines = [_label(one, state, state, live) for one in triggers]
            words += _stacked(x, high - 6 - _LINE * (len(lines) - 1), lines)
    back = sorted(
        (way for way in every if State.CLOSED not in way),
        key=lambda way: (place[way[0]] - place[way[1]], place[way[0]]),
    )
    number = Counter(state for way in back for state in way)
    feet: dict[State, int] = dict.fromkeys(line, 0)

    def foot(state: State) -> float:
        feet[state] += 1
        return left(state) + 16 + feet[state] * (_BOX - 40) / (number[state] + 1)

    depth = base + 8.0
    for source, target in back:
        lines = [_label(one, source, target, live) for one in every[source, target]]
        depth += _LINE * len(lines) + 8
        start, end = foot(source), foot(target)
        arrows.append(
            Arrow(path((start, base), (start, depth), (end, depth), (end, base + 1)), "back")
        )
        # The gap nearest to the middle of the way.
        gaps = range(place[target], place[source])
        gap = gaps[len(gaps) // 2]
        at = _LEFT + gap * (_BOX + _GAP) + _BOX + _GAP / 2
        words += _stacked(at, depth - 5 - _LINE * (len(lines) - 1), lines)
    bar = depth + 52
    count = _count(State.CLOSED, live)
    label = f"{State.CLOSED.label} {count}".strip()
    boxes.append(Box(first, bar, total - _LEFT - first, 30, label, ""))
    for state in line:
        at = left(state) + _BOX - 8
        arrows.append(Arrow(path((at, base), (at, bar - 1)), "leave"))
        for trigger in every[state, State.CLOSED]:
            text = _label(trigger, state, State.CLOSED, live)
            words.append(Words(at + 6, bar - 10, text, "start", "soft"))
    for (source, target), triggers in every.items():
        if source is State.CLOSED:
            at = left(target) + 8
            arrows.append(Arrow(path((at, bar), (at, base + 1)), "back"))
            text = "、".join(_label(one, source, target, live) for one in triggers)
            words.append(Words(at - 6, bar - 26, text, "end"))
    told = "；".join(
        f"{source.label}到{target.label}：{_all(source, target, triggers, live)}"
        for (source, target), triggers in ways().items()
    )
    stock = (
        "；".join(f"{state.label} {live.stock.get(state, 0)} 户" for state in State) if live else ""
    )
    return Picture(
        total,
        bar + 44,
        "一户从确村确户到允许拆除的各环节" + (f"（{_said_of(live)}）" if live else ""),
        "；".join(part for part in (stock, told) if part),
        tuple(boxes),
        tuple(arrows),
        tuple(words),
    )


def svg(live: Live | None = None) -> str:
    """The lifecycle as one SVG that needs nothing else, for a file or within a page."""
    return render.drawing("lifecycle.svg.j2", chart=picture(live))


def _count(state: State, live: Live | None) -> str:
    return f"{live.stock.get(state, 0):,}" if live else ""


def _label(trigger: Trigger, source: State, target: State, live: Live | None) -> str:
    if live is None:
        return trigger.label
    return f"{trigger.label} {live.edges.get((trigger, source, target), 0):,}"


def _stacked(x: float, y: float, lines: Sequence[str]) -> list[Words]:
    return [Words(x, y + n * _LINE, text) for n, text in enumerate(lines)]


def table() -> str:
    """The triggers: from where to where, who pulls them, by which clause, what must hold."""
    return _markdown(
        ("trigger", "from → to", "who", "clause", "what must hold"),
        (
            (
                f"`{step.trigger}` {step.trigger.label}",
                _moves(step),
                _roles(step.roles),
                step.clause,
                _guards(step.guards),
            )
            for step in lifecycle.STEPS
        ),
    )


def general_table() -> str:
    """What must hold for every step, and what for every fact."""
    return _markdown(
        ("for", "what must hold"),
        (
            ("every trigger", _guards(lifecycle.EVERY_STEP)),
            ("every fact", _guards(lifecycle.EVERY_FACT)),
            (
                f"`{FactKind.CORRECT}` {FactKind.CORRECT.label}",
                _guards(lifecycle.ANY_TIME),
            ),
        ),
    )


def facts_table() -> str:
    """The facts beside the line: who may record them, by which clause, what must hold."""
    return _markdown(
        ("fact", "who", "clause", "what must hold"),
        (
            (
                f"`{record.kind}` {record.kind.label}",
                _roles(record.roles),
                record.clause,
                _guards(record.guards),
            )
            for record in lifecycle.RECORDS
        ),
    )


def _named(trigger: Trigger) -> str:
    return f"{trigger} {trigger.label}"


def _moves(step: lifecycle.Step) -> str:
    sources: dict[State, list[State]] = {}
    for source, target in step.moves.items():
        sources.setdefault(target, []).append(source)
    return "<br>".join(
        f"{'、'.join(source.label for source in found)} → {target.label}"
        for target, found in sources.items()
    )


def _roles(roles: Sequence[Role]) -> str:
    return "<br>".join(f"`{role}` {role.label}" for role in roles)


def _guards(guards: Sequence[Guard]) -> str:
    return "<br>".join(f"`{guard.__name__}` {_promise(guard)}" for guard in guards)


def _promise(guard: Guard) -> str:
    # A guard's docstring cites its clause and says what must hold, in its first paragraph.
    return " ".join((guard.__doc__ or "").partition("\n\n")[0].split())


def _markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    ruled = [list(heading), ["---"] * len(heading), *map(list, rows)]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in ruled
    )


def keys_table() -> str:
    """The evidence keys of every trigger and fact; `*` marks one that may be repeated."""
    return _markdown(
        ("trigger or fact", "keys"),
        (
            (
                f"`{kind}` {kind.label}",
                "<br>".join(
                    f"`{key.name}`{'*' if key.repeated else ''} {key.form}"
                    for key in evidence.keys(kind).values()
                ),
            )
            for kind in (*Trigger, *FactKind)
        ),
    )
