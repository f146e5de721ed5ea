"""What the county keeps besides the cases: the plan, the officers, the gates and the catalogue.

Each is a stream of the journal with a table projected from it. All changes go through `Pen`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Table, bindparam, select

from states import plan as plans
from states.errors import PlanFault, StepRefused, UsageFault
from states.facts import Actor, Attached
from states.identity import holds_personal_number, looks
from states.plan import Json, Plan
from states.vocabulary import GateKind, Path, Role
from states.workdays import Calendar, Holidays, holidays_of, local_date
from workflow import journal, keyring, postgresql, tables
from workflow.errors import Conflict, JournalBroken, NotPermitted
from workflow.instants import instant_text
from workflow.journal import Draft, Pen
from workflow.keyring import OfficerKey
from workflow.signing import PublicKey

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert

_OFFICER = tables.OFFICER
_GATE = tables.GATE
_CATALOGUE = tables.CATALOGUE
_PLAN = tables.PLAN_REVISION


class Officer(Struct, frozen=True):
    """An entry of the officers' register."""

    login: str
    name: str
    person: str
    role: Role
    unit: str | None
    active: bool


class Gate(Struct, frozen=True):
    """The day on which a village's network opened."""

    unit: str
    village: str
    kind: GateKind
    opened_on: date


class Model(Struct, frozen=True):
    """A line of the 中标设备清单."""

    model: str
    brand: str
    path: Path
    lot: str


_ADOPTED, _HOLIDAYS = "plan_adopted", "holidays_entered"
_REGISTERING = ("officer_added", "officer_disabled")
# Who issues letters: the program itself. It is in no register and can write nothing else.
SYSTEM = Actor("system", "system", "系统", Role.SYSTEM)


# Who acts when there is nobody yet: the first county officer, in the very events that make him one.
def found(
    connection: Connection, plan: Plan, *, drill: bool, login: str, name: str, now: datetime
) -> None:
    """Begins the journal: the database's nature, its plan, and the first county officer."""
    first = Actor(login, login, name, Role.COUNTY_OFFICE)
    pen = Pen(connection, first, now, plan)
    today = today_of(pen)
    pen.add(Draft("database", "init", today, {"drill": drill, "plan": plan.name}))
    adopted = pen.add(
        Draft(
            "plan",
            "plan_adopted",
            today,
            {"name": plan.name, "document": json.loads(plan.canonical)},
        )
    )
    _register_officer(pen, Officer(login, name, login, Role.COUNTY_OFFICE, None, True))
    pen.write()
    put_in_force(connection, plan, adopted.seq)


def today_of(pen: Pen) -> date:
    """The county's day on which a pen writes."""
    return local_date(pen.now)


def put_in_force(connection: Connection, plan: Plan, seq: int) -> None:
    """Makes the plan that the journal adopted under `seq` the one in force."""
    values = {
        "name": plan.name,
        "seq": seq,
        "exempt_paths": f",{','.join(plan.rules.exempt_paths.value)},",
        "document": plan.canonical,
    }
    connection.execute(
        _insert(_PLAN)
        .values(hash=plan.hash, **values)
        .on_conflict_do_update(index_elements=["hash"], set_=values)
    )


# What is made of the county's own streams is made once, and again when one of their bytes changed.


def is_drill(connection: Connection) -> bool:
    """Whether the database was begun as a drill, for ever."""
    return _begun_as_drill(journal.bodies(connection, "database")[0])


def _begun_as_drill(genesis: bytes) -> bool:
    evidence = json.loads(genesis)["evidence"]
    return isinstance(evidence, dict) and evidence["drill"] is True


_IN_FORCE = select(_PLAN.c.document).order_by(_PLAN.c.seq.desc()).limit(1)


def plan_in_force(connection: Connection) -> Plan:
    """The last plan that was adopted, its working days counted by the county's calendar."""
    return _counting(connection.execute(_IN_FORCE).scalar_one(), calendar(connection))


