"""Who may do what on a server, whatever program he comes with (PostgreSQL only).

Who acts is `session_user`: an officer's login is a login of the database. What he sees is decided
by row-level security from the plan's own register of officers; what he writes, by triggers as well
(`triggers`). What lies beyond his unit he is told by three functions only (`beyond`).

Five roles own or group, and nobody logs in as them: `xianli_owner` owns the tables,
`xianli_engine` the functions that look beyond a unit (it may read, nothing else),
`xianli_registrar` makes logins; `xianli_officer`, `xianli_auditor` and `xianli_service` are what
logins belong to, and `xianli_personal` may read the columns with personal data.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, text

from states.errors import UsageFault
from states.identity import PersonalData
from states.vocabulary import Role
from workflow import postgresql, triggers
from workflow.db import Database
from workflow.errors import BadFile, NotPermitted
from workflow.models import metadata

OWNER, ENGINE, REGISTRAR = "xianli_owner", "xianli_engine", "xianli_registrar"
OFFICER, AUDITOR, SERVICE = "xianli_officer", "xianli_auditor", "xianli_service"
PERSONAL = "xianli_personal"
# What no login may be called: ours, and words that mean something else to a server.
_RESERVED = re.compile("(xianli|pg)_.*|public|none|user|(current|session|system)_(user|role)")
# More sessions than an officer's programs open at once; without an end one login takes all.
_CONNECTIONS = 10
_GROUPS = (OFFICER, AUDITOR, SERVICE)
_READERS = ", ".join(_GROUPS)
# The server from which on a role may be given without being handed on (CREATEROLE, version 16).
OLDEST = 160000
# What a function vouched for tells before a policy is asked: with EXPLAIN, or with a watch, anybody
# could feel his way through every row, a comparison at a time.
_NOBODY_VOUCHES = """DO $it$ DECLARE f regprocedure; BEGIN
FOR f IN SELECT oid FROM pg_proc WHERE proleakproof LOOP
    EXECUTE format('ALTER FUNCTION %s NOT LEAKPROOF', f);
END LOOP; END $it$"""
_LARGE_OBJECTS = """SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace
  AND (proname LIKE 'lo\\_%' OR proname IN ('loread', 'lowrite'))"""


def setup(connection: Connection, service: str | None, verifier: str | None) -> tuple[str, ...]:
    """Makes the roles and closes the database to everybody else; answers what stays open.

    To be run by who administers the server, as often as he likes. `service` is the login that the
    scheduler connects with; `verifier` is its password as `verifier_of` makes it. Raises
    UsageFault on a server that is too old, NotPermitted without the right.
    """
    _require_server(connection)
    for role in (OWNER, ENGINE, REGISTRAR, *_GROUPS, PERSONAL):
        _make_role(connection, role, "CREATEROLE" if role == REGISTRAR else "")
    [name] = _all(connection, "SELECT quote_ident(current_database())")
    for statement in (
        f"GRANT {ENGINE}, {REGISTRAR} TO {OWNER} WITH INHERIT TRUE, SET TRUE",
        *(
            f"GRANT {group} TO {REGISTRAR} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
            for group in (OFFICER, AUDITOR, PERSONAL)
        ),
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO {_READERS}",
        f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {name} TO {OWNER}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    ):
        _do(connection, statement)
    if service is not None:
        _make_role(connection, service, "LOGIN")
        _do(connection, f"GRANT {SERVICE} TO {_quoted(connection, service)}")
        if verifier is not None:
            _set_password(connection, service, verifier)
    if _all(connection, "SHOW is_superuser") != ["on"]:
        return (
            "大对象函数（lo_…）仍对所有账号开放：请服务器的超级用户再运行一次 db setup",
            "行级安全仍可用比较运算逐字试探：请服务器的超级用户再运行一次 db setup",
        )
    _do(connection, _NOBODY_VOUCHES)
    for function in _all(connection, _LARGE_OBJECTS):
        _do(connection, f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
    return ()


def set_up(database: Database, service: str | None, password: str | None) -> tuple[str, ...]:
    """Does what `setup` does in one transaction, with the service's password."""
    if service is not None:
        refuse_reserved(service, "--service")
    verifier = verifier_of(service, password) if service and password else None
    with database.transaction() as connection:
        left = setup(connection, service, verifier)
    database.close()
    return left


