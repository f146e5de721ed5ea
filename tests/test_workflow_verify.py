"""The independent audit, on bundles that are made event by event (tests/bundles.py)."""

import ast
import contextlib
import copy
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import cast

import pytest
from bundles import (
    CHECKED,
    CODE,
    FIRST_DAY,
    LAST_DAY,
    PERMIT_DAY,
    REGISTERED,
    SEASONS,
    Book,
    Line,
    Step,
    canonical,
    changed,
    digest,
    events,
    facility,
    integrity,
    later,
    letter,
    make,
    make_plan,
    proposed,
    removal,
    revised,
    rewritten,
    row,
    season,
    slip,
    story,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow import verify

# ---------------------------------------------------------------- the whole


def test_a_household_from_the_ledger_to_the_permission_verifies_clean() -> None:
    report = verify.examine(make())

    assert (report.integrity, report.removal) == ((), ())
    assert (report.events, report.cases, report.drill) == (22, 1, True)
    assert (report.permitted, report.removed, report.lawful) == (1, 0, 0)


def test_a_lawful_removal_is_counted_and_is_no_finding() -> None:
    gone = Step("old-facility", PERMIT_DAY, evidence={"facility": "kang", "status": "removed"})

    report = verify.examine(make(*story(gone)))

    assert (report.integrity, report.removal) == ((), ())
    assert (report.permitted, report.removed, report.lawful) == (1, 1, 1)


def test_it_imports_the_standard_library_and_what_checks_signatures_only() -> None:
    tree = ast.parse(Path(verify.__file__).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Name):
            assert node.id not in ("__import__", "exec", "eval")

    assert imported <= {*sys.stdlib_module_names, "cryptography"}


def test_every_finding_code_says_what_it_means_in_one_sentence() -> None:
    assert all(meaning.endswith("。") for meaning in verify.FINDING_CODES.values())


# ---------------------------------------------------------------- integrity, code by code


@pytest.mark.parametrize(
    ("name", "value"), [("size", 3), ("drill", False), ("format", "other/1"), ("size", True)]
)
def test_the_header_must_say_what_the_journal_says(name: str, value: object) -> None:
    lines = make()
    lines[0][name] = value

    assert integrity(lines) == {"header_differs"}


@pytest.mark.parametrize("odd", [{}, {"type": "surprise"}, {"type": 3}])
def test_a_line_of_no_known_type_is_a_finding(odd: Line) -> None:
    assert integrity([*make(), odd]) == {"line_malformed"}


def test_an_event_taken_out_leaves_a_gap_in_seq_version_and_chain() -> None:
    lines = make()
    del lines[15]
    lines[0]["size"] = 21

    found = integrity(lines)

    assert {"seq_gap", "version_gap", "chain_broken"} <= found


def test_a_seq_that_is_out_of_order_is_a_gap() -> None:
    lines = make()
    events(lines)[2]["seq"] = "3"

    assert integrity(lines) == {"seq_gap"}


def test_changed_bytes_do_not_match_their_hash() -> None:
    lines = make()
    line = events(lines)[18]
    line["bytes"] = str(line["bytes"]).replace("20.5", "21.5")

    assert integrity(lines) == {"hash_mismatch"}


def test_changed_bytes_with_a_new_hash_break_the_chain_behind_them() -> None:
    lines = make()
    rewritten(events(lines)[18], evidence={"temperature": "21.5"})

    assert integrity(lines) == {"chain_broken"}


def test_bytes_that_are_not_canonical_are_a_finding() -> None:
    lines = make()
    line = events(lines)[-1]
    line["bytes"] = str(line["bytes"]).replace(":", ": ", 1)
    line["hash"] = row(lines, "case")["head_hash"] = digest(str(line["bytes"]))

    assert integrity(lines) == {"bytes_not_canonical"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", 2),
        ("occurred_on", "20240201"),
        ("recorded_at", "2024-02-01T04:00:00Z"),
        ("evidence", []),
        ("attachments", [{"name": "a"}]),
        ("reason", 3),
        ("extra", None),
    ],
)
def test_an_event_that_cannot_be_read_is_a_finding(name: str, value: object) -> None:
    steps = story(visit_2=Step("visit", "2024-02-01", over={name: value}), permit=None)

    assert integrity(make(*steps)) == {"event_malformed"}


def test_evidence_that_cannot_be_read_is_a_finding() -> None:
    steps = story(visit_2=changed("visit", "2024-02-01", temperature="warm"), permit=None)

    assert integrity(make(*steps)) == {"evidence_malformed"}


@pytest.mark.parametrize("name", verify.JOURNAL_COLUMNS)
def test_each_column_must_say_what_the_bytes_say(name: str) -> None:
    lines = make()
    cast("Line", events(lines)[15]["columns"])[name] = "other"

    assert integrity(lines) == {"columns_differ"}


def test_a_missing_column_is_a_finding() -> None:
    lines = make()
    del cast("Line", events(lines)[15]["columns"])["from"]

    assert integrity(lines) == {"columns_differ"}


def test_a_stream_whose_events_name_another_predecessor_is_broken() -> None:
    steps = story(visit_2=replace(story()[8], over={"previous": "f" * 64}))

    assert integrity(make(*steps)) == {"chain_broken"}


def test_a_version_that_skips_is_a_gap() -> None:
    lines = make(*story(), changed("pause", "2024-05-01", cause="weather"))
    rewritten(events(lines)[-1], version=13)
    row(lines, "case").update(version=13, head_hash=events(lines)[-1]["hash"])

    assert integrity(lines) == {"version_gap"}


def test_recording_does_not_go_back_in_time() -> None:
    steps = [*story(), Step("visit", "2024-04-10", evidence={"temperature": 20})]

    assert integrity(make(*steps)) == {"recorded_at_backwards"}


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        ("2024-02-01T15:59:59.999999Z", {"future_occurred"}),
        ("2024-02-01T16:00:00.000000Z", set[str]()),
    ],
)
def test_nothing_happens_later_than_the_shanghai_day_it_is_recorded(
    heard: str, found: set[str]
) -> None:
    steps = story(Step("pause", "2024-02-02", evidence={"cause": "weather"}, heard=heard))

    assert integrity(make(*steps)) == found


def test_the_first_officer_must_be_the_one_who_began() -> None:
    lines = make()
    rewritten(events(lines)[0], actor="lin")

    assert integrity(lines) == {"genesis_malformed", "actor_unknown"}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_beginning_has_its_order(place: int) -> None:
    lines = make()
    rewritten(events(lines)[place], kind="ledger_imported", stream="ledgers", evidence={})

    assert "genesis_malformed" in integrity(lines)


def test_it_is_said_at_the_beginning_whether_this_is_a_drill() -> None:
    lines = make()
    lines[0]["drill"] = False
    rewritten(events(lines)[0], evidence={"plan": "tiny"})

    assert "genesis_malformed" in integrity(lines)


def test_a_login_stays_with_its_person() -> None:
    same: Line = {"login": "sun", "name": "sun", "person": "sun", "role": "acceptor", "unit": None}
    again = Step("officer_added", "2024-05-01", "zhang", same, stream="officers")

    assert integrity(make(*story(again))) == set()
    assert "person_changed" in integrity(
        make(*story(replace(again, evidence={**same, "person": "other"})))
    )


def test_only_cases_move() -> None:
    step = Step("catalogue_imported", PERMIT_DAY, "zhang", {"rows": []}, stream="catalogue")
    moved = replace(step, over={"to": "closed"})

    assert integrity(make(*story(step))) == set()
    assert integrity(make(*story(moved))) == {"edge_not_allowed"}


@pytest.mark.parametrize(
    ("stream", "kind", "evidence", "found"),
    [
        ("officers", "officer_added", {"login": "x", "role": "king"}, "evidence_malformed"),
        ("officers", "officer_added", {"role": "auditor"}, "evidence_malformed"),
        ("officers", "officer_disabled", {"login": "x"}, "reference_unknown"),
        ("gates", "gate_opened", {"unit": "103", "village": "a"}, "evidence_malformed"),
        ("plan", "plan_adopted", {"document": "none"}, "plan_malformed"),
    ],
)
def test_registers_and_plans_need_their_evidence(
    stream: str, kind: str, evidence: Line, found: str
) -> None:
    lines = make()
    body = {**json.loads(str(events(lines)[3]["bytes"])), "stream": stream, "kind": kind}
    rewritten(events(lines)[3], **{**body, "evidence": evidence})

    assert found in integrity(lines)


HOLIDAYS: Line = {
    "year": 2024,
    "source": "国办发明电〔2023〕7号",
    "off": ["2024-05-01"],
    "working": ["2024-05-11"],
}


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (HOLIDAYS, set()),
        ({**HOLIDAYS, "working": []}, set()),
        ({**HOLIDAYS, "year": 2023}, {"evidence_malformed"}),
        ({**HOLIDAYS, "year": None}, {"evidence_malformed"}),
        ({**HOLIDAYS, "off": ["2023-10-02"]}, {"evidence_malformed"}),
        ({**HOLIDAYS, "working": ["2023-10-07", "2024-05-11"]}, {"evidence_malformed"}),
        ({**HOLIDAYS, "source": ""}, {"evidence_malformed"}),
        ({**HOLIDAYS, "off": ["2024-02-30"]}, {"evidence_malformed"}),
        ({**HOLIDAYS, "off": [20240501]}, {"evidence_malformed"}),
        ({**HOLIDAYS, "working": None}, {"evidence_malformed"}),
    ],
)
def test_a_years_holidays_must_be_readable(evidence: Line, found: set[str]) -> None:
    step = Step("holidays_entered", PERMIT_DAY, "zhang", evidence, stream="calendar")

    assert integrity(make(*story(step))) == found


def test_holidays_are_the_county_offices_to_enter() -> None:
    step = Step("holidays_entered", PERMIT_DAY, "wang", HOLIDAYS, stream="calendar")

    assert integrity(make(*story(step))) == {"role_not_allowed"}


def test_every_event_beside_the_cases_names_the_plan_too() -> None:
    step = Step("catalogue_imported", PERMIT_DAY, "zhang", {"rows": []}, stream="catalogue")

    assert integrity(make(*story(replace(step, over={"plan": None})))) == {"unknown_plan"}


def test_findings_about_removal_come_in_the_order_of_the_journal() -> None:
    other = [replace(step, stream="case:103-0002") for step in story()]
    early = facility("removed", "2024-01-09")
    steps = [*story(), *other, replace(early, stream="case:103-0002"), early]
    steps.sort(key=lambda step: step.recorded_at)

    found = verify.examine(make(*steps)).removal

    assert [one.case for one in found] == ["103-0002", CODE]


@pytest.mark.parametrize(
    "odd", [{"label": "2023-2024"}, {"label": 3}, {"areas": 3}, {"paths": None}, "season"]
)
def test_a_season_that_cannot_be_read_is_a_finding(odd: object) -> None:
    entry = {**SEASONS[0], **odd} if isinstance(odd, dict) else odd
    plan = make_plan(cast("list[Line]", [SEASONS[1], entry]))

    found = integrity(make(plan=plan))

    assert ("plan_malformed" in found) is (odd != {"label": "2023-2024"})


def test_a_season_that_cannot_be_read_does_not_take_away_one_that_can() -> None:
    report = verify.examine(make(plan=make_plan([SEASONS[0], {"label": 3}])))

    assert [one.code for one in report.integrity] == ["plan_malformed"]
    assert report.removal == ()


def test_a_season_that_ends_before_it_begins_is_unknown() -> None:
    assert refused_by(make_plan([season("2023-2024", LAST_DAY, FIRST_DAY)])) is True


def test_bytes_that_are_no_event_are_a_finding() -> None:
    lines = make()
    events(lines)[15].update(bytes="[]", hash=digest("[]"))

    assert "event_malformed" in integrity(lines)


def test_a_second_beginning_is_a_finding() -> None:
    again = Step("init", "2024-05-01", "zhang", {"drill": False}, stream="database")

    assert integrity(make(*story(), again)) == {"genesis_malformed"}


def test_an_empty_journal_has_no_beginning() -> None:
    assert integrity([]) == {"header_differs", "genesis_malformed"}


@pytest.mark.parametrize("stream", [f"case:{CODE}", "plan", "elsewhere"])
def test_a_kind_that_is_none_of_the_streams_is_a_finding(stream: str) -> None:
    assert "kind_unknown" in integrity(make(*story(), Step("tidy", PERMIT_DAY, stream=stream)))


def test_a_plan_without_its_rules_is_a_finding_and_permits_nothing() -> None:
    report = verify.examine(make(plan=make_plan(outage_days="many")))

    assert {finding.code for finding in report.integrity} == {"plan_malformed"}
    assert [finding.code for finding in report.removal] == ["permission_unlawful"]


def test_every_event_names_the_plan_in_force() -> None:
    steps = story(visit_2=replace(story()[8], over={"plan": "b" * 64}))

    assert integrity(make(*steps)) == {"unknown_plan"}


def test_the_plan_hash_is_that_of_the_document() -> None:
    lines = make()
    line = events(lines)[1]
    body = json.loads(str(line["bytes"]))
    body["evidence"]["document"]["name"] = "other"
    rewritten(line, evidence=body["evidence"])

    assert integrity(lines) == {"unknown_plan"}


@pytest.mark.parametrize("named", ["b" * 64, None])
def test_a_plan_is_adopted_under_its_own_hash_or_the_one_before(named: str | None) -> None:
    later = {"name": "tiny", "document": make_plan(outage_days=6)}
    step = Step("plan_adopted", "2024-04-02", "zhang", later, stream="plan")
    before = {"plan": digest(canonical(make_plan()))}

    assert integrity(make(*story(replace(step, over=before)))) == set()
    assert integrity(make(*story(step))) == set()
    assert integrity(make(*story(replace(step, over={"plan": named})))) == {"unknown_plan"}


