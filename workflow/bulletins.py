"""Published 通报: numbered, frozen on both clocks, and held against what is known later.

A publication is one event that carries the whole document. Nothing else is stored, so there is
either no number or a whole publication, and the figures stay as they were to the byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from notifications import notices
from notifications.notices import Bulletin, NoticeKind, Standing
from notifications.screen import BULLETIN_FIGURES
from states.errors import UsageFault
from states.facts import Event, fold
from states.plan import Json, Plan
from states.vocabulary import State
from states.workdays import ONE_DAY, local_date
from workflow import bulletin, cases, journal, register
from workflow.bulletin import Household, Period
from workflow.cases import Clocks
from workflow.db import Database
from workflow.errors import JournalBroken
from workflow.instants import instant_of, instant_text
from workflow.journal import Draft, Pen

# Events of no case from which figures follow: tasks, days and what is read. A gate moves none.
RULES = (
    ("plan", ("plan_adopted",)),
    ("calendar", ("holidays_entered",)),
    ("quarantine", ("quarantine_confirmed",)),
)
STREAM = "bulletins"
PUBLISHED = "bulletin_published"


class Published(Struct, frozen=True):
    """A 通报 as it went out: true on `as_of`, known up to event `known_seq` at `known_at`.

    `seq` is the publication's own event, `plan` the hash of the plan it went by.
    """

    seq: int
    number: str
    period: Period
    as_of: date
    known_at: datetime
    known_seq: int
    ranking: bool
    plan: str
    hash: str
    document: Mapping[str, Json]

    @property
    def notice(self) -> Bulletin:
        """What the frozen document says. Raises JournalBroken where it is not what was hashed."""
        if journal.digest(journal.canonical(self.document)) != self.hash:
            raise JournalBroken(
                f"{self.number} 的数字与公布时的摘要不符",
                place=self.number,
                remedy="运行 xianli audit verify",
            )
        found = notices.read(self.document)
        assert isinstance(found, Bulletin)
        return found


class Change(Struct, frozen=True):
    """A figure of a unit that is another one now."""

    unit: str | None
    unit_name: str
    figure: str
    was: int | None
    becomes: int | None


class ChangedCase(Struct, frozen=True):
    """A household that counts otherwise now, and the events recorded since that say so."""

    code: str
    unit: str
    events: tuple[Event, ...]


class Rule(Struct, frozen=True):
    """An event of no case that may change figures: another plan, holidays, a quarantine."""

    seq: int
    kind: str
    occurred_on: date
    recorded_at: datetime
    actor: str


class Difference(Struct, frozen=True):
    """What is otherwise on the bulletin's own day, as it is known now, and what was recorded since.

    Figures that changed with neither `cases` nor `rules` were counted by another program.
    """

    published: Published
    changes: tuple[Change, ...]
    cases: tuple[ChangedCase, ...]
    rules: tuple[Rule, ...]

    @property
    def unexplained(self) -> bool:
        """Whether figures changed that no event of the journal can have changed."""
        return bool(self.changes) and not self.cases and not self.rules


def published(connection: Connection) -> Iterator[Published]:
    """The published bulletins in their order."""
    for entry in journal.numbered(connection, STREAM):
        said = entry.document["evidence"]
        assert isinstance(said, dict)
        document = said["document"]
        assert isinstance(document, dict)
        yield Published(
            entry.seq,
            str(said["number"]),
            Period(str(said["period"])),
            date.fromisoformat(str(said["as_of"])),
            instant_of(str(said["known_at"])),
            int(str(said["known_seq"])),
            said["ranking"] is True,
            str(entry.document["plan"]),
            str(said["hash"]),
            document,
        )


def named(connection: Connection, number: str) -> Published:
    """The bulletin of this number, or of this serial in the newest year that has it.

    Raises UsageFault where there is none.
    """
    typed = "".join(number.split())
    for one in reversed(list(published(connection))):
        if typed == one.number or one.number.endswith(f"〕{typed}号"):
            return one
    raise UsageFault(
        f"没有文号为 {number} 的通报",
        place=number,
        remedy="xianli report bulletins 列出已公布的通报",
    )


def publish(
    database: Database, period: Period, as_of: date, *, login: str, ranking: bool, now: datetime
) -> tuple[Published, bool]:
    """Publishes the period's bulletin; answers it, and whether it is new.

    A period that was published before answers the same publication. Raises NotPermitted unless the
    county office publishes, UsageFault for a day that is yet to come, and where it was published
    with other ranks than these.
    """
    with database.transaction() as connection:
        who = register.actor(connection, login)
        register.require_county(who)
        today = local_date(now)
        if as_of > today:
            raise UsageFault(
                f"{as_of} 尚未到，不能公布", place="--as-of", remedy="写今天或以前的日期"
            )
        earlier = list(published(connection))
        for one in earlier:
            if (one.period, one.as_of) == (period, as_of):
                return _same(one, ranking=ranking), False
        plan = register.plan_to_act_on(connection)
        serial = 1 + sum(f"〔{today.year}〕" in one.number for one in earlier)
        number = notices.number(plan.letter_mark, NoticeKind.BULLETIN, today.year, serial)
        known_seq, known_at = journal.last_entry(connection)
        assert known_at is not None
        document = bulletin.bulletin(
            connection,
            as_of,
            period,
            clocks=Clocks(as_of, past=True),
            ranking=ranking,
            number=number,
            issued_on=today,
        )
        frozen: dict[str, Json] = dict(document)
        pen = Pen(connection, who, now, plan)
        pen.add(
            Draft(
                STREAM,
                PUBLISHED,
                today,
                {
                    "number": number,
                    "period": period,
                    "as_of": as_of.isoformat(),
                    "known_at": instant_text(known_at),
                    "known_seq": known_seq,
                    "ranking": ranking,
                    "hash": journal.digest(journal.canonical(frozen)),
                    "document": frozen,
                },
            )
        )
        pen.write()
        return list(published(connection))[-1], True


def find(connection: Connection, period: Period, as_of: date) -> Published | None:
    """The publication of this period and day, if there is one."""
    for one in published(connection):
        if (one.period, one.as_of) == (period, as_of):
            return one
    return None


def _same(kept: Published, *, ranking: bool) -> Published:
    if kept.ranking is not ranking:
        how = "排名" if kept.ranking else "不排名"
        raise UsageFault(
            f"这一期已经公布为 {kept.number}（{how}），数字不再更改",
            place=kept.number,
            remedy="去掉 --no-ranking" if kept.ranking else "加上 --no-ranking",
        )
    return kept


def compare(connection: Connection, kept: Published) -> Difference:
    """What later events changed of a published bulletin, on its own day."""
    notice, plan = kept.notice, register.plan_in_force(connection)
    clocks = Clocks(kept.as_of, past=True)
    again = notices.read(
        bulletin.bulletin(connection, kept.as_of, kept.period, clocks=clocks, ranking=kept.ranking)
    )
    assert isinstance(again, Bulletin)
    return Difference(
        kept,
        tuple(_changes(_lines(notice), _lines(again))),
        tuple(_cases(connection, plan, kept)),
        tuple(_rules(connection, kept)),
    )


def _lines(notice: Bulletin) -> dict[str, Standing]:
    """By the units' codes: a unit may be given another name."""
    return {one.code or one.unit_name: one for one in (*notice.townships, *notice.departments)}


