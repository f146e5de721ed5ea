"""What the database itself refuses, whoever writes: the one truth for migrations and audit.

The journal is append-only and gap-free, a case's state is that of its last event, and a permission
names the facts it rests on (design, section 4: the only part of the rule that stands twice). On a
server, where an officer has a login and perhaps `psql`, an event is also what it says it is: by
whom, in which role, of which case, one of the lifecycle's steps; made from `states.lifecycle`.
"""

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection, inspect, text

from states import lifecycle
from states.vocabulary import Clock, FactKind, Level, Role, State, Trigger

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


class _Guard(Struct, frozen=True):
    """A trigger of PostgreSQL and the body of its function."""

    table: str
    when: str
    body: str

    @property
    def told(self) -> str:
        """All of it, to be compared with what is there."""
        return f"{self.when} ON {self.table} {self.body}"

    def statement(self, name: str) -> str:
        """The trigger of this name on its table, as PostgreSQL itself tells it."""
        what, _, level = self.when.partition(" FOR ")
        late = what.startswith("AFTER")
        kind, moment = ("CONSTRAINT ", " DEFERRABLE INITIALLY DEFERRED") if late else ("", "")
        return (
            f"CREATE {kind}TRIGGER {name} {what} ON {self.table}{moment} FOR {level} "
            f"EXECUTE FUNCTION {name}()"
        )


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

# Who writes -------------------------------------------------------------------------------------

_UNIT = (Role.UNIT_OFFICER, Role.UNIT_HEAD)
_COUNTY = (Role.COUNTY_OFFICE,)
_TOGETHER = (*_COUNTY, Role.AUDITOR)
_HANDLERS = (*_UNIT, *_COUNTY)
_NOBODY_ELSE = tuple(role for role in Role if role is not Role.SYSTEM)
# The streams beside the cases', what is written there and by whom.
STREAMS: Mapping[tuple[str, str], tuple[Role, ...]] = {
    ("database", "init"): _COUNTY,
    ("plan", "plan_adopted"): _COUNTY,
    ("plan", "plan_proposed"): _COUNTY,
    ("officers", "officer_added"): _COUNTY,
    ("officers", "officer_disabled"): _COUNTY,
    ("officers", "key_added"): _COUNTY,
    ("officers", "key_revoked"): _COUNTY,
    ("checkpoints", "checkpoint_made"): (Role.SYSTEM,),
    ("witnesses", "witness_added"): _COUNTY,
    ("witnesses", "witness_revoked"): _COUNTY,
    ("quarantine", "quarantine_proposed"): _TOGETHER,
    ("quarantine", "quarantine_confirmed"): _TOGETHER,
    ("gates", "gate_opened"): _COUNTY,
    ("catalogue", "catalogue_imported"): _COUNTY,
    ("calendar", "holidays_entered"): _COUNTY,
    ("ledgers", "ledger_imported"): _HANDLERS,
    ("privacy", "revealed"): _HANDLERS,
    ("privacy", "erased"): _COUNTY,
    ("samples", "sample_drawn"): (Role.AUDITOR,),
    ("samples", "sample_results"): (Role.AUDITOR,),
    ("letters", "letter_issued"): (Role.SYSTEM,),
    ("letters", "letter_answered"): _HANDLERS,
    ("bulletins", "bulletin_published"): _COUNTY,
}


def _edges() -> tuple[tuple[str, str, str, str], ...]:
    """Every (kind, from, to, role) that the lifecycle knows; no state is an empty text."""
    first = State.HOUSEHOLD_CONFIRMATION
    rows: list[tuple[str, str, str, str]] = []
    for role in _HANDLERS:
        rows += [("registered", "", str(first), str(role)), ("amended", "", "", str(role))]
    for step in lifecycle.STEPS:
        rows += [
            (str(step.trigger), str(a), str(b), str(role))
            for a, b in step.moves.items()
            for role in step.roles
        ]
    for record in lifecycle.RECORDS:
        rows += [(str(record.kind), "", "", str(role)) for role in record.roles]
    return tuple(rows)


