"""Each workload's cost against its size: the plot and the tables of docs/scale.md.

`python benchmarks/growth.py` reads `measured.jsonl`, what `run.py --out` wrote, and brings
`docs/scale.svg` and the tables in `docs/scale.md` in line with it. Cost is processor time: it holds
on a machine that others use too. A slope of 1 is a cost that grows as the size does.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from math import floor, log10
from pathlib import Path
from xml.sax.saxutils import escape

import measure
from measure import FLOOR, OURS, ROOT, Figure, Took
from msgspec import Struct

MEASURED = Path(__file__).with_name("measured.jsonl")
PAGE, PLOT = ROOT / "docs" / "scale.md", ROOT / "docs" / "scale.svg"
GROWING: Mapping[str, str] = {
    "W2": "five steps and four facts of each household",
    "W3": "the sweep, 1 % due",
    "W4": "verifying all of it, by events",
    "W5": "import, by rows",
    "W8": "figures of a past day",
}
# Of these workloads one variant is drawn.
_DRAWN = ("SQLite", "SQLite, 1 % due", "SQLite, all of it")
_COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e5ea2", "#b8860b")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 460, 70, 210, 24, 48
_BEGINS, _ENDS = "<!-- {} begins -->\n", "<!-- {} ends -->\n"


class Series(Struct, frozen=True):
    """What somebody's work took at each size, in order."""

    workload: str
    who: str
    points: tuple[tuple[int, float], ...]

    @property
    def slope(self) -> float | None:
        """The slope of the line through the logarithms; None for less than two sizes."""
        return slope(self.points)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """By least squares on both logarithms."""
    if len(points) < 2:
        return None
    xs, ys = [log10(x) for x, _ in points], [log10(y) for _, y in points]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    above = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - middle_x) ** 2 for x in xs)


def read(file: Path) -> tuple[dict[str, str], list[Figure]]:
    """The versions and the figures; of a workload measured twice alike the last one counts."""
    versions: dict[str, str] = {}
    found: dict[tuple[str, str, int], Figure] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if "versions" in told:
            versions = told["versions"]
            continue
        told.pop("ratio")
        told["took"] = {who: Took(**took) for who, took in told["took"].items()}
        told["missing"] = tuple(told["missing"])
        figure = Figure(**told)
        found[figure.workload, figure.variant, figure.size] = figure
    order = sorted(found, key=lambda key: (key[0], key[1].partition(" ")[0], key[2]))
    return versions, [found[key] for key in order]


def series(figures: Iterable[Figure]) -> list[Series]:
    """Ours and the floor of every workload that was measured at several sizes."""
    points: dict[tuple[str, str], dict[int, float]] = {}
    for figure in figures:
        grows = figure.workload in GROWING and figure.variant in _DRAWN
        if not grows or FLOOR not in figure.took:
            continue
        for who in (OURS, FLOOR):
            at = points.setdefault((figure.workload, who), {})
            at[figure.size] = figure.took[who].cpu
    return [
        Series(workload, who, tuple(sorted(at.items())))
        for (workload, who), at in points.items()
        if len(at) > 1
    ]