def plan_known_at(connection: Connection, known_at: datetime | None) -> Plan:
    """The plan and the calendar as they stood at an instant; None is now.

    What a reader asks with `--known-at` is judged by the plan that was in force then, or, before
    any was, by the first. A past day alone (`--as-of`) is judged by the plan of today: it asks what
    was true, and today's plan says what is right.
    """
    if known_at is None:
        return plan_in_force(connection)
    adopted = list(journal.events_of(connection, "plan", ["plan_adopted"]))
    until = instant_text(known_at)
    known = [event for event in adopted if str(event["recorded_at"]) <= until] or adopted[:1]
    evidence = known[-1]["evidence"]
    assert isinstance(evidence, dict)
    document = evidence["document"]
    assert isinstance(document, dict)
    plan = _parsed(journal.canonical(document).decode())
    return plan.counting_by(calendar(connection, known_at))


def plan_of(connection: Connection, hash_: str) -> Plan:
    """The plan of this hash, that is or was in force."""
    query = select(_PLAN.c.document).where(_PLAN.c.hash == hash_)
    return _counting(connection.execute(query).scalar_one(), calendar(connection))


class Entry(Struct, frozen=True):
    """A year's holidays as the journal keeps them."""

    holidays: Holidays
    recorded_at: str
    actor: str


def calendar(connection: Connection, known_at: datetime | None = None) -> Calendar:
    """The working days the county counts by: those it entered, before the shipped ones.

    With `known_at` those it had entered by that instant.
    """
    until = None if known_at is None else instant_text(known_at)
    entered = entered_holidays(connection)
    return _calendar(tuple(e for e in entered if until is None or e.recorded_at <= until))


def _calendar(entered: tuple[Entry, ...]) -> Calendar:
    return Calendar(tuple(entry.holidays for entry in entered))


def entered_holidays(connection: Connection) -> tuple[Entry, ...]:
    """The holidays that the county entered, in its order; the last word on a year counts.

    Raises JournalBroken for an entry that is none.
    """
    return _entered(journal.bodies(connection, "calendar"))


@lru_cache(maxsize=8)
def _entered(bodies: tuple[bytes, ...]) -> tuple[Entry, ...]:
    found = []
    for event in map(json.loads, bodies):
        evidence = event["evidence"]
        try:
            holidays = holidays_of(evidence if isinstance(evidence, dict) else {}, "calendar")
        except PlanFault as fault:
            raise JournalBroken(
                f"日志中的节假日安排读不出来：{fault.message}",
                place=fault.place,
                remedy="运行 xianli audit verify，并报县清洁取暖办和审计人员",
            ) from fault
        found.append(Entry(holidays, str(event["recorded_at"]), str(event["actor"])))
    return tuple(found)


def enter_holidays(pen: Pen, holidays: Holidays, files: Sequence[Attached]) -> int | None:
    """Takes a year's holidays over; answers the event's seq, None when they stand there already."""
    require_county(pen.actor)
    standing = {entry.holidays.year: entry.holidays for entry in entered_holidays(pen.connection)}
    if standing.get(holidays.year) == holidays:
        return None
    evidence: dict[str, Json] = {
        "year": holidays.year,
        "source": holidays.source,
        "off": [day.isoformat() for day in sorted(holidays.off)],
        "working": [day.isoformat() for day in sorted(holidays.working)],
    }
    event = pen.add(Draft("calendar", _HOLIDAYS, today_of(pen), evidence, attachments=tuple(files)))
    pen.write()
    return event.seq


def plan_to_act_on(connection: Connection) -> Plan:
    """The plan in force, if it is the one that the journal last adopted.

    Raises JournalBroken: by a plan that somebody put into the table nothing is decided.
    """
    return _to_act_on(plan_in_force(connection), journal.bodies(connection, "plan", [_ADOPTED]))


def _to_act_on(plan: Plan, adopted: tuple[bytes, ...]) -> Plan:
    if _canonical(adopted[-1]) != plan.canonical:
        raise JournalBroken(
            "计划表中的计划不是日志所登记的计划，已停止办理",
            place="plan",
            remedy="运行 xianli audit verify，并报县清洁取暖办和审计人员",
        )
    return plan


@lru_cache(maxsize=8)
def _canonical(body: bytes) -> str:
    """The plan that an event adopted, as canonical JSON."""
    adopted = json.loads(body)["evidence"]
    assert isinstance(adopted, dict)
    document = adopted["document"]
    assert isinstance(document, dict)
    return journal.canonical(document).decode()


