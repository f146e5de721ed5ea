"""Random commands by random people on random days, against the rule written down a second time.

`lawful` below recomputes design section 4 from the bytes of the journal, by brute force, day by
day, and shares no code with the program. A permission that it would refuse is a bug somewhere.
"""

import json
import sqlite3
import tempfile
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

import county
from county import PAPER, County
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from states.errors import StepRefused
from states.vocabulary import FactKind, State, Trigger
from workflow import audit, engine
from workflow.cases import Clocks
from workflow.engine import Order
from workflow.errors import NotPermitted

CODES = county.TOWN[:2]
LOGINS = ["zhang", "li", "wang", "head", "zhao", "wang-accepts", "zhao-county", "shen", "qian"]
SEASONS = {
    "2023-2024": (date(2023, 11, 1), date(2024, 3, 31)),
    "2024-2025": (date(2024, 11, 1), date(2025, 3, 31)),
}
OUTAGE, TOTAL, WARM, VISITS, GRACE = 3, 5, 18, 2, 5
REMOVED = (("facility", "kang"), ("status", "removed"), ("by", "unknown"))
MATTERS = {
    "complaint": (("what", "不热"),),
    "violation": (("type", "other"), ("by", "村干部"), ("what", "催拆")),
    "finding": (("what", "抽查"), ("severity", "serious")),
}
# What may be wrong with a winter; the two sound ones stand on the limit.
FAULTS = {"fault a day too long", "two faults", "fault today", "sound faults"}
WRONG = [
    *("heat", "heat after the grace", "visit before the season", "cold", "cold today"),
    *("unsigned", "signed too early", *sorted(FAULTS), *MATTERS),
]
Event = dict[str, object]


def offset_day(offset: int) -> date:
    return county.FIRST_DAY + timedelta(days=offset)


def day_of(event: Event) -> date:
    return date.fromisoformat(str(event["occurred_on"]))


def heard(event: Event) -> date:
    instant = datetime.fromisoformat(str(event["recorded_at"]))
    return (instant + timedelta(hours=8)).date()


def said(event: Event) -> dict[str, object]:
    return cast(dict[str, object], event["evidence"])


def corrected(events: list[Event]) -> list[Event]:
    """The events as they read after the corrections among them."""
    found = {event["seq"]: {**event, "evidence": dict(said(event))} for event in events}
    for event in events:
        if event["kind"] == "correct":
            wrong = found[said(event)["id"]]
            if wrong["kind"] == "registered":
                continue
            right = {k: v for k, v in said(event).items() if k not in ("id", "late_document")}
            found[wrong["seq"]] = {
                **wrong,
                "occurred_on": event["occurred_on"],
                "evidence": {**said(wrong), **right},
            }
    return [found[event["seq"]] for event in events if event["kind"] != "correct"]