def test_a_permission_by_a_plan_no_longer_in_force_is_unlawful() -> None:
    later = make_plan(outage_days=6)
    revised = Step(
        "plan_adopted", "2024-04-02", "zhang", {"name": "tiny", "document": later}, stream="plan"
    )
    old = {"plan": digest(canonical(make_plan()))}
    steps = story(revised, permit=Step("permit", PERMIT_DAY, "zhang", over=old))

    report = verify.examine(make(*steps))

    assert {finding.code for finding in report.integrity} == {"unknown_plan"}
    assert [finding.code for finding in report.removal] == ["permission_unlawful"]


def test_a_permission_goes_by_the_plan_in_force_and_not_by_an_earlier_one() -> None:
    later = make_plan(warm_visits=3)
    revised = Step(
        "plan_adopted", "2024-04-02", "zhang", {"name": "tiny", "document": later}, stream="plan"
    )

    assert removal(make(*story(revised))) == ["permission_unlawful"]


def test_who_is_not_in_the_register_is_unknown() -> None:
    steps = [*story(), Step("extension", "2024-05-01", "nobody")]

    assert integrity(make(*steps)) == {"actor_unknown"}


def test_who_was_disabled_is_unknown_from_then_on() -> None:
    off = Step("officer_disabled", "2024-05-01", "zhang", {"login": "lin"}, stream="officers")
    steps = [*story(), off, Step("extension", "2024-05-01", "lin")]

    assert integrity(make(*steps)) == {"actor_unknown"}


def test_the_role_is_the_one_in_the_register() -> None:
    steps = [*story(), Step("extension", "2024-05-01", "he", over={"role": "county_office"})]

    assert integrity(make(*steps)) == {"role_mismatch"}


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("pause", {"zhang", "wang", "zhao"}),
        ("visit", {"zhang", "wang", "zhao", "sun"}),
        ("finding", {"zhang", "he"}),
        ("extension", {"zhang"}),
        ("fault", {"zhang", "wang", "zhao"}),
    ],
)
def test_each_fact_is_recorded_by_those_who_may(kind: str, allowed: set[str]) -> None:
    evidence: Line = {"temperature": 20, "severity": "note"}
    for login in ("zhang", "wang", "zhao", "sun", "he"):
        found = integrity(make(*story(), Step(kind, "2024-05-01", login, evidence)))

        assert found == (set() if login in allowed else {"role_not_allowed"}), login


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("confirm", {"wang", "zhao"}),
        ("select", {"wang", "zhao"}),
        ("complete", {"wang", "zhao"}),
        ("accept", {"sun"}),
        ("permit", {"zhang"}),
    ],
)
def test_each_step_is_taken_by_those_who_may(kind: str, allowed: set[str]) -> None:
    for login in ("zhang", "wang", "zhao", "sun", "he"):
        step = next(step for step in story() if step.kind == kind)
        found = integrity(make(*story(**{kind: replace(step, by=login)})))

        assert ("role_not_allowed" in found) is (login not in allowed), login


@pytest.mark.parametrize("kind", ["sample_drawn", "sample_results"])
def test_only_an_auditor_samples(kind: str) -> None:
    for login in ("zhang", "wang", "zhao", "sun", "he"):
        evidence = {} if kind == "sample_results" else drawn([])
        found = integrity(
            make(*story(), Step(kind, "2024-05-01", login, evidence, stream="samples"))
        )

        assert found == (set() if login == "he" else {"role_not_allowed"}), login


def test_a_unit_officer_works_on_cases_of_the_own_unit_only() -> None:
    steps = [*story(), Step("pause", "2024-05-01", "qian")]

    assert integrity(make(*steps)) == {"role_not_allowed"}


def test_a_unit_head_answers_objections_and_nothing_else() -> None:
    notice = Step("notice", "2023-05-25", evidence={"objection": "不同意"}, label="n")
    complaint = Step("complaint", "2024-05-01", evidence={"what": "冷"}, label="c")
    answered = Step("resolve", "2024-05-02", "zhao", {"id": "@n", "outcome": "resolved"})
    beyond = Step("resolve", "2024-05-02", "zhao", {"id": "@c", "outcome": "resolved"})

    assert integrity(make(*story(notice, answered))) == set()
    assert integrity(make(*story(notice, complaint, answered, beyond))) == {"role_not_allowed"}


@pytest.mark.parametrize("by", ["wang2", "sun"])
def test_who_recorded_the_works_does_not_accept_them(by: str) -> None:
    book = story(accept=Step("accept", "2023-10-10", by, {"facility": ["none"]}))

    assert integrity(make(*book)) == ({"separation"} if by == "wang2" else set())


def test_a_works_fact_counts_as_recording_the_works() -> None:
    done = Step("complete", "2023-09-20", "zhao", {"ready_on": "2023-09-20"})
    accept = Step("accept", "2023-10-10", "wang2", {"facility": ["none"]})

    assert integrity(make(*story(complete=done, accept=accept))) == {"separation"}


def test_who_accepted_does_not_permit() -> None:
    report = verify.examine(make(*story(permit=Step("permit", PERMIT_DAY, "sun2"))))

    assert {finding.code for finding in report.integrity} == {"separation"}
    assert [finding.code for finding in report.removal] == ["permission_unlawful"]


def test_a_login_is_one_person_whatever_the_register_says_later() -> None:
    other: Line = {"login": "sun", "name": "x", "person": "other", "role": "county_office"}
    turned = Step("officer_added", "2024-04-02", "zhang", other, stream="officers")
    permit = Step("permit", PERMIT_DAY, "sun", over={"role": "county_office"})

    assert {"person_changed", "separation"} <= integrity(make(*story(turned, permit=permit)))


@pytest.mark.parametrize("kind", ["resolve", "correct"])
def test_who_recorded_a_thing_neither_resolves_nor_corrects_it(kind: str) -> None:
    complaint = Step("complaint", "2024-05-01", "zhang", {"what": "冷"}, label="c")
    own = Step(kind, "2024-05-02", "zhang", {"id": "@c"})

    assert integrity(make(*story(complaint, own))) == {"separation"}
    assert integrity(make(*story(complaint, replace(own, by="lin")))) == set()


def test_a_step_that_the_table_does_not_have_is_a_finding() -> None:
    steps = story(complete=None)

    assert "edge_not_allowed" in integrity(make(*steps))


def test_a_step_begins_where_the_case_stands() -> None:
    steps = story(accept=replace(story()[5], over={"from": "construction"}))

    assert integrity(make(*steps)) == {"edge_not_allowed"}


def test_a_step_of_the_table_from_where_the_case_is_not_is_a_finding() -> None:
    back = Step("overturn", "2024-01-01", "zhang", over={"from": "removal_permitted"})

    assert integrity(make(*story(back, permit=None))) == {"edge_not_allowed"}


def test_a_fact_moves_nothing() -> None:
    steps = story(visit_2=replace(story()[8], over={"to": "stable_season"}))

    assert integrity(make(*steps)) == {"edge_not_allowed"}


@pytest.mark.parametrize(
    ("evidence", "when", "found"),
    [
        ({"unit": "200"}, "2023-05-21", {"amendment_not_allowed", "role_not_allowed"}),
        ({"area": "county_town"}, "2023-05-21", set[str]()),
        ({"area": "county_town"}, "2024-05-01", {"amendment_not_allowed"}),
        ({"village": "西会村"}, "2024-05-01", set[str]()),
    ],
)
def test_a_ledger_changes_only_what_it_may(evidence: Line, when: str, found: set[str]) -> None:
    steps = story(Step("amended", when, evidence=evidence), permit=None)

    assert integrity(make(*steps)) >= found
    assert bool(integrity(make(*steps))) is bool(found)


@pytest.mark.parametrize(
    ("kind", "evidence"),
    [
        ("repair", {"fault": "@visit_1"}),
        ("repair", {"fault": "999"}),
        ("resolve", {"id": "@visit_1"}),
        ("correct", {"id": "@accept"}),
    ],
)
def test_what_an_event_names_must_be_there(kind: str, evidence: Line) -> None:
    steps = [*story(), Step(kind, "2024-05-01", "zhang", evidence)]

    assert integrity(make(*steps)) == {"reference_unknown"}


def test_the_registration_may_be_corrected_and_names_its_own_case() -> None:
    right = Step("correct", "2023-05-20", "zhang", {"id": "@registered"}, heard="2023-05-22")
    other = replace(story()[0], stream="case:103-0002", on="2023-05-21", label="other")
    wrong = replace(right, evidence={"id": "@other"})

    assert integrity(make(*story(right))) == set()
    assert integrity(make(*story(other, wrong))) == {"reference_unknown"}


@pytest.mark.parametrize("name", ["unit", "path", "kind", "area", "quota"])
def test_a_registration_says_what_the_case_is(name: str) -> None:
    evidence = {key: value for key, value in REGISTERED.items() if key != name}
    lines = make(replace(story()[0], evidence=evidence, by="zhang"))
    row(lines, "case")[name] = None

    assert integrity(lines) == {"evidence_malformed"}


@pytest.mark.parametrize(("heard", "late"), [("2024-05-16", False), ("2024-05-17", True)])
def test_late_paper_brings_its_document(heard: str, late: bool) -> None:
    step = Step("pause", "2024-05-01", evidence={"cause": "grid"}, heard=heard)
    named = replace(step, evidence={"cause": "grid", "late_document": "补录.pdf"})

    assert integrity(make(*story(step))) == ({"late_without_document"} if late else set())
    assert integrity(make(*story(replace(named, attach=("补录.pdf",))))) == set()
    assert integrity(make(*story(replace(named, attach=("b.pdf",))))) == (
        {"late_without_document"} if late else set()
    )


def test_any_document_will_do_for_a_late_correction() -> None:
    right = Step("correct", "2023-12-02", "zhang", {"id": "@visit_1"}, heard="2024-05-17")

    assert integrity(make(*story(right))) == {"late_without_document"}
    assert integrity(make(*story(replace(right, attach=("b.pdf",))))) == set()


def test_a_late_registration_needs_no_document() -> None:
    late = Step("registered", "2023-01-01", evidence=REGISTERED, heard="2023-05-20")

    assert integrity(make(*story(registered=late))) == set()


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        *(("case", name) for name in ("unit", "village", "path", "kind", "area", "quota")),
        *(("case", name) for name in ("state", "state_since", "version", "head_hash")),
        *(("permission", name) for name in ("case", "permitted_on", "accepted_on", "plan")),
        *(("permission", name) for name in ("acceptance_seq", "ready_on", "readiness_seq")),
        *(("permission", name) for name in ("season_first_day", "season_last_day")),
        *(("permission", name) for name in ("permitted_by", "accepted_by", "seq")),
        *(("officer", name) for name in ("login", "name", "person", "role", "unit", "active")),
        *(("gate", name) for name in ("unit", "village", "kind", "opened_on")),
    ],
)
def test_each_column_of_each_table_is_recomputed(kind: str, column: str) -> None:
    gate: Line = {"unit": "103", "village": "东会村", "kind": "grid", "opened_on": "2023-07-01"}
    opened = Step("gate_opened", "2023-07-01", "zhang", gate, stream="gates")
    lines = make(*story(opened))
    assert integrity(lines) == set()
    row(lines, kind)[column] = 999 if column in ("seq", "version") else "other"

    assert integrity(lines) == {"projection_differs"}


def test_an_empty_value_must_be_written_out() -> None:
    lines = make(*story())
    assert integrity(lines) == set()
    empty = next(line for line in lines if line["type"] == "officer" and line["unit"] is None)
    del empty["unit"]
    assert integrity(lines) == {"projection_differs"}
    del events(lines)[-1]["signature"]
    assert integrity(lines) == {"projection_differs", "line_malformed"}


class Said(StrEnum):
    COUNTY_OFFICE = "county_office"


def test_a_row_from_the_program_may_carry_words_of_its_own_but_no_number_for_a_truth() -> None:
    lines = make()
    row(lines, "officer")["role"] = Said.COUNTY_OFFICE
    assert integrity(lines) == set()

    row(lines, "officer")["active"] = 1
    cast("Line", events(lines)[0]["columns"])["version"] = True
    assert integrity(lines) == {"projection_differs", "columns_differ"}


@pytest.mark.parametrize("kind", ["case", "permission", "officer"])
def test_a_row_too_few_or_too_many_is_a_finding(kind: str) -> None:
    lines = make()
    one = row(lines, kind)

    assert integrity([line for line in lines if line is not one]) == {"projection_differs"}
    assert integrity([*lines, one]) == {"projection_differs"}
    assert integrity([*lines, {**one, "code": "x", "seq": 998, "login": "x"}]) == {
        "projection_differs"
    }


def test_one_bad_event_hides_no_other() -> None:
    lines = make()
    events(lines)[14]["bytes"] = "\ud800"
    events(lines)[16]["bytes"] = "[" * 100_000
    events(lines)[18]["hash"] = None

    found = verify.examine(lines).integrity

    assert {15, 17, 19} <= {finding.seq for finding in found}


# ---------------------------------------------------------------- the rule of section 4


def refused_by(plan: Line, *extra: Step, **steps: Step) -> bool:
    found = removal(make(*story(*extra, **steps), plan=plan))
    assert found in ([], ["permission_unlawful"])
    return bool(found)


def refused(*extra: Step, **steps: Step) -> bool:
    return refused_by(make_plan(), *extra, **steps)


@pytest.mark.parametrize(("days", "over"), [(7, False), (8, True)])
def test_one_outage_may_last_as_long_as_the_limit_and_no_longer(days: int, over: bool) -> None:
    fault = Step("fault", "2024-01-01", label="f")
    repair = Step("repair", f"2024-01-{1 + days:02}", evidence={"fault": "@f"})

    assert refused(fault, repair) is over


@pytest.mark.parametrize(("repaired", "over"), [("2024-03-03", False), ("2024-03-04", True)])
def test_the_leap_day_is_a_day_of_outage(repaired: str, over: bool) -> None:
    fault = Step("fault", "2024-02-25", label="f")

    assert refused(fault, Step("repair", repaired, evidence={"fault": "@f"})) is over