def _changes(was: Mapping[str, Standing], becomes: Mapping[str, Standing]) -> Iterator[Change]:
    for unit in {**was, **becomes}:
        old, new = was.get(unit), becomes.get(unit)
        either = new or old
        assert either is not None
        for figure in BULLETIN_FIGURES:
            before = getattr(old, figure) if old else None
            after = getattr(new, figure) if new else None
            if before != after:
                yield Change(either.code, either.unit_name, figure, before, after)


def _cases(connection: Connection, plan: Plan, kept: Published) -> list[ChangedCase]:
    """Only a case with events recorded since can count otherwise under the same plan."""
    days = kept.as_of, kept.notice.since - ONE_DAY
    found = []
    for code in journal.cases_since(connection, kept.known_seq):
        events = cases.load(connection, [code], checked=False).get(code, [])
        known = [event for event in events if event.seq <= kept.known_seq]
        if _counted(code, known, plan, *days) != _counted(code, events, plan, *days):
            since = tuple(event for event in events if event.seq > kept.known_seq)
            facts = fold(code, events)
            found.append(ChangedCase(code, facts.unit if facts else "", since))
    return found


def _rules(connection: Connection, kept: Published) -> Iterator[Rule]:
    found = [
        Rule(
            entry.seq,
            str(entry.document["kind"]),
            date.fromisoformat(str(entry.document["occurred_on"])),
            instant_of(str(entry.document["recorded_at"])),
            str(entry.document["actor"]),
        )
        for stream, kinds in RULES
        for entry in journal.numbered(connection, stream)
        if entry.seq > kept.known_seq and entry.document["kind"] in kinds
    ]
    yield from sorted(found, key=lambda one: one.seq)


def _counted(
    code: str, events: Sequence[Event], plan: Plan, day: date, day_before: date
) -> tuple[Household | State | None, bool]:
    """How the case counts on the bulletin's day, and whether it was accepted the period before."""
    then = bulletin.household(code, events, plan, day)
    before = bulletin.household(code, events, plan, day_before)
    accepted = before is not None and before.accepted
    if then is None or then.state is State.CLOSED:
        return then and then.state, accepted
    # Since when it is in its state is no figure.
    return replace(then, since=day), accepted
