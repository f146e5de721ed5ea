"""The safety check: walks the lifecycle and looks for a permission that nothing earned.

The walk is over the product of the state with what a permission must have behind it: an acceptance
since the device, path or case was last begun anew, and a completed stay in 稳定运行一季 since then.
It goes along the rows of the real table; that the `permit` row still carries every guard of section
4 is checked against a list of its own. Days and evidence are not walked yet.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from states import guards_permit, lifecycle
from states.vocabulary import Role, State, Trigger

PROPERTY = (
    "到达“允许拆除”的每一条路，都在最近一次开始或重新开始之后经过“验收”和“稳定运行一季”，"
    "并且只由 permit、只由县清洁取暖办、在第四节全部条件之下到达"
)
# After these the acceptance before them no longer counts.
RESTARTS = (
    Trigger.OVERTURN,
    Trigger.REPLACE,
    Trigger.CHANGE_PATH,
    Trigger.REINSTATE,
)
# Every guard that section 4 needs at the door to 允许拆除.
SEASON_GUARDS = (
    guards_permit.season_served,
    guards_permit.season_verified,
    guards_permit.no_long_outage,
    guards_permit.outages_within_total,
    guards_permit.heat_on_today,
    guards_permit.first_heat_known,
    guards_permit.warm_visits_made,
    guards_permit.season_signed,
    guards_permit.recorded_in_time,
    guards_permit.nothing_open,
    guards_permit.permitted_by_another,
    guards_permit.permitted_today,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A state, and what has been earned since the last restart."""

    state: State
    accepted: bool = False
    ran: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """What the walk found: how many places, and the shortest way to an unsafe permission."""

    holds: bool
    places: int
    counterexample: tuple[tuple[Trigger, State, str], ...]


def walk(steps: Sequence[lifecycle.Step] = lifecycle.STEPS) -> Proof:
    """Every reachable place of the table; the shortest way to 允许拆除 that breaks the property."""
    start = Place(State.HOUSEHOLD_CONFIRMATION)
    came_from: dict[Place, tuple[Place, Trigger] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        place = waiting.popleft()
        for step in steps:
            target = step.moves.get(place.state)
            if target is None:
                continue
            fault = _fault(place, step, target)
            if fault:
                way = (*_way(came_from, place), (step.trigger, target, fault))
                return Proof(False, len(came_from), way)
            following = _after(place, step.trigger, target)
            if following not in came_from:
                came_from[following] = (place, step.trigger)
                waiting.append(following)
    return Proof(True, len(came_from), ())


def _after(place: Place, trigger: Trigger, target: State) -> Place:
    accepted = (place.accepted and trigger not in RESTARTS) or trigger is Trigger.ACCEPT
    ran = accepted and target in (State.STABLE_SEASON, State.REMOVAL_PERMITTED)
    return Place(target, accepted, ran)


def _fault(place: Place, step: lifecycle.Step, target: State) -> str | None:
    if target is not State.REMOVAL_PERMITTED:
        return None
    if not place.accepted:
        return "没有经过验收"
    if not place.ran or place.state is not State.STABLE_SEASON:
        return "没有经过稳定运行一季"
    if step.trigger is not Trigger.PERMIT:
        return "不是经 permit 到达"
    if step.roles != (Role.COUNTY_OFFICE,):
        return "不限于县清洁取暖办"
    absent = [guard.__name__ for guard in SEASON_GUARDS if guard not in step.guards]
    return f"缺少条件：{'、'.join(absent)}" if absent else None


def _way(
    came_from: dict[Place, tuple[Place, Trigger] | None], place: Place
) -> tuple[tuple[Trigger, State, str], ...]:
    way: list[tuple[Trigger, State, str]] = []
    here = place
    while (before := came_from[here]) is not None:
        way.append((before[1], here.state, ""))
        here = before[0]
    return tuple(reversed(way))
