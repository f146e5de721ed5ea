"""The terminal as a surface: its width, colours and signs, and tables that fit on it.

The only file that knows rich. Control characters never pass. Every sign has an ASCII form for
terminals whose character set shows the others two columns wide.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from io import StringIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# What a column of long texts needs at least before the table is laid out another way.
LEAST_PROSE = 18
# Read on light and dark backgrounds alike; a word says the same wherever one of them is used.
STYLES = {
    "": "",
    "red": "bold red",
    "amber": "magenta",
    "green": "green",
    "soft": "dim",
    "strong": "bold",
}


def clean(text: object) -> str:
    """The text without control, escape and direction characters."""
    return "".join(
        character
        for character in str(text)
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf")
    )


class Toned(str):
    """A text with one of the tones of `STYLES`."""

    __slots__ = ("tone",)

    def __new__(cls, text: object, tone: str) -> "Toned":
        made = super().__new__(cls, str(text))
        made.tone = tone
        return made

    tone: str


class Surface:
    """A terminal of a width in columns (None: as wide as need be), with or without colour.

    `ascii_signs` is for terminals that show line-drawing characters two columns wide.
    """

    def __init__(self, width: int | None, *, colour: bool, ascii_signs: bool = False) -> None:
        self._width = width or 10_000
        self._endless = width is None
        self._colour = colour
        self._ascii = ascii_signs

    def _render(self, *parts: Table | Text) -> str:
        out = StringIO()
        console = Console(
            file=out,
            width=self._width,
            force_terminal=self._colour,
            no_color=not self._colour,
            legacy_windows=False,
            highlight=False,
        )
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, Text))
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def say(self, text: object, tone: str = "") -> str:
        """A text in a tone."""
        return self._render(Text(clean(text), style=STYLES[tone]))

    def table(
        self,
        headings: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        title: str | None = None,
        numbers: Sequence[int] = (),
        optional: Sequence[int] = (),
        drawn: Sequence[int] = (),
    ) -> str:
        """A table whose columns align with Chinese text; `numbers` are set to the right.

        `drawn` columns hold drawings, which are never folded, and are left out where rows are told.

        Where it does not fit, the `optional` columns go, the first first; where it still does not,
        each row is told in lines of its own.
        """
        cells = [[_cell(cell) for cell in row] for row in rows]
        widths = [
            max(_widest(cell) for cell in (_cell(heading), *(row[place] for row in cells)))
            for place, heading in enumerate(headings)
        ]
        least = [
            width if place in drawn else min(width, LEAST_PROSE)
            for place, width in enumerate(widths)
        ]
        shown = list(range(len(headings)))
        for place in optional:
            if self._fits(least, shown):
                break
            shown.remove(place)
        if not self._fits(least, shown):
            told = [place for place in range(len(headings)) if place not in drawn]
            rows_told = [[row[place] for place in told] for row in cells]
            return self._stacked([headings[place] for place in told], rows_told, title)
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=box.ASCII_DOUBLE_HEAD if self._ascii else box.SIMPLE_HEAD,
            pad_edge=False,
            expand=False,
            show_edge=not self._ascii,
        )
        for place in shown:
            table.add_column(
                headings[place],
                justify="right" if place in numbers else "left",
                overflow="fold",
                no_wrap=least[place] == widths[place],
            )
        for row in cells:
            table.add_row(*(row[place] for place in shown))
        return self._render(table)

    def _fits(self, least: Sequence[int], shown: Sequence[int]) -> bool:
        return sum(least[place] for place in shown) + 3 * len(shown) + 1 <= self._width

    def _stacked(
        self, headings: Sequence[str], rows: Sequence[Sequence[Text]], title: str | None
    ) -> str:
        """Each row as a head line and, indented, what else there is to say of it."""
        lines = [Text(title, style="bold")] if title else []
        for row in rows:
            named = [
                Text.assemble(f"{heading}：", cell) if heading else cell
                for heading, cell in zip(headings, row, strict=True)
                if cell.plain.strip() not in ("", "-")
            ]
            line = Text("")
            for number, part in enumerate(named):
                for piece in part.split("\n"):
                    gap = "" if not line.plain.strip() else "  "
                    if number and cell_len(line.plain + gap) + cell_len(piece.plain) > self._width:
                        lines += self._folded(line)
                        line, gap = Text("  "), ""
                    line = Text.assemble(line, gap, piece)
            lines += self._folded(line)
        return self._render(*lines) if lines else ""

    def _folded(self, line: Text) -> list[Text]:
        """The line in lines that fit, the later ones indented."""
        folded = []
        while cell_len(line.plain) > self._width:
            taken, place = 0, 0
            while taken + cell_len(line.plain[place]) <= self._width:
                taken += cell_len(line.plain[place])
                place += 1
            folded.append(line[:place])
            line = Text.assemble("  ", line[place:])
        return [*folded, line]

    def pairs(self, title: str, pairs: Iterable[tuple[str, object]]) -> str:
        """A title and lines of name and value."""
        drawn = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=None,
            show_header=False,
            pad_edge=False,
        )
        drawn.add_column(no_wrap=True, style="bold")
        drawn.add_column(overflow="fold")
        for name, value in pairs:
            drawn.add_row(Text(name), _cell(value))
        return self._render(drawn)

    def fit(self, text: str) -> str:
        """The text with the lines that are too long folded, under where their words began."""
        lines = []
        for line in text.split("\n"):
            if "\x1b" in line or cell_len(line) <= self._width:
                lines.append(line)
                continue
            indent = " " * (len(line) - len(line.lstrip()) + 2)
            rest = line
            while cell_len(rest) > self._width:
                place = _break(rest, self._width)
                lines.append(rest[:place].rstrip())
                rest = indent + rest[place:].lstrip()
            lines.append(rest)
        return "\n".join(lines)

    def bar(self, done: int, task: int, width: int = 12) -> str:
        """How much of the task is done, as a bar; what goes beyond the task is marked."""
        full, empty = ("#", ".") if self._ascii else ("█", "·")
        filled = width if done >= task else width * done // task
        return full * filled + empty * (width - filled) + ("+" if done > task else "")

    def strip(self, low: float, middle: float, high: float, mark: float, width: int) -> str:
        """An interval on an axis from 0 to 1: its ends, its middle, and a mark that is met or not.

        In ASCII everywhere: places only tell when every sign is one column wide.
        """

        def at(share: float) -> int:
            return round(max(0.0, min(1.0, share)) * (width - 1))

        signs = ["."] * width
        for place in range(at(low), at(high) + 1):
            signs[place] = "="
        signs[at(low)], signs[at(high)] = "[", "]"
        signs[at(middle)] = "o"
        signs[at(mark)] = "X" if at(middle) == at(mark) else "|"
        return "".join(signs)

    def way(self, steps: Sequence[str], here: int | None) -> str:
        """Steps in a row, the one where it stands in brackets; broken between steps where need be.

        None stands beside the row.
        """
        lines, line = [], Text("")
        for place, step in enumerate(steps):
            word = Text(f"【{step}】", style="bold") if place == here else Text(step)
            arrow = "" if place == 0 else " > "
            if cell_len(line.plain) + cell_len(arrow + word.plain) > self._width and line.plain:
                lines.append(line)
                line, arrow = Text("  "), "> "
            line = Text.assemble(line, arrow, word)
        return self._render(*lines, line)


def _break(line: str, width: int) -> int:
    """Where to fold a line: after as much as fits, not within a word nor before a full stop."""
    taken, place = 0, 0
    while place < len(line) and taken + cell_len(line[place]) <= width:
        taken += cell_len(line[place])
        place += 1
    for back in range(place, max(place - 24, len(line) - len(line.lstrip()) + 1), -1):
        within = line[back - 1].isascii() and line[back].isascii()
        if line[back] not in _NEVER_FIRST and (not within or " " in line[back - 1 : back + 1]):
            return back
    return place


_NEVER_FIRST = "，。；：、）”】》！？"


def _cell(value: object) -> Text:
    if isinstance(value, Toned):
        return Text(clean(value), style=STYLES[value.tone])
    return Text(clean(value))


def _widest(cell: Text) -> int:
    return max((cell_len(line) for line in cell.plain.split("\n")), default=0)