@pytest.mark.parametrize(("last", "over"), [("2024-01-24", False), ("2024-01-25", True)])
def test_all_outages_together_may_reach_the_total_and_no_more(last: str, over: bool) -> None:
    spans = [("2024-01-01", "2024-01-06"), ("2024-01-10", "2024-01-15"), ("2024-01-19", last)]
    steps: list[Step] = []
    for place, (start, end) in enumerate(spans):
        steps.append(Step("fault", start, label=f"f{place}"))
        steps.append(Step("repair", end, evidence={"fault": f"@f{place}"}))

    assert refused(*steps) is over


@pytest.mark.parametrize(("second", "over"), [("2024-01-05", True), ("2024-01-06", False)])
def test_outages_that_touch_are_one(second: str, over: bool) -> None:
    until = {"2024-01-05": "2024-01-09", "2024-01-06": "2024-01-10"}[second]
    steps = [
        Step("fault", "2024-01-01", label="f"),
        Step("repair", "2024-01-05", evidence={"fault": "@f"}),
        Step("fault", second, label="g"),
        Step("repair", until, evidence={"fault": "@g"}),
    ]

    assert refused(*steps) is over


def test_a_day_out_twice_counts_once() -> None:
    steps = [
        Step("fault", "2024-01-01", label="f"),
        Step("fault", "2024-01-01", label="g"),
        Step("fault", "2024-01-20", label="h"),
        Step("repair", "2024-01-08", evidence={"fault": "@f"}),
        Step("repair", "2024-01-08", evidence={"fault": "@g"}),
        Step("repair", "2024-01-27", evidence={"fault": "@h"}),
    ]

    assert refused(*steps) is False


def test_outages_outside_the_season_do_not_count() -> None:
    steps = [
        Step("fault", "2023-10-12", label="f"),
        Step("repair", "2023-11-08", evidence={"fault": "@f"}),
    ]

    assert refused(*steps) is False
    assert refused(*steps[:1], replace(steps[1], on="2023-11-09")) is True


def test_a_fault_still_open_refuses_even_after_the_season() -> None:
    fault = Step("fault", "2024-04-05", label="f")

    assert refused(fault) is True
    assert refused(fault, Step("repair", PERMIT_DAY, evidence={"fault": "@f"}), **LAST) is False


LAST = {"permit": Step("permit", PERMIT_DAY, "zhang", heard=f"{PERMIT_DAY}T05:00:00.000000Z")}


def test_a_repair_dated_before_its_fault_repairs_nothing() -> None:
    fault = Step("fault", "2024-04-05", label="f")
    repair = Step("repair", "2024-04-04", evidence={"fault": "@f"}, heard="2024-04-06")

    assert refused(fault, repair) is True


@pytest.mark.parametrize(("warm", "over"), [("2024-01-08", False), ("2024-01-09", True)])
def test_a_cold_visit_is_an_outage_until_a_warm_one(warm: str, over: bool) -> None:
    cold = changed("visit", "2024-01-01", temperature="17.9")

    assert refused(cold, changed("visit", warm, temperature=18)) is over


def test_where_no_day_of_outage_is_allowed_a_winter_without_one_still_passes() -> None:
    strict = make_plan(outage_days=0, outage_days_total=0)

    assert refused_by(strict) is False


def test_a_fault_repaired_on_its_own_day_is_no_outage() -> None:
    fault = Step("fault", "2024-01-01", label="f")

    assert refused(fault, Step("repair", "2024-01-01", evidence={"fault": "@f"})) is False


@pytest.mark.parametrize(("warm", "over"), [("2024-01-08", False), ("2024-01-09", True)])
def test_a_cold_spell_began_with_its_first_cold_visit(warm: str, over: bool) -> None:
    visits = (("2024-01-01", 12), ("2024-01-07", 12), (warm, 20))

    assert refused(*(changed("visit", on, temperature=t) for on, t in visits)) is over


def test_a_repair_does_not_end_a_cold_spell() -> None:
    assert refused(changed("visit", "2024-04-02", temperature=12)) is True


def test_of_two_visits_on_a_day_the_later_recorded_counts() -> None:
    cold = changed("visit", "2024-04-02", temperature=12)
    warm = changed("visit", "2024-04-02", temperature=20)

    assert refused(cold, warm) is False
    assert refused(warm, cold) is True


@pytest.mark.parametrize(("heat", "over"), [("2023-11-06", False), ("2023-11-09", True)])
def test_first_heat_within_the_grace_is_no_outage(heat: str, over: bool) -> None:
    assert refused(heat=changed("works", heat, first_heat_on=heat)) is over


def test_first_heat_one_day_past_the_grace_is_an_outage_from_the_first_day() -> None:
    plan = make_plan(outage_days=5)
    late = {"heat": changed("works", "2023-11-07", first_heat_on="2023-11-07")}
    timely = {"heat": changed("works", "2023-11-06", first_heat_on="2023-11-06")}

    assert refused_by(plan, **late) is True
    assert refused_by(plan, **timely) is False
    assert refused_by(make_plan(outage_days=4), **timely) is False
    assert refused_by(make_plan(outage_days=6), **late) is False


def test_without_a_first_heat_nobody_knows() -> None:
    assert removal(make(*story(heat=None))) == ["permission_unlawful"]


@pytest.mark.parametrize(
    ("on", "over"),
    [("2023-10-31", True), (FIRST_DAY, False), (LAST_DAY, False), ("2024-04-01", True)],
)
def test_warm_visits_count_within_the_season_only(on: str, over: bool) -> None:
    visit = {"visit_1": changed("visit", on, temperature=20)}

    assert refused(**visit) is over


@pytest.mark.parametrize(("on", "over"), [(LAST_DAY, True), ("2024-04-01", False)])
def test_the_signature_is_dated_after_the_last_day(on: str, over: bool) -> None:
    assert refused(signature=changed("signature", on, season="2023-2024")) is over


def test_the_signature_is_for_the_season() -> None:
    other = changed("signature", "2024-04-01", season="2022-2023")

    assert refused(signature=other) is True


@pytest.mark.parametrize(("last", "over"), [("2024-04-19", False), (PERMIT_DAY, True)])
def test_the_season_has_ended_before_the_permission(last: str, over: bool) -> None:
    plan = make_plan([season("2023-2024", FIRST_DAY, last)])
    signature = changed("signature", PERMIT_DAY, season="2023-2024")
    lines = make(*story(signature=signature, **LAST), plan=plan)
    row(lines, "permission")["season_last_day"] = last

    assert removal(lines) == (["permission_unlawful"] if over else [])


def test_a_season_may_end_on_the_leap_day() -> None:
    plan = make_plan([season("2023-2024", FIRST_DAY, "2024-02-29")])
    for on, over in (("2024-02-29", True), ("2024-03-01", False)):
        lines = make(*story(signature=changed("signature", on, season="2023-2024")), plan=plan)
        row(lines, "permission")["season_last_day"] = "2024-02-29"

        assert removal(lines) == (["permission_unlawful"] if over else [])


@pytest.mark.parametrize(("on", "over"), [(FIRST_DAY, False), ("2023-11-02", True)])
def test_the_clock_starts_on_the_first_day_at_the_latest(on: str, over: bool) -> None:
    accept = Step("accept", on, "sun", {"facility": ["none"], "late_document": "d"}, attach=("d",))
    complete = Step("complete", "2023-09-20", evidence={"ready_on": on})

    assert refused(accept=accept) is over
    assert refused(complete=complete) is over


@pytest.mark.parametrize(("heard", "over"), [(FIRST_DAY, False), ("2023-11-02", True)])
def test_acceptance_recorded_after_the_season_began_needs_its_document(
    heard: str, over: bool
) -> None:
    late = Step("accept", "2023-10-30", "sun", {"facility": ["none"]}, heard=heard)
    named = replace(late, evidence={"facility": ["none"], "late_document": "d"}, attach=("d",))

    assert refused(accept=late) is over
    assert refused(accept=named) is False


def test_readiness_recorded_after_the_season_began_needs_its_document() -> None:
    done = Step("complete", "2023-10-30", evidence={"ready_on": "2023-10-30"}, heard="2023-11-02")
    accept = replace(
        story()[5],
        heard="2023-11-03",
        evidence={"facility": ["none"], "late_document": "d"},
        attach=("d",),
        on="2023-10-31",
    )
    named = replace(done, evidence={"ready_on": "2023-10-30", "late_document": "d"}, attach=("d",))

    assert refused(complete=done, accept=accept) is True
    assert refused(complete=named, accept=accept) is False


@pytest.mark.parametrize("kind", ["violation", "complaint", "finding"])
def test_an_open_matter_refuses_until_it_is_resolved(kind: str) -> None:
    matter = Step(kind, "2024-01-05", "zhang", {"severity": "serious"}, label="m")
    answer = Step("resolve", "2024-01-06", "lin", {"id": "@m", "outcome": "unfounded"})

    assert refused(matter) is True
    assert refused(matter, answer) is False


def test_a_corrected_complaint_is_still_open() -> None:
    complaint = Step("complaint", "2024-01-05", label="m")
    right = Step("correct", "2024-01-04", "zhang", {"id": "@m"}, heard="2024-01-06", attach=("d",))

    assert refused(complaint, right) is True


def test_what_is_named_before_it_happened_is_not_answered() -> None:
    fault, complaint = Step("fault", "2024-04-05"), Step("complaint", "2024-04-05")
    ahead: Line = {"fault": "23", "id": "23"}  # the permission moves back to 24
    answers = (
        Step("repair", "2024-04-05", evidence=ahead),
        Step("resolve", "2024-04-05", "zhang", ahead),
    )

    for answer, then in zip(answers, (fault, complaint), strict=True):
        report = verify.examine(make(*story(answer, then)))

        assert [one.code for one in report.integrity] == ["reference_unknown"]
        assert [one.code for one in report.removal] == ["permission_unlawful"]


def test_a_mere_note_refuses_nothing() -> None:
    assert refused(Step("finding", "2024-01-05", "he", {"severity": "note"})) is False


def test_the_permission_takes_effect_on_the_day_it_is_recorded() -> None:
    earlier = Step("permit", "2024-04-19", "zhang", heard=PERMIT_DAY)

    assert refused(permit=earlier) is True


def why(*steps: Step) -> str:
    """What is said of the only permission, whatever else is wrong with the bundle."""
    found = [one for one in verify.examine(make(*steps)).removal if "permission" in one.code]
    return found[0].message if found else ""


def test_a_permission_names_everything_that_was_missing() -> None:
    early = why(*story(accept=None))
    assert "不在稳定运行一季" in early
    assert "没有验收合格" in early
    assert "不是县级办公室" in why(*story(permit=Step("permit", PERMIT_DAY, "he")))
    assert "具备使用条件" in why(*story(complete=Step("complete", "2023-09-20")))
    assert "具备使用条件" in why(*story(complete=None))


def test_the_cause_of_a_revocation_excuses_no_other_step() -> None:
    again = [
        Step("overturn", "2023-11-02", "zhang", {"cause": "paper_fault"}),
        Step("complete", "2023-11-03", evidence={"ready_on": FIRST_DAY}),
        Step("accept", "2023-11-04", "sun", {"facility": ["none"]}),
    ]
    late = {"late_document": "d"}
    again[1:] = [replace(s, evidence={**s.evidence, **late}, attach=("d",)) for s in again[1:]]
    again[2] = replace(again[2], on=FIRST_DAY, heard="2023-11-04")

    assert refused(*again) is True


@pytest.mark.parametrize("missing", ["document", "entered_by"])
def test_verified_needs_a_document_and_a_name(missing: str) -> None:
    half = {name: value for name, value in CHECKED.items() if name != missing}
    plan = make_plan([{**SEASONS[0], **CHECKED}], required_seasons={"value": 1, **half})

    assert removal(make(plan=plan, drill=False)) == ["permission_unlawful"]


def test_a_warm_limit_of_zero_is_a_limit() -> None:
    assert refused_by(make_plan(warm_temperature=0)) is False


RESTART = {
    "overturn": Step("overturn", "2023-10-15", "zhang", {"findings": "x"}),
    "replace": Step("replace", "2023-10-15", evidence={"findings": "x"}),
}


@pytest.mark.parametrize("kind", ["overturn", "replace"])
@pytest.mark.parametrize(("on", "over"), [(FIRST_DAY, False), ("2023-11-02", True)])
def test_what_restarts_the_clock_counts_from_its_day(kind: str, on: str, over: bool) -> None:
    again = [
        replace(RESTART[kind], on="2023-10-30", heard="2023-11-03"),
        Step("complete", "2023-10-31", evidence={"ready_on": "2023-10-31"}, heard="2023-11-04"),
        Step("accept", FIRST_DAY, "sun", {"facility": ["none"]}, heard="2023-11-05"),
        changed("works", "2023-11-06", first_heat_on="2023-11-05"),
    ]
    again[0] = replace(again[0], on=on)
    late = {"late_document": "d"}
    again[1:3] = [
        replace(step, evidence={**step.evidence, **late}, attach=("d",)) for step in again[1:3]
    ]

    assert refused(*again) is over


def test_a_new_device_forgets_the_first_heat_of_the_old() -> None:
    again = [
        RESTART["replace"],
        Step("complete", "2023-10-20", evidence={"ready_on": "2023-10-20"}),
        Step("accept", "2023-10-25", "sun", {"facility": ["none"]}),
    ]
    early = {"heat": changed("works", "2023-10-12", first_heat_on="2023-10-12")}

    assert refused(*again, **early) is True
    assert refused(*again) is False
    assert refused(replace(again[0], kind="overturn", by="zhang"), *again[1:], **early) is False


@pytest.mark.parametrize(("keep", "over"), [("yes", False), ("no", True)])
def test_a_change_of_path_forgets_the_first_heat_unless_the_device_stays(
    keep: str, over: bool
) -> None:
    again = [
        Step("change_path", "2023-10-15", "zhang", {"path": "solar", "keep_device": keep}),
        Step("select", "2023-10-16", evidence={"model": "S"}),
        Step("complete", "2023-10-20", evidence={"ready_on": "2023-10-20"}),
        Step("accept", "2023-10-25", "sun", {"facility": ["none"]}),
    ]

    assert refused(*again, heat=changed("works", "2023-10-12", first_heat_on="2023-10-12")) is over


