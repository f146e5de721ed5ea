"""What the independent audit says, word for word: its figures, days, numbers and names.

The words expected are in verify_words.txt, one heading for each bundle.
"""

import json
from pathlib import Path
from typing import cast

import pytest
from bundles import (
    CHECKED,
    CODE,
    FIRST_DAY,
    PERMIT_DAY,
    SEASONS,
    Line,
    Step,
    events,
    facility,
    later,
    letter,
    make,
    make_plan,
    revised,
    rewritten,
    row,
    season,
    slip,
    story,
)

from workflow import verify

BUNDLES: dict[str, list[Line]] = {
    "nobody accepted": make(*story(accept=None)),
    "on a season that ends today": make(
        plan=make_plan([season("2023-2024", FIRST_DAY, PERMIT_DAY)])
    ),
    "by a sampler, on no plan": make(
        *story(permit=Step("permit", PERMIT_DAY, "he", over={"plan": None}))
    ),
    "a removal corrected away": make(
        *story(
            facility("removed", "2024-01-09"),
            Step(
                "correct",
                "2024-01-09",
                "zhang",
                {"id": "@removed2024-01-09", "status": "in_use"},
                heard="2024-01-10",
            ),
        )
    ),
    "facilities of no known kind": make(
        *story(
            facility("removed", "2024-01-09", facility=["灶", "kang"]),
            facility("sealed", "2024-01-10", facility=3),
        )
    ),
    "a login of another person": make(
        *story(
            Step(
                "officer_added",
                PERMIT_DAY,
                "zhang",
                {"login": "sun", "name": "sun", "person": "x", "role": "acceptor"},
                stream="officers",
            )
        )
    ),
    "with more fields than there are": make(
        *story(), Step("pause", "2024-05-01", over=dict.fromkeys("hgfedcba", 1))
    ),
    "of a household that is not registered": make(
        *story(), Step("pause", "2024-05-01", "zhang", stream="case:103-0002")
    ),
    "on a plan that cannot be read": make(
        plan={
            **make_plan([{"label": 3}, *SEASONS, {}]),
            "rules": {**cast("Line", make_plan()["rules"]), "signatures": 3},
        }
    ),
    "amended to nothing": make(*story(Step("amended", "2023-05-21", evidence={"area": 3}))),
    "from where no household stands": make(
        *story(
            Step("overturn", "2024-05-01", "zhang", over={"to": "nowhere"}),
            Step("permit", "2024-05-03", "zhang"),
            Step("permit", "2024-05-03", "zhang", stream="case:103-0002"),
        )
    ),
    "nothing at all": [],
    "a visit corrected to nothing": make(
        *story(
            Step(
                "correct",
                "2023-12-01",
                "zhang",
                {"id": "@visit_1", "temperature": "warm"},
                heard="2023-12-03",
            )
        )
    ),
    "a removal corrected in every way": make(
        *story(
            facility("removed", "2024-01-09"),
            Step(
                "correct",
                "2024-01-08",
                "zhang",
                {
                    "id": "@removed2024-01-09",
                    "status": "in_use",
                    "by": "household",
                    "facility": "stove",
                },
                heard="2024-01-10",
            ),
        )
    ),
    "a plan of no text, holidays of another year, a sample of nobody's seed": make(
        *story(
            Step(
                "plan_adopted",
                "2023-05-20",
                "zhang",
                {"document": "none"},
                stream="plan",
                over={"plan": None},
            ),
            Step(
                "holidays_entered",
                "2023-05-20",
                "zhang",
                {"year": 2023, "source": "国办", "off": ["2024-05-01"], "working": []},
                stream="calendar",
            ),
            Step(
                "sample_drawn",
                "2023-05-20",
                "he",
                {"seed": "七", "states": ["acceptance"], "by_unit": [], "codes": [CODE]},
                stream="samples",
            ),
            registered=None,
            permit=None,
        )[:3]
    ),
    "nobody registered": make(*story(registered=None, permit=None)),
    "by an auditor and of another day": make(
        *story(permit=Step("permit", "2024-04-19", "he", heard=PERMIT_DAY))
    ),
    "by who accepted": make(*story(permit=Step("permit", PERMIT_DAY, "sun2"))),
    "with open matters": make(
        *story(
            Step("complaint", "2024-01-05"),
            Step("finding", "2024-01-06", "he", {"severity": "serious"}),
        )
    ),
    "on an exemption nobody verified": make(
        plan=make_plan([], exempt_paths=["coal_to_electric"]), drill=False
    ),
    "on numbers nobody can read": make(plan=make_plan(outage_days="x", warm_temperature="y")),
    "on a number of seasons nobody verified": make(drill=False),
    "on a season nobody verified": make(
        plan=make_plan(required_seasons={"value": 1, **CHECKED}), drill=False
    ),
    "on no season at all": make(plan=make_plan(required_seasons=0)),
    "on more seasons than there were": make(plan=make_plan(required_seasons=2)),
    "on seasons with a gap": make(
        plan=make_plan(
            [season("2021-2022", "2023-10-12", "2023-10-20"), *SEASONS], required_seasons=2
        )
    ),
    "before a season of unknown days": make(
        plan=make_plan([SEASONS[0], season("2024-2025", "x", "y")])
    ),
    "without readiness": make(*story(complete=Step("complete", "2023-09-20"))),
    "recorded after the season began": make(
        *story(
            accept=Step("accept", "2023-11-03", "sun", {"facility": ["none"]}),
            complete=Step(
                "complete", "2023-10-30", evidence={"ready_on": "2023-10-30"}, heard="2023-11-02"
            ),
        )
    ),
    "on a season that nobody saw": make(
        *story(Step("fault", "2024-03-20"), heat=None, visit_2=None, signature=None)
    ),
    "undermined by a fault": make(*story(later("fault", "2024-01-01"))),
    "on no plan": make(*story(permit=Step("permit", PERMIT_DAY, "zhang", over={"plan": None}))),
    "by a plan, an officer, a role that is not the one": make(
        *story(
            revised(make_plan(outage_days=6), "lin"),
            Step("pause", "2024-05-03", over={"plan": "0"}),
            Step("extension", "2024-05-03", "nobody"),
            Step("extension", "2024-05-03", "he", over={"role": "county_office"}),
        )
    ),
    "of a looser plan": make(
        *story(
            revised(
                make_plan(
                    seasons=[season("2023-2024", FIRST_DAY, "2024-03-01")],
                    outage_days=8,
                    warm_visits=1,
                    warm_temperature=17,
                    exempt_paths=["solar"],
                )
            )
        )
    ),
    "removals without permission": make(
        *story(
            facility("removed", "2024-01-09"), facility("sealed", "2024-01-10", by="nobody known")
        )
    ),
    "facilities gone": make(
        *story(
            Step("violation", "2023-10-09", "sun2", {"by": "official"}, label="v"),
            accept=Step(
                "accept", "2023-10-10", "sun", {"facility": ["kang:gone:@v", "stove:gone:1"]}
            ),
        )
    ),
    "kinds of nobody's": make(
        *story(
            Step("tidy", PERMIT_DAY),
            Step("tidy", PERMIT_DAY, stream="elsewhere"),
            Step("init", PERMIT_DAY, "zhang", {"drill": False}, stream="database"),
            Step("gate_opened", PERMIT_DAY, "zhang", stream="gates", over={"from": "closed"}),
        )
    ),
    "late, early, elsewhere and of nothing": make(
        *story(
            Step("pause", "2024-05-01", heard="2024-05-20"),
            Step("pause", "2024-05-22", heard="2024-05-21"),
            Step("pause", "2024-05-03", "qian"),
            Step("repair", "2024-05-30", evidence={"fault": "3"}),
        )
    ),
    "amendments and steps out of order": make(
        *story(
            Step("amended", "2024-04-30", evidence={"unit": "200"}, by="zhang"),
            Step("amended", "2024-05-01", evidence={"area": "county_town"}),
            Step("overturn", "2024-05-01", "zhang", over={"from": "acceptance", "to": "closed"}),
        )
    ),
    "one person for two": make(
        *story(
            Step("complaint", "2024-05-01", "zhang", label="c"),
            Step("resolve", "2024-05-02", "zhang", {"id": "@c"}),
            Step("resolve", "2024-05-03", "zhao", {"id": "@c"}),
            accept=Step("accept", "2023-10-10", "wang2"),
        )
    ),
    "letters": make(
        *story(
            letter(2, "2023-10-09", matters=[{"case": "103-9999"}]),
            slip("甲清办催〔2023〕9号", "2023-10-12", "wang"),
            letter(2, "2023-10-13"),
            slip("甲清办催〔2023〕2号", "2023-10-14", "qian"),
        )
    ),
    "officers": make(
        *story(
            Step("officer_disabled", "2024-05-01", "zhang", {"login": "x"}, stream="officers"),
            Step("officer_added", "2024-05-01", "zhang", {"role": "auditor"}, stream="officers"),
            Step("officer_disabled", "2024-05-01", "zhang", {"login": "lin"}, stream="officers"),
            Step("extension", "2024-05-02", "lin"),
        )
    ),
    "what cannot be read": make(
        *story(
            Step("visit", "2024-02-02", evidence={"temperature": "warm"}),
            Step("pause", "2024-02-03", over={"schema": 2, "extra": 1}),
            Step("pause", "2024-02-04", over={"role": 3}),
        )
    ),
}


