"""A household's time as a drawing: season, states, outages, visits and what happened when.

Geometry only, in plain figures: the page, the Word file and the PDF each draw it with their own
means, and none of them computes a place.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

from msgspec import Struct

WIDTH = 690  # fits A4 between the margins, and is read sideways on a phone
LEFT = 56  # the names of the lanes
ROOM = 12  # of a Chinese character, in the drawing's unit
_MARK = 17  # two marks nearer than this would cover each other


class Stretch(Struct, frozen=True):
    """Days from the first to the last, both included; `tone` names its colour."""

    first: date
    last: date
    text: str
    tone: str


class Moment(Struct, frozen=True):
    """Something that happened on a day, in few words; `tone` names its colour."""

    on: date
    text: str
    tone: str = ""


class Bar(Struct, frozen=True):
    """A stretch with its place; `label` is empty where it would not fit, `told` never is."""

    x: float
    width: float
    label: str
    told: str
    tone: str


class Mark(Struct, frozen=True):
    """A moment with its place: a number in a lane of its own, explained beneath the drawing."""

    x: float
    row: int
    number: int
    on: date
    text: str
    tone: str


class Dot(Struct, frozen=True):
    """A visit: where, how warm, and whether that was warm enough."""

    x: float
    told: str
    warm: bool


class Timeline(Struct, frozen=True):
    """The whole drawing; `ticks` are the months' beginnings with their names."""

    first: date
    last: date
    ticks: tuple[tuple[float, str], ...]
    seasons: tuple[Bar, ...]
    states: tuple[Bar, ...]
    outages: tuple[Bar, ...]
    dots: tuple[Dot, ...]
    marks: tuple[Mark, ...]
    rows: int
    today: float


def draw(
    first: date,
    last: date,
    as_of: date,
    *,
    seasons: Sequence[Stretch],
    states: Sequence[Stretch],
    outages: Sequence[Stretch],
    visits: Iterable[tuple[date, float, bool]],
    moments: Sequence[Moment],
) -> Timeline:
    """The drawing of the days from `first` to `last`, with a line at `as_of`."""
    days = max((last - first).days + 1, 1)
    scale = (WIDTH - LEFT) / days

    def x(day: date) -> float:
        return round(LEFT + min(max((day - first).days, 0), days) * scale, 1)

    def bar(stretch: Stretch) -> Bar:
        begin, end = max(stretch.first, first), min(stretch.last, last)
        left = x(begin)
        width = round(max(x(end + timedelta(days=1)) - left, 2.0), 1)
        # The lane of outages is told by its name, and red is no ground to read on.
        fits = len(stretch.text) * ROOM + 4 <= width and stretch.tone not in ("outage", "fault")
        told = f"{stretch.text}：{stretch.first} 至 {stretch.last}"
        return Bar(left, width, stretch.text if fits else "", told, stretch.tone)

    marks, ends = [], list[float]()
    for number, moment in enumerate(sorted(moments, key=lambda one: one.on), start=1):
        # Near the edge a mark moves in, so that it is not cut.
        place = min(max(x(moment.on), LEFT + 8), WIDTH - 9)
        row = next((n for n, end in enumerate(ends) if place - end >= _MARK), len(ends))
        if row == len(ends):
            ends.append(place)
        ends[row] = place
        marks.append(Mark(place, row, number, moment.on, moment.text, moment.tone))
    return Timeline(
        first,
        last,
        tuple(_ticks(first, last, x)),
        tuple(bar(one) for one in seasons if one.last >= first and one.first <= last),
        tuple(map(bar, states)),
        tuple(bar(one) for one in outages if one.last >= first and one.first <= last),
        tuple(
            Dot(min(max(x(on), LEFT + 5), WIDTH - 5), f"{on} {temperature:g} ℃", warm)
            for on, temperature, warm in visits
        ),
        tuple(marks),
        max(len(ends), 1),
        min(x(as_of), WIDTH - 1.0),
    )


def _ticks(first: date, last: date, x: Callable[[date], float]) -> Iterable[tuple[float, str]]:
    months = []
    year, month = first.year, first.month
    while (day := date(year, month, 1)) <= last:
        if day >= first:
            months.append(day)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    # Names of two figures and a character need thirty units; a year's end needs more.
    every = next((n for n in (1, 2, 3, 6, 12) if len(months) / n * 44 <= WIDTH - LEFT), 24)
    for place, day in enumerate(months):
        left = x(day)
        if place % every == 0 and left <= WIDTH - 44:
            named = f"{day:%y}.{day.month}" if day.month == 1 or place == 0 else f"{day.month}月"
            yield left, named
