"""Personal data: seen unmasked only with the right and an event, and erased without a trace.

The journal holds salted hashes only (design, section 5): with the salt gone, nothing in it can be
led back to a person, and every chain still verifies.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, text, update

from states.errors import StepRefused, UsageFault
from states.facts import Actor
from states.identity import PersonalData
from states.plan import Json
from states.vocabulary import Role, State
from workflow import attachments, cases, journal, register, tables
from workflow.attachments import File
from workflow.db import Database
from workflow.errors import NotPermitted
from workflow.journal import Draft, Pen

_PERSONAL = tables.PERSONAL
_KEY = tables.HOUSEHOLD_KEY
HANDLERS = (Role.UNIT_OFFICER, Role.UNIT_HEAD, Role.COUNTY_OFFICE)
_BLANK = dict.fromkeys(PersonalData.__struct_fields__, "")


def reveal(
    database: Database, who: Actor, codes: Sequence[str], now: datetime, purpose: str
) -> None:
    """Journals that somebody sees personal data unmasked. Raises NotPermitted without the right."""
    if who.role not in HANDLERS:
        raise NotPermitted("查看未遮蔽的个人信息限责任单位和县清洁取暖办", place="--reveal")
    with database.transaction() as connection:
        pen = Pen(connection, who, now, register.plan_in_force(connection))
        evidence: dict[str, Json] = {"codes": list(codes), "purpose": purpose}
        pen.add(Draft("privacy", "revealed", register.today_of(pen), evidence))
        pen.write()


def erase(
    database: Database,
    code: str,
    files: Sequence[File],
    reason: str | None,
    login: str,
    now: datetime,
) -> tuple[int, bool]:
    """Erases a household's personal data: all of a closed case, superseded versions of a live one.

    Answers how many versions were erased, and whether nothing is left. The journal keeps their
    salted hashes. Raises NotPermitted, UsageFault without document or reason, StepRefused when
    there is nothing to erase.
    """
    with database.transaction() as connection:
        if not database.shared:
            # What is erased shall not linger in the file's free pages.
            connection.execute(text("PRAGMA secure_delete = ON"))
        who = register.writer(connection, login)
        register.require_county(who)
        row = connection.execute(select(cases.CASE.c.state).where(cases.CASE.c.code == code))
        state = row.scalar()
        if state is None:
            raise cases.not_for_you(code)
        if not files or not reason:
            raise UsageFault(
                "抹去个人信息须附依据并说明理由",
                place="--attach、--reason",
                remedy="加 --attach 文件 --reason 理由",
            )
        closed = state == State.CLOSED
        versions = _kept(connection, code)
        erased = versions if closed else versions[:-1]
        if not erased:
            raise StepRefused(
                f"{code} 没有可抹去的个人信息"
                + ("" if closed else "：在办的户须保留现行的一版，退出后才能全部抹去"),
                place=code,
            )
        pen = Pen(connection, who, now, register.plan_in_force(connection))
        pen.add(
            Draft(
                "privacy",
                "erased",
                register.today_of(pen),
                {"code": code, "versions": [*erased]},
                reason=reason,
                attachments=tuple(file.attached for file in files),
            )
        )
        pen.write()
        attachments.keep(connection, files)
        mine = (_PERSONAL.c.case_code == code, _PERSONAL.c.version.in_(erased))
        connection.execute(update(_PERSONAL).where(*mine).values(**_BLANK, salt=""))
        if closed:
            connection.execute(delete(_KEY).where(_KEY.c.case_code == code))
    return len(erased), closed


def _kept(connection: Connection, code: str) -> list[int]:
    query = select(_PERSONAL.c.version).where(_PERSONAL.c.case_code == code, _PERSONAL.c.salt != "")
    return list(connection.execute(query.order_by(_PERSONAL.c.version)).scalars())


def erased_versions(connection: Connection) -> set[tuple[str, int]]:
    """Every (code, version) that the journal says was erased."""
    found = set()
    for event in journal.events_of(connection, "privacy", ["erased"]):
        evidence = event["evidence"]
        assert isinstance(evidence, dict)
        versions = evidence["versions"]
        assert isinstance(versions, list)
        found |= {(str(evidence["code"]), int(str(version))) for version in versions}
    return found
