"""The documents say what the program does.

`XIANLI_WRITE_DOCS=1 pytest tests/test_docs.py` refreshes what is generated in them: the tables, the
diagram, and the outputs in the README's walk.
"""

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import pytest

import cli
from notifications import diagram
from states.plan import USUAL_INDICATORS, from_toml
from workflow import verify

ROOT = Path(__file__).parent.parent
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
WRITE = "XIANLI_WRITE_DOCS" in os.environ
STALE = "to refresh: XIANLI_WRITE_DOCS=1 pytest tests/test_docs.py"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WALK = re.compile(r"<!-- walkthrough -->.*<!-- walkthrough end -->", re.DOTALL)
GENERATED = re.compile(r"(<!-- generated: ([\w-]+) -->\n\n)(.*?)(\n\n<!-- end -->)", re.DOTALL)

# What `audit verify` finds beyond what a bundle can show.
DATABASE_FINDINGS = {
    "trigger_missing": "数据库的保护触发器不在或被改过（只有 `audit verify` 能看到）。",
    "schema_differs": "库结构不是本程序所建的：表、列、主键、唯一约束、索引、视图，或多出的触发器"
    "（只有 `audit verify` 能看到）。",
    "projection_differs": verify.FINDING_CODES["projection_differs"],
}


def findings_table() -> str:
    """The closed list of finding codes."""
    codes = verify.FINDING_CODES | DATABASE_FINDINGS
    lawful = "permission_", "removed_", "sealed_"
    rows = (
        f"| `{code}` | {1 if code.startswith(lawful) else 6} | {meaning} |"
        for code, meaning in sorted(codes.items(), key=lambda row: row[0].startswith(lawful))
    )
    return "\n".join(("| code | exit status | meaning |", "| --- | --- | --- |", *rows))


BLOCKS: Mapping[str, Callable[[], str]] = {
    "lifecycle-diagram": lambda: f"```mermaid\n{diagram.mermaid()}\n```",
    "lifecycle-table": diagram.table,
    "lifecycle-general": diagram.general_table,
    "lifecycle-facts": diagram.facts_table,
    "evidence-keys": diagram.keys_table,
    "findings": findings_table,
}


@pytest.mark.parametrize("name", ["lifecycle.md", "findings.md", "commands.md"])
def test_what_is_generated_in_a_document_is_fresh(name: str) -> None:
    document = ROOT / "docs" / name
    written = document.read_text(encoding="utf-8")

    fresh = GENERATED.sub(lambda block: block[1] + BLOCKS[block[2]]() + block[4], written)

    if WRITE:
        document.write_text(fresh, encoding="utf-8")
        return
    assert GENERATED.search(written)
    assert written == fresh, STALE


def test_the_drawing_of_the_lifecycle_is_fresh() -> None:
    drawing = ROOT / "docs" / "lifecycle.svg"

    if WRITE:
        drawing.write_text(diagram.svg(), encoding="utf-8")
    assert drawing.read_text(encoding="utf-8") == diagram.svg(), STALE


def test_the_example_of_indicators_is_what_counts_without_it() -> None:
    example = (ROOT / "docs" / "example" / "evaluation.toml").read_text(encoding="utf-8")
    shipped = (ROOT / "states" / "plans" / "wutai-2023.toml").read_text(encoding="utf-8")

    with_it = from_toml(f"{shipped}\n{example}", "both")

    usual = {one.key: (one.weight, one.full, one.zero) for one in USUAL_INDICATORS}
    assert {one.key: (one.weight, one.full, one.zero) for one in with_it.indicators} == usual


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*path, name)), command


def sections() -> Mapping[str, str]:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    found = re.split(r"^#{2,4} `xianli ?(.*?)`$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.mark.parametrize("path", [path for path, _ in commands(cli.cli)])
def test_every_command_is_documented_with_its_options_and_arguments(path: str) -> None:
    command = dict(commands(cli.cli))[path]

    section = sections()[path]

    context = click.Context(command)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(f"`{option}" in section for option in parameter.opts), parameter.opts
        else:
            assert parameter.make_metavar(context).strip("[]") in section


def test_the_general_options_are_documented() -> None:
    section = sections()[""]

    for parameter in cli.cli.params:
        for option in parameter.opts:
            assert f"`{option}" in section


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert set(sections()) == {"", *(path for path, _ in commands(cli.cli))}


def blocks(readme: Path) -> list[tuple[str, str]]:
    return FENCE.findall(readme.read_text(encoding="utf-8"))


def test_both_readmes_show_the_same_commands_and_outputs() -> None:
    english, chinese = READMES

    assert blocks(english) == blocks(chinese)


def run_line(line: str, capture: pytest.CaptureFixture[str]) -> str:
    line, _, status = line.partition("  # exit status ")
    program, *arguments = shlex.split(line)
    if program == "python":
        assert arguments.pop(0) == "../workflow/verify.py"
        answered = verify.main(arguments)
    else:
        assert program == "xianli"
        answered = cli.run(arguments)
    output = capture.readouterr()
    assert answered == int(status or 0), output.out + output.err
    return output.out + output.err


def test_the_walk_through_the_readme_runs_and_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "docs" / "example", tmp_path / "walk")
    monkeypatch.chdir(tmp_path / "walk")
    monkeypatch.setenv("COLUMNS", "120")
    for variable in ("XIANLI_DB", "XIANLI_OFFICER", "XIANLI_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    walk = WALK.search(READMES[0].read_text(encoding="utf-8"))
    assert walk
    shown = FENCE.findall(walk[0])

    printed = {}
    for place, (language, block) in enumerate(shown):
        if language == "sh":
            output = "".join(run_line(line, capsys) for line in block.splitlines())
            printed[place + 1] = tidy(output)

    if WRITE:
        for readme in READMES:
            rewrite(readme, printed)
        return
    for place, (language, block) in enumerate(shown):
        if language == "text":
            assert block == printed[place], STALE


def tidy(output: str) -> str:
    lines = "\n".join(line.rstrip() for line in output.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n") + "\n"


def rewrite(readme: Path, printed: Mapping[int, str]) -> None:
    """Puts the outputs into the walk, by the place of their block in it."""
    places = iter(range(len(blocks(readme))))

    def fresh(block: re.Match[str]) -> str:
        place = next(places)
        return f"```text\n{printed[place]}```" if block[1] == "text" else block[0]

    text = readme.read_text(encoding="utf-8")
    new = WALK.sub(lambda walk: FENCE.sub(fresh, walk[0]), text)
    readme.write_text(new, encoding="utf-8")