@pytest.mark.parametrize(("cause", "over"), [("not_stable", True), ("paper_fault", False)])
def test_a_second_permission_after_a_revocation(cause: str, over: bool) -> None:
    again = [
        Step("revoke", "2024-05-01", "zhang", {"cause": cause}),
        Step("permit", "2024-05-02", "zhang"),
    ]

    assert refused(*again) is over


@pytest.mark.parametrize("required", [0, 2])
def test_the_required_number_of_seasons_must_have_ended(required: int) -> None:
    assert refused_by(make_plan(required_seasons=required)) is True


@pytest.mark.parametrize(
    ("label", "over"), [("2022-2023", False), ("2021-2022", True), ("2022-2030", True)]
)
def test_two_seasons_must_follow_each_other(label: str, over: bool) -> None:
    plan = make_plan([season(label, "2023-10-12", "2023-10-20"), *SEASONS], required_seasons=2)
    steps = story(
        changed("visit", "2023-10-13", temperature=20),
        changed("visit", "2023-10-14", temperature=20),
        changed("signature", "2023-10-21", season=label),
        changed("works", "2023-11-02", first_heat_on="2023-11-02"),
        heat=changed("works", "2023-10-11", first_heat_on="2023-10-11"),
    )
    lines = make(*steps, plan=plan)
    row(lines, "permission")["season_first_day"] = "2023-10-12"

    assert removal(lines) == (["permission_unlawful"] if over else [])


@pytest.mark.parametrize(
    ("first", "second", "over"),
    [
        ("2023-10-11", "2023-11-02", False),
        ("2023-10-20", "2023-10-21", False),
        ("2023-10-11", "2023-10-20", True),
        ("2023-10-21", "2023-11-02", True),
        ("2022-10-19", "2023-11-02", True),
        ("2022-10-20", "2023-11-02", False),
    ],
)
def test_each_season_needs_a_first_heat_of_its_own(first: str, second: str, over: bool) -> None:
    early = season("2022-2023", "2023-10-12", "2023-10-20")
    plan = make_plan([early, *SEASONS], required_seasons=2, outage_days=9, outage_days_total=9)
    steps = story(
        changed("visit", "2023-10-13", temperature=20),
        changed("visit", "2023-10-14", temperature=20),
        changed("signature", "2023-10-21", season="2022-2023"),
        changed("works", "2023-11-02", first_heat_on=second),
        heat=changed("works", "2023-11-01", first_heat_on=first),
    )
    lines = make(*steps, plan=plan)
    row(lines, "permission")["season_first_day"] = "2023-10-12"

    codes = [finding.code for finding in verify.examine(lines).removal]
    assert codes == (["permission_unlawful"] if over else [])


def test_the_most_recent_season_counts_and_not_an_earlier_one() -> None:
    late = Step("permit", "2025-05-01", "zhang")

    lines = make(*story(permit=late))
    row(lines, "permission").update(season_first_day="2024-11-01", season_last_day="2025-03-31")

    assert removal(lines) == ["permission_unlawful"]


def test_a_season_of_unknown_days_that_may_have_ended_refuses() -> None:
    for label, over in (("2024-2025", True), ("2025-2026", False), ("2022-2023", False)):
        unknown = season(label, "2023-11-01", "2024-03-01", last_day=None)

        assert refused_by(make_plan([SEASONS[0], unknown])) is over


def test_a_season_of_another_area_or_path_does_not_count() -> None:
    for odd in ({"areas": ["county_town"]}, {"paths": ["central_heating"]}):
        assert refused_by(make_plan([{**SEASONS[0], **odd}])) is True


def test_an_exempt_path_needs_no_season_but_no_open_matter_either() -> None:
    plan = make_plan([], exempt_paths=["coal_to_electric"])

    assert refused_by(plan) is False
    assert refused_by(plan, Step("complaint", "2024-01-05")) is True


@pytest.mark.parametrize(
    ("plan", "sound"),
    [
        (make_plan(), False),
        (make_plan([{**SEASONS[0], **CHECKED}]), False),
        (make_plan(required_seasons={"value": 1, **CHECKED}), False),
        (make_plan([{**SEASONS[0], **CHECKED}], required_seasons={"value": 1, **CHECKED}), True),
        (
            make_plan([{**SEASONS[0], "verified": True}], required_seasons={"value": 1, **CHECKED}),
            False,
        ),
        (make_plan([], exempt_paths=["coal_to_electric"]), False),
        (make_plan([], exempt_paths={"value": ["coal_to_electric"], **CHECKED}), True),
    ],
)
def test_a_real_database_permits_only_on_what_is_verified(plan: Line, sound: bool) -> None:
    found = removal(make(plan=plan, drill=False))

    assert found == ([] if sound else ["permission_unlawful"])


# ---------------------------------------------------------------- what came later


LATE = {"heard": "2024-05-01", "attach": ("d",)}


@pytest.mark.parametrize(
    ("step", "undermined"),
    [
        (later("fault", "2024-04-19"), True),
        (later("fault", PERMIT_DAY), True),
        (later("fault", "2024-04-21"), False),
        (later("visit", "2024-01-01", temperature=10), True),
        (later("visit", "2024-01-29", temperature=10), False),
        (later("violation", PERMIT_DAY, type="other"), True),
        (later("violation", "2024-04-21", type="other"), False),
        (later("complaint", "2024-01-01"), True),
        (later("finding", "2024-01-01", "zhang", severity="serious"), True),
        (later("finding", "2024-01-01", "zhang", severity="note"), False),
        (later("works", "2023-11-20", first_heat_on="2023-11-20"), True),
        (later("works", "2024-04-30", first_heat_on="2023-11-20"), True),
        (later("works", "2024-04-30", first_heat_on="2024-04-30"), False),
        (later("works", PERMIT_DAY, first_heat_on="2024-04-30"), False),
        (later("works", "2024-04-30", first_heat_on=PERMIT_DAY), False),
        (later("works", "2024-04-30", first_heat_on=LAST_DAY), True),
        (later("correct", "2024-04-05", "zhang", id="@visit_1"), True),
        (later("correct", "2023-12-01", "zhang", id="@visit_1", temperature="15"), True),
        (later("correct", "2023-12-05", "zhang", id="@visit_1"), False),
        (later("correct", "2023-11-30", "zhang", id="@heat", first_heat_on="2023-11-30"), True),
        (later("correct", LAST_DAY, "zhang", id="@signature"), True),
        (later("overturn", PERMIT_DAY, "zhang", findings="x"), True),
        (later("overturn", "2024-04-21", "zhang", findings="x"), False),
        (later("revoke", PERMIT_DAY, "zhang", cause="not_stable"), True),
        (later("revoke", PERMIT_DAY, "zhang", cause="paper_fault"), False),
        (later("replace", "2024-04-21", findings="x"), False),
    ],
)
def test_what_is_recorded_later_of_an_earlier_day_undermines(step: Step, undermined: bool) -> None:
    found = removal(make(*story(step)))

    assert found == (["permission_undermined"] if undermined else [])


def test_a_late_outage_that_stays_within_the_limit_undermines_nothing() -> None:
    fault = replace(later("fault", "2024-01-01"), label="f")
    repair = later("repair", "2024-01-05", fault="@f")

    assert removal(make(*story(fault, repair))) == []
    assert removal(make(*story(fault, replace(repair, on="2024-01-09")))) == [
        "permission_undermined"
    ]


def test_a_repair_corrected_to_a_later_day_undermines() -> None:
    fault = Step("fault", "2024-01-01", label="f")
    repair = Step("repair", "2024-01-05", evidence={"fault": "@f"}, label="r")
    right = later("correct", "2024-01-20", "zhang", id="@r")

    assert removal(make(*story(fault, repair, right))) == ["permission_undermined"]


def test_the_second_correction_comes_on_top_of_the_first() -> None:
    first = replace(later("correct", "2024-04-05", "zhang", id="@visit_1"), label="c")
    second = later("correct", "2023-12-02", "zhang", id="@visit_1")

    assert removal(make(*story(first, second))) == []
    assert removal(make(*story(first, replace(second, by="lin", evidence={"id": "@c"})))) == []


def test_what_was_wrong_by_what_was_known_is_not_called_undermined() -> None:
    steps = story(later("fault", "2024-01-01"), visit_2=None)

    assert removal(make(*steps)) == ["permission_unlawful"]


def test_a_permission_counts_though_it_was_revoked() -> None:
    lines = make(*story(Step("revoke", "2024-05-01", "zhang", {"cause": "paper_fault"})))

    assert verify.examine(lines).permitted == 1


# ---------------------------------------------------------------- the old facilities


@pytest.mark.parametrize("status", ["removed", "sealed"])
@pytest.mark.parametrize(("on", "wrong"), [("2024-04-19", True), (PERMIT_DAY, False)])
def test_an_old_facility_goes_on_the_day_of_the_permission_at_the_earliest(
    status: str, on: str, wrong: bool
) -> None:
    report = verify.examine(make(*story(facility(status, on))))

    assert [one.code for one in report.removal] == ([f"{status}_without_permission"] * wrong)
    assert (report.removed, report.lawful) == (1, 0 if wrong else 1)


def test_the_finding_names_the_day_and_who_did_it() -> None:
    report = verify.examine(make(*story(facility("removed", "2024-01-09"))))

    message = report.removal[0].message
    assert CODE in message
    assert "2024-01-09" in message
    assert "施工单位" in message


@pytest.mark.parametrize(
    "step",
    [
        Step("revoke", "2024-05-10", "zhang", {"cause": "paper_fault"}),
        Step("overturn", "2024-05-10", "zhang"),
        Step("replace", "2024-05-10"),
        Step("close", "2024-05-10", "zhang", {"cause": "demolished"}),
    ],
)
@pytest.mark.parametrize(("on", "wrong"), [("2024-05-09", False), ("2024-05-10", True)])
def test_a_permission_ends_on_the_day_before_it_is_taken_back(
    step: Step, on: str, wrong: bool
) -> None:
    found = removal(make(*story(step, facility("removed", on))))

    assert found == ["removed_without_permission"] * wrong


@pytest.mark.parametrize("status", ["removed", "sealed"])
@pytest.mark.parametrize(
    ("on", "wrong"),
    [("2024-05-04", False), ("2024-05-05", True), ("2024-05-09", True), ("2024-05-10", False)],
)
def test_an_open_matter_suspends_from_its_recording_to_its_resolution(
    status: str, on: str, wrong: bool
) -> None:
    matter = Step("violation", "2024-05-03", evidence={"type": "other"}, heard="2024-05-05")
    answer = Step("resolve", "2024-05-10", "zhang", {"id": "@m"})
    steps = story(replace(matter, label="m"), answer, facility(status, on))

    assert removal(make(*steps)) == [f"{status}_while_suspended"] * wrong


@pytest.mark.parametrize(
    ("before", "after", "on", "wrong"),
    [
        ("serious", "note", "2024-05-09", True),
        ("serious", "note", "2024-05-10", False),
        ("note", "serious", "2024-05-09", False),
        ("note", "serious", "2024-05-10", True),
    ],
)
def test_a_finding_suspends_while_it_reads_as_serious(
    before: str, after: str, on: str, wrong: bool
) -> None:
    first = Step("finding", "2024-05-05", "he", {"severity": before}, label="m")
    right = Step("correct", "2024-05-05", "zhang", {"id": "@m", "severity": after})
    steps = story(first, replace(right, heard="2024-05-10"), facility("removed", on))

    assert removal(make(*steps)) == ["removed_while_suspended"] * wrong


@pytest.mark.parametrize("status", ["removed", "sealed"])
def test_a_removal_on_an_unlawful_permission_is_not_lawful(status: str) -> None:
    report = verify.examine(make(*story(facility(status, "2024-05-01"), heat=None)))

    codes = [finding.code for finding in report.removal]
    assert codes == ["permission_unlawful", f"{status}_on_unlawful_permission"]
    assert (report.permitted, report.removed, report.lawful) == (1, 1, 0)


def test_a_removal_on_a_permission_undermined_later_stays_lawful() -> None:
    steps = story(facility("removed", "2024-04-25"), later("fault", "2024-01-01"))

    report = verify.examine(make(*steps))

    assert [finding.code for finding in report.removal] == ["permission_undermined"]
    assert (report.removed, report.lawful) == (1, 1)


def test_a_facility_confirmed_as_removed_is_a_removal() -> None:
    confirm = changed("confirm", "2023-06-01", old_facility=["kang:removed", "stove:in_use"])

    assert removal(make(*story(confirm=confirm))) == ["removed_without_permission"]


def test_a_facility_listed_again_after_reinstatement_is_no_second_removal() -> None:
    again = [
        Step("close", "2024-06-01", "zhang", {"cause": "withdrawn"}),
        Step("reinstate", "2024-06-10", "zhang"),
        changed("confirm", "2024-06-20", old_facility=["kang:removed"]),
    ]
    gone = facility("removed", "2024-05-01")

    assert removal(make(*story(gone, *again))) == []
    assert removal(make(*story(*again))) == ["removed_without_permission"]


def test_a_facility_gone_without_permission_is_a_removal() -> None:
    violation = Step("violation", "2023-10-09", "sun2", {"by": "official"}, label="v")
    accept = Step("accept", "2023-10-10", "sun", {"facility": ["kang:gone:@v", "stove:present:a"]})
    answer = Step("resolve", "2024-01-01", "lin", {"id": "@v"})

    report = verify.examine(make(*story(violation, answer, accept=accept)))

    assert [finding.code for finding in report.removal] == ["removed_without_permission"]
    assert "工作人员" in report.removal[0].message
    assert (report.removed, report.lawful) == (1, 0)


@pytest.mark.parametrize(("named", "wrong"), [("@permit", False), ("@accept", True)])
def test_a_facility_accepted_as_removed_names_its_permission(named: str, wrong: bool) -> None:
    again = [
        facility("removed", "2024-05-01"),
        Step("replace", "2024-06-01"),
        Step("complete", "2024-07-01", evidence={"ready_on": "2024-07-01"}),
        Step("accept", "2024-07-10", "sun", {"facility": [f"kang:removed:{named}"]}),
    ]

    assert removal(make(*story(*again))) == ["removed_without_permission"] * wrong


