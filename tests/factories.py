"""Builders for the tests of the rules: the life of a case as events, plans, and questions."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path as FilePath

from states import evidence as keys
from states import facts as folding
from states import lifecycle, plan
from states.errors import Reason
from states.evidence import Evidence
from states.facts import Actor, Attached, CaseFacts, Event
from states.plan import Json, Plan
from states.question import Question, Surroundings
from states.vocabulary import Area, FactKind, Kind, Path, Quota, Role, State, Trigger
from states.workdays import SHANGHAI

HERE = FilePath(__file__).parent
WUTAI_TOML = (HERE.parent / "states" / "plans" / "wutai-2023.toml").read_text("utf-8")
XIAOXIAN_TOML = (HERE / "plans" / "xiaoxian-2024.toml").read_text("utf-8")
WUTAI = plan.from_toml(WUTAI_TOML, "wutai-2023.toml")
XIAOXIAN = plan.from_toml(XIAOXIAN_TOML, "xiaoxian-2024.toml")
CODE = "01-0001"
DAY = timedelta(days=1)


def document_of(of: Plan) -> dict[str, Json]:
    """The plan's document, to be changed and loaded again."""
    document = json.loads(of.canonical)
    assert isinstance(document, dict)
    return document


def with_rules(of: Plan, **values: Json) -> Plan:
    """The same plan with other values of some rules."""
    document = document_of(of)
    rules = document["rules"]
    assert isinstance(rules, dict)
    for name, value in values.items():
        rule = rules[name]
        assert isinstance(rule, dict)
        rule["value"] = value
    return plan.from_json(document)


def with_seasons(of: Plan, *seasons: tuple[str, str | None, str | None], **more: Json) -> Plan:
    """The same plan with these verified seasons (label, first day, last day) for all."""
    document = document_of(of)
    document["seasons"] = [
        {
            "label": label,
            "areas": list[Json](Area),
            "paths": list[Json](Path),
            "source": "办法",
            "verified": True,
            "document": "ab" * 32,
            "entered_by": "xian-li",
            **({"first_day": first, "last_day": last} if first else {}),
            **more,
        }
        for label, first, last in seasons
    ]
    return plan.from_json(document)


# One season is enough, one exists for everybody, and all of it is verified.
ONE_WINTER = with_seasons(
    with_rules(XIAOXIAN, required_seasons=1), ("2024-2025", "2024-11-01", "2025-03-15")
)


def noon(day: date) -> datetime:
    """Noon in Shanghai, the usual time of recording."""
    return datetime.combine(day, time(12), SHANGHAI)