def refuse_reserved(login: str, place: str) -> None:
    """Raises UsageFault for a login that a server, or this program on it, keeps for itself."""
    if _RESERVED.fullmatch(login):
        raise UsageFault(
            f"“{login}”是先立或 PostgreSQL 自用的名字", place=place, remedy="换一个账号"
        )


def password_in(file: Path) -> str:
    """The password in a file's first line. Raises BadFile where there is none."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"口令文件读不出来：{file}", place=str(file), remedy="核对文件名") from error
    if not lines or not lines[0]:
        raise BadFile(f"{file} 的第一行是空的", place=str(file), remedy="第一行写口令")
    return lines[0]


def change_password(database: Database, ask: Callable[[str], str | None]) -> str:
    """Changes the connected login's own password; answers the login.

    Raises UsageFault on a file, and where no password is given.
    """
    if not database.shared:
        raise UsageFault("SQLite 文件没有账号口令", place="--db")
    with database.reading() as connection:
        login = postgresql.session_login(connection)
    password = ask(login)
    if password is None:
        raise UsageFault("没有给出新口令", place="--password-file", remedy="在终端上输入，或用文件")
    with database.transaction() as connection:
        _set_password(connection, login, verifier_of(login, password))
    return login


def _do(connection: Connection, statement: str) -> None:
    """Runs a statement that has no parameters, whatever signs are in it."""
    connection.exec_driver_sql(statement.replace("%", "%%"))


def _all(connection: Connection, query: str) -> list[str]:
    """The one column of what a query without parameters finds, as text."""
    found = connection.exec_driver_sql(query.replace("%", "%%"))
    return [str(value) for value in found.scalars()]


def _require_server(connection: Connection) -> None:
    version = int(_all(connection, "SHOW server_version_num")[0])
    if version < OLDEST:
        raise UsageFault(
            f"服务器版本 {version // 10000} 太旧", place="--db", remedy="用 PostgreSQL 16 或更新的"
        )


def _make_role(connection: Connection, role: str, options: str) -> None:
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
    if connection.execute(known, {"role": role}).first() is None:
        _do(connection, f"CREATE ROLE {_quoted(connection, role)} {options}")


def _quoted(connection: Connection, name: str) -> str:
    return str(connection.execute(text("SELECT quote_ident(:name)"), {"name": name}).scalar_one())


def _set_password(connection: Connection, login: str, verifier: str) -> None:
    literal = connection.execute(text("SELECT quote_literal(:it)"), {"it": verifier}).scalar_one()
    _do(connection, f"ALTER ROLE {_quoted(connection, login)} PASSWORD {literal}")


def verifier_of(login: str, password: str) -> str:
    """What the server keeps of a password (SCRAM-SHA-256): made here, so that it never travels."""
    from psycopg import pq

    return pq.PGconn.encrypt_password(
        pq.PGconn.connect(b"host=''"), password.encode(), login.encode(), b"scram-sha-256"
    ).decode()


def as_owner(connection: Connection) -> None:
    """From here to the end of the transaction what is made belongs to `xianli_owner`.

    Raises UsageFault where the database was not set up, NotPermitted for who does not administer.
    """
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
    if connection.execute(known, {"role": OWNER}).first() is None:
        raise UsageFault(
            "这个服务器还没有先立的角色",
            place="--db",
            remedy="先由服务器管理员运行：xianli --db 地址 db setup",
            code="not_set_up",
        )
    may = text("SELECT pg_has_role(current_user, :role, 'SET')")
    if not connection.execute(may, {"role": OWNER}).scalar_one():
        raise NotPermitted(
            "建库、备份、升级、恢复由数据库管理员办理",
            place="--db",
            remedy="用管理员的账号运行；只管备份的只读账号见 docs/server.md",
        )
    _do(connection, f"SET LOCAL ROLE {OWNER}")


def begin(connection: Connection) -> None:
    """Works as `xianli_owner` in the plan's schema, made where it is not there.

    Raises what `as_owner` does.
    """
    as_owner(connection)
    plan = connection.get_execution_options()["xianli_plan"]
    _do(connection, f'CREATE SCHEMA IF NOT EXISTS "{plan}"')


# What one may see of the journal -----------------------------------------------------------------

_SCOPE = "(SELECT my_scope())"
_TOLD = "convert_from(body, 'UTF8')::jsonb -> 'evidence'"
# What every officer of the plan may read of the journal, his unit's cases apart.
_OPEN_STREAMS = (
    *("database", "plan", "officers", "gates", "catalogue", "calendar"),
    *("checkpoints", "witnesses", "bulletins"),
)
# A case's code begins with its unit's: the guards hold that (`triggers`).
_JOURNAL = f"""CASE {_SCOPE} WHEN '*' THEN true WHEN '' THEN false ELSE
    stream IN ({", ".join(f"'{stream}'" for stream in _OPEN_STREAMS)})
    OR starts_with(stream, 'case:' || {_SCOPE} || '-')
    OR (stream = 'letters' AND EXISTS (SELECT 1 FROM letter l
        WHERE l.number = ({_TOLD} ->> 'number') AND l.unit = {_SCOPE}))
    OR (stream = 'quarantine' AND starts_with({_TOLD} ->> 'code', {_SCOPE} || '-'))
    OR (stream IN ('privacy', 'ledgers') AND actor = session_user) END"""


def _named(stream: str) -> str:
    """That a stream is not another unit's case, by its name: before a row of it is touched."""
    return (
        f"CASE my_scope() WHEN '' THEN false WHEN '*' THEN true ELSE NOT starts_with({stream},"
        f" 'case:') OR starts_with({stream}, 'case:' || my_scope() || '-') END"
    )


