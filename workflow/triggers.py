"""What SQLite itself refuses, whoever writes: the one truth for the migrations and the audit.

The journal is append-only and gap-free, a case's state is that of its last event, and a permission
names the facts it rests on (design, section 4: the only part of the rule that stands twice).
"""

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