@pytest.mark.parametrize("status", ["removed", "sealed"])
@pytest.mark.parametrize("right", [{"status": "in_use"}, {}])
def test_a_correction_does_not_erase_an_unlawful_removal(
    right: dict[str, object], status: str
) -> None:
    early = facility(status, "2024-01-09")
    day = "2024-01-09" if right else "2024-05-01"
    correction = Step(
        "correct",
        day,
        "zhang",
        {"id": f"@{early.label}", **right},
        heard="2024-05-02",
        attach=("d",),
    )

    report = verify.examine(make(*story(early, correction)))

    assert report.integrity == ()
    assert [finding.code for finding in report.removal] == ["removal_corrected_away"]
    assert (report.removed, report.lawful) == (1, 0)


def test_a_lawful_removal_may_be_corrected() -> None:
    record = facility("removed", "2024-05-03")
    moved = Step(
        "correct",
        "2024-05-04",
        "zhang",
        {"id": f"@{record.label}"},
        heard="2024-05-06",
        attach=("d",),
    )

    assert removal(make(*story(record, moved))) == []


def test_each_unlawful_removal_is_one_finding() -> None:
    steps = story(facility("sealed", "2024-01-09"), facility("removed", "2024-02-09"))

    assert removal(make(*steps)) == ["sealed_without_permission", "removed_without_permission"]


# ---------------------------------------------------------------- the command


def written(lines: list[Line], directory: Path) -> str:
    path = directory / "bundle.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (make(), 0),
        (make(*story(facility("removed", "2024-01-09"))), 1),
        (make()[:-1], 6),
        (make()[1:], 3),
        ([], 3),
    ],
)
def test_the_exit_status_tells_what_was_found(
    lines: list[Line], status: int, tmp_path: Path
) -> None:
    assert verify.main([written(lines, tmp_path)]) == status


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["a", "b"],
        ["--jsonl", "a"],
        ["--json"],
        ["-h"],
        ["--jsonl"],
        ["a", "--json", "--json"],
        ["a", "--receipt"],
        ["--receipt", "a"],
    ],
)
def test_wrong_usage_is_told(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(argv) == 2
    assert "用法" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_no_bundle(tmp_path: Path) -> None:
    assert verify.main([str(tmp_path / "nothing")]) == 3
    assert verify.main([str(tmp_path)]) == 3


def test_a_line_that_is_no_json_is_a_finding(tmp_path: Path) -> None:
    path = Path(written(make(), tmp_path))
    whole = path.read_bytes()
    for odd in (b"\xff\xfe{\n", b"[1]\n", b"\n", b"[" * 100_000):
        path.write_bytes(whole + odd)

        assert verify.main([str(path)]) == 6


def test_json_carries_the_stable_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = make(*story(facility("removed", "2024-01-09")))
    lines[0]["size"] = 1

    verify.main([written(lines, tmp_path), "--json"])

    shown = json.loads(capsys.readouterr().out)
    assert shown["verified"] is False
    assert (shown["events"], shown["cases"]) == (23, 1)
    assert shown["findings"][0].keys() == {"code", "stream", "seq", "message"}
    assert {key: shown["removal"][key] for key in ("permitted", "removed", "lawful")} == {
        "permitted": 1,
        "removed": 1,
        "lawful": 0,
    }
    assert shown["removal"]["findings"][0].keys() == {"code", "case", "seq", "message"}


def test_json_is_read_by_people_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify.main(["--json", written(make()[:-1], tmp_path)])

    assert "表中没有这一行" in capsys.readouterr().out


def test_what_no_screen_can_show_is_printed_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = make()
    line = events(lines)[-1]
    body = {**json.loads(str(line["bytes"])), "stream": "case:\ud800"}
    line["bytes"] = json.dumps(body, sort_keys=True, separators=(",", ":"))

    assert verify.main([written(lines, tmp_path), "--json"]) == 6
    assert "\\ud800" in capsys.readouterr().out


def test_receipts_are_brought_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = written(make(), tmp_path)
    receipt, other = tmp_path / "receipt", tmp_path / "other"
    receipt.write_bytes(b"\xff no receipt")
    other.write_text("none either")

    assert verify.main([bundle]) == 0
    for argv in (
        [bundle, "--receipt", str(receipt)],
        ["--receipt", str(receipt), bundle],
        ["--json", "--receipt", str(receipt), bundle],
    ):
        assert verify.main(argv) == 6
    capsys.readouterr()
    assert verify.main([bundle, "--receipt", str(receipt), "--receipt", str(other)]) == 6
    assert "receipt_invalid（2）" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_with_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, missing = written(make(), tmp_path), str(tmp_path / "missing")
    assert verify.main([bundle, "--receipt", missing]) == 3
    assert capsys.readouterr().err == f"{missing} 打不开：No such file or directory\n"
    assert verify.main([missing]) == 3
    assert capsys.readouterr().err == f"{missing} 打不开：No such file or directory\n"
    strange: list[Line] = [{"type": "event", "format": "xianli-bundle/1"}, {"type": "header"}, {}]
    for odd in strange:
        assert verify.main([written([odd], tmp_path)]) == 3
        assert capsys.readouterr().err == f"{bundle} 不是 xianli-bundle/1 的审计文件\n"


def test_people_read_totals_and_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify.main([written(make(*story(facility("removed", "2024-01-09"))), tmp_path)])

    shown = capsys.readouterr().out
    assert "演练·未核实" in shown
    assert "先立后破：1 处违规" in shown
    assert "removed_without_permission（1）" in shown


@pytest.mark.parametrize("options", [["-I", "-S"], ["-S"]])
def test_it_runs_alone_on_a_bare_python(options: list[str], tmp_path: Path) -> None:
    alone = tmp_path / "verify.py"
    alone.write_bytes(Path(verify.__file__).read_bytes())
    # In its own folder its neighbours could stand in for modules of the standard library.
    script = alone if "-I" in options else verify.__file__
    command = [sys.executable, "-B", *options, str(script), written(make(), tmp_path)]

    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, b"")


# ---------------------------------------------------------------- robustness and speed

GARBAGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**14, 10**30, -1])
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(
        ["0001-01-01", "9999-12-31", "9999-12-31T23:00:00.000000Z", "permit", "correct", "1", "22"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
RICH = make(
    *story(
        Step("fault", "2024-01-01", label="f"),
        Step("repair", "2024-01-03", evidence={"fault": "@f"}),
        Step("complaint", "2024-01-04", label="c"),
        Step("resolve", "2024-01-05", "zhang", {"id": "@c"}),
        Step("correct", "2023-12-02", "zhang", {"id": "@visit_1"}, heard="2023-12-05"),
        facility("removed", "2024-05-01"),
        later("violation", "2024-01-01"),
    )
)


def spoil(line: Line, data: st.DataObject) -> None:
    """Put garbage somewhere into a line, or into the bytes of its event with a hash that fits."""
    body: object = None
    if isinstance(line.get("bytes"), str) and data.draw(st.booleans()):
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(str(line["bytes"]))
    target: Line = body if isinstance(body, dict) else line
    while inner := [cast("Line", value) for value in target.values() if isinstance(value, dict)]:
        if data.draw(st.booleans()):
            break
        target = inner[data.draw(st.integers(0, len(inner) - 1))]
    target[data.draw(st.sampled_from(sorted(target) or ["x"]))] = data.draw(GARBAGE)
    if isinstance(body, dict):
        line["bytes"] = canonical(body)
        line["hash"] = hashlib.sha256(str(line["bytes"]).encode(errors="replace")).hexdigest()


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_no_garbage_in_a_bundle_ever_raises(data: st.DataObject) -> None:
    lines = copy.deepcopy(RICH)
    for _ in range(data.draw(st.integers(1, 4))):
        spoil(data.draw(st.sampled_from(lines)), data)
    if data.draw(st.booleans()):
        lines.pop(data.draw(st.integers(0, len(lines) - 1)))

    report = verify.examine(lines)

    verify.as_text(report)
    assert json.loads(verify.as_json(report))["verified"] is not bool(report.integrity)


@pytest.mark.parametrize("name", ["seq", "hash", "bytes", "columns"])
def test_a_number_too_long_to_print_does_not_raise(name: str) -> None:
    lines = make()
    events(lines)[5][name] = 10**5000
    row(lines, "case")["version"] = -(10**5000)

    assert "projection_differs" in integrity(lines)


@given(odd=st.lists(GARBAGE))
@settings(max_examples=100, deadline=None)
def test_lines_that_are_nothing_at_all_never_raise(odd: list[object]) -> None:
    verify.examine(cast("list[Line]", odd))


def several(number: int) -> list[Line]:
    """Households whose events lie between one another, in each something wrong; and more rows."""
    book = Book(make_plan(), drill=True)
    wrong = (facility("removed", "2024-01-09"), later("violation", "2024-01-01"))
    for step in story(*wrong):
        for one in range(number):
            book.add(replace(step, stream=f"case:103-{one:04}", label=""))
    lines = book.bundle()
    row(lines, "case")["village"] = "x"
    rewritten(events(lines)[-1], version=7, evidence=3)
    return [*lines, row(lines, "permission"), {"type": "permission"}, {"type": "case"}]


@pytest.mark.parametrize("held", [1, 7, 50])
def test_what_is_too_much_for_memory_is_judged_alike(
    monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    lines = several(9)
    at_once = verify.examine(lines)
    monkeypatch.setattr(verify, "HELD", held)

    assert verify.examine(lines) == at_once
    assert len({one.case for one in at_once.removal}) == 9
    assert {one.code for one in at_once.integrity} >= {"version_gap", "projection_differs"}


def test_a_household_is_replayed_while_most_of_it_lies_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "HELD", 10)
    audit = verify.Audit()
    for line in several(3):
        audit.take(line)

    case = audit.household("103-0001")

    assert case is not None
    assert (case.head[0], len(case.permits), case.state) == (13, 1, "removal_permitted")
    assert audit.household("103-9999") is None


def test_a_county_of_four_thousand_households_is_checked_in_seconds() -> None:
    book = Book(make_plan(), drill=True)
    steps = [step for step in story() if step.kind != "permit"]
    for step in steps:
        for number in range(4000):
            book.add(replace(step, stream=f"case:103-{number:04}"))
    lines = book.bundle()
    start = time.process_time()

    report = verify.examine(lines)

    assert (report.cases, report.integrity) == (4000, ())
    assert time.process_time() - start < 15


# ---------------------------------------------------------------- plans revised


@pytest.mark.parametrize(
    "loose",
    [
        {"outage_days": 8},
        {"outage_days_total": 16},
        {"first_heat_grace_days": 6},
        {"warm_visits": 1},
        {"warm_temperature": 17},
        {"exempt_paths": ["solar"]},
        {"required_seasons": 0},
    ],
    ids=str,
)
def test_a_revision_that_loosens_the_rule_is_a_finding(loose: dict[str, object]) -> None:
    assert integrity(make(*story(revised(make_plan(None, **loose))))) == {"plan_loosened"}


def test_a_revision_that_tightens_the_rule_is_none() -> None:
    assert integrity(make(*story(revised(make_plan(outage_days=6, warm_visits=3))))) == set()


DOCUMENTED = [{**one, **CHECKED} for one in SEASONS]


def test_seasons_are_verified_by_two_persons() -> None:
    later = make_plan(seasons=DOCUMENTED)
    confirmed = revised(later, "lin", proposed="@proposal")

    assert integrity(make(*story(proposed(later, "zhang"), confirmed))) == set()
    assert integrity(make(*story(revised(later)))) == {"plan_one_person"}
    assert integrity(make(*story(proposed(later, "lin"), confirmed))) == {"plan_one_person"}


def test_another_plan_than_the_one_proposed_is_nobodys_confirmation() -> None:
    other = make_plan(seasons=DOCUMENTED, outage_days=6)
    confirmed = revised(make_plan(seasons=DOCUMENTED), "lin", proposed="@proposal")

    assert integrity(make(*story(proposed(other, "zhang"), confirmed))) == {"plan_one_person"}


@pytest.mark.parametrize(
    "last_day", [LAST_DAY, "2024-03-30"], ids=["verified as it was", "and moved by a day"]
)
def test_a_season_that_has_begun_takes_only_verified_dates(last_day: str) -> None:
    moved = [season("2023-2024", FIRST_DAY, "2024-03-30"), SEASONS[1]]
    entered = [{**season("2023-2024", FIRST_DAY, last_day), **CHECKED}, SEASONS[1]]
    later = make_plan(seasons=entered)
    unverified = revised(make_plan(seasons=moved), "lin", proposed="@proposal")
    before = proposed(make_plan(seasons=moved), "zhang")

    right = story(proposed(later, "zhang"), revised(later, "lin", proposed="@proposal"))
    assert integrity(make(*right)) == set()
    assert integrity(make(*story(before, unverified))) == {"plan_loosened"}


# ---------------------------------------------------------------- official letters


ISSUED = letter(1, "2023-10-09")
NUMBER = "甲清办催〔2023〕1号"


@pytest.mark.parametrize("by", ["wang", "zhao", "zhang"])
def test_a_letter_of_the_program_and_its_slip_verify_clean(by: str) -> None:
    steps = story(ISSUED, letter(2, "2023-10-11"), slip(NUMBER, "2023-10-12", by))

    assert integrity(make(*steps)) == set()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (letter(2, "2023-10-09"), "evidence_malformed"),
        (letter(1, "2023-10-09", number="甲清办催〔2022〕1号"), "evidence_malformed"),
        (letter(1, "2023-10-09", matters=[{"case": "103-9999"}]), "reference_unknown"),
        (letter(1, "2023-10-09", unit=None), "evidence_malformed"),
        (letter(1, "2023-10-09", by="zhang"), "role_not_allowed"),
        (slip(NUMBER, "2023-10-12", "wang"), "reference_unknown"),
    ],
)
def test_a_letter_that_is_not_as_it_must_be_is_a_finding(wrong: Step, code: str) -> None:
    assert integrity(make(*story(wrong))) == {code}