def _own(code: str) -> str:
    """The same of a case by its code."""
    return _named(f"('case:' || {code})")


# The functions ----------------------------------------------------------------------------------


class Function(Struct, frozen=True):
    """A function with its owner's rights; its names are looked up in the plan's schema alone."""

    arguments: str
    returns: str
    body: str
    language: str = "sql"
    owner: str = ENGINE
    volatility: str = "STABLE"


_OWN_CODES = f"ANY(ARRAY(SELECT one FROM unnest(of) one WHERE {_own('one')}))"
_MAY_READ = f"(administers() OR pg_has_role(session_user, '{PERSONAL}', 'USAGE'))"
_PERSONAL_COLUMNS = ", ".join(f"{name} text" for name in PersonalData.__struct_fields__)
FUNCTIONS: Mapping[str, Function] = {
    "administers": Function(
        "", "boolean", f"SELECT pg_has_role(session_user, '{OWNER}', 'MEMBER')"
    ),
    "serves": Function("", "boolean", f"SELECT pg_has_role(session_user, '{SERVICE}', 'MEMBER')"),
    "my_role": Function(
        "",
        "text",
        "SELECT coalesce((SELECT role FROM officer WHERE login = session_user AND active),"
        f" CASE WHEN serves() THEN '{Role.SYSTEM}' ELSE '' END)",
    ),
    "my_person": Function(
        "", "text", "SELECT person FROM officer WHERE login = session_user AND active"
    ),
    # The unit whose cases one sees; * is every unit's, nothing is none.
    "my_scope": Function(
        "",
        "text",
        "SELECT coalesce((SELECT coalesce(unit, '*') FROM officer"
        " WHERE login = session_user AND active),"
        " CASE WHEN serves() OR administers() THEN '*' ELSE '' END)",
    ),
    "journal_end": Function(
        "",
        "TABLE (seq integer, recorded_at text)",
        "SELECT seq, recorded_at FROM journal WHERE my_scope() <> '' ORDER BY seq DESC LIMIT 1",
    ),
    "stream_end": Function(
        "of text",
        "TABLE (version integer, hash text)",
        f"SELECT version, hash FROM journal WHERE stream = CASE WHEN {_named('of')} THEN of END"
        " ORDER BY version DESC LIMIT 1",
    ),
    # Some streams' events, found by the index: users' own conditions find nothing by it (`setup`).
    "events": Function(
        "of text[]",
        "TABLE (seq integer, stream text, version integer, kind text, occurred_on date, hash text,"
        " body bytea)",
        "SELECT seq, stream, version, kind, occurred_on, hash, body FROM journal"
        f" WHERE stream = ANY(ARRAY(SELECT one FROM unnest(of) one WHERE {_named('one')}))"
        f" AND {_JOURNAL}",
    ),
    # The kept files of some streams' events: hash, size and first bytes; and one of them whole.
    "files": Function(
        "of text[]",
        "TABLE (sha256 text, size integer, beginning bytea)",
        "SELECT DISTINCT a.sha256, a.size, substr(a.content, 1, 16) FROM events(of) e"
        " CROSS JOIN jsonb_array_elements(convert_from(e.body, 'UTF8')::jsonb -> 'attachments') one"
        " JOIN attachment a ON a.sha256 = one ->> 'sha256'",
    ),
    "file": Function(
        "of text[], wanted text",
        "bytea",
        "SELECT content FROM attachment"
        " WHERE sha256 = (SELECT sha256 FROM files(of) WHERE sha256 = wanted)",
    ),
    # Some cases' rows as far as a step asks for them, and their papers.
    "heads": Function(
        "of text[]",
        "TABLE (code text, version integer, head_hash text)",
        f"SELECT code, version, head_hash FROM household_case WHERE code = {_OWN_CODES}",
    ),
    "personal_data": Function(
        "of text[]",
        f"TABLE (case_code text, version integer, {_PERSONAL_COLUMNS})",
        f"SELECT case_code, version, {', '.join(PersonalData.__struct_fields__)} FROM personal"
        f" WHERE case_code = {_OWN_CODES} AND {_MAY_READ}",
    ),
    # The keys of a kind that some cases hold.
    "held": Function(
        "wanted text, of text[]",
        "TABLE (value text, case_code text)",
        "SELECT value, case_code FROM household_key"
        f" WHERE kind = wanted AND case_code = {_OWN_CODES} AND {_MAY_READ}",
    ),
    # What is on record for some keys, one's own and those of batches' rows.
    "answers": Function(
        "whose text, keys text[]",
        "TABLE (key text, request text, seq integer, answer text)",
        "SELECT key, request, seq, answer FROM receipt"
        " WHERE login = whose AND key = ANY(keys) AND my_scope() <> ''"
        f" AND (administers() OR whose IN (session_user, '{Role.SYSTEM}'))",
    ),
    # And the clocks that end with a step: a condition of one's own would be asked of every row.
    "end_clocks": Function(
        "of text[], clocks text[]",
        "void",
        "DELETE FROM deadline USING unnest(of, clocks) AS it (code, clock)"
        f" WHERE case_code = it.code AND name = it.clock AND {_own('it.code')}",
        owner=OWNER,
        volatility="VOLATILE",
    ),
    "holders": Function(
        "of text, wanted text[]",
        "TABLE (value text, case_code text)",
        "SELECT k.value, CASE WHEN my_scope() IN ('*', c.unit) THEN k.case_code ELSE '' END"
        " FROM household_key k JOIN household_case c ON c.code = k.case_code"
        " WHERE k.kind = of AND k.value = ANY(wanted) AND my_scope() <> ''",
    ),
    # Whether an event that this officer may read attaches a file; before an event: an earlier one.
    "attached_before": Function(
        "content text, event integer",
        "boolean",
        f"""SELECT content ~ '^[0-9a-f]{{64}}$' AND EXISTS (SELECT 1 FROM journal
    WHERE seq < event
      AND CASE WHEN position(convert_to('"' || content || '"', 'UTF8') IN body) > 0
        THEN {_JOURNAL} AND (convert_from(body, 'UTF8')::jsonb -> 'attachments')
            @> jsonb_build_array(jsonb_build_object('sha256', content))
        ELSE false END)""",
    ),
    "enrol": Function(
        "login text, verifier text",
        "boolean",
        f"""DECLARE
    registered text := (SELECT role FROM officer o WHERE o.login = enrol.login AND o.active);
    made boolean := false;
BEGIN
IF NOT administers() AND my_role() <> '{Role.COUNTY_OFFICE}' THEN
    RAISE EXCEPTION 'permission denied: logins are made by the county office';
END IF;
IF registered IS NULL OR login ~ '^(xianli|pg)_' OR octet_length(login) > 63 THEN
    RAISE EXCEPTION 'permission denied: % is no login of a registered officer', login;
END IF;
IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = login AND (rolsuper OR rolcreaterole
    OR rolcreatedb OR rolreplication OR rolbypassrls OR NOT rolcanlogin
    OR pg_has_role(oid, '{OWNER}', 'MEMBER') OR pg_has_role(oid, '{SERVICE}', 'MEMBER'))) THEN
    RAISE EXCEPTION 'permission denied: % is another kind of login', login;
END IF;
IF verifier IS NOT NULL AND verifier !~ '^SCRAM-SHA-256\\$[0-9]+:' THEN
    RAISE EXCEPTION 'permission denied: no password in the clear';
END IF;
IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = login) THEN
    EXECUTE format('CREATE ROLE %I LOGIN CONNECTION LIMIT {_CONNECTIONS} PASSWORD %L',
        login, verifier);
    made := true;
END IF;
EXECUTE format('GRANT %I, {PERSONAL} TO %I',
    CASE registered WHEN '{Role.AUDITOR}' THEN '{AUDITOR}' ELSE '{OFFICER}' END, login);
RETURN made;
END""",
        language="plpgsql",
        owner=REGISTRAR,
        volatility="VOLATILE",
    ),
    # Groups are the whole server's: who may be an officer elsewhere stays what he is.
    "withdraw": Function(
        "login text",
        "boolean",
        f"""DECLARE
    register text;
    elsewhere boolean := EXISTS (SELECT 1 FROM pg_database, aclexplode(datacl) given
        WHERE datname <> current_database() AND given.grantee = '{OFFICER}'::regrole);
BEGIN
IF NOT administers() AND my_role() <> '{Role.COUNTY_OFFICE}' THEN
    RAISE EXCEPTION 'permission denied: logins are the county office''s';
END IF;
IF (SELECT o.active FROM officer o WHERE o.login = withdraw.login) IS NOT FALSE THEN
    RAISE EXCEPTION 'permission denied: % is no disabled officer', login;
END IF;
FOR register IN SELECT c.oid::regclass FROM pg_class c WHERE c.relname = 'officer'
    AND c.relkind = 'r' AND c.relnamespace <> current_schema()::regnamespace
    AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') LOOP
    EXECUTE format('SELECT $1 OR EXISTS (SELECT 1 FROM %s WHERE login = $2 AND active)', register)
    INTO elsewhere USING elsewhere, login;
END LOOP;
IF elsewhere OR NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = login) THEN
    RETURN false;
END IF;
EXECUTE format('REVOKE {OFFICER}, {AUDITOR}, {PERSONAL} FROM %I', login);
RETURN true;
END""",
        language="plpgsql",
        owner=REGISTRAR,
        volatility="VOLATILE",
    ),
}

