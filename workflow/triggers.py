"""What the database itself refuses, whoever writes: the one truth for migrations and audit.

The journal is append-only and gap-free, a case's state is that of its last event, and a permission
names the facts it rests on (design, section 4: the only part of the rule that stands twice).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

_LATEST_STATE = """(SELECT to_state FROM journal WHERE stream = 'case:' || NEW.code
        AND to_state IS NOT NULL ORDER BY version DESC LIMIT 1)"""
_CASE_CHECK = f"""
    SELECT RAISE(ABORT, 'xianli: a case changes only with its event')
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE stream = 'case:' || NEW.code
        AND version = NEW.version AND hash = NEW.head_hash)
      OR NEW.state IS NOT {_LATEST_STATE};"""

SQLITE: dict[str, str] = {
    "journal_no_update": """CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN
    SELECT RAISE(ABORT, 'xianli: the journal is never changed');
END""",
    "journal_no_delete": """CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN
    SELECT RAISE(ABORT, 'xianli: the journal is never shortened');
END""",
    "journal_next": """CREATE TRIGGER journal_next BEFORE INSERT ON journal BEGIN
    SELECT RAISE(ABORT, 'xianli: seq must follow without a gap')
    WHERE NEW.seq IS NOT (SELECT COALESCE(MAX(seq), 0) + 1 FROM journal);
    SELECT RAISE(ABORT, 'xianli: version and previous hash must follow the stream')
    WHERE NEW.version IS NOT
        (SELECT COALESCE(MAX(version), 0) + 1 FROM journal WHERE stream = NEW.stream)
      OR NEW.previous IS NOT
        (SELECT hash FROM journal WHERE stream = NEW.stream AND version = NEW.version - 1);
    SELECT RAISE(ABORT, 'xianli: recorded_at must not go back')
    WHERE NEW.recorded_at < (SELECT recorded_at FROM journal WHERE seq = NEW.seq - 1);
    SELECT RAISE(ABORT, 'xianli: a permission must name what it rests on')
    WHERE NEW.kind = 'permit' AND NOT EXISTS
        (SELECT 1 FROM permission WHERE seq = NEW.seq AND 'case:' || case_code = NEW.stream
            AND permitted_on = NEW.occurred_on);
    SELECT RAISE(ABORT, 'xianli: only permit leads to removal_permitted')
    WHERE NEW.to_state = 'removal_permitted' AND NEW.kind IS NOT 'permit';
END""",
    "household_case_insert": f"""CREATE TRIGGER household_case_insert
BEFORE INSERT ON household_case BEGIN{_CASE_CHECK}
END""",
    "household_case_update": f"""CREATE TRIGGER household_case_update
BEFORE UPDATE ON household_case BEGIN{_CASE_CHECK}
    SELECT RAISE(ABORT, 'xianli: a case keeps its code') WHERE NEW.code IS NOT OLD.code;
END""",
    "household_case_no_delete": """CREATE TRIGGER household_case_no_delete
BEFORE DELETE ON household_case BEGIN
    SELECT RAISE(ABORT, 'xianli: a case is closed, never deleted');
END""",
    "permission_no_update": """CREATE TRIGGER permission_no_update
BEFORE UPDATE ON permission BEGIN
    SELECT RAISE(ABORT, 'xianli: a permission is never changed');
END""",
    "permission_no_delete": """CREATE TRIGGER permission_no_delete
BEFORE DELETE ON permission BEGIN
    SELECT RAISE(ABORT, 'xianli: a permission is never deleted');
