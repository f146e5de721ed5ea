"""The lifecycle as people read it: a Mermaid diagram and Markdown tables, made from the one table.

`docs/lifecycle.md` holds what these functions answer, and a test holds it fresh.
"""

from collections.abc import Iterable, Sequence

from states import evidence, lifecycle
from states.question import Guard
from states.vocabulary import FactKind, Role, State, Trigger


def mermaid() -> str:
    """The state diagram, without the fence; triggers between the same states share an arrow."""
    arrows: dict[tuple[State, State], list[Trigger]] = {}
    for step in lifecycle.STEPS:
        for source, target in step.moves.items():
            arrows.setdefault((source, target), []).append(step.trigger)
    first = next(iter(State))
    return "\n".join(
        (
            "stateDiagram-v2",
            *(f'    state "{state.label}" as {state}' for state in State),
            f"    [*] --> {first}: 登记",
            *(
                f"    {source} --> {target}: {'、'.join(_named(trigger) for trigger in triggers)}"
                for (source, target), triggers in arrows.items()
            ),
        )
    )


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
