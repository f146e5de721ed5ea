"""Who must have been told of what, written down a second time: dates only, day by day.

Shares no code with the program but the working days of the shipped calendar. It is told what
happened to each case, and on which days somebody swept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

import chinese_calendar
from county import OFFICERS

WORKS_END, ACCEPTANCE_END = date(2023, 9, 30), date(2023, 10, 14)
REMINDERS = (30, 14, 7, 3, 1)
ANSWER_DAYS = {"objection": 5, "complaint": 15, "restitution": 3}
IN_HAND = {
    "works": {"unit_officer"},
    "put_right": {"unit_officer"},
    "acceptance": {"unit_officer", "acceptor"},
    "objection": {"unit_officer", "unit_head"},
    "complaint": {"unit_officer", "county_office"},
    "restitution": {"unit_officer", "county_office"},
}
HIGHER = {"orange": {"unit_head"}, "red": {"unit_head", "county_office"}}
COUNTY = {"zhang", "li", "zhao"}
Flag = tuple[str, str, str]


def working_day(number: int, after: date) -> date:
    day = after
    while number:
        day += timedelta(days=1)
        number -= bool(chinese_calendar.is_workday(day))
    return day


def rungs_on(due: date, day: date) -> list[str]:
    """The rungs that a deadline has reached by a day, lowest first."""
    found = [f"remind_{n}" for n in REMINDERS if due - timedelta(days=n) <= day]
    if day > due:
        found.append("yellow")
    found += [name for name, n in (("orange", 3), ("red", 7)) if working_day(n, due) <= day]
    return found


def recipients(unit: str, clock: str, rung: str) -> set[str]:
    """The persons told of a rung of a case of this unit."""
    roles = IN_HAND[clock] | HIGHER.get(rung, set())
    found = {
        person for _, role, of, person in OFFICERS.values() if role in roles and of in (None, unit)
    }
    found |= {"zhang"} if "county_office" in roles else set()
    return found or COUNTY


@dataclass
class Household:
    """One case: its state, and the days its clocks run out."""

    code: str
    state: str = "construction"
    extended: dict[tuple[str, int | None], tuple[int, date]] = field(default_factory=dict)
    pauses: list[tuple[int, date, date | None]] = field(default_factory=list)
    put_right: tuple[int, date] | None = None
    matters: dict[int, tuple[str, date]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return self.code[:3]

    def clocks(self) -> dict[str, date]:
        """The clocks that run, by name."""
        running = {
            f"{kind}:{seq}": day + timedelta(days=ANSWER_DAYS[kind])
            for seq, (kind, day) in self.matters.items()
        }
        phase = {"construction": "works", "acceptance": "acceptance"}.get(self.state)
        if phase is None:
            return running
        end = WORKS_END if phase == "works" else ACCEPTANCE_END
        seq, by = self.put_right or (None, None)
        if seq is None or by is None or (phase == "acceptance" and by <= end):
            running[phase] = self.extended.get((phase, seq), (0, end))[1]
            return running
        since, due = self.extended.get((phase, seq), (seq, by))
        for paused, on, resumed in self.pauses:
            if paused > since and on <= due:
                if resumed is None:
                    return running
                due += resumed - on
        running[f"put_right:{seq}"] = due
        return running

    @property
    def rests(self) -> str | None:
        """The clock that a pause may hold up."""
        return f"put_right:{self.put_right[0]}" if self.put_right else None


class Watch:
    """What must be in the tables after the sweeps so far."""

    def __init__(self, codes: Iterable[str]) -> None:
        self.cases = {code: Household(code) for code in codes}
        self.flags: dict[Flag, str] = {}
        self.told: set[tuple[str, str, str, str]] = set()

    def happens(self, day: date, code: str, what: str, seq: int, number: int = 0) -> None:
        """One thing that was done to a case; `number` is its day count or the event it answers."""
        case = self.cases[code]
        before = case.clocks()
        match what:
            case "complete":
                case.state = "acceptance"
            case "send_back":
                case.state = "construction"
            case "accept":
                case.state, case.put_right = "stable", None
            case "close":
                case.state = "closed"
            case "reject":
                case.state, case.put_right = "construction", (seq, day + timedelta(days=number))
            case "extension":
                phase = "works" if case.state == "construction" else "acceptance"
                of = case.put_right[0] if case.put_right else None
                case.extended[phase, of] = (seq, day + timedelta(days=number))
            case "pause":
                case.pauses.append((seq, day, None))
            case "resume":
                case.pauses[-1] = (*case.pauses[-1][:2], day)
            case "objection" | "complaint" | "restitution":
                case.matters[seq] = (what, day)
            case "resolve":
                del case.matters[number]
        after = case.clocks()
        for flag, status in self.flags.items():
            name, _, on = flag[1].partition("@")
            if flag[0] != code or status == "superseded":
                continue
            due = date.fromisoformat(on)
            if after.get(name) == due:
                self.flags[flag] = "raised"
            elif before.get(name) == due:
                held_up = what == "pause" and name == case.rests
                moved = name in after or case.state == "closed" or held_up
                self.flags[flag] = "void" if moved else "met"

    def sweep(self, day: date) -> None:
        """Somebody sweeps on this day."""
        for code, case in self.cases.items():
            for name, due in case.clocks().items():
                key = f"{name}@{due}"
                reached = rungs_on(due, day)
                for rung in reached:
                    if (code, key, rung) in self.flags:
                        continue
                    highest = rung == reached[-1]
                    self.flags[code, key, rung] = "raised" if highest else "superseded"
                    if highest:
                        clock = name.partition(":")[0]
                        self.told |= {
                            (code, key, rung, person)
                            for person in recipients(case.unit, clock, rung)
                        }