def lawful(before: list[Event], permit: Event, persons: dict[str, str]) -> str | None:
    """Why section 4 refuses this permission after these events of the case; None if it does not."""
    today = heard(permit)
    events = corrected(before)
    accepts = [event for event in events if event["kind"] == "accept"]
    completes = [event for event in events if event["kind"] == "complete"]
    if not accepts or not completes:
        return "never accepted"
    accept, complete = accepts[-1], completes[-1]
    ready = date.fromisoformat(str(said(complete)["ready_on"]))
    clock = max(
        day_of(accept),
        ready,
        *(
            day_of(event)
            for event in events
            if event["kind"] in ("overturn", "replace", "change_path", "reinstate")
            or (event["kind"] == "revoke" and said(event)["cause"] == "not_stable")
        ),
        date.min,
    )
    over = [season for season in SEASONS if SEASONS[season][1] < today]
    if not over:
        return "no season is over"
    label = max(over)
    first, last = SEASONS[label]
    if clock > first:
        return f"the clock started on {clock}"
    late = [e for e in (accept, complete) if heard(e) > first and "late_document" not in said(e)]
    if late:
        return "recorded after the season began"
    heat: date | None = None
    for event in events:
        if event["kind"] == "works" and "first_heat_on" in said(event):
            heat = date.fromisoformat(str(said(event)["first_heat_on"]))
        kept = said(event).get("keep_device") == "yes"
        if event["kind"] == "replace" or (event["kind"] == "change_path" and not kept):
            heat = None
    if heat is None:
        return "no first heat"
    repairs = {said(e)["fault"]: day_of(e) for e in events if e["kind"] == "repair"}
    faults = [(day_of(e), repairs.get(e["seq"])) for e in events if e["kind"] == "fault"]
    visits = sorted(
        (day_of(e), int(str(e["seq"])), float(str(said(e)["temperature"])))
        for e in events
        if e["kind"] == "visit"
    )
    if any(repaired is None for _, repaired in faults) or (visits and visits[-1][2] < WARM):
        return "an outage is open"
    out: set[date] = set()
    day = first
    while day <= last:
        cold = [visit for visit in visits if visit[0] <= day]
        broken = any(begun <= day and (end is None or day < end) for begun, end in faults)
        # On the day of a warm visit the cold spell is over.
        if broken or (cold and cold[-1][2] < WARM):
            out.add(day)
        if heat > first + timedelta(days=GRACE) and day < heat:
            out.add(day)
        day += timedelta(days=1)
    longest = run = 0
    day = first
    while day <= last:
        run = run + 1 if day in out else 0
        longest = max(longest, run)
        day += timedelta(days=1)
    if longest > OUTAGE or len(out) > TOTAL:
        return f"out for {longest} days, {len(out)} in all"
    if sum(first <= on <= last and warm >= WARM for on, _, warm in visits) < VISITS:
        return "too few warm visits"
    if not any(
        e["kind"] == "signature" and said(e)["season"] == label and day_of(e) > last for e in events
    ):
        return "no signature"
    answered = {said(e)["id"] for e in events if e["kind"] == "resolve"}
    for event in events:
        frozen = event["kind"] in ("violation", "complaint") or (
            event["kind"] == "finding" and said(event)["severity"] == "serious"
        )
        if frozen and event["seq"] not in answered:
            return f"{event['kind']} {event['seq']} is open"
    if persons[str(permit["actor"])] == persons[str(accept["actor"])]:
        return "permitted by the acceptor"
    if day_of(permit) != today:
        return "not on the day of recording"
    return None