@pytest.mark.parametrize(
    ("by", "code"), [("qian", "role_not_allowed"), ("sun", "role_not_allowed")]
)
def test_a_slip_is_its_units_or_the_countys(by: str, code: str) -> None:
    assert integrity(make(*story(ISSUED, slip(NUMBER, "2023-10-12", by)))) == {code}


def test_a_letter_is_answered_once() -> None:
    twice = slip(NUMBER, "2023-10-12", "wang"), slip(NUMBER, "2023-10-13", "zhao")

    assert integrity(make(*story(ISSUED, *twice))) == {"reference_unknown"}


@pytest.mark.parametrize(
    "event",
    [
        Step("works", "2023-10-09", "system", {"started_on": "2023-08-01"}),
        Step("revealed", "2023-10-09", "system", {"codes": []}, stream="privacy"),
        Step("gate_opened", "2023-10-09", "system", {"unit": "103", "village": "甲", "kind": "grid",
             "opened_on": "2023-08-01"}, stream="gates"),
        slip(NUMBER, "2023-10-09", "system"),
    ],
)  # fmt: skip
def test_the_program_itself_may_issue_letters_and_nothing_else(event: Step) -> None:
    of_system = replace(event, over={"role": "system"})

    assert "role_not_allowed" in integrity(make(*story(of_system)))


def test_nobody_issues_letters_in_the_name_of_the_program() -> None:
    as_program = replace(ISSUED, by="zhang", over={"role": "system"})

    assert "role_mismatch" in integrity(make(*story(as_program)))


def test_nobody_is_registered_as_the_program() -> None:
    evidence = {"login": "system", "name": "某", "person": "x", "role": "county_office"}
    entered = Step("officer_added", "2023-10-09", "zhang", evidence, stream="officers")

    assert "evidence_malformed" in integrity(make(*story(entered)))


# ---------------------------------------------------------------- published bulletins


def published(count: int, on: str, by: str = "lin", **over: object) -> Step:
    """The bulletin of this number within its year; `over` says what it says otherwise."""
    number = f"甲清办通〔{on[:4]}〕{count}号"
    document: Line = {"kind": "bulletin", "number": number, "as_of": over.get("as_of", on)}
    evidence: Line = {
        "number": number,
        "period": "旬",
        "as_of": on,
        "known_at": f"{on}T03:00:00.000000Z",
        "known_seq": 3,
        "ranking": True,
        "hash": digest(canonical(document)),
        "document": document,
    }
    evidence |= over
    return Step("bulletin_published", on, by, evidence, stream="bulletins")


TEN = published(1, "2023-09-10")


def test_bulletins_numbered_through_each_year_verify_clean() -> None:
    steps = story(TEN, published(2, "2023-09-20"), published(1, "2024-01-10"))

    assert integrity(make(*steps)) == set()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (published(2, "2023-09-10"), "不是本年通报第 1 号"),
        (published(1, "2023-09-10", number="甲清办通〔2023〕2号"), "不是本年通报第 1 号"),
        (published(1, "2023-09-10", hash="0" * 64), "摘要不符"),
        (published(1, "2023-09-10", known_seq=9999), "在公布之后"),
        (published(1, "2023-09-10", document=None), "document"),
        (published(1, "2023-09-10", known_seq=True), "known_seq"),
        (published(1, "2023-09-10", period="年"), "期间"),
        (published(1, "2023-09-10", as_of="2023-09-11"), "截止日"),
        (published(1, "2023-09-10", as_of="九月十日"), "as_of"),
    ],
)
def test_a_bulletin_that_is_not_as_it_must_be_is_a_finding(wrong: Step, words: str) -> None:
    """The chain is whole: whoever forged it hashed and chained it as the program does."""
    found = verify.examine(make(*story(wrong))).integrity

    assert {finding.code for finding in found} == {"evidence_malformed"}
    assert any(words in finding.message for finding in found)


def test_a_number_left_out_of_the_year_is_a_finding() -> None:
    skipped = story(TEN, published(3, "2023-09-20"))
    twice = story(TEN, published(1, "2023-09-20"))

    for steps in (skipped, twice):
        assert integrity(make(*steps)) == {"evidence_malformed"}


def test_a_period_is_published_once() -> None:
    again = published(2, "2023-09-20", as_of="2023-09-10")

    found = verify.examine(make(*story(TEN, again))).integrity

    assert [finding.code for finding in found] == ["evidence_malformed"]
    assert "公布过" in found[0].message


@pytest.mark.parametrize("by", ["wang", "zhao", "sun", "he"])
def test_only_the_county_office_publishes(by: str) -> None:
    assert "role_not_allowed" in integrity(make(*story(published(1, "2023-09-10", by=by))))


def test_a_bulletin_is_of_the_day_that_its_document_says() -> None:
    document: Line = {"number": "甲清办通〔2023〕1号", "as_of": "2023-09-09"}
    hashed = digest(canonical(document))
    other = published(1, "2023-09-10", document=document, hash=hashed)

    assert integrity(make(*story(other))) == {"evidence_malformed"}


# ---------------------------------------------------------------- edges of section 4


@pytest.mark.parametrize(("begun", "over"), [("2024-03-25", False), ("2024-03-24", True)])
def test_an_outage_over_the_end_of_the_season_counts_its_days_within(
    begun: str, over: bool
) -> None:
    fault = Step("fault", begun, label="f")
    repair = Step("repair", "2024-04-10", evidence={"fault": "@f"})

    assert refused(fault, repair) is over


@pytest.mark.parametrize(("on", "undermined"), [(PERMIT_DAY, False), ("2024-04-21", True)])
def test_a_matter_was_answered_if_it_was_by_the_day_of_the_permission(
    on: str, undermined: bool
) -> None:
    complaint = replace(later("complaint", "2024-01-01"), label="m")
    answer = later("resolve", on, "lin", id="@m")

    assert removal(make(*story(complaint, answer))) == ["permission_undermined"] * undermined


def test_where_nobody_can_read_which_paths_are_exempt_none_is() -> None:
    report = verify.examine(make(plan=make_plan(exempt_paths="coal_to_electric")))

    assert [one.code for one in report.integrity] == ["plan_malformed"]
    assert [one.code for one in report.removal] == ["permission_unlawful"]


def test_a_repair_dated_before_its_fault_does_not_end_it_and_a_later_one_does() -> None:
    fault = Step("fault", "2024-01-05", label="f")
    early = Step("repair", "2024-01-04", evidence={"fault": "@f"}, heard="2024-01-06")
    right = Step("repair", "2024-01-12", evidence={"fault": "@f"})
    last = Step("repair", "2024-01-13", evidence={"fault": "@f"})

    assert refused(fault, early, right) is False
    assert refused(fault, early, right, last) is True


def test_a_fault_and_its_repair_are_of_one_number() -> None:
    steps = [
        Step("fault", "2024-01-01", label="f"),
        Step("fault", "2024-01-02", label="g"),
        Step("repair", "2024-01-03", evidence={"fault": "@f"}),
    ]

    assert refused(*steps) is True
    assert refused(*steps, Step("repair", "2024-01-04", evidence={"fault": "@g"})) is False


def test_the_winter_before_the_permission_knows_nothing_of_the_days_after() -> None:
    """Facts dated after the permission's day do not speak about it, whatever they are."""
    after = [
        later("fault", "2024-04-21"),
        later("visit", "2024-04-21", temperature=5),
        later("signature", "2024-04-21", season="2023-2024"),
        later("visit", "2024-04-21", temperature=25),
    ]

    assert removal(make(*story(*after))) == []
    assert removal(make(*story(*after, signature=None))) == ["permission_unlawful"]


def test_two_visits_on_one_day_are_two() -> None:
    both = {
        "visit_1": changed("visit", "2023-12-01", temperature=20),
        "visit_2": changed("visit", "2023-12-01", temperature=21),
    }

    assert refused(**both) is False


def test_a_plan_may_list_its_seasons_in_any_order() -> None:
    late = story(permit=Step("permit", "2025-05-01", "zhang"))
    lines = make(*late, plan=make_plan([SEASONS[1], SEASONS[0]]))
    row(lines, "permission").update(season_first_day="2024-11-01", season_last_day="2025-03-31")

    assert removal(lines) == ["permission_unlawful"]
    assert removal(make(plan=make_plan([SEASONS[1], SEASONS[0]]))) == []


def test_seasons_whose_labels_are_no_years_do_not_follow_each_other() -> None:
    odd = [season("first", "2022-11-01", "2023-03-31"), season("second", FIRST_DAY, LAST_DAY)]

    assert refused_by(make_plan(odd, required_seasons=2)) is True


@pytest.mark.parametrize(("label", "over"), [("2023-2024", False), ("winter", True)])
def test_an_undated_season_of_no_known_year_may_have_ended(label: str, over: bool) -> None:
    undated = season(label, "", "")

    assert refused_by(make_plan([SEASONS[0], undated])) is over


@pytest.mark.parametrize("kind", ["overturn", "replace"])
def test_a_restart_dated_ahead_counts_from_when_it_was_recorded(kind: str) -> None:
    by = "zhang" if kind == "overturn" else "wang"
    steps = [
        Step(kind, "2024-05-01", by, heard="2023-10-15"),
        Step("complete", "2023-10-20", evidence={"ready_on": "2023-10-20"}),
        Step("accept", "2023-10-25", "sun", {"facility": ["none"]}),
    ]

    report = verify.examine(make(*story(*steps)))

    assert {one.code for one in report.integrity} == {"future_occurred"}
    assert [one.code for one in report.removal] == ["permission_unlawful"]


def test_a_first_heat_dated_ahead_counts_too() -> None:
    ahead = Step(
        "works", "2024-02-02", evidence={"first_heat_on": "2024-02-01"}, heard="2023-12-01"
    )

    report = verify.examine(make(*story(ahead)))

    assert {one.code for one in report.integrity} == {"future_occurred"}
    assert [one.code for one in report.removal] == ["permission_unlawful"]


# ---------------------------------------------------------------- edges of the journal


@pytest.mark.parametrize("other", [{"unit": "200"}, {"village": "西会村"}, {"kind": "gas"}])
def test_gates_are_told_apart_by_unit_village_and_kind(other: Line) -> None:
    gate: Line = {"unit": "103", "village": "东会村", "kind": "grid", "opened_on": "2023-07-01"}
    steps = [
        Step("gate_opened", "2023-07-01", "zhang", given, stream="gates")
        for given in (gate, {**gate, **other})
    ]
    lines = make(*story(*steps))

    assert integrity(lines) == set()
    assert integrity([line for line in lines if line != {"type": "gate", **gate}]) == {
        "projection_differs"
    }


def test_of_two_openings_of_one_gate_the_last_counts() -> None:
    gate: Line = {"unit": "103", "village": "东会村", "kind": "grid", "opened_on": "2023-07-01"}
    steps = [
        Step("gate_opened", "2023-07-02", "zhang", {**gate, "opened_on": on}, stream="gates")
        for on in ("2023-07-02", "2023-07-01")
    ]

    assert integrity(make(*story(*steps))) == set()


def found(lines: list[Line]) -> list[tuple[str, int | None]]:
    return [(one.code, one.seq) for one in verify.examine(lines).integrity]


def test_a_bundle_of_nothing_says_what_is_missing() -> None:
    header: Line = {"type": "header", "format": "xianli-bundle/1", "size": 0, "drill": False}

    assert found([header]) == [("genesis_malformed", None)]
    assert found([{**header, "drill": None}])[0] == ("header_differs", None)


def test_the_header_is_one_and_nothing_odd_stands_before_it() -> None:
    lines = make()

    assert found([lines[0], *lines]) == [("line_malformed", None)]
    assert found([{"type": "odd"}, *lines]) == [("line_malformed", None)]


def test_a_first_event_that_cannot_be_read_stops_nothing() -> None:
    lines = make()
    events(lines)[0]["bytes"] = "{"

    codes = {code for code, _ in found(lines)}

    assert {"event_malformed", "genesis_malformed", "header_differs"} <= codes
    report = verify.examine(lines[:2], [f"x\n1\n{'A' * 43}=\n\n"])
    assert report.integrity[-1].message.endswith(f"是 x 的，本库是 {digest('{')[:16]}")


def test_what_is_no_line_at_all_is_a_finding() -> None:
    nothing = cast("list[Line]", [None, 3, "x", [], [{"type": "event"}]])

    assert [code for code, _ in found([*make(), *nothing])] == ["line_malformed"] * 5


def test_the_first_three_events_have_the_first_three_numbers() -> None:
    lines = make()
    for line in events(lines):
        line["seq"] = int(str(line["seq"])) + 1

    assert found(lines)[0] == ("seq_gap", 2)
    assert [seq for code, seq in found(lines) if code == "genesis_malformed"] == [2, 3, 4]


def test_before_the_plan_nothing_names_one() -> None:
    lines = make()
    rewritten(events(lines)[1], kind="ledger_imported", stream="ledgers", evidence={}, plan=None)

    assert ("unknown_plan", 2) not in found(lines)


def test_a_missing_hash_is_one_finding() -> None:
    lines = make()
    events(lines)[14]["hash"] = None

    assert found(lines) == [("hash_mismatch", 15)]


def test_a_version_that_cannot_be_read_is_counted_on() -> None:
    steps = story(visit_1=Step("visit", "2023-12-01", over={"version": "x"}), permit=None)
    lines = make(*steps)

    assert found(lines) == [("version_gap", 19), ("event_malformed", 19)]


def test_an_event_of_no_stream_belongs_to_none() -> None:
    odd = Step("pause", "2024-05-01", over={"stream": 3})

    codes = {code for code, _ in found(make(*story(), odd))}

    assert codes == {"event_malformed", "projection_differs"}


def test_a_signature_that_no_file_can_hold_is_found() -> None:
    lines = make()
    events(lines)[-1]["signature"] = "\ud800"

    assert found(lines) == [("signature_invalid", 22)]


