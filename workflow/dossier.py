"""一户一档 gathered from the memory: all of a household, on any day, as known at any instant."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, select

from notifications import dossier, thumbnails
from notifications.dossier import Household, Stored
from notifications.pages import Head
from states import lifecycle, machine
from states.facts import CaseFacts, Event, fold
from states.identity import PersonalData
from states.plan import Plan
from states.vocabulary import GateKind, State, Trigger
from workflow import (
    attachments,
    cases,
    certificate,
    checkpoint,
    journal,
    page_head,
    register,
    tables,
)
from workflow.cases import Clocks
from workflow.overdue import Around, nothing_in_hand

_JOURNAL = tables.JOURNAL
_CATALOGUE = tables.CATALOGUE
_BATCH = 50  # cases whose events and pictures are held at a time
# By their first bytes, never by their names.
_MAGIC = (
    ("image", (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")),
    ("pdf", (b"%PDF",)),
)
NO_PICTURE = "图片打不开，不显示缩略图"


class Dossier(Struct, frozen=True):
    """A household's values with the head of its page."""

    household: Household
    head: Head

    @property
    def unit_name(self) -> str:
        """The name of its unit."""
        facts, plan = self.household.facts, self.household.plan
        unit = plan.unit(facts.unit)
        return unit.name if unit else facts.unit

    @property
    def file(self) -> dossier.File:
        """What it says."""
        return dossier.word(self.household)


class Archive:
    """What the dossiers of many households share, read once."""

    def __init__(self, connection: Connection, plan: Plan, clocks: Clocks) -> None:
        self.connection, self.plan, self.clocks = connection, plan, clocks
        self.drill = register.is_drill(connection)
        seen = checkpoint.last_seen(connection)
        self._covered = seen.size if seen else 0
        signed = select(_JOURNAL.c.seq).where(_JOURNAL.c.signature.is_not(None))
        self._signed = frozenset(connection.execute(signed).scalars())
        self._around = Around(connection)
        self._gates = {(g.unit, g.village, g.kind): g.opened_on for g in register.gates(connection)}
        self._models = {
            (row.model, row.path): f"{row.brand}，中标包号 {row.lot}"
            for row in connection.execute(select(_CATALOGUE))
        }
        rules = (*page_head.SEASON_RULES, *page_head.TIME_RULES, "notice_days")
        basis = page_head.unverified_basis(plan, rules, seasons=True)
        self.head = page_head.head(connection, plan, clocks, "一户一档", unverified=basis, units=())
        self._quarantined = journal.quarantined(connection)

    def dossiers(self, codes: Sequence[str]) -> Iterator[Dossier]:
        """The dossiers of these cases in their order.

        A case that did not exist on these clocks, or that is under quarantine and cannot be read,
        is passed over. Raises JournalBroken.
        """
        for start in range(0, len(codes), _BATCH):
            part = codes[start : start + _BATCH]
            histories = cases.load(
                self.connection, part, known_at=self.clocks.known_at, checked=False
            )
            personal = cases.personal(self.connection, part)
            found = []
            for code in part:
                on = self.clocks.as_of if self.clocks.past else None
                facts = fold(code, histories.get(code, ()), on)
                if facts is not None:
                    found.append((facts, self._shown(histories[code])))
            files = self._files(found)
            for facts, events in found:
                yield self._dossier(
                    facts, events, histories[facts.code], personal.get(facts.code), files
                )

    def _shown(self, events: Sequence[Event]) -> tuple[Event, ...]:
        past, as_of = self.clocks.past, self.clocks.as_of
        return tuple(event for event in events if not past or event.occurred_on <= as_of)

    def _dossier(
        self,
        facts: CaseFacts,
        events: tuple[Event, ...],
        history: Sequence[Event],
        personal: PersonalData | None,
        files: Mapping[str, Stored],
    ) -> Dossier:
        plan, as_of = self.plan, self.clocks.as_of
        step = lifecycle.FORWARD.get(facts.state)
        late = cases.lateness(history, plan)
        known = personal or PersonalData()
        kind = plan.path_rule(facts.path).gate
        gate = None
        if kind is not GateKind.NONE:
            gate = self._gates.get((facts.unit, facts.village, kind))
        household = Household(
            facts=facts,
            events=events,
            plan=plan,
            as_of=as_of,
            personal=known.masked(),
            erased=not known.holds() and any(event.personal for event in events),
            next_step=self._ask(facts, step) if step not in (None, Trigger.PERMIT) else None,
            permit=self._ask(facts, Trigger.PERMIT),
            unverified=(
                cases.unverified_permission(facts, plan, as_of)
                if facts.state is State.REMOVAL_PERMITTED
                else machine.unverified(
                    self._around.question(facts, plan, Trigger.PERMIT, as_of, self.drill)
                )
            ),
            late={event.seq: late[event.seq] for event in events if event.seq in late},
            grade=certificate.GRADES[certificate.grade_of(events, self._signed, self._covered)],
            gate_opened_on=gate,
            model_listed=self._models.get((facts.model or "", facts.path)),
            files={
                one.sha256: files[one.sha256]
                for event in events
                for one in event.attachments
                if one.sha256 in files
            },
        )
        last = events[-1]
        cautions = self.head.cautions
        if f"case:{facts.code}" in self._quarantined:
            cautions = ("本户已隔离（日志对不上，不再写入），其内容不可采信。", *cautions)
        head = replace(
            self.head,
            title=f"一户一档 {facts.code}",
            seq=last.seq,
            recorded_until=last.recorded_at,
            cautions=cautions,
        )
        return Dossier(household, head)

    def _ask(self, facts: CaseFacts, trigger: Trigger | None) -> machine.Answer:
        assert trigger is not None
        question = nothing_in_hand(
            self.connection,
            self._around,
            facts,
            self.plan,
            trigger,
            self.clocks.as_of,
            self.drill,
        )
        return machine.ask(trigger, question)

    def _files(self, found: Sequence[tuple[CaseFacts, tuple[Event, ...]]]) -> dict[str, Stored]:
        """The kept attachments of these cases; of images a small picture too."""
        hashes = sorted({a.sha256 for _, events in found for e in events for a in e.attachments})
        codes = [facts.code for facts, _ in found]
        stored = {
            sha256: Stored(size, _kind(bytes(first)))
            for sha256, size, first in attachments.kept(self.connection, codes, hashes)
        }
        for sha256, one in stored.items():
            if one.kind == "image":
                content = attachments.content(self.connection, codes, sha256)
                picture = thumbnails.thumbnail(content)
                stored[sha256] = replace(
                    one, picture=picture, fault=None if picture else NO_PICTURE
                )
        return stored


def _kind(first: bytes) -> str:
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "image"
    if first[:4] == b"PK\x03\x04":
        return "office"
    return next((kind for kind, starts in _MAGIC if first.startswith(starts)), "other")