# The rows ---------------------------------------------------------------------------------------

_MEMBER = f"{_SCOPE} <> ''"
_WHOLE = f"{_SCOPE} = '*'"
_BY_UNIT = f"({_WHOLE} OR unit = {_SCOPE})"
_ROLE = "(SELECT my_role())"
_COUNTY = f"{_ROLE} = '{Role.COUNTY_OFFICE}'"
_SYSTEM = f"{_ROLE} = '{Role.SYSTEM}'"
_RUNS = f"{_ROLE} IN ('{Role.COUNTY_OFFICE}', '{Role.SYSTEM}')"


def _of_case(code: str) -> str:
    """That one sees the case: its code begins with its unit's, and the guards hold that."""
    return f"({_WHOLE} OR starts_with({code}, {_SCOPE} || '-'))"


_MINE = _of_case("case_code")
_ALARM_OF = _of_case("split_part(message.key, ':', 2)")
_ALARM = f"kind = 'alarm' AND key LIKE 'alarm:%' AND {_ALARM_OF}"
# The keys of a batch's rows are everybody's who sees the event; all others are one officer's own.
_SHEETS_ROW = "login = 'system'"
_READ, _ADD, _CHANGE, _REMOVE = "SELECT", "INSERT", "UPDATE", "DELETE"
# A key is its officer's own, or stands for what is said, whoever says it (`receipts`).
_OWN_KEY = f"{_MEMBER} AND login IN (session_user, '{Role.SYSTEM}')"
_REGISTER = {_READ: _MEMBER, _ADD: _COUNTY, _CHANGE: _COUNTY}

