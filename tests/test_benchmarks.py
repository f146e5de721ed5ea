"""The benchmarks run, small: every workload beside its floor, its history verified.

What they measure here says nothing, and nothing here looks at it.
"""

import json
import subprocess
import sys
from pathlib import Path

import growth
import measure
import peers
import pytest
from measure import FLOOR, OURS, Clock, Figure, Took

ROOT = Path(__file__).parent.parent
WITHOUT_FLOOR = {"W9"}
PEERS = {"transitions + SQLModel", "django-fsm-2", "eventsourcing"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, object]], str]:
    """The lines and the table of one small run of everything."""
    out = tmp_path_factory.mktemp("benchmarks") / "lines.jsonl"
    command = [sys.executable, "benchmarks/run.py", "--small", "--reps", "1", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()], done.stdout


@pytest.mark.server
def test_every_workload_runs_and_says_what_was_measured(
    run: tuple[list[dict[str, object]], str],
) -> None:
    [first, *lines], table = run

    assert isinstance(first["versions"], dict)
    assert {"python", "sqlite", "sqlalchemy", "sqlmodel", "transitions", "commit"} <= set(
        first["versions"]
    )
    assert {line["workload"] for line in lines} == {f"W{number}" for number in range(1, 10)}
    for line in lines:
        assert str(line["workload"]) in table


@pytest.mark.server
def test_each_stands_beside_its_floor_and_its_history_verifies(
    run: tuple[list[dict[str, object]], str],
) -> None:
    [_, *lines], _ = run

    for line in lines:
        took, ratio = line["took"], line["ratio"]
        assert isinstance(took, dict)
        assert isinstance(ratio, dict)
        if line["variant"] == "import alone":
            continue
        assert OURS in took
        if line["workload"] in WITHOUT_FLOOR or line["variant"] == "SQLite, nothing new":
            continue
        assert FLOOR in took
        assert ratio[OURS]["wall"] > 0
        # W6 verifies by the command itself; W7 only reads.
        if line["workload"] not in ("W6", "W7"):
            assert line["verified"] is True


@pytest.mark.server
def test_peers_do_the_same_work_or_are_named_as_missing(
    run: tuple[list[dict[str, object]], str],
) -> None:
    [_, *lines], table = run

    [bulk] = [line for line in lines if line["workload"] == "W2"]
    took, missing = bulk["took"], bulk["missing"]
    assert isinstance(took, dict)
    assert isinstance(missing, list)
    assert set(took) - {OURS, FLOOR} | set(missing) == PEERS
    assert set(missing) == set(peers.missing())
    for name in missing:
        assert f"| {name}" in table


def test_the_ratio_is_that_of_the_medians() -> None:
    ours = Clock([Took(4, 2), Took(100, 90), Took(6, 4)])
    floor = Clock([Took(2, 1), Took(3, 2), Took(50, 3)])

    figure = Figure("W1", "SQLite", 1, "step", 1, {OURS: ours.median(), FLOOR: floor.median()})

    assert figure.ratio() == (2.0, 2.0)
    assert "| 2.00" in measure.table([figure])


def test_a_cost_that_grows_as_its_size_has_the_slope_one() -> None:
    slope = growth.slope([(10, 0.5), (100, 5.0), (1000, 50.0)])

    assert slope == pytest.approx(1.0)
    assert growth.slope([(10, 0.1), (1000, 1000)]) == pytest.approx(2.0)


def test_the_page_shows_what_was_measured() -> None:
    versions, figures = growth.read(growth.MEASURED)
    shown = growth.PAGE.read_text(encoding="utf-8")

    assert growth.page(shown, versions, figures) == shown
    assert growth.plot(growth.series(figures)) == growth.PLOT.read_text(encoding="utf-8")