@cache
def _parsed(document: str) -> Plan:
    return plans.from_json(json.loads(document))


@lru_cache(maxsize=8)
def _counting(document: str, by: Calendar) -> Plan:
    return _parsed(document).counting_by(by)


_OFFICERS = select(
    *(_OFFICER.c[name] for name in ("login", "name", "person", "role", "unit", "active"))
).order_by(_OFFICER.c.login)
_ONE = _OFFICERS.where(_OFFICER.c.login == bindparam("login"))
_PERSONS = select(_OFFICER.c.login, _OFFICER.c.person)


def officers(connection: Connection) -> tuple[Officer, ...]:
    """The register, in the order of logins."""
    return _listed(tuple(map(tuple, connection.execute(_OFFICERS).all())))


@lru_cache(maxsize=8)
def _listed(rows: tuple[tuple[str, str, str, str, str | None, bool], ...]) -> tuple[Officer, ...]:
    return tuple(
        Officer(login, name, person, Role(role), unit, active)
        for login, name, person, role, unit, active in rows
    )


def persons(connection: Connection) -> Mapping[str, str]:
    """The person behind each login, disabled ones too."""
    return {row.login: row.person for row in connection.execute(_PERSONS)}


def actor(connection: Connection, login: str) -> Actor:
    """The officer who acts under this login. Raises NotPermitted when unknown or disabled."""
    row = connection.execute(_ONE, {"login": login}).first()
    if row is None:
        return acting(login, None)
    found = Officer(row.login, row.name, row.person, Role(row.role), row.unit, row.active)
    return acting(login, found)


def acting(login: str, officer: Officer | None) -> Actor:
    """The officer who acts under a login that was looked up. Raises NotPermitted as `actor`."""
    if officer is None or not officer.active:
        raise NotPermitted(
            f"没有可用的人员账号“{login}”",
            place="--as",
            remedy="核对账号；由县清洁取暖办用 xianli officer add 登记",
        )
    return Actor(officer.login, officer.person, officer.name, officer.role, officer.unit)


def connected(connection: Connection, claimed: str | None) -> str | None:
    """The officer whose login is connected to the server; None for who administers or serves.

    Raises NotPermitted where somebody claims to be another: who acts is not what he says.
    """
    login = postgresql.session_login(connection)
    if claimed is not None and claimed != login:
        raise NotPermitted(
            f"连接数据库的账号是“{login}”，不是“{claimed}”",
            place="--as",
            remedy="在服务器上谁办理由连接的账号决定：去掉 --as 和 XIANLI_OFFICER，用本人账号连接",
        )
    known = select(_OFFICER.c.login).where(_OFFICER.c.login == login, _OFFICER.c.active)
    return login if connection.execute(known).first() is not None else None


def writer(connection: Connection, login: str) -> Actor:
    """The officer who writes under this login.

    Raises JournalBroken like `checked`, NotPermitted like `actor`.
    """
    return acting(login, checked(connection).get(login))


def checked(connection: Connection) -> Mapping[str, Officer]:
    """The officers by login, as table and journal tell alike. Raises JournalBroken.

    By a role, a unit or a person that somebody put into the table nothing is decided.
    """
    return _checked(connection, journal.bodies(connection, "officers", _REGISTERING))


def _checked(connection: Connection, bodies: tuple[bytes, ...]) -> Mapping[str, Officer]:
    told = _told(bodies)
    if {officer.login: officer for officer in officers(connection)} != told:
        raise JournalBroken(
            "人员名册与日志不符，已停止办理",
            place="officers",
            remedy="运行 xianli audit verify，并报县清洁取暖办和审计人员",
        )
    return told


@lru_cache(maxsize=8)
def _told(bodies: tuple[bytes, ...]) -> Mapping[str, Officer]:
    told: dict[str, Officer] = {}
    for event in map(json.loads, bodies):
        evidence = event["evidence"]
        assert isinstance(evidence, dict)
        login, unit = str(evidence["login"]), evidence.get("unit")
        if event["kind"] == "officer_disabled":
            told[login] = replace(told[login], active=False)
            continue
        told[login] = Officer(
            login,
            str(evidence["name"]),
            str(evidence["person"]),
            Role(str(evidence["role"])),
            None if unit is None else str(unit),
            True,
        )
    return told