def tampered() -> list[Line]:
    """One fault after another in the bytes."""
    lines = make()
    line = events(lines)
    line[12]["seq"] = 99
    line[14].update(seq=15, bytes="[]")
    line[15]["bytes"] = str(line[15]["bytes"]).replace(":", ": ", 1)
    cast("Line", line[16]["columns"]).update(kind="x", to=None)
    del line[17]["signature"]
    rewritten(line[18], version=99, previous="x")
    rewritten(line[20], recorded_at="2024-01-01T00:00:00.000000Z", evidence={"season": 3})
    lines += [{"type": "odd"}, {}]
    lines[0]["size"] = 3
    row(lines, "case")["version"] = True
    row(lines, "officer")["name"] = "x"
    return lines


def begun_otherwise() -> list[Line]:
    """Three first events that are not the right three, by another than the first officer."""
    lines = make(drill=False)
    first = events(lines)
    rewritten(first[0], evidence={"plan": "tiny"}, actor="lin")
    rewritten(first[1], kind="plan_proposed")
    return lines


def expected() -> dict[str, list[str]]:
    """The words of each heading."""
    file = Path(__file__).with_name("verify_words.txt")
    parts = file.read_text(encoding="utf-8").split("## ")[1:]
    return {name: told.split("\n") for name, _, told in (p.strip().partition("\n") for p in parts)}