# Table, what is done to it, and to which rows.
POLICIES: Mapping[str, Mapping[str, str]] = {
    "journal": {_READ: _JOURNAL, _ADD: _MEMBER},
    "household_case": dict.fromkeys((_READ, _ADD, _CHANGE), _BY_UNIT),
    "permission": dict.fromkeys((_READ, _ADD), _MINE),
    "household_key": dict.fromkeys((_READ, _ADD, _REMOVE), _MINE),
    "personal": dict.fromkeys((_READ, _ADD, _CHANGE), _MINE),
    "attachment": {
        # Whose the files of a unit are, its events say (`files`): not a row by itself.
        _READ: _WHOLE,
        _ADD: f"{_MEMBER} AND sha256 = encode(sha256(content), 'hex') AND size = length(content)",
    },
    "deadline": dict.fromkeys((_READ, _ADD, _CHANGE, _REMOVE), _BY_UNIT),
    "flag": dict.fromkeys((_READ, _ADD, _CHANGE), _BY_UNIT),
    "notice": dict.fromkeys((_READ, _ADD, _CHANGE), _BY_UNIT),
    "message": {
        _READ: f"{_WHOLE} OR person = (SELECT my_person()) OR ({_ALARM})",
        _ADD: f"{_RUNS} OR ({_MEMBER} AND {_ALARM} AND status = 'queued' AND attempts = 0)",
        _CHANGE: _RUNS,
    },
    "letter": {_READ: _BY_UNIT, _ADD: _SYSTEM, _CHANGE: _BY_UNIT},
    "receipt": {_READ: _OWN_KEY, _ADD: _OWN_KEY},
    **dict.fromkeys(("officer", "officer_key", "gate", "catalogue"), _REGISTER),
    "plan_revision": _REGISTER,
    "witness_receipt": {_READ: _MEMBER, _ADD: _WHOLE},
    "lease": {_READ: _MEMBER, _ADD: _RUNS, _CHANGE: _RUNS, _REMOVE: _RUNS},
    "job": {_READ: _MEMBER, _ADD: _RUNS, _CHANGE: _RUNS},
}
# What nobody reads who may not see personal data, and who need not see contents.
_KEPT_BACK: Mapping[str, tuple[str, ...]] = {
    "personal": (
        "name",
        "id_number",
        "credit_code",
        "phone",
        "meter",
        "address",
        "remarks",
        "salt",
    ),
    "household_key": ("value",),
}