class Life:
    """The life of one case, event by event; each method answers with the event's id."""

    def __init__(
        self,
        path: Path = Path.COAL_TO_ELECTRIC,
        *,
        unit: str = "01",
        kind: Kind = Kind.RESIDENTIAL,
        area: Area = Area.RURAL,
        quota: Quota = Quota.PLANNED,
        registered_on: date = date(2024, 1, 15),
        old_facilities: Sequence[str] = ("kang",),
        holds: Sequence[str] = ("name", "meter"),
    ) -> None:
        self.events: list[Event] = []
        self.state = State.HOUSEHOLD_CONFIRMATION
        self.add(
            "registered",
            registered_on,
            {
                "unit": unit,
                "village": "前村",
                "path": path,
                "kind": kind,
                "area": area,
                "quota": quota,
                "building_area": 80.0,
                "heating_area": 60,
                "old_facilities": list(old_facilities),
                "holds": list(holds),
            },
            target=State.HOUSEHOLD_CONFIRMATION,
        )

    def add(
        self,
        kind: str,
        on: date,
        evidence: Mapping[str, object],
        *,
        recorded: date | datetime | None = None,
        person: str = "wang",
        target: State | None = None,
    ) -> int:
        """Any event, as the journal would keep it."""
        instant = recorded if isinstance(recorded, datetime) else noon(recorded or on)
        seq = len(self.events) + 1
        self.events.append(
            Event(
                seq=seq,
                stream=f"case:{CODE}",
                version=seq,
                previous=None,
                kind=kind,
                source=self.state if target else None,
                target=target,
                occurred_on=on,
                recorded_at=instant,
                actor=f"{person}-login",
                person=person,
                role=Role.UNIT_OFFICER,
                reason=None,
                evidence={name.rstrip("_"): _json(value) for name, value in evidence.items()},
                attachments=(Attached("bz.pdf", "ab" * 32),),
                plan="ab" * 32,
                personal=None,
                hash=f"{seq:064x}",
            )
        )
        self.state = target or self.state
        return seq

    def step(
        self,
        trigger: Trigger,
        on: date,
        recorded: date | datetime | None = None,
        person: str = "wang",
        **evidence: object,
    ) -> int:
        """A trigger, along the table; nobody asks the guards."""
        target = lifecycle.BY_TRIGGER[trigger].moves[self.state]
        return self.add(trigger, on, evidence, recorded=recorded, person=person, target=target)

    def fact(
        self,
        kind: FactKind,
        on: date,
        recorded: date | datetime | None = None,
        person: str = "wang",
        **evidence: object,
    ) -> int:
        """A fact beside the line."""
        return self.add(kind, on, evidence, recorded=recorded, person=person)

    def confirm(self, on: date, **evidence: object) -> int:
        """确户完成, with a kang in use."""
        given = {"old_facility": ["kang:in_use"], **evidence}
        return self.add(Trigger.CONFIRM, on, given, target=State.EQUIPMENT_SELECTION)

    def select(self, on: date) -> int:
        """选型完成."""
        return self.step(Trigger.SELECT, on, model="KFR-35", selection_on=on)

    def complete(self, on: date, recorded: date | None = None, **evidence: object) -> int:
        """施工完成, ready on the same day unless told otherwise."""
        days = {"started_on": on, "installed_on": on, "ready_on": on, "serial": "SN-1"}
        given = {**days, **evidence}
        return self.add(Trigger.COMPLETE, on, given, recorded=recorded, target=State.ACCEPTANCE)

    def accept(self, on: date, recorded: date | None = None, **evidence: object) -> int:
        """验收合格, by another person."""
        return self.step(Trigger.ACCEPT, on, recorded, "zhao", **evidence)

    def to_construction(self) -> "Life":
        """Until 施工, two weeks after the ledger row came in."""
        confirmed = self.events[0].occurred_on + 17 * DAY
        self.confirm(confirmed)
        self.select(confirmed + DAY)
        return self

    def to_acceptance(self, ready: date = date(2024, 6, 1)) -> "Life":
        """Until 验收."""
        self.to_construction().complete(ready)
        return self

    def to_stable(self, accepted: date = date(2024, 7, 1)) -> "Life":
        """Until 稳定运行一季."""
        self.to_acceptance(min(accepted, date(2024, 6, 1))).accept(accepted)
        return self

    def heat(self, on: date) -> int:
        """First heat."""
        return self.fact(FactKind.WORKS, on, first_heat_on=on)

    def visits(self, *days: date, temperature: float = 20.0) -> None:
        """Visits that found it warm (or as cold as told)."""
        for day in days:
            self.fact(FactKind.VISIT, day, temperature=temperature)

    def sign(self, on: date, season: str = "2024-2025") -> int:
        """The household's signature for a season."""
        return self.fact(FactKind.SIGNATURE, on, season=season, by="household")

    def fault(self, on: date, repaired: date | None = None) -> int:
        """A fault, and its repair if there was one."""
        seq = self.fact(FactKind.FAULT, on, what="不制热")
        if repaired:
            self.fact(FactKind.REPAIR, repaired, fault=seq)
        return seq

    def good_winter(self, year: int = 2024) -> "Life":
        """A winter without fault: first heat, three warm visits, the signature of 2 April."""
        self.heat(date(year, 11, 1))
        self.visits(date(year, 12, 1), date(year + 1, 1, 5), date(year + 1, 2, 1))
        self.sign(date(year + 1, 4, 2), f"{year}-{year + 1}")
        return self

    def facts(self, on: date | None = None, known_at: datetime | None = None) -> CaseFacts:
        """What is known of the case: on a day, and at an instant."""
        events = [e for e in self.events if known_at is None or e.recorded_at <= known_at]
        found = folding.fold(CODE, events, on)
        assert found is not None
        return found


def _json(value: object) -> Json:
    match value:
        case date():
            return value.isoformat()
        case list() | tuple():
            return [_json(inner) for inner in value]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(value)


def officer(
    role: Role, person: str = "li", unit: str | None = None, login: str | None = None
) -> Actor:
    """An officer; of the county unless a unit is named."""
    return Actor(login or f"{person}-login", person, f"{person}某", role, unit)


LI = officer(Role.COUNTY_OFFICE)


def question(
    facts: CaseFacts,
    kind: Trigger | FactKind,
    today: date,
    *pairs: tuple[str, str],
    of: Plan = XIAOXIAN,
    on: date | None = None,
    attached: Sequence[str] = (),
    reason: str | None = None,
    actor: Actor | None = None,
    around: Surroundings | None = None,
    drill: bool = False,
) -> Question:
    """May this be done today, with this typed as evidence?"""
    given: Evidence = keys.parse(kind, pairs)
    return Question(
        facts=facts,
        plan=of,
        today=today,
        on=on or today,
        evidence=given,
        attachments=frozenset(attached),
        reason=reason,
        actor=actor,
        around=around or Surroundings(),
        drill=drill,
    )


def but(pairs: Mapping[str, str], **changes: str | None) -> tuple[tuple[str, str], ...]:
    """Evidence pairs with some changed, or left out where the change is None."""
    changed = {**pairs, **{name.rstrip("_"): value for name, value in changes.items()}}
    return tuple((name, value) for name, value in changed.items() if value is not None)


def check_told(reason: Reason | None, expected: Reason) -> None:
    """A refusal is this one in every field; its message has these words, in this order."""
    assert reason is not None
    assert reason._replace(message=expected.message) == expected
    rest = reason.message
    for word in expected.message.split():
        assert word in rest
        rest = rest.partition(word)[2]
    assert "None" not in reason.message