WORDS = expected()


def line(one: verify.Finding) -> str:
    return f"{one.code} {one.stream} {one.case} {one.seq} {one.message}"


@pytest.mark.parametrize("name", BUNDLES)
def test_each_finding_says_what_is_wrong_with_its_figures(name: str) -> None:
    report = verify.examine(BUNDLES[name])

    # What the tables should say is tested column by column.
    told = [one for one in report.integrity if one.code != "projection_differs"]

    assert [line(one) for one in (*told, *report.removal)] == WORDS[name]


def test_a_finding_about_the_bytes_says_where() -> None:
    told = verify.examine(tampered()).integrity

    assert [line(one) for one in told] == WORDS["tampered"]


def test_a_finding_about_the_beginning_says_what_should_be_there() -> None:
    told = [one for one in verify.examine(begun_otherwise()).integrity if (one.seq or 9) <= 3]

    assert [line(one) for one in told] == WORDS["begun otherwise"]


def test_a_finding_about_a_table_says_which_row_and_column() -> None:
    gate: Line = {"unit": "103", "village": "东会村", "kind": "grid", "opened_on": "2023-07-01"}
    lines = make(*story(Step("gate_opened", "2023-07-01", "zhang", gate, stream="gates")))
    kept = [one for one in lines if one["type"] != "permission"]
    place = kept.index(row(kept, "case"))
    kept[place:place] = [
        {"type": "case", "code": "103-0009"},
        {"type": "gate", "unit": ["103"], "village": None, "kind": "grid"},
        {"type": "permission", "case": CODE, "seq": "x"},
    ]
    row(kept[place + 1 :], "case").update(state="closed", version=3)
    del row(kept, "officer")["unit"]

    told = verify.examine(kept).integrity

    assert [line(one) for one in told] == WORDS["tables"]


def test_the_report_for_people() -> None:
    lines = make(*story(facility("removed", "2024-01-09"), facility("sealed", "2024-01-10")))
    lines[0]["size"] = 5

    assert verify.as_text(verify.examine(lines)).splitlines() == WORDS["for people"]


def test_the_report_for_programs() -> None:
    lines = make(*story(facility("removed", "2024-01-09")), drill=False)
    lines[0]["size"] = 5

    told = json.loads(verify.as_json(verify.examine(lines)))

    assert told == json.loads("".join(WORDS["for programs"]))