def _values(rows: Mapping[str, None]) -> str:
    return ", ".join(f"'{row}'" for row in rows)


_KNOWN_EDGES = _values(dict.fromkeys("|".join(edge) for edge in _edges()))
_KNOWN_KINDS = _values(
    dict.fromkeys(
        "|".join((stream, kind, role))
        for (stream, kind), roles in STREAMS.items()
        for role in roles
    )
)
# How far an event's instant may lie behind the server's clock, while a long batch is made, and how
# far ahead of it: as far as another officer's own clock may lag behind (`journal.CLOCK_SLACK`).
_LATE, _EARLY = "interval '10 minutes'", "interval '1 minute'"
_STRANGER = "RAISE EXCEPTION 'xianli: no such case for you, or not this to do'"
_DRILL = """(SELECT convert_from(body, 'UTF8')::jsonb -> 'evidence' -> 'drill' = 'true'::jsonb
    FROM journal WHERE stream = 'database' AND version = 1)"""
# What every event's body has, in this order, and nothing else (`journal.Pen`).
_KEYS = (
    *("actor", "attachments", "evidence", "from", "kind", "occurred_on", "personal", "plan"),
    *("previous", "reason", "recorded_at", "role", "schema", "stream", "to", "version"),
)
_SHA256 = "'^[0-9a-f]{64}$'"
_INSTANT = r"'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$'"
# That the body `it` is one that every reader can read, whatever is wrong with what it says: days
# and numbers that can be reckoned with, nothing that nests or swells without end.
_BODY = f"""octet_length(NEW.body) <= CASE WHEN of_case THEN {1 << 18} ELSE {1 << 26} END
    AND jsonb_typeof(it) = 'object'
    AND ARRAY(SELECT json_object_keys(said::json)) = ARRAY[{_values(dict.fromkeys(_KEYS))}]
    AND it -> 'schema' = '1' AND right(said, 11 + length(NEW.version::text)) = '"version":'
        || NEW.version || '}}' AND jsonb_typeof(told) = 'object'
    AND jsonb_typeof(it -> 'reason') IN ('string', 'null') AND it ->> 'plan' ~ {_SHA256}
    AND (it -> 'personal' = 'null' OR it ->> 'personal' ~ {_SHA256})
    AND NEW.occurred_on BETWEEN '1900-01-01' AND '2199-12-31'
    AND NOT jsonb_path_exists(it, '$.**{{32}}')
    AND NOT jsonb_path_exists(told,
        '$.** ? (@.type() == "number" && (@ > 1000000000000 || @ < -1000000000000))')
    AND jsonb_typeof(it -> 'attachments') = 'array' AND (it -> 'attachments' = '[]'
        OR NOT EXISTS (SELECT 1 FROM jsonb_array_elements(it -> 'attachments') one
            WHERE (one = jsonb_build_object('name', one -> 'name', 'sha256', one -> 'sha256')
                AND jsonb_typeof(one -> 'name') = 'string'
                AND one ->> 'sha256' ~ {_SHA256}) IS NOT TRUE))"""


# An event of who is connected, written in this transaction. What is written in a savepoint bears
# the savepoint's number and is no such event: it is refused, which errs on the safe side.
_OWN_EVENT = "actor = session_user AND xmin = pg_current_xact_id()::xid"


def _with_its_event(
    table: str, event: str, what: str = "INSERT OR UPDATE", unless: str = "false"
) -> _Guard:
    """At the end of the transaction: a row `it` changes only beside such an event of its officer.

    `event` is what the event must be; where `unless` holds, none need be.
    """
    return _Guard(
        table,
        f"AFTER {what} FOR EACH ROW",
        f"""DECLARE
    it record;
BEGIN
IF TG_OP = 'DELETE' THEN it := OLD; ELSE it := NEW; END IF;
IF administers() OR my_role() = '{Role.SYSTEM}' OR {unless} THEN RETURN NULL; END IF;
IF NOT EXISTS (SELECT 1 FROM journal WHERE ({event}) AND {_OWN_EVENT}) THEN
    RAISE EXCEPTION 'xianli: this changes only with an event of the journal';
END IF;
RETURN NULL;
END""",
    )