def test_a_household_of_which_nothing_can_be_understood_is_counted() -> None:
    lines = make(*story(), Step("tidy", PERMIT_DAY, stream="case:103-0009"))
    own = next(line for line in lines if line.get("code") == "103-0009")
    own |= dict.fromkeys([*verify.CASE_COLUMNS, "state", "state_since"])

    report = verify.examine(lines)

    assert report.cases == 2
    assert [(one.code, one.case) for one in report.integrity] == [("kind_unknown", "103-0009")]


def test_the_longest_outage_counts_and_not_the_shortest() -> None:
    steps = [
        Step("fault", "2024-01-01", label="f"),
        Step("repair", "2024-01-09", evidence={"fault": "@f"}),
        Step("fault", "2024-01-20", label="g"),
        Step("repair", "2024-01-21", evidence={"fault": "@g"}),
    ]

    assert refused(*steps) is True


def test_a_cold_visit_is_no_warm_one() -> None:
    cold = changed("visit", "2024-01-31", temperature="17.9")

    assert removal(make(*story(cold, visit_1=None))) == ["permission_unlawful"]
    assert refused(cold) is False


def test_a_removal_corrected_to_another_day_without_permission_is_one_finding() -> None:
    early = facility("removed", "2024-01-09")
    moved = Step("correct", "2024-01-08", "zhang", {"id": f"@{early.label}"}, heard="2024-01-10")

    assert removal(make(*story(early, replace(moved, attach=("d",))))) == [
        "removed_without_permission"
    ]


def test_a_facility_accepted_as_removed_names_any_permission_of_the_case() -> None:
    again = [
        facility("removed", "2024-05-01"),
        Step("replace", "2024-06-01"),
        Step("complete", "2024-07-01", evidence={"ready_on": "2024-07-01"}),
        Step("accept", "2024-07-10", "sun", {"facility": ["kang:removed:@permit"]}),
        Step("permit", "2024-07-11", "zhang"),
    ]

    assert removal(make(*story(*again))) == ["permission_unlawful"]


def test_each_record_of_an_unlawful_removal_is_a_finding() -> None:
    steps = story(facility("removed", "2024-01-09"), facility("removed", "2024-02-09"))

    assert removal(make(*steps)) == ["removed_without_permission"] * 2


def test_what_was_removed_before_hides_nothing_that_was_not() -> None:
    again = [
        facility("removed", "2024-05-01"),
        Step("close", "2024-06-01", "zhang", {"cause": "withdrawn"}),
        Step("reinstate", "2024-06-10", "zhang"),
        changed("confirm", "2024-06-20", old_facility=["kang:removed", "stove:removed"]),
    ]

    assert removal(make(*story(*again))) == ["removed_without_permission"]


def test_two_permissions_do_not_stand_at_once() -> None:
    again = [
        Step("revoke", "2024-05-01", "zhang", {"cause": "paper_fault"}),
        Step("complaint", "2024-05-02", label="c"),
        Step("permit", "2024-05-03", "zhang"),
        Step("resolve", "2024-05-04", "zhang", {"id": "@c"}),
    ]

    for on, codes in (
        ("2024-04-30", ["permission_unlawful"]),
        ("2024-05-01", ["permission_unlawful", "removed_without_permission"]),
        ("2024-05-03", ["permission_unlawful", "removed_while_suspended"]),
        ("2024-05-04", ["permission_unlawful", "removed_on_unlawful_permission"]),
    ):
        assert sorted(removal(make(*story(*again, facility("removed", on))))) == codes


def test_letters_of_each_kind_are_numbered_apart_and_in_each_year() -> None:
    steps = [
        letter(1, "2023-10-09"),
        letter(1, "2023-10-10", kind="supervise", number="甲清办督〔2023〕1号"),
        letter(2, "2023-10-11"),
        letter(1, "2024-01-09"),
    ]

    assert integrity(make(*story(*steps))) == set()


def test_a_slip_of_somebody_unknown_is_nobodys() -> None:
    lines = make(*story(ISSUED, slip(NUMBER, "2023-10-12", "nobody")))

    assert integrity(lines) == {"actor_unknown"}


def test_the_first_plan_is_adopted_under_its_own_hash() -> None:
    lines = make()
    rewritten(events(lines)[1], plan=None)

    assert ("unknown_plan", 2) in found(lines)


@pytest.mark.parametrize(("plan", "wrong"), [(None, False), ("b" * 64, True)])
def test_the_beginning_names_the_plan_that_follows_or_none(plan: str | None, wrong: bool) -> None:
    lines = make()
    rewritten(events(lines)[0], plan=plan)

    assert found(lines) == [("unknown_plan", 1)] * wrong


def test_a_plan_before_everything_stops_nothing() -> None:
    lines = make()
    adopted = json.loads(str(events(lines)[1]["bytes"]))
    rewritten(events(lines)[0], stream="plan", kind="plan_adopted", evidence=adopted["evidence"])

    assert ("genesis_malformed", 1) in found(lines)


# ---------------------------------------------------------------- edges of a plan's revision


def test_a_proposal_is_spent_by_the_next_adoption() -> None:
    later_plan = make_plan(seasons=DOCUMENTED)
    between = make_plan(outage_days=6)
    steps = [
        proposed(later_plan, "zhang"),
        revised(between),
        replace(
            revised(later_plan, "lin", proposed="@proposal"),
            on="2024-05-03",
            over={"plan": digest(canonical(between))},
        ),
    ]

    assert integrity(make(*story(*steps))) == {"plan_one_person", "plan_loosened"}


NUMBERS = (*verify.LOOSER_UP, *verify.LOOSER_DOWN, "warm_temperature", "exempt_paths")


@pytest.mark.parametrize("name", NUMBERS)
def test_what_cannot_be_read_is_neither_looser_nor_stricter(name: str) -> None:
    for value in ([], ["solar"]) if name == "exempt_paths" else (0, 5):
        odd, good = make_plan(None, **{name: "x"}), make_plan(None, **{name: value})
        for before, after in ((odd, good), (good, odd)):
            step = replace(revised(after), over={"plan": digest(canonical(before))})
            codes = integrity(make(*story(step, permit=None), plan=before))
            assert codes <= {"plan_malformed", "plan_loosened"}
            loosened = name == "exempt_paths" and before is odd and value == ["solar"]
            assert ("plan_loosened" in codes) is loosened, (value, before is odd)


def test_a_path_that_was_exempt_may_stay_so() -> None:
    before, after = (make_plan(exempt_paths=["solar"], outage_days=days) for days in (7, 6))
    step = replace(revised(after), over={"plan": digest(canonical(before))})

    assert integrity(make(*story(step), plan=before)) == set()


@pytest.mark.parametrize(("on", "begun"), [("2023-10-31", False), (FIRST_DAY, True)])
def test_a_season_has_begun_on_its_first_day(on: str, begun: bool) -> None:
    later_plan = make_plan(seasons=[season("2023-2024", FIRST_DAY, "2024-03-30"), SEASONS[1]])
    lines = make(*story(replace(revised(later_plan), on=on), permit=None))

    assert ("plan_loosened" in integrity(lines)) is begun


@pytest.mark.parametrize(
    "seasons",
    [
        pytest.param([{**DOCUMENTED[0], "last_day": "2024-03-30"}], id="moved though verified"),
        pytest.param([], id="taken away"),
    ],
)
def test_a_verified_season_that_has_begun_stays(seasons: list[Line]) -> None:
    before = make_plan(seasons=[DOCUMENTED[0]])
    step = replace(revised(make_plan(seasons=seasons)), over={"plan": digest(canonical(before))})

    assert "plan_loosened" in integrity(make(*story(step), plan=before))


def test_an_unverified_season_that_has_begun_is_not_taken_away() -> None:
    assert "plan_loosened" in integrity(make(*story(revised(make_plan(seasons=[SEASONS[1]])))))


def test_a_number_of_seasons_is_verified_by_two_persons() -> None:
    checked = make_plan(required_seasons={"value": 1, **CHECKED})

    assert integrity(make(*story(revised(checked)))) == {"plan_one_person"}


# ---------------------------------------------------------------- edges of a household's stream


def test_somebody_unknown_is_of_no_unit() -> None:
    step = Step("pause", "2024-05-01", "nobody", over={"role": "unit_officer"})

    assert integrity(make(*story(), step)) == {"actor_unknown", "role_not_allowed"}


def test_who_recorded_earlier_works_may_accept_later_ones() -> None:
    again = [
        Step("overturn", "2023-10-12", "zhang"),
        Step("works", "2023-10-13", "zhao", {"started_on": "2023-10-13"}),
        Step("complete", "2023-10-14", "zhao", {"ready_on": "2023-10-14"}),
        Step("accept", "2023-10-15", "wang2", {"facility": ["none"]}),
    ]

    assert integrity(make(*story(*again))) == set()


def test_who_completed_the_works_does_not_accept_them() -> None:
    accept = Step("accept", "2023-10-10", "wang2", {"facility": ["none"]})
    lines = make(*story(works=None, accept=accept))

    assert integrity(lines) == {"separation"}


@pytest.mark.parametrize("over", [{"from": "stable_season"}, {"to": "stable_season"}])
def test_a_fact_comes_from_nowhere_and_goes_nowhere(over: Line) -> None:
    step = Step("pause", "2024-05-01", over=over)
    lines = make(*story(), step)

    assert ("edge_not_allowed", 23) in found(lines)


def test_a_late_change_of_the_ledger_needs_no_document() -> None:
    late = Step("amended", "2023-05-21", evidence={"village": "西会村"}, heard="2023-06-09")

    assert integrity(make(*story(late))) == set()


# ---------------------------------------------------------------- reading values


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_of_json_is_no_json(word: str) -> None:
    lines = make()
    line = events(lines)[-1]
    line["bytes"] = str(line["bytes"]).replace('"schema":1', f'"schema":{word}')
    line["hash"] = digest(str(line["bytes"]))

    assert ("event_malformed", 22) in found(lines)
    assert "bytes_not_canonical" not in integrity(lines)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2024-02-01T15:59:59.999999Z", "2024-02-01"),
        ("2024-02-01T16:00:00.000000Z", "2024-02-02"),
        ("2024-02-28T23:59:59.000000Z", "2024-02-29"),
        ("2023-12-31T16:00:00.000000Z", "2024-01-01"),
        ("2024-02-01T00:00:00.000000Z", "2024-02-01"),
        ("2024-02-01T00:00:00.000000", "日期不明"),
        ("2024-02-30T00:00:00.000000Z", "日期不明"),
    ],
)
def test_an_instant_falls_on_a_day_in_shanghai(instant: str, day: str) -> None:
    assert verify.iso(verify.shanghai_day(instant)) == day


@pytest.mark.parametrize(
    ("ordinal", "day"),
    [
        (None, "日期不明"),
        (0, "日历之外"),
        (1, "0001-01-01"),
        (3652059, "9999-12-31"),
        (3652060, "日历之外"),
        (verify.FOREVER, "日历之外"),
    ],
)
def test_a_day_is_written_as_people_write_it(ordinal: int | None, day: str) -> None:
    assert verify.iso(ordinal) == day


def test_a_value_nested_too_deep_to_print_does_not_raise() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    lines = make()
    events(lines)[5]["seq"] = deep

    assert ("seq_gap", 6) in found(lines)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "（空）"),
        ("", ""),
        ("a\nb\x1b[1mc", "a?b?[1mc"),
        ("长" * 81, "长" * 80),
        (3, "3"),
    ],
)
def test_whatever_is_shown_is_short_and_on_one_line(value: object, shown: str) -> None:
    assert verify.show(value) == shown
    assert verify.show(10**5000) == "（写不下的值）"


@pytest.mark.parametrize(
    ("value", "read"),
    [("18", True), ("18.5", True), (18.5, True), (18, True), ("1_8", True), (True, False),
     ("NaN", False), ("Infinity", False), ("warm", False), ("", False), (None, False), ([], False)],
)  # fmt: skip
def test_a_temperature_is_a_finite_number(value: object, read: bool) -> None:
    assert (verify.number(value) is not None) is read


@pytest.mark.parametrize(
    ("value", "seq"),
    [("7", 7), (7, 7), (0, 0), ("0", 0), ("-7", None), (-7, None), (True, None), (10**15, None),
     (10**15 - 1, 10**15 - 1), ("9" * 15, 10**15 - 1), ("9" * 16, None), ("7 ", None),
     (7.0, None), (None, None)],
)  # fmt: skip
def test_an_event_is_named_by_its_number(value: object, seq: int | None) -> None:
    assert verify.event_id(value) == seq


@pytest.mark.parametrize("value", ["2024-2-1", "20240201", "2024-02-01 ", 20240201, None])
def test_a_day_is_written_in_one_way(value: object) -> None:
    assert verify.day(value) is None
    assert verify.iso(verify.day("2024-02-01")) == "2024-02-01"


def test_a_change_of_path_lists_the_old_facilities_again() -> None:
    change: Line = {"path": "solar", "quota": "over_plan", "old_facility": ["kang:removed"]}
    step = Step("change_path", "2023-10-15", "zhang", change)
    lines = make(*story(step, permit=None))

    assert removal(lines) == ["removed_without_permission"]
    row(lines, "case")["quota"] = "planned"
    assert integrity(lines) == {"projection_differs"}


def test_a_reinstated_household_may_count_over_the_plan() -> None:
    again = [
        Step("close", "2024-06-01", "zhang", {"cause": "withdrawn"}),
        Step("reinstate", "2024-06-10", "zhang", {"quota": "over_plan"}),
    ]

    assert integrity(make(*story(*again))) == set()


def test_only_what_restarts_the_clock_does() -> None:
    """`reject`, `send_back` and a step forward restart nothing."""
    again = [
        Step("reject", "2023-09-25", "sun"),
        Step("complete", "2023-10-02", evidence={"ready_on": "2023-10-02"}),
    ]
    assert refused(*again) is False

    late = [
        Step("select", "2023-11-02", evidence={"model": "S"}, attach=("d",)),
        Step("send_back", "2023-11-03", "zhang", over={"from": "stable_season", "to": None}),
    ]
    report = verify.examine(make(*story(*late)))
    assert not any("起算日" in one.message for one in report.removal)