def install(connection: Connection) -> None:
    """Makes functions, guards, grants and policies anew over tables of the newest version.

    The transaction belongs to `xianli_owner` (`as_owner`).
    """
    [schema] = _all(connection, "SELECT quote_ident(current_schema())")
    _do(connection, f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {ENGINE}, {REGISTRAR}")
    _do(connection, f"GRANT USAGE ON SCHEMA {schema} TO {_READERS}, {PERSONAL}")
    for name, function in FUNCTIONS.items():
        _make_function(connection, name, function)
    for name in metadata.tables:
        _open_table(connection, name)
        # Until the server knows the sizes it reads a whole table for one household (by and by it
        # finds out by itself).
        _do(connection, f"ANALYZE {name}")
    _do(connection, f"GRANT SELECT ON alembic_version TO {_READERS}")
    triggers.drop(connection)
    triggers.create(connection)
    for name in triggers.wanted(connection):
        _do(connection, f"ALTER FUNCTION {name}() OWNER TO {ENGINE}")
    _do(connection, f"REVOKE CREATE ON SCHEMA {schema} FROM {ENGINE}, {REGISTRAR}")


def _open_table(connection: Connection, name: str) -> None:
    """Grants by table, policies by row; the engine sees every row, the owner is above them."""
    _do(connection, f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    _do(connection, f"GRANT SELECT ON {name} TO {ENGINE}")
    _policy(connection, name, f"{name}_engine", _READ, ENGINE, "true")
    if name == "officer":
        _do(connection, f"GRANT SELECT ON {name} TO {REGISTRAR}")
        _policy(connection, name, f"{name}_registrar", _READ, REGISTRAR, "true")
    for verb, rows in POLICIES[name].items():
        kept = _KEPT_BACK.get(name, ())
        to = _READERS
        if kept:
            _do(connection, f"GRANT {verb} ON {name} TO {PERSONAL}")
            to = f"{_READERS}, {PERSONAL}"
        if kept and verb == _READ:
            shown = (c.name for c in metadata.tables[name].c if c.name not in kept)
            _do(connection, f"GRANT SELECT ({', '.join(shown)}) ON {name} TO {_READERS}")
        elif not kept:
            _do(connection, f"GRANT {verb} ON {name} TO {_READERS}")
        _policy(connection, name, f"{name}_{verb.lower()}", verb, to, rows)


def _policy(connection: Connection, table: str, name: str, verb: str, to: str, rows: str) -> None:
    _do(connection, f"DROP POLICY IF EXISTS {name} ON {table}")
    seen = f"USING ({rows})" if verb != _ADD else ""
    written = f"WITH CHECK ({rows})" if verb in (_ADD, _CHANGE) else ""
    _do(connection, f"CREATE POLICY {name} ON {table} FOR {verb} TO {to} {seen} {written}")
    # The server tells conditions in words of its own: what it tells now must not change.
    [told] = _all(
        connection,
        f"SELECT {CONDITIONS} FROM pg_policies WHERE schemaname = current_schema()"
        f" AND tablename = '{table}' AND policyname = '{name}'",
    )
    _do(connection, f"COMMENT ON POLICY {name} ON {table} IS '{mark(rows)} {told}'")


# A digest of a policy's conditions, as the server tells them in `pg_policies`.
CONDITIONS = "md5(coalesce(qual, '') || '|' || coalesce(with_check, ''))"


def mark(rows: str) -> str:
    """A digest of the rows that a policy of this program lets through."""
    return hashlib.sha256(rows.encode()).hexdigest()[:16]


def _make_function(connection: Connection, name: str, function: Function) -> None:
    _do(
        connection,
        f"CREATE OR REPLACE FUNCTION {name}({function.arguments}) RETURNS {function.returns}"
        f" LANGUAGE {function.language} {function.volatility} SECURITY DEFINER"
        f" {triggers.CONFINES} AS $it${function.body}$it$",
    )
    types = ", ".join(part.split()[1] for part in function.arguments.split(", ") if part)
    _do(connection, f"ALTER FUNCTION {name}({types}) OWNER TO {function.owner}")


def enrol(connection: Connection, login: str, verifier: str | None) -> bool:
    """Gives a registered officer a login of the database; answers whether it is a new one.

    The password of a login that is there already is left as it is.
    """
    call = text("SELECT enrol(:login, :verifier)")
    return bool(connection.execute(call, {"login": login, "verifier": verifier}).scalar_one())


def withdraw(connection: Connection, login: str) -> bool:
    """Takes a disabled officer's rights on the server away; answers whether he has none left.

    `enrol` gives them again. Where he may be an officer elsewhere on the server they stay: then the
    plan alone is closed to him.
    """
    return bool(connection.execute(text("SELECT withdraw(:login)"), {"login": login}).scalar_one())