_OF_CASE = "stream = 'case:' || it.case_code"
# A plan, a calendar that is revised moves the clocks of every case.
_REVISED = "stream IN ('plan', 'calendar')"
_MOVED = f"{_OF_CASE} OR {_REVISED}"
_ERASED = """stream = 'privacy' AND kind = 'erased'
    AND convert_from(body, 'UTF8')::jsonb #>> '{evidence,code}' = it.case_code"""
# What was told is erased, never told otherwise.
_BLANKED = f"""TG_OP = 'INSERT' AND {_OF_CASE} OR TG_OP = 'UPDATE' AND {_ERASED}
    AND convert_from(body, 'UTF8')::jsonb #> '{{evidence,versions}}' @> to_jsonb(it.version)
    AND (it.case_code, it.version, it.digest) = (OLD.case_code, OLD.version, OLD.digest)
    AND concat(it.name, it.id_number, it.credit_code, it.phone, it.meter, it.address, it.remarks,
        it.salt) = ''"""
_EVERY = "INSERT OR DELETE OR UPDATE"
POSTGRESQL |= {
    # Before `journal_next` by its name: who may not see a case does not learn how far it has come.
    "journal_identity": _Guard(
        "journal",
        "BEFORE INSERT FOR EACH ROW",
        f"""DECLARE
    me record;
BEGIN
IF administers() THEN RETURN NEW; END IF;
SELECT * INTO me FROM officer WHERE login = session_user AND active;
IF NEW.role = '{Role.SYSTEM}' THEN
    -- A checkpoint says what everybody can compute: who may look at all of it may make one.
    IF NEW.actor <> '{Role.SYSTEM}' OR NOT (me.login IS NULL AND serves()
        OR NEW.stream = 'checkpoints'
            AND me.role IN ('{Role.COUNTY_OFFICE}', '{Role.AUDITOR}')) THEN
        {_STRANGER};
    END IF;
ELSIF me.login IS NULL OR NEW.actor <> me.login OR NEW.role <> me.role THEN
    {_STRANGER};
END IF;
IF me.unit IS NOT NULL AND starts_with(NEW.stream, 'case:')
    AND NOT starts_with(NEW.stream, 'case:' || me.unit || '-') THEN
    {_STRANGER};
END IF;
IF NEW.kind = '{Trigger.ACCEPT}' AND me.person = (
    SELECT o.person FROM journal j JOIN officer o ON o.login = j.actor
    WHERE j.stream = NEW.stream AND j.kind = '{Trigger.COMPLETE}'
    ORDER BY j.version DESC LIMIT 1) THEN
    RAISE EXCEPTION 'xianli: who recorded the works cannot accept them';
END IF;
IF NEW.recorded_at !~ {_INSTANT} OR to_char(NEW.recorded_at::timestamptz AT TIME ZONE 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') <> NEW.recorded_at THEN
    RAISE EXCEPTION 'xianli: recorded_at is not an instant as the journal writes it';
END IF;
IF NEW.recorded_at::timestamptz NOT BETWEEN now() - {_LATE} AND now() + {_EARLY}
    AND NOT {_DRILL} THEN
    RAISE EXCEPTION 'xianli: recorded_at is not now';
END IF;
RETURN NEW;
END""",
    ),
    "journal_step": _Guard(
        "journal",
        "BEFORE INSERT FOR EACH ROW",
        f"""DECLARE
    said text := convert_from(NEW.body, 'UTF8');
    it jsonb := said::jsonb;
    told jsonb := it -> 'evidence';
    of_case boolean := starts_with(NEW.stream, 'case:');
BEGIN
IF NEW.hash <> encode(sha256(NEW.body), 'hex') THEN
    RAISE EXCEPTION 'xianli: the hash is not that of the body';
END IF;
IF (it ->> 'stream', (it ->> 'version')::integer, it ->> 'previous', it ->> 'kind',
    it ->> 'from', it ->> 'to', it ->> 'occurred_on', it ->> 'recorded_at', it ->> 'actor',
    it ->> 'role') IS DISTINCT FROM (NEW.stream, NEW.version, NEW.previous, NEW.kind,
    NEW.from_state, NEW.to_state, to_char(NEW.occurred_on, 'YYYY-MM-DD'), NEW.recorded_at,
    NEW.actor, NEW.role) THEN
    RAISE EXCEPTION 'xianli: the columns are not those of the body';
END IF;
-- What a reader would stumble over would stand in the journal for ever.
IF ({_BODY}) IS NOT TRUE THEN
    RAISE EXCEPTION 'xianli: the body is not that of an event';
END IF;
IF NOT of_case THEN
    IF NEW.kind = 'letter_answered' AND NOT EXISTS (SELECT 1 FROM letter
        WHERE number = told ->> 'number' AND my_scope() IN ('*', unit)) THEN
        {_STRANGER};
    END IF;
    IF concat_ws('|', NEW.stream, NEW.kind, NEW.role) NOT IN ({_KNOWN_KINDS}) THEN
        RAISE EXCEPTION 'xianli: no such event for this role';
    END IF;
    RETURN NEW;
END IF;
-- As the ledger counts them: a code is the name of files, and its number is counted on.
IF NEW.kind = 'registered' AND (starts_with(NEW.stream, 'case:' || (told ->> 'unit') || '-')
    AND NEW.stream ~ '^case:[0-9A-Z]{{2,12}}-[0-9]{{4,9}}$') IS NOT TRUE THEN
    {_STRANGER};
END IF;
IF NEW.kind = '{FactKind.RESOLVE}' AND NEW.role = '{Role.UNIT_HEAD}' AND NOT EXISTS (
    SELECT 1 FROM journal WHERE seq = (told ->> 'id')::integer AND stream = NEW.stream
        AND kind = '{FactKind.NOTICE}') THEN
    {_STRANGER};
END IF;
IF concat_ws('|', NEW.kind, coalesce(NEW.from_state, ''), coalesce(NEW.to_state, ''), NEW.role)
    NOT IN ({_KNOWN_EDGES}) THEN
    RAISE EXCEPTION 'xianli: no such step for this role';
END IF;
IF NEW.from_state IS NOT NULL AND NEW.from_state IS DISTINCT FROM (
    SELECT to_state FROM journal WHERE stream = NEW.stream AND to_state IS NOT NULL
    ORDER BY version DESC LIMIT 1) THEN
    RAISE EXCEPTION 'xianli: the case is in another state';
END IF;
IF (NEW.kind = 'registered') <> (NEW.version = 1) THEN
    RAISE EXCEPTION 'xianli: a case begins with its registration';
END IF;
RETURN NEW;
END""",
    ),
    "journal_whole": _Guard(
        "journal",
        "AFTER INSERT FOR EACH ROW",
        """DECLARE
    file text;
BEGIN
IF administers() THEN RETURN NULL; END IF;
IF starts_with(NEW.stream, 'case:') AND NOT EXISTS (SELECT 1 FROM household_case
    WHERE code = substr(NEW.stream, 6)
      AND (version > NEW.version OR version = NEW.version AND head_hash = NEW.hash)) THEN
    RAISE EXCEPTION 'xianli: an event of a case changes its row too';
END IF;
-- Most bring no file: that is seen without reading them once more.
IF my_scope() = '*' OR starts_with(convert_from(NEW.body, 'UTF8'),
    '{"actor":' || to_json(NEW.actor) || ',"attachments":[],"') THEN
    RETURN NULL;
END IF;
FOR file IN SELECT one ->> 'sha256'
    FROM jsonb_array_elements(convert_from(NEW.body, 'UTF8')::jsonb -> 'attachments') one LOOP
    IF NOT EXISTS (SELECT 1 FROM attachment a WHERE a.sha256 = file
        AND (a.xmin = pg_current_xact_id()::xid OR strpos(current_setting('xianli.brought', true),
            encode(sha512(a.content), 'hex')) > 0))
        AND NOT attached_before(file, NEW.seq) THEN
        RAISE EXCEPTION 'xianli: no such case for you, or not this to do';
    END IF;
END LOOP;
RETURN NULL;
END""",
    ),
    # Who brings a file that another unit has attached already may attach it too, for he has it:
    # that is told by a digest that only who has the file can make.
    "attachment_brought": _Guard(
        "attachment",
        "BEFORE INSERT FOR EACH ROW",
        """BEGIN
IF my_scope() <> '*' AND EXISTS (SELECT 1 FROM attachment
    WHERE sha256 = NEW.sha256 AND xmin <> pg_current_xact_id()::xid) THEN
    PERFORM set_config('xianli.brought', concat_ws(' ', current_setting('xianli.brought', true),
        encode(sha512(NEW.content), 'hex')), true);
END IF;
RETURN NEW;
END""",
    ),
    "household_case_moves": _Guard(
        "household_case",
        "BEFORE UPDATE FOR EACH ROW",
        f"""BEGIN
IF administers() OR NEW.version > OLD.version OR NEW.version = OLD.version
    AND my_role() IN ('{Role.COUNTY_OFFICE}', '{Role.SYSTEM}') THEN RETURN NEW; END IF;
RAISE EXCEPTION 'xianli: a case changes only with its event';
END""",
    ),
    "household_case_event": _with_its_event(
        "household_case", f"stream = 'case:' || it.code OR {_REVISED}"
    ),
    "permission_persons": _Guard(
        "permission",
        "BEFORE INSERT FOR EACH ROW",
        f"""BEGIN
IF administers() THEN RETURN NEW; END IF;
IF NEW.permitted_by IS DISTINCT FROM my_person() OR my_role() <> '{Role.COUNTY_OFFICE}' THEN
    RAISE EXCEPTION 'xianli: who permits is not who is connected';
END IF;
IF NEW.accepted_by IS DISTINCT FROM (SELECT o.person FROM journal j
    JOIN officer o ON o.login = j.actor WHERE j.seq = NEW.acceptance_seq) THEN
    RAISE EXCEPTION 'xianli: who accepted is somebody else';
END IF;
RETURN NEW;
END""",
    ),
    # The plan's own seasons, one after the other and as many as it requires, whatever the row says.
    "permission_season": _Guard(
        "permission",
        "BEFORE INSERT FOR EACH ROW",
        f"""DECLARE
    plan record;
    home record;
    served record;
BEGIN
IF administers() THEN RETURN NEW; END IF;
SELECT hash, document::jsonb AS told INTO plan FROM plan_revision ORDER BY seq DESC LIMIT 1;
IF NEW.plan IS DISTINCT FROM plan.hash THEN
    RAISE EXCEPTION 'xianli: the plan is not the one in force';
END IF;
IF NEW.season_first_day IS NULL THEN
    SELECT plan.told #> '{{rules,exempt_paths,verified}}' = 'true' AS verified INTO served;
ELSE
    SELECT area, path INTO home FROM household_case WHERE code = NEW.case_code;
    SELECT count(*) AS number, min(one ->> 'first_day') AS first, max(one ->> 'last_day') AS last,
        max(left(one ->> 'label', 4)::integer) - min(left(one ->> 'label', 4)::integer) AS years,
        bool_and(one -> 'verified' = 'true')
            AND plan.told #> '{{rules,required_seasons,verified}}' = 'true' AS verified
    INTO served FROM jsonb_array_elements(plan.told -> 'seasons') one
    WHERE one -> 'areas' @> to_jsonb(home.area) AND one -> 'paths' @> to_jsonb(home.path)
        AND one ->> 'first_day' >= to_char(NEW.season_first_day, 'YYYY-MM-DD')
        AND one ->> 'last_day' <= to_char(NEW.season_last_day, 'YYYY-MM-DD');
    IF (served.first = to_char(NEW.season_first_day, 'YYYY-MM-DD')
        AND served.last = to_char(NEW.season_last_day, 'YYYY-MM-DD')
        AND to_jsonb(served.number) = plan.told #> '{{rules,required_seasons,value}}'
        AND served.years = served.number - 1) IS NOT TRUE THEN
        RAISE EXCEPTION 'xianli: no such season in the plan';
    END IF;
END IF;
IF served.verified IS NOT TRUE AND NOT {_DRILL} THEN
    RAISE EXCEPTION 'xianli: nobody has verified the season';
END IF;
RETURN NEW;
END""",
    ),
    "permission_event": _with_its_event("permission", _OF_CASE, "INSERT"),
    "household_key_event": _with_its_event("household_key", f"{_OF_CASE} OR {_ERASED}", _EVERY),
    "personal_event": _with_its_event("personal", _BLANKED),
    "deadline_event": _with_its_event("deadline", _MOVED, _EVERY),
    "flag_event": _with_its_event("flag", _MOVED),
    "notice_event": _with_its_event("notice", _MOVED),
    "officer_event": _with_its_event("officer", "stream = 'officers'"),
    "officer_key_event": _with_its_event("officer_key", "stream = 'officers'"),
    "gate_event": _with_its_event("gate", "stream = 'gates'"),
    "catalogue_event": _with_its_event("catalogue", "stream = 'catalogue'"),
    "plan_revision_event": _with_its_event("plan_revision", "stream = 'plan'"),
    "letter_event": _with_its_event(
        "letter",
        "stream = 'letters' AND convert_from(body, 'UTF8')::jsonb #>> '{evidence,number}'"
        " = it.number",
    ),
    # Who runs the outbox queues any letter; another the alarm of what he has just recorded.
    "message_event": _with_its_event(
        "message",
        f"""EXISTS (SELECT 1 FROM flag f
    WHERE stream = 'case:' || f.case_code AND f.rung = '{Level.GRAVEST}'
      AND it.key = concat('alarm:', f.case_code, substr(f.deadline, {len(Clock.HEAT) + 1}), ':',
          it.person)
      AND it.document::jsonb ->> 'kind' = it.kind
      AND jsonb_array_length(it.document::jsonb -> 'households') = 1
      AND it.document::jsonb -> 'households' -> 0
          @> jsonb_build_object('code', f.case_code, 'why', f.why))""",
        "INSERT",
        unless=f"my_role() = '{Role.COUNTY_OFFICE}'",
    ),
    # An officer's own key may stand for a command that wrote nothing, and so for the last event.
    "receipt_event": _with_its_event(
        "receipt",
        "seq = it.seq",
        "INSERT",
        unless="it.login = session_user AND it.seq = (SELECT max(seq) FROM journal)",
    ),
}
# A function looks up names in its plan's schema alone, and rows by an index: what it first did when
# the tables were empty it goes on doing, a whole ledger long.
CONFINES = "SET search_path FROM CURRENT SET enable_seqscan = off"
CONFINED = "ARRAY['search_path=' || current_setting('search_path'), 'enable_seqscan=off']"
_THERE = f"""SELECT t.tgname AS name, c.relname AS relation, p.prosrc AS body,
    pg_get_triggerdef(t.oid, true) AS statement, t.tgenabled AS enabled,
    p.prosecdef AND p.proconfig = {CONFINED}
      AND p.proname = t.tgname AND p.pronamespace = c.relnamespace AS confined
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"""


def create(connection: Connection) -> None:
    """Makes them, on the database behind the connection; those of tables that are there."""
    if connection.dialect.name == "sqlite":
        for statement in SQLITE.values():
            connection.exec_driver_sql(statement)
        return
    tables = inspect(connection).get_table_names()
    for name, guard in POSTGRESQL.items():
        if guard.table not in tables:
            continue
        # They look at the whole journal, whatever of it their officer may see.
        connection.exec_driver_sql(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"{CONFINES} AS $guard${guard.body}$guard$"
        )
        connection.exec_driver_sql(guard.statement(name))


def drop(connection: Connection) -> None:
    """Takes them away, for who fills new tables and makes them again in the same transaction."""
    for name in wanted(connection):
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}() CASCADE")


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
            and row.confined
            and row.statement == guard.statement(row.name)
        )
        # Another moment, table or function, or one that is switched off, is told as it is.
        when = guard.when if guard is not None and right else f"{row.statement} ({row.enabled})"
        found[row.name] = f"{when} ON {row.relation} {row.body}"
    return found