class Office(Struct, frozen=True):
    """What is acted by: the plan in force, the officers by login, whether it is a drill.

    `closed` are the cases under quarantine.
    """

    plan: Plan
    officers: Mapping[str, Officer]
    drill: bool
    closed: frozenset[str]

    @property
    def persons(self) -> Mapping[str, str]:
        """The person behind each login, disabled ones too."""
        return {login: officer.person for login, officer in self.officers.items()}


_OFFICE = ("database", "plan", "officers", "calendar", journal.QUARANTINE)
_DECIDING = ("init", _ADOPTED, *_REGISTERING, _HOLIDAYS, journal.QUARANTINED)


def office(connection: Connection) -> Office:
    """The office as it stands, read at once and table and journal compared.

    Raises JournalBroken as `plan_to_act_on` and `checked` do.
    """
    told = journal.several(connection, _OFFICE, _DECIDING)
    calendar_ = _calendar(_entered(told["calendar"]))
    plan = _counting(connection.execute(_IN_FORCE).scalar_one(), calendar_)
    return Office(
        _to_act_on(plan, told["plan"]),
        _checked(connection, told["officers"]),
        _begun_as_drill(told["database"][0]),
        journal.closed(told[journal.QUARANTINE]),
    )


def require_county(who: Actor) -> None:
    """Raises NotPermitted unless the officer is of the county office."""
    if who.role is not Role.COUNTY_OFFICE:
        raise NotPermitted("此项由县清洁取暖办办理", remedy="请县清洁取暖办的账号办理")


def require_whole_view(who: Actor | None) -> None:
    """Raises NotPermitted for an officer who may not see every unit's cases.

    Who did not say who he is holds the file itself: there is nothing to keep from him.
    """
    if who is not None and who.role not in (Role.COUNTY_OFFICE, Role.AUDITOR):
        raise NotPermitted(
            "这条命令看的是全县，由县清洁取暖办或审计人员运行", remedy="请有权的账号运行"
        )


def not_your_unit() -> NotPermitted:
    """The answer to who asks for another unit's than his own."""
    return NotPermitted("不是您的责任单位", place="--unit", remedy="不写 --unit，即您自己的单位")


def add_officer(pen: Pen, officer: Officer) -> None:
    """Registers an officer, or takes a disabled login into use again for the same person.

    Raises UsageFault for a role that needs a unit or may not have one, Conflict for a login in use
    or one that looks like another.
    """
    require_county(pen.actor)
    for place, text in (
        ("LOGIN", officer.login),
        ("--name", officer.name),
        ("--person", officer.person),
    ):
        _refuse_personal_number(text, place)
    if officer.role is Role.SYSTEM:
        raise UsageFault("system 是程序自用的身份，不能登记给人", place="--role")
    if officer.role in (Role.UNIT_OFFICER, Role.UNIT_HEAD) and officer.unit is None:
        raise UsageFault(
            f"{officer.role.label}须有责任单位", place="--unit", remedy="加 --unit 单位编码或名称"
        )
    if officer.role in (Role.COUNTY_OFFICE, Role.AUDITOR) and officer.unit is not None:
        raise UsageFault(f"{officer.role.label}不属于某个责任单位", place="--unit")
    for known in pen.connection.execute(select(_OFFICER.c.login)).scalars():
        if known != officer.login and looks(known) == looks(officer.login):
            raise Conflict(
                f"账号“{officer.login}”与已登记的“{known}”看起来一样",
                place="LOGIN",
                remedy="换一个账号名",
            )
    row = pen.connection.execute(select(_OFFICER).where(_OFFICER.c.login == officer.login)).first()
    if row is not None and row.active:
        raise Conflict(f"账号“{officer.login}”已在用", place="LOGIN", remedy="换一个账号名")
    if row is not None and row.person != officer.person:
        raise Conflict(
            f"账号“{officer.login}”原属 {row.person}，不能改给另一人",
            place="--person",
            remedy="换一个账号名",
        )
    _register_officer(pen, officer)
    pen.write()