class Officers(RuleBasedStateMachine):
    """What officers do with two cases from summer 2023 to summer 2025."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.place: County = county.fresh(Path(self.folder.name))
        county.carry(self.place, CODES[:1], State.STABLE_SEASON)
        self.day = county.ACCEPTED
        self.permitted = 0

    def teardown(self) -> None:
        # Past days read by columns are what the whole history folds to, on either clock.
        days = [county.CONFIRMED, county.ACCEPTED, *(self.day - timedelta(days=n) for n in (1, 9))]
        for day in days:
            for known_at in (None, county.noon(self.day - timedelta(days=3))):
                clocks = Clocks(day, True, known_at)
                assert county.listed(self.place, clocks) == county.folded(self.place, clocks)
        self.place.database.close()
        self.folder.cleanup()

    @initialize(
        wrong=st.sampled_from(["", *WRONG]),
        login=st.sampled_from(["li", "li", "li", "zhao-county"]),
    )
    def a_winter_goes_by(self, wrong: str, login: str) -> None:
        """Everything is right but one thing, and somebody asks for the permission.

        Days are counted from the season's first day, which is 0; its last is 151.
        """
        wrongs = {wrong}
        self.day = county.PERMITTED
        heat = 40 if "heat" in wrongs else 6 if "heat after the grace" in wrongs else 5
        self.tell(FactKind.WORKS, 40, ("first_heat_on", str(offset_day(heat))))
        for offset in (-1 if "visit before the season" in wrongs else 0, 151):
            self.tell(FactKind.VISIT, offset, ("temperature", "18"))
        if "cold" in wrongs:
            self.tell(FactKind.VISIT, 148, ("temperature", "17.9"))
        if "cold today" in wrongs:
            self.tell(FactKind.VISIT, 153, ("temperature", "17.9"))
        faults = [(20, 3), (149, 2)]
        if "fault a day too long" in wrongs:
            faults = [(20, 4)]
        if "two faults" in wrongs:
            faults.append((60, 1))
        for offset, days in faults if wrongs & FAULTS else ():
            self.tell(FactKind.FAULT, offset, ("what", "停热"))
            [(seq,)] = self.place.sql("SELECT MAX(seq) FROM journal")
            if "fault today" not in wrongs or offset != 149:
                self.tell(FactKind.REPAIR, offset + days, ("fault", str(seq)))
        signed = 151 if "signed too early" in wrongs else 152
        if "unsigned" not in wrongs:
            self.tell(FactKind.SIGNATURE, signed, ("season", "2023-2024"), ("by", "family"))
        for kind, pairs in MATTERS.items():
            if kind in wrongs:
                self.tell(FactKind(kind), 150, *pairs)
        self.give(county.permit(CODES[0]), login)

    def tell(self, kind: FactKind, offset: int, *pairs: tuple[str, str]) -> None:
        """The unit, or for a finding the county, records a fact of the first case."""
        on = min(offset_day(offset), self.day)
        late = ("late_document", PAPER.name)
        order = county.make_order(CODES[0], kind, *pairs, late, on=on, files=[PAPER])
        self.give(order, "zhang" if kind is FactKind.FINDING else "wang")

    def give(self, order: Order, login: str) -> None:
        # Whatever is refused is refused by the rules or for the role; anything else is a bug.
        with suppress(StepRefused, NotPermitted):
            engine.advance(self.place.database, order, login, county.noon(self.day))

    @rule(days=st.sampled_from([0, 1, 2, 3, 4, 5, 10, 30, 60, 150]))
    def time_goes_by(self, days: int) -> None:
        self.day = min(self.day + timedelta(days=days), date(2025, 6, 1))

    @rule(
        code=st.sampled_from(CODES),
        login=st.sampled_from(LOGINS),
        late=st.booleans(),
        back=st.sampled_from([0, 0, 0, 1, 20]),
    )
    def take_the_next_step(self, code: str, login: str, late: bool, back: int) -> None:
        state = self.place.state(code)
        on = self.day - timedelta(days=back)
        usual = county.UNIT_LOGIN["101"]
        match state:
            case State.HOUSEHOLD_CONFIRMATION:
                order = county.confirm(code, on)
            case State.EQUIPMENT_SELECTION:
                order = county.select(code, on)
            case State.CONSTRUCTION:
                order = county.complete(code, on)
            case State.ACCEPTANCE:
                order, usual = county.accept(code), "zhao"
            case _:
                order, usual = county.permit(code), "zhang"
        files = (*order.files, PAPER)
        pairs = county.pairs_of(order)
        if late:
            pairs.append(("late_document", PAPER.name))
        given = county.make_order(code, order.kind, *pairs, on=on, files=files)
        self.give(given, usual if login in ("wang", "zhang", "zhao") else login)

    @rule(code=st.sampled_from(CODES), login=st.sampled_from(["zhang", "li", "zhao-county"]))
    def permit(self, code: str, login: str) -> None:
        self.give(county.permit(code), login)

    @rule(
        code=st.sampled_from(CODES),
        login=st.sampled_from(LOGINS),
        trigger=st.sampled_from(
            [
                Trigger.REJECT,
                Trigger.OVERTURN,
                Trigger.REPLACE,
                Trigger.REVOKE,
                Trigger.SEND_BACK,
                Trigger.CHANGE_PATH,
                Trigger.CLOSE,
                Trigger.REINSTATE,
            ]
        ),
        cause=st.sampled_from(["not_stable", "paper_fault"]),
        path=st.sampled_from(["solar", "coal_to_electric"]),
        keep=st.sampled_from(["yes", "no"]),
    )
    def step_aside(
        self, code: str, login: str, trigger: Trigger, cause: str, path: str, keep: str
    ) -> None:
        pairs: list[tuple[str, str]] = []
        match trigger:
            case Trigger.REJECT | Trigger.OVERTURN | Trigger.REPLACE:
                pairs = [("findings", "问题"), ("put_right_by", str(self.day))]
            case Trigger.REVOKE:
                pairs = [("cause", cause), ("findings", "问题")]
            case Trigger.CHANGE_PATH:
                pairs = [("path", path), ("keep_device", keep), ("quota", "over_plan")]
            case Trigger.CLOSE:
                pairs = [*county.CLOSING]
        usual = {Trigger.REJECT: "zhao", Trigger.REPLACE: "wang"}.get(trigger, "zhang")
        order = county.make_order(code, trigger, *pairs, reason="理由")
        self.give(order, usual if login in ("wang", "zhao", "zhang") else login)

    @rule(
        code=st.sampled_from(CODES),
        login=st.sampled_from(LOGINS),
        what=st.sampled_from(
            [
                (FactKind.VISIT, (("temperature", "17.9"),)),
                (FactKind.VISIT, (("temperature", "18"),)),
                (FactKind.VISIT, (("temperature", "21"),)),
                (FactKind.SIGNATURE, (("season", "2023-2024"), ("by", "household"))),
                (FactKind.SIGNATURE, (("season", "2024-2025"), ("by", "family"))),
                (FactKind.FAULT, (("what", "停热"),)),
                (FactKind.COMPLAINT, (("what", "不热"),)),
                (FactKind.FINDING, (("what", "抽查"), ("severity", "serious"))),
                (FactKind.FINDING, (("what", "抽查"), ("severity", "note"))),
                (FactKind.VIOLATION, (("type", "kang_sealed"), ("by", "村干部"), ("what", "封"))),
                (FactKind.OLD_FACILITY, REMOVED),
                (FactKind.WORKS, (("first_heat_on", "2023-11-07"),)),
                (FactKind.WORKS, (("first_heat_on", "2024-11-01"),)),
                (FactKind.PAUSE, (("cause", "weather"),)),
            ]
        ),
        back=st.sampled_from([0, 0, 1, 3, 4, 40, 150]),
    )
    def record(
        self,
        code: str,
        login: str,
        what: tuple[FactKind, tuple[tuple[str, str], ...]],
        back: int,
    ) -> None:
        kind, pairs = what
        paper = (*pairs, ("late_document", PAPER.name))
        on = self.day - timedelta(days=back)
        order = county.make_order(code, kind, *paper, on=on, files=[PAPER])
        self.give(order, "wang" if login in ("qian", "head") else login)

    @rule(
        code=st.sampled_from(CODES),
        login=st.sampled_from(["zhang", "li", "head", "wang"]),
        kind=st.sampled_from(["fault", "violation", "complaint", "finding", "visit", "repair"]),
        back=st.sampled_from([0, 1, 5]),
        outcome=st.sampled_from(["resolved", "unfounded"]),
        warmth=st.sampled_from(["10", "25"]),
        righting=st.booleans(),
    )
    def answer(
        self,
        code: str,
        login: str,
        kind: str,
        back: int,
        outcome: str,
        warmth: str,
        righting: bool,
    ) -> None:
        [(seq,)] = self.place.sql(
            "SELECT MAX(seq) FROM journal WHERE kind = ? AND stream = ?", kind, f"case:{code}"
        )
        if seq is None:
            return
        on: date | None = self.day - timedelta(days=back)
        late = ("late_document", PAPER.name)
        if kind == "fault" and not righting:
            order_kind, pairs = FactKind.REPAIR, [("fault", str(seq)), late]
        elif kind in ("fault", "visit", "repair"):
            order_kind, pairs = FactKind.CORRECT, [("id", str(seq))]
            if kind == "visit":
                pairs.append(("temperature", warmth))
                on = on if back else None
        else:
            order_kind, pairs = FactKind.RESOLVE, [("id", str(seq)), ("outcome", outcome), late]
        order = county.make_order(code, order_kind, *pairs, on=on, files=[PAPER])
        self.give(order, login)

    @precondition(lambda self: self.place.sql("SELECT 1 FROM journal WHERE kind = 'permit'"))
    @rule(code=st.sampled_from(CODES))
    def resolve_everything(self, code: str) -> None:
        rows = self.place.sql(
            "SELECT seq FROM journal WHERE stream = ?"
            " AND kind IN ('violation', 'complaint', 'finding')",
            f"case:{code}",
        )
        for (seq,) in rows:
            pairs = (("id", str(seq)), ("outcome", "resolved"))
            order = county.make_order(code, FactKind.RESOLVE, *pairs, files=[PAPER])
            self.give(order, "li")

    @invariant()
    def no_permission_that_the_rule_would_refuse(self) -> None:
        connection = sqlite3.connect(self.place.file)
        persons = dict(connection.execute("SELECT login, person FROM officer"))
        permits = connection.execute("SELECT COUNT(*) FROM journal WHERE kind = 'permit'")
        [number] = permits.fetchone()
        if number != self.permitted:
            for code in CODES:
                self._judge(connection, code, persons)
            self.permitted = number
        connection.close()

    def _judge(self, connection: sqlite3.Connection, code: str, persons: dict[str, str]) -> None:
        rows = connection.execute(
            "SELECT seq, body FROM journal WHERE stream = ? ORDER BY seq", (f"case:{code}",)
        )
        events: list[Event] = []
        for seq, body in rows:
            event = {**json.loads(body), "seq": seq}
            if event["kind"] == "permit":
                refusal = lawful(events, event, persons)
                assert refusal is None, f"{code} permission {seq}: {refusal}"
            events.append(event)

    @invariant()
    def chains_verify_and_replay_equals_the_tables(self) -> None:
        with self.place.database.reading() as connection:
            told = audit.report(connection)
            assert audit.verification(connection, told).findings == ()
        assert not [one for one in told.removal if one.code == "permission_unlawful"]


Officers.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=5,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
test_random_officers_never_get_an_unlawful_permission = Officers.TestCase
