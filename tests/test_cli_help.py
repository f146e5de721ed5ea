import re
from collections.abc import Iterator

import click
import pytest

import cli

# What click says in English wherever it is not put into Chinese.
ENGLISH = re.compile(
    r"Usage|Options|Commands|Show |default:|required|INTEGER|TEXT|DIRECTORY|ARGS|Missing|No such"
    r"|Did you|Invalid|is not|requires|Got unexpected|does not"
)


def paths(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from paths(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(paths(cli.cli)), ids=" ".join)
def test_every_help_page_is_in_chinese(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*path, "--help"]) == 0

    page = capsys.readouterr().out
    assert page.startswith("用法：xianli")
    assert not ENGLISH.search(page)
    assert all(cli.columns(line) <= 100 for line in page.splitlines())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("caes", "没有命令 'caes'；是不是 'case'"),
        ("check --as-off 2023-09-01", "没有选项 '--as-off'；是不是 '--as-of'"),
        ("todo --limit x", "'--limit' 的值不对：'x' 不是整数"),
        ("advance 103-0001", "缺少参数 'TRIGGER'"),
        ("init --plan wutai-2023", "缺少选项 '--first'"),
        ("init --plan", "选项 '--plan' 后面要写值"),
        ("plan show x", "多余的参数：x"),
        ("ledger import .", "'FILE...' 的值不对：'.' 是目录，不是文件"),
        ("check --db x.db", "--db 要写在命令前面"),
        ("case list --today 2023-09-01", "--today 要写在命令前面"),
    ],
)
def test_wrong_usage_is_told_in_chinese(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(line.split()) == 2

    printed = capsys.readouterr().err
    assert f"错误：{told}\n" in printed
    assert "办法：" in printed
    assert not ENGLISH.search(printed)


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan"]) == 2

    assert capsys.readouterr().err.startswith("用法：xianli plan")


def test_text_is_folded_by_the_columns_it_takes() -> None:
    lines = cli.folded("公示不少于七天 notice_from 至 notice_to。", 16)

    assert "".join(lines).replace(" ", "") == "公示不少于七天notice_from至notice_to。"
    assert all(cli.columns(line) <= 18 for line in lines)
    assert any("notice_from" in line for line in lines)