def _register_officer(pen: Pen, officer: Officer) -> None:
    pen.add(
        Draft(
            "officers",
            "officer_added",
            today_of(pen),
            {
                "login": officer.login,
                "name": officer.name,
                "person": officer.person,
                "role": officer.role,
                "unit": officer.unit,
            },
        )
    )
    values = {
        "name": officer.name,
        "person": officer.person,
        "role": officer.role,
        "unit": officer.unit,
        "active": True,
    }
    pen.connection.execute(
        _insert(_OFFICER)
        .values(login=officer.login, **values)
        .on_conflict_do_update(index_elements=["login"], set_=values)
    )


def disable_officer(pen: Pen, login: str) -> None:
    """Takes a login out of use; what it did stays. Raises UsageFault when there is nobody."""
    require_county(pen.actor)
    known = {officer.login: officer for officer in officers(pen.connection)}
    if login not in known or not known[login].active:
        raise UsageFault(f"没有可用的人员账号“{login}”", place="LOGIN")
    county = [o for o in known.values() if o.active and o.role is Role.COUNTY_OFFICE]
    if [o.login for o in county] == [login]:
        raise StepRefused(
            "这是最后一个县清洁取暖办账号，停用后无人能管理", remedy="先登记另一个县级账号"
        )
    pen.add(Draft("officers", "officer_disabled", today_of(pen), {"login": login}))
    pen.write()
    pen.connection.execute(_OFFICER.update().where(_OFFICER.c.login == login).values(active=False))


def add_key(pen: Pen, login: str, key: PublicKey, valid_until: date | None) -> OfficerKey:
    """Registers the public key that a login signs with from now on, up to its last day.

    Raises UsageFault for an unknown login or a day that is past, Conflict when the login has a key,
    or the key is or was somebody's.
    """
    require_county(pen.actor)
    if not any(one.login == login and one.active for one in officers(pen.connection)):
        raise UsageFault(f"没有可用的人员账号“{login}”", place="LOGIN")
    if valid_until is not None and valid_until < today_of(pen):
        raise UsageFault(f"有效期 {valid_until} 已过", place="--until")
    for known in keyring.all_keys(pen.connection):
        if known.public == key:
            raise Conflict(
                f"这把公钥已登记在“{known.login}”名下，一把密钥只用一次",
                place="FILE",
                remedy="请本人另行生成：xianli officer key new 文件",
            )
        if known.login == login and known.revoked_seq is None:
            raise Conflict(
                f"账号“{login}”已有公钥 {known.public.fingerprint}",
                place="LOGIN",
                remedy=f"先 xianli officer key revoke {login}，再登记新的",
            )
    until = None if valid_until is None else valid_until.isoformat()
    evidence = {"login": login, "key": key.line, "valid_until": until}
    event = pen.add(Draft("officers", "key_added", today_of(pen), {**evidence}))
    pen.write()
    pen.connection.execute(
        keyring.KEY.insert().values(
            key=key.line, login=login, added_seq=event.seq, valid_until=valid_until
        )
    )
    return OfficerKey(login, key, event.seq, valid_until, None)


def revoke_key(pen: Pen, login: str) -> OfficerKey:
    """Takes a login's key out of use; what it signed stays signed.

    Raises UsageFault when there is none, StepRefused when nobody could register a key any more.
    """
    require_county(pen.actor)
    in_use = keyring.in_use(pen.connection)
    key = in_use.get(login)
    if key is None:
        raise UsageFault(f"账号“{login}”没有在用的公钥", place="LOGIN")
    county = {
        one.login
        for one in officers(pen.connection)
        if one.active and one.role is Role.COUNTY_OFFICE
    }
    if "all" in pen.plan.signed and county & in_use.keys() == {login}:
        raise StepRefused(
            "计划要求一切登记都签名，这是县清洁取暖办最后一把公钥，撤销后无人能办理",
            remedy="先为另一个县级账号登记公钥",
        )
    event = pen.add(
        Draft("officers", "key_revoked", today_of(pen), {"login": login, "key": key.public.line})
    )
    pen.write()
    pen.connection.execute(
        keyring.KEY.update()
        .where(keyring.KEY.c.key == key.public.line)
        .values(revoked_seq=event.seq)
    )
    return key


def _refuse_personal_number(text: str, place: str) -> None:
    """Raises StepRefused: what stands in the journal stands there for ever."""
    if holds_personal_number(text):
        raise StepRefused(
            "写有身份证号或手机号；日志中不写个人号码", place=place, remedy="改用别的写法"
        )