def test_each_new_device_is_another() -> None:
    """The first heat of a device counts for it alone, whichever came before."""

    def device(on: str, ready: str, accepted: str) -> list[Step]:
        return [
            Step("replace", on),
            Step("complete", ready, evidence={"ready_on": ready}),
            Step("accept", accepted, "sun", {"facility": ["none"]}),
        ]

    first = changed("works", "2023-10-11", first_heat_on="2023-10-11")
    second = changed("works", "2023-10-16", first_heat_on="2023-10-16")
    steps = [
        *device("2023-10-13", "2023-10-14", "2023-10-15"),
        *device("2023-10-17", "2023-10-18", "2023-10-19"),
    ]

    assert removal(make(*story(first, second, *steps, heat=None))) == ["permission_unlawful"]
    assert removal(make(*story(first, second, *steps))) == []


# ---------------------------------------------------------------- edges of correction


def test_a_corrected_complaint_still_suspends() -> None:
    complaint = Step("complaint", "2024-05-05", label="m")
    right = Step("correct", "2024-05-04", "zhang", {"id": "@m"}, heard="2024-05-06")

    for steps in ([complaint, right], [complaint, right, replace(right, heard="2024-05-07")]):
        assert removal(make(*story(*steps, facility("removed", "2024-05-09")))) == [
            "removed_while_suspended"
        ]


@pytest.mark.parametrize(("before", "after"), [("serious", "note"), ("serious", "serious"),
                                               ("note", "note")])  # fmt: skip
def test_what_was_answered_before_its_correction_suspends_no_more(before: str, after: str) -> None:
    finding = Step("finding", "2024-05-05", "he", {"severity": before}, label="m")
    answer = Step("resolve", "2024-05-06", "zhang", {"id": "@m"})
    right = Step("correct", "2024-05-05", "lin", {"id": "@m", "severity": after})
    steps = [finding, answer, replace(right, heard="2024-05-07"), facility("removed", "2024-05-09")]

    assert removal(make(*story(*steps))) == []
    assert bool(removal(make(*story(*steps[:1], *steps[2:])))) is (after == "serious")


def test_a_resolution_corrected_still_answers_what_it_answered() -> None:
    complaint = Step("complaint", "2024-01-05", label="m")
    answer = Step("resolve", "2024-01-06", "zhang", {"id": "@m"}, label="r")
    right = Step("correct", "2024-01-07", "lin", {"id": "@r"}, heard="2024-01-08")

    assert refused(complaint, answer, right) is False


def test_a_correction_of_nothing_corrects_nothing() -> None:
    nothing = Step("correct", "2024-05-01", "zhang", {"id": 999}, label="x")
    again = Step("correct", "2024-05-02", "lin", {"id": "@x", "temperature": 3})

    assert integrity(make(*story(nothing, again))) == {"reference_unknown"}


def test_a_correction_may_be_corrected_by_a_third_and_all_are_of_the_first_fact() -> None:
    first = Step("correct", "2023-12-02", "zhang", {"id": "@visit_1", "temperature": 3},
                 heard="2023-12-03", label="x")  # fmt: skip
    second = Step("correct", "2023-12-02", "lin", {"id": "@x"}, heard="2023-12-04", label="y")
    third = Step("correct", "2023-12-02", "zhang", {"id": "@y", "temperature": 20},
                 heard="2023-12-05")  # fmt: skip

    assert refused(first, second) is True
    assert refused(first, second, third) is False


# ---------------------------------------------------------------- samples


def drawn(units: list[tuple[str, int]], *among: tuple[str, str], **over: object) -> Line:
    """A draw among households (code and unit), so many of each unit, by docs/journal.md."""
    population = digest("".join(f"{code}\t{unit}\n" for code, unit in sorted(among)))
    codes: list[str] = []
    for unit, number in units:
        mine = [code for code, of in among if of == unit]
        codes += sorted(mine, key=lambda code: digest(f"s|{population}|{code}"))[:number]
    by_unit = [{"unit": unit, "population": 0, "drawn": number} for unit, number in units]
    rest: Line = {"population_hash": population, "by_unit": by_unit, "codes": sorted(codes)}
    return {"seed": "s", "states": ["stable_season", "acceptance"], **rest, **over}


TOWN = [(f"103-000{place}", "103") for place in range(1, 7)]
VILLAGE = [(f"200-000{place}", "200") for place in range(1, 4)]


def after_the_draw(evidence: Line) -> list[Line]:
    """Households accepted, one of them not yet, one permitted; then the draw; then one closed."""
    steps = []
    for code, unit in (*VILLAGE[::-1], *TOWN):
        by = "wang" if unit == "103" else "qian"
        registered: Line = {**REGISTERED, "unit": unit}
        one = [replace(step, stream=f"case:{code}", by=by if step.by == "wang" else step.by)
               for step in story(permit=None, works=None, heat=None)]  # fmt: skip
        steps += [replace(one[0], evidence=registered, by="zhang"), *one[1:]]
    steps += [replace(step, stream="case:103-0009") for step in story()[:3]]
    steps.sort(key=lambda step: step.recorded_at)
    draw = Step("sample_drawn", "2024-05-01", "he", evidence, stream="samples")
    close = Step("close", "2024-05-02", "zhang", stream=f"case:{TOWN[0][0]}")
    return make(*steps, draw, close)


def test_a_sample_is_drawn_again() -> None:
    everybody = (*TOWN, *VILLAGE)
    units = [("103", 3), ("200", 1)]
    right = drawn(units, *everybody)
    codes = cast("list[str]", right["codes"])
    assert len(codes) == 4

    assert integrity(after_the_draw(right)) == set()
    assert integrity(after_the_draw(drawn([*units, ("300", 1)], *everybody))) == set()
    others = sorted({code for code, _ in everybody} - set(codes))
    for over in (
        {"codes": codes[:-1]},
        {"codes": [*codes, others[0]]},
        {"codes": codes[::-1]},
        {"codes": None},
        {"seed": "t"},
        {"population_hash": "0" * 64},
        {"states": ["acceptance"]},
        {"by_unit": [{"unit": "103", "drawn": 3}]},
        {"by_unit": [{"unit": "103", "drawn": 3}, {"unit": "200", "drawn": None}]},
        {"by_unit": ["103"]},
    ):
        assert integrity(after_the_draw({**right, **over})) == {"sample_differs"}, over
    assert integrity(after_the_draw(drawn(units, *everybody[1:]))) == {"sample_differs"}
    whole = drawn([("103", 3), ("200", 3)], *everybody)
    nobody_says = [{"unit": "103", "drawn": 3}, {"unit": "200", "drawn": None}]
    assert integrity(after_the_draw(whole)) == set()
    assert integrity(after_the_draw({**whole, "by_unit": nobody_says})) == {"sample_differs"}
    assert integrity(after_the_draw({**right, "seed": None})) == {"evidence_malformed"}


@pytest.mark.parametrize("place", ["document", "sha256", "login"])
def test_values_nested_however_deep_never_raise(place: str) -> None:
    step = {
        "document": Step("plan_proposed", "2024-05-01", "zhang", {place: "deep"}, stream="plan"),
        "login": Step(
            "officer_disabled", "2024-05-01", "zhang", {place: "deep"}, stream="officers"
        ),
        "sha256": Step("pause", "2024-05-01", over={"attachments": [{"name": "a", place: "deep"}]}),
    }[place]
    confirm = revised(make_plan(seasons=DOCUMENTED), "lin", proposed="@deep")
    lines = make(*story(replace(step, label="deep"), confirm))
    line = events(lines)[-2]
    written = str(line["bytes"])

    # Somewhere here what could still be read can no longer be written.
    seen: set[tuple[str, int | None]] = set()
    for depth in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit() + 10):
        line["bytes"] = written.replace('"deep"', f"{'[' * depth}{']' * depth}")
        line["hash"] = digest(str(line["bytes"]))

        seen |= set(found(lines))

    assert {("event_malformed", 23), ("event_malformed", 24)} & seen
    assert ("event_malformed", 24) in seen or place != "document"


def test_a_plan_without_seasons_permits_nothing() -> None:
    plan = make_plan()
    del plan["seasons"]

    assert removal(make(plan=plan)) == ["permission_unlawful"]


def test_a_season_may_be_one_day() -> None:
    one_day = make_plan([season("2023-2024", FIRST_DAY, FIRST_DAY)])
    lines = make(plan=one_day)
    row(lines, "permission")["season_last_day"] = FIRST_DAY

    [finding] = verify.examine(lines).removal

    assert "季内测温合格 0 次" in finding.message


def test_what_no_file_can_hold_is_no_event() -> None:
    lines = make()
    line = events(lines)[-1]
    line["bytes"] = str(line["bytes"]).replace('"reason":null', '"reason":"\ud800"')
    line["hash"] = hashlib.sha256(str(line["bytes"]).encode(errors="replace")).hexdigest()

    assert ("event_malformed", 22) in found(lines)


def test_two_who_are_unknown_are_two() -> None:
    accept = Step("accept", "2023-10-10", "x", {"facility": ["none"]}, over={"role": "acceptor"})
    permit = Step("permit", PERMIT_DAY, "y", over={"role": "county_office"})
    lines = make(*story(accept=accept, permit=permit))
    row(lines, "permission").update(accepted_by="x", permitted_by="y")

    assert integrity(lines) == {"actor_unknown"}


@pytest.mark.parametrize("missing", ["first_day", "last_day"])
def test_a_season_of_which_one_day_is_unknown_is_unknown(missing: str) -> None:
    assert refused_by(make_plan([{**SEASONS[0], missing: None}])) is True


def test_a_late_first_heat_and_other_outages_count_together() -> None:
    steps = [
        changed("works", "2023-11-07", first_heat_on="2023-11-07"),
        Step("fault", "2024-01-01", label="f"),
        Step("repair", "2024-01-06", evidence={"fault": "@f"}),
        Step("fault", "2024-01-10", label="g"),
        Step("repair", "2024-01-15", evidence={"fault": "@g"}),
    ]

    assert refused(*steps) is True
    assert refused(*steps[:-2], Step("complaint", "2024-05-01")) is False


def test_what_was_wrong_when_it_was_issued_is_not_mended_later() -> None:
    complaint = Step("complaint", "2024-01-05", label="m")
    answer = later("resolve", "2024-04-01", "lin", id="@m")

    assert removal(make(*story(complaint, answer))) == ["permission_unlawful"]


@pytest.mark.parametrize("kind", ["change_path", "reinstate"])
@pytest.mark.parametrize(("on", "over"), [(FIRST_DAY, False), ("2023-11-02", True)])
def test_another_path_and_a_return_restart_the_clock(kind: str, on: str, over: bool) -> None:
    late = {"late_document": "d"}
    ready = {"ready_on": "2023-10-31", **late}
    accepted = {"facility": ["none"], **late}
    again = [
        Step("select", "2023-11-03", heard="2023-11-03T06:00:00.000000Z"),
        Step("complete", "2023-10-31", evidence=ready, heard="2023-11-04", attach=("d",)),
        Step("accept", FIRST_DAY, "sun", accepted, heard="2023-11-05", attach=("d",)),
    ]
    if kind == "change_path":
        change = {"path": "solar", "keep_device": "yes"}
        again.insert(0, Step(kind, on, "zhang", change, heard="2023-11-03"))
    else:
        again[:0] = [
            Step("close", "2023-10-20", "zhang", {"cause": "withdrawn"}),
            Step(kind, on, "zhang", heard="2023-11-03"),
            Step("confirm", "2023-11-03", heard="2023-11-03T05:00:00.000000Z"),
        ]

    assert refused(*again) is over


def test_what_a_permission_did_not_rest_on_is_empty_in_its_row() -> None:
    for steps, empty, wrong in (
        (story(accept=None), ("accepted_on", "acceptance_seq", "accepted_by"), "edge_not_allowed"),
        (story(complete=None), ("ready_on", "readiness_seq"), "edge_not_allowed"),
        (story(complete=Step("complete", "2023-09-20")), ("ready_on",), "evidence_malformed"),
    ):
        lines = make(*steps)
        row(lines, "permission").update(dict.fromkeys(empty))

        assert integrity(lines) == {wrong}


@pytest.mark.parametrize("name", verify.WORKS_DAYS)
@pytest.mark.parametrize(("told", "late"), [("2024-04-16", False), ("2024-04-15", True)])
def test_works_told_of_long_ago_are_late_paper(name: str, told: str, late: bool) -> None:
    works = Step("works", "2024-05-01", evidence={name: told})
    pause = Step("pause", "2024-05-01", evidence={name: told})

    assert ("late_without_document" in integrity(make(*story(works)))) is late
    assert integrity(make(*story(pause))) == set()


def test_works_recorded_late_are_late_paper_however_new_the_days_they_tell_of() -> None:
    works = Step("works", "2024-05-01", evidence={"started_on": "2024-05-16"}, heard="2024-05-17")

    assert "late_without_document" in integrity(make(*story(works)))


@pytest.mark.parametrize("other", [{"areas": ["county_town"]}, {"paths": ["central_heating"]}])
def test_seasons_of_others_do_not_bound_the_first_heat(other: Line) -> None:
    odd = {**season("2022-2023", "2023-10-12", "2023-11-20"), **other}

    assert refused_by(make_plan([odd, *SEASONS])) is False


def test_the_first_heat_comes_after_every_season_before() -> None:
    before = [
        season("2021-2022", "2022-11-01", "2023-03-31"),
        season("2022-2023", "2023-10-12", "2023-10-20"),
    ]
    heat = {"heat": changed("works", "2023-10-15", first_heat_on="2023-10-15")}

    assert removal(make(*story(**heat), plan=make_plan([*before, *SEASONS]))) == [
        "permission_unlawful"
    ]
    assert removal(make(*story(**heat), plan=make_plan([before[0], *SEASONS]))) == []