END""",
    "permission_facts": """CREATE TRIGGER permission_facts BEFORE INSERT ON permission BEGIN
    SELECT RAISE(ABORT, 'xianli: the case is not in stable_season')
    WHERE NEW.source_state IS NOT 'stable_season'
      OR (SELECT state FROM household_case WHERE code = NEW.case_code) IS NOT 'stable_season';
    SELECT RAISE(ABORT, 'xianli: no such acceptance of this case')
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE seq = NEW.acceptance_seq AND kind = 'accept'
        AND stream = 'case:' || NEW.case_code AND occurred_on = NEW.accepted_on);
    SELECT RAISE(ABORT, 'xianli: no such readiness of this case')
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE seq = NEW.readiness_seq AND kind = 'complete'
        AND stream = 'case:' || NEW.case_code AND occurred_on >= NEW.ready_on);
    SELECT RAISE(ABORT, 'xianli: who accepted cannot permit')
    WHERE NEW.permitted_by = NEW.accepted_by;
    SELECT RAISE(ABORT, 'xianli: no such plan')
    WHERE NOT EXISTS (SELECT 1 FROM plan_revision WHERE hash = NEW.plan);
    SELECT RAISE(ABORT, 'xianli: no full season between acceptance and permission')
    WHERE NOT COALESCE(
        (NEW.accepted_on <= NEW.season_first_day AND NEW.ready_on <= NEW.season_first_day
            AND NEW.season_first_day < NEW.season_last_day
            AND NEW.season_last_day < NEW.permitted_on)
        OR (NEW.season_first_day IS NULL AND NEW.season_last_day IS NULL AND EXISTS
            (SELECT 1 FROM plan_revision JOIN household_case ON code = NEW.case_code
             WHERE hash = NEW.plan AND instr(exempt_paths, ',' || path || ',') > 0)), 0);