def open_gate(pen: Pen, gate: Gate, attachments: Sequence[Attached]) -> None:
    """Records that a village's network is there; the last word on a village counts.

    Raises UsageFault without an attachment, StepRefused for a future day.
    """
    require_county(pen.actor)
    if gate.kind is GateKind.NONE:
        raise UsageFault("网络种类须是 grid、heat 或 gas", place="--kind")
    if not attachments:
        raise UsageFault("须附开通的证明文件", place="--attach", remedy="加 --attach 文件")
    _refuse_personal_number(gate.village, "VILLAGE")
    if gate.opened_on > today_of(pen):
        raise StepRefused(f"开通日期 {gate.opened_on} 晚于今天 {today_of(pen)}", place="--on")
    pen.add(
        Draft(
            "gates",
            "gate_opened",
            gate.opened_on,
            {
                "unit": gate.unit,
                "village": gate.village,
                "kind": gate.kind,
                "opened_on": gate.opened_on.isoformat(),
            },
            attachments=tuple(attachments),
        )
    )
    pen.write()
    pen.connection.execute(
        _insert(_GATE)
        .values(unit=gate.unit, village=gate.village, kind=gate.kind, opened_on=gate.opened_on)
        .on_conflict_do_update(
            index_elements=["unit", "village", "kind"], set_={"opened_on": gate.opened_on}
        )
    )


_MANY = 500
_GATES = select(_GATE).order_by(_GATE.c.unit, _GATE.c.village, _GATE.c.kind)
_GATES_OF = _GATES.where(
    _GATE.c.unit.in_(bindparam("units", expanding=True)),
    _GATE.c.village.in_(bindparam("villages", expanding=True)),
)


def gates(
    connection: Connection, places: Collection[tuple[str, str]] | None = None
) -> tuple[Gate, ...]:
    """Every opened network, by unit and village; with `places`, at least those of these villages.

    A place is a unit and a village of its.
    """
    if places is None or len(places) > _MANY:
        rows = connection.execute(_GATES)
    else:
        units, villages = {unit for unit, _ in places}, {village for _, village in places}
        rows = connection.execute(_GATES_OF, {"units": [*units], "villages": [*villages]})
    return tuple(Gate(row.unit, row.village, GateKind(row.kind), row.opened_on) for row in rows)


def import_catalogue(pen: Pen, models: Sequence[Model]) -> int:
    """Takes the 中标设备清单 over; answers how many lines are new or changed."""
    require_county(pen.actor)
    known = set(catalogue(pen.connection))
    new = [model for model in models if model not in known]
    if not new:
        return 0
    pen.add(
        Draft(
            "catalogue",
            "catalogue_imported",
            today_of(pen),
            {
                "rows": [
                    {"model": m.model, "brand": m.brand, "path": m.path, "lot": m.lot} for m in new
                ]
            },
        )
    )
    pen.write()
    for model in new:
        pen.connection.execute(
            _insert(_CATALOGUE)
            .values(model=model.model, path=model.path, brand=model.brand, lot=model.lot)
            .on_conflict_do_update(
                index_elements=["model", "path"], set_={"brand": model.brand, "lot": model.lot}
            )
        )
    return len(new)


_MODELS = select(_CATALOGUE).order_by(_CATALOGUE.c.path, _CATALOGUE.c.model)


def catalogue(connection: Connection) -> tuple[Model, ...]:
    """The 中标设备清单."""
    rows = connection.execute(_MODELS)
    return tuple(Model(row.model, row.brand, Path(row.path), row.lot) for row in rows)


def models_by_path(connection: Connection) -> Mapping[Path, frozenset[str]]:
    """The catalogue's models by path."""
    models: dict[Path, set[str]] = {}
    for model in catalogue(connection):
        models.setdefault(model.path, set()).add(model.model)
    return {path: frozenset(names) for path, names in models.items()}


def _insert(table: Table) -> "Insert":
    """An INSERT that may say ON CONFLICT, on either database."""
    # Only who writes waits for it: it brings all of its dialect.
    from sqlalchemy.dialects.postgresql import insert

    return insert(table)
