"""The pages of a site: the county with its units, a unit with its households, the way between them.

The dashboard and the dossier are worded elsewhere; here stand the list of households, the links,
and what the search knows. Addresses are relative, so that a site opens from a folder as well as
behind a server, and are made of codes only.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from msgspec import Struct

from notifications import dashboard, render
from notifications.dashboard import Board
from notifications.dossier import Household, key_name
from notifications.pages import Head
from notifications.surface import clean
from states.vocabulary import Path, State

INDEX = "index.html"
_FEW = 3  # what is lacking, named; the rest is counted
SCRIPT = "site.js"
NO_VILLAGE = "（未填村名）"


class Trail(Struct, frozen=True):
    """The way from the first page to a household's; `county` is None in a unit's own site."""

    county: str | None

    def to_household(self, unit: str, unit_name: str) -> tuple[tuple[str, str], ...]:
        """The links above a household's page, which stands in a folder of its own."""
        if self.county is None:
            return ((unit_name, f"../{INDEX}"),)
        return ((f"{self.county}看板", f"../{INDEX}"), (unit_name, f"../{unit}/{INDEX}"))


class Home(Struct, frozen=True):
    """A line of a unit's list; `page` is None where the household could not be read."""

    code: str
    village: str
    householder: str
    path: Path
    state: State
    since: date
    due_on: date | None
    provisional: bool
    overdue: bool
    at_risk: bool
    next_step: str
    page: str | None


class UnitPage(Struct, frozen=True):
    """A unit of the site: where its page stands, seen from the first page, and its households."""

    code: str
    name: str
    page: str
    homes: tuple[Home, ...]

    @property
    def villages(self) -> dict[str, list[Home]]:
        """Its households by village, both in the order of their codes."""
        found: dict[str, list[Home]] = {}
        for home in self.homes:
            found.setdefault(home.village or NO_VILLAGE, []).append(home)
        return found


def next_step(household: Household) -> str:
    """What comes next for a household and what it still lacks, in few words."""
    state = household.facts.state
    if state is State.CLOSED:
        return "—"
    if state is State.REMOVAL_PERMITTED:
        in_force = household.facts.permitted_on(household.as_of) is not None
        return "可自愿拆除，不是义务" if in_force else "许可中止，不得拆除：先销号"
    answer = household.next_step or household.permit
    name = answer.trigger.label
    if answer.possible:
        return f"{name}：可以办理"
    lacking = [*dict.fromkeys(key_name(key) for one in answer.reasons for key in one.missing)]
    if lacking:
        more = f"等 {len(lacking)} 项" if len(lacking) > _FEW else ""
        told = f"缺{'、'.join(lacking[:_FEW])}{more}"
    else:
        told = clean(answer.reasons[0].message)
    return f"{name}：{told}" + (f"；最早 {answer.earliest}" if answer.earliest else "")


def county_page(board: Board, head: Head, units: Sequence[UnitPage]) -> str:
    """The first page: the county's dashboard with a link to each unit."""
    links = {
        "units": {"": None, **{unit.code: unit.page for unit in units}},
        "cases": _pages(units, ""),
    }
    return _page("site.html.j2", board, head, links, units, crumbs=())


def unit_page(board: Board, head: Head, unit: UnitPage, county: str | None) -> str:
    """A unit's page: its dashboard and its households by village.

    `county` is None where this is the first page of the unit's own site.
    """
    up = "" if county is None else "../"
    crumbs = () if county is None else ((f"{county}看板", f"../{INDEX}"),)
    links = {"units": {"": None, unit.code: None}, "cases": _pages([unit], up)}
    return _page("unit.html.j2", board, head, links, [unit], crumbs=crumbs, unit=unit, up=up)


def _pages(units: Sequence[UnitPage], up: str) -> dict[str, str]:
    return {home.code: up + home.page for unit in units for home in unit.homes if home.page}


def _page(
    template: str,
    board: Board,
    head: Head,
    links: Mapping[str, object],
    units: Sequence[UnitPage],
    **more: object,
) -> str:
    text, allowed = render.script(SCRIPT)
    up = str(more.get("up", ""))
    # Per unit: its name, its page seen from here, and its villages with their households' pages.
    known = [
        [
            unit.name,
            "" if "unit" in more else unit.page,
            [
                [village, [[home.code, up + home.page] for home in homes if home.page]]
                for village, homes in unit.villages.items()
            ],
        ]
        for unit in units
    ]
    return render.page(
        template,
        head,
        **dashboard.values(board),
        **more,
        site=links,
        unit_pages=units,
        script=text,
        allowed=allowed,
        known=known,
    )