def plot(found: Sequence[Series]) -> str:
    """The drawing: lines of ours, dashed lines of their floors, on two logarithmic axes."""
    every = [point for one in found for point in one.points]
    x_from, x_to = _decades([x for x, _ in every])
    y_from, y_to = _decades([y for _, y in every])
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (log10(x) - x_from) / (x_to - x_from) * (right - _LEFT),
            bottom - (log10(y) - y_from) / (y_to - y_from) * (bottom - _TOP),
        )

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">',
        "<title>Processor time against size, both axes logarithmic</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for decade in range(x_from, x_to + 1):
        x, _ = place(10**decade, 10**y_from)
        lines.append(_line((x, _TOP), (x, bottom), "#ddd"))
        lines.append(_text(x, bottom + 18, f"{10**decade:,}", "middle"))
    for decade in range(y_from, y_to + 1):
        _, y = place(10**x_from, 10**decade)
        lines.append(_line((_LEFT, y), (right, y), "#ddd"))
        lines.append(_text(_LEFT - 6, y + 4, measure.seconds(10.0**decade), "end"))
    lines.append(_text(_LEFT - 6, _TOP - 8, "processor time", "start"))
    lines.append(_text((_LEFT + right) / 2, _HEIGHT - 10, "households, events or rows", "middle"))
    colours = dict(zip(GROWING, _COLOURS, strict=True))
    for one in found:
        colour, dash = colours[one.workload], ' stroke-dasharray="5 4"' if one.who == FLOOR else ""
        places = [place(x, y) for x, y in one.points]
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        lines.append(
            f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    for row, workload in enumerate(GROWING):
        y = _TOP + 20 + row * 44
        told_ours = _slope_of(found, workload, OURS)
        told_floor = _slope_of(found, workload, FLOOR)
        lines.append(_line((right + 14, y - 4), (right + 38, y - 4), colours[workload], 3))
        lines.append(_text(right + 44, y, f"{workload}: slope {told_ours}", "start"))
        lines.append(_text(right + 44, y + 16, f"floor {told_floor}, dashed", "start"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _slope_of(found: Sequence[Series], workload: str, who: str) -> str:
    slopes = [one.slope for one in found if (one.workload, one.who) == (workload, who)]
    return "–" if not slopes or slopes[0] is None else f"{slopes[0]:.2f}"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = floor(log10(min(values))), floor(log10(max(values)))
    return low, high + 1


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, width: int = 1) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="{width}"/>'
    )


def _text(x: float, y: float, told: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(told)}</text>'


def slopes(found: Sequence[Series]) -> str:
    """The slopes as a table."""
    lines = ["| | sizes | slope | of the floor |", "|---|---|---:|---:|"]
    for workload, told in GROWING.items():
        mine = next((one for one in found if (one.workload, one.who) == (workload, OURS)), None)
        if mine is None:
            continue
        sizes = ", ".join(f"{size:,}" for size, _ in mine.points)
        ours, least = (_slope_of(found, workload, who) for who in (OURS, FLOOR))
        lines.append(f"| {workload} {told} | {sizes} | {ours} | {least} |")
    return "\n".join(lines)


def measured(figures: Sequence[Figure]) -> str:
    """A row for each figure: the medians for one unit, and how many times the floor's."""
    names = ("transitions + SQLModel", "django-fsm-2", "eventsourcing")
    lines = [
        "| | | size | one | Xianli, wall | CPU | floor, wall | CPU | × wall | **× CPU** | "
        f"{' | '.join(f'{name}, × CPU' for name in names)} | peak |",
        f"|---|---|---:|---|{'---:|' * (7 + len(names))}",
    ]
    for figure in figures:
        if OURS not in figure.took:
            continue
        ours, least = figure.took[OURS], figure.took.get(FLOOR)
        ratio, pieces = figure.ratio(), figure.pieces
        floors = [measure.seconds(t / pieces) for t in (least.wall, least.cpu)] if least else []
        ratios = [f"{ratio[0]:.2f}", f"**{ratio[1]:.2f}**"] if ratio else []
        beside = [figure.ratio(name) for name in names]
        cells = [
            figure.workload,
            figure.variant,
            f"{figure.size:,}",
            figure.unit,
            measure.seconds(ours.wall / pieces),
            measure.seconds(ours.cpu / pieces),
            *(floors or ["", ""]),
            *(ratios or ["", ""]),
            *(f"{one[1]:.2f}" if one else "" for one in beside),
            f"{figure.peak_mib} MiB" if figure.peak_mib else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


class Goal(Struct, frozen=True):
    """What a figure is to reach; `kind` says what of it counts."""

    told: str
    workload: str
    variant: str
    sizes: tuple[int, ...]
    bound: str
    kind: str = "ratio"


GOALS = (
    Goal("a step on SQLite", "W1", "SQLite", (3966,), "≤ 1.5"),
    Goal("a step on PostgreSQL", "W1", "PostgreSQL", (3966,), "≤ 1.5"),
    Goal("bulk", "W2", "SQLite", (3966, 100_000), "≤ 4"),
    Goal("first sweep", "W3", "SQLite, 1", (1_000_000,), "≤ 2"),
    Goal("second sweep", "W3", "SQLite, n", (1_000_000,), "< 1 ms", "time"),
    Goal("`audit verify`", "W4", "SQLite, all", (100_000, 1_000_000), "≤ 1.5"),
    Goal("`audit verify`", "W4", "SQLite, all", (100_000, 1_000_000), "< 300 MB", "peak"),
    Goal("`audit verify --chain`", "W4", "SQLite, --chain", (100_000, 1_000_000), "≤ 1.5"),
    Goal("import", "W5", "SQLite", (100_000,), "≤ 4"),
    Goal("`--help`", "W6", "--help", (3966,), "≤ 80 ms", "time"),
    Goal("`todo`", "W6", "todo", (3966,), "≤ 250 ms", "time"),
    Goal("`case show`", "W6", "case show", (3966,), "≤ 250 ms", "time"),
    Goal("`advance`", "W6", "advance", (3966,), "≤ 250 ms", "time"),
    Goal("memory of a million", "W9", "", (1_000_000,), "≤ 400 MB", "peak"),
)


def reached(figures: Sequence[Figure]) -> str:
    """What was to be reached beside what was measured."""
    lines = ["| | | size | bound | wall | CPU |", "|---|---|---:|---:|---:|---:|"]
    for goal in GOALS:
        for figure in figures:
            near = any(abs(figure.size - size) <= size * 0.05 for size in goal.sizes)
            if (
                figure.workload == goal.workload
                and figure.variant.startswith(goal.variant)
                and near
            ):
                what = goal.told if goal.variant else figure.variant
                wall, cpu = _shown(figure, goal.kind)
                cells = (goal.workload, what, f"{figure.size:,}", goal.bound, wall, cpu)
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(figure: Figure, kind: str) -> tuple[str, str]:
    if kind == "peak":
        return f"{figure.peak_mib} MiB", ""
    if kind == "time":
        took, pieces = figure.took[OURS], figure.pieces
        return measure.seconds(took.wall / pieces), measure.seconds(took.cpu / pieces)
    ratio = figure.ratio()
    assert ratio is not None
    return f"{ratio[0]:.2f} ×", f"{ratio[1]:.2f} ×"


def page(text: str, versions: Mapping[str, str], figures: Sequence[Figure]) -> str:
    """The page with its tables in line with the figures."""
    # Workloads may have been measured at several commits: each is in the file.
    named = (f"{name} {version}" for name, version in versions.items() if name != "commit")
    told = ", ".join(named)
    text = _between(text, "measured", f"{measured(figures)}\n\nVersions: {told}.")
    text = _between(text, "reached", reached(figures))
    return _between(text, "slopes", slopes(series(figures)))


def _between(text: str, name: str, told: str) -> str:
    begins, ends = _BEGINS.format(name), _ENDS.format(name)
    before, found, rest = text.partition(begins)
    _, closed, after = rest.partition(ends)
    if not found or not closed:
        raise SystemExit(f"no place for the table “{name}”")
    return f"{before}{begins}\n{told}\n\n{ends}{after}"


def main() -> int:
    """Writes plot and page."""
    versions, figures = read(MEASURED)
    PLOT.write_text(plot(series(figures)), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), versions, figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