END""",
}


@dataclass(frozen=True, slots=True)
class _Guard:
    """A trigger of PostgreSQL and the body of its function."""

    table: str
    when: str
    body: str

    @property
    def told(self) -> str:
        """All of it, to be compared with what is there."""
        return f"{self.when} ON {self.table} {self.body}"

    def statement(self, name: str, table: str) -> str:
        """The trigger of this name on the table, as PostgreSQL itself tells it."""
        what, _, level = self.when.partition(" FOR ")
        return f"CREATE TRIGGER {name} {what} ON {table} FOR {level} EXECUTE FUNCTION {name}()"


def _never(table: str, what: str, told: str) -> _Guard:
    level = "STATEMENT" if what == "TRUNCATE" else "ROW"
    raised = f"BEGIN RAISE EXCEPTION 'xianli: {told}'; END"
    return _Guard(table, f"BEFORE {what} FOR EACH {level}", raised)


def _unless(*conditions: tuple[str, str]) -> str:
    """The body that lets a row in unless one of the conditions holds."""
    checks = "\n".join(
        f"IF {wrong} THEN RAISE EXCEPTION 'xianli: {told}'; END IF;" for told, wrong in conditions
    )
    return f"BEGIN\n{checks}\nRETURN NEW;\nEND"


_LAST_TARGET = """(SELECT to_state FROM journal
        WHERE stream = 'case:' || NEW.code AND to_state IS NOT NULL
        ORDER BY version DESC LIMIT 1)"""
_CASE_MOVES = (
    "a case changes only with its event",
    f"""NOT EXISTS (SELECT 1 FROM journal WHERE stream = 'case:' || NEW.code
        AND version = NEW.version AND hash = NEW.head_hash)
      OR NEW.state IS DISTINCT FROM {_LAST_TARGET}""",
)
POSTGRESQL: dict[str, _Guard] = {
    "journal_no_update": _never("journal", "UPDATE", "the journal is never changed"),
    "journal_no_delete": _never("journal", "DELETE", "the journal is never shortened"),
    "journal_no_truncate": _never("journal", "TRUNCATE", "the journal is never shortened"),
    "journal_next": _Guard(
        "journal",
        "BEFORE INSERT FOR EACH ROW",
        _unless(
            (
                "seq must follow without a gap",
                "NEW.seq IS DISTINCT FROM (SELECT COALESCE(MAX(seq), 0) + 1 FROM journal)",
            ),
            (
                "version and previous hash must follow the stream",
                """NEW.version IS DISTINCT FROM
        (SELECT COALESCE(MAX(version), 0) + 1 FROM journal WHERE stream = NEW.stream)
      OR NEW.previous IS DISTINCT FROM
        (SELECT hash FROM journal WHERE stream = NEW.stream AND version = NEW.version - 1)""",
            ),
            (
                "recorded_at must not go back",
                "NEW.recorded_at < (SELECT recorded_at FROM journal WHERE seq = NEW.seq - 1)",
            ),
            (
                "a permission must name what it rests on",
                """NEW.kind = 'permit' AND NOT EXISTS (SELECT 1 FROM permission
        WHERE seq = NEW.seq AND 'case:' || case_code = NEW.stream
          AND permitted_on = NEW.occurred_on)""",
            ),
            (
                "only permit leads to removal_permitted",
                "NEW.to_state = 'removal_permitted' AND NEW.kind IS DISTINCT FROM 'permit'",
            ),
        ),
    ),
    "household_case_insert": _Guard(
        "household_case", "BEFORE INSERT FOR EACH ROW", _unless(_CASE_MOVES)
    ),
    "household_case_update": _Guard(
        "household_case",
        "BEFORE UPDATE FOR EACH ROW",
        _unless(_CASE_MOVES, ("a case keeps its code", "NEW.code IS DISTINCT FROM OLD.code")),
    ),
    "household_case_no_delete": _never(
        "household_case", "DELETE", "a case is closed, never deleted"
    ),
    "household_case_no_truncate": _never(
        "household_case", "TRUNCATE", "a case is closed, never deleted"
    ),
    "permission_no_update": _never("permission", "UPDATE", "a permission is never changed"),
    "permission_no_delete": _never("permission", "DELETE", "a permission is never deleted"),
    "permission_no_truncate": _never("permission", "TRUNCATE", "a permission is never deleted"),
    "permission_facts": _Guard(
        "permission",
        "BEFORE INSERT FOR EACH ROW",
        _unless(
            (
                "the case is not in stable_season",
                """NEW.source_state IS DISTINCT FROM 'stable_season'
      OR (SELECT state FROM household_case WHERE code = NEW.case_code)
        IS DISTINCT FROM 'stable_season'""",
            ),
            (
                "no such acceptance of this case",
                """NOT EXISTS (SELECT 1 FROM journal WHERE seq = NEW.acceptance_seq
        AND kind = 'accept' AND stream = 'case:' || NEW.case_code
        AND occurred_on = NEW.accepted_on)""",
            ),
            (
                "no such readiness of this case",
                """NOT EXISTS (SELECT 1 FROM journal WHERE seq = NEW.readiness_seq
        AND kind = 'complete' AND stream = 'case:' || NEW.case_code
        AND occurred_on >= NEW.ready_on)""",
            ),
            ("who accepted cannot permit", "NEW.permitted_by = NEW.accepted_by"),
            (
                "no such plan",
                "NOT EXISTS (SELECT 1 FROM plan_revision WHERE hash = NEW.plan)",
            ),
            (
                "no full season between acceptance and permission",
                """NOT COALESCE(
        (NEW.accepted_on <= NEW.season_first_day AND NEW.ready_on <= NEW.season_first_day
            AND NEW.season_first_day < NEW.season_last_day
            AND NEW.season_last_day < NEW.permitted_on)
        OR (NEW.season_first_day IS NULL AND NEW.season_last_day IS NULL AND EXISTS
            (SELECT 1 FROM plan_revision JOIN household_case ON code = NEW.case_code
             WHERE hash = NEW.plan AND strpos(exempt_paths, ',' || path || ',') > 0)), FALSE)""",
            ),
        ),
    ),
}
_THERE = """SELECT t.tgname AS name, c.relname AS relation, p.prosrc AS body,
    pg_get_triggerdef(t.oid) AS statement, t.tgenabled AS enabled
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace"""


def create(connection: Connection) -> None:
    """Makes them, on the database behind the connection."""
    if connection.dialect.name == "sqlite":
        for statement in SQLITE.values():
            connection.exec_driver_sql(statement)
        return
    for name, guard in POSTGRESQL.items():
        connection.exec_driver_sql(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
            f"AS $guard${guard.body}$guard$"
        )
        connection.exec_driver_sql(guard.statement(name, guard.table))


def drop(connection: Connection) -> None:
    """Takes them away, for who fills new tables and makes them again in the same transaction."""
    for name in wanted(connection):
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql(f"DROP FUNCTION {name}() CASCADE")


def wanted(connection: Connection) -> Mapping[str, str]:
    """What should be there, by name."""
    if connection.dialect.name == "sqlite":
        return SQLITE
    return {name: guard.told for name, guard in POSTGRESQL.items()}


def there(connection: Connection) -> Mapping[str, str]:
    """What is there, by name; comparable with `wanted`."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
        return {row.name: row.sql for row in connection.execute(query)}
    found = {}
    for row in connection.execute(text(_THERE)):
        guard = POSTGRESQL.get(row.name)
        right = (
            guard is not None
            and row.enabled == "O"
            and row.statement == guard.statement(row.name, f"public.{guard.table}")
        )
        # Another moment, table or function, or one that is switched off, is told as it is.
        when = guard.when if guard is not None and right else f"{row.statement} ({row.enabled})"
        found[row.name] = f"{when} ON {row.relation} {row.body}"
    return found
