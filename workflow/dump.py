"""A server's backup by PostgreSQL's own programs: pg_dump writes it, pg_restore reads it back.

A password goes to them in their environment, never on the command line.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection, func, inspect, select, table

from states.errors import UsageFault
from workflow import access, triggers
from workflow.errors import BadFile
from workflow.operation import BINARIES, Server

if TYPE_CHECKING:
    import psycopg

SUFFIX = ".dump"
VERSIONS = "alembic_version"
_MAGIC = b"PGDMP"
_COPY = re.compile(rb'COPY ("[^"]+"|\w+)\.("[^"]+"|\w+) \((.*)\) FROM stdin;\n')
_SEES_ALL = """SELECT rolsuper OR rolbypassrls AND pg_has_role(oid, 'pg_read_all_data', 'USAGE')
FROM pg_roles WHERE rolname = current_user"""
# `3501; 0 16437 TABLE DATA tiny journal owner`: the kind is in capitals, the rest is not.
_LISTED = re.compile(r"\d+; \d+ \d+ ([A-Z]+(?: [A-Z]+)*) ")
_NUMBER = re.compile(r"(\d+)(?:\.\d+)?")


class Contents(Struct, frozen=True):
    """What a dump holds: its schema, the version of its tables, rows by table, the journal's end.

    `guards` are the triggers in it.
    """

    schema: str
    version: str
    rows: Mapping[str, int]
    seq: int
    head: str | None
    guards: frozenset[str]


def is_dump(file: Path) -> bool:
    """Whether a file begins as pg_dump's custom format does. Raises BadFile."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise BadFile(
            f"备份读不出来：{error.strerror}", place=str(file), remedy="检查文件的权限"
        ) from error


def write(connection: Connection, part: Path, server: Server) -> Contents:
    """Writes the schema behind a reading connection into a file, and reads all of it back.

    What is in the file is what the connection sees: both stand on one snapshot. Raises UsageFault
    where the programs are not there, BadFile when the file is not whole, and what `access.as_owner`
    does: every row is seen by the owner, and by who may read all and is above row-level security.
    """
    role = []
    if not connection.exec_driver_sql(_SEES_ALL).scalar_one():
        access.as_owner(connection)
        role.append(f"--role={access.OWNER}")
    # Longer than it is idle here, the server would end the transaction that holds the snapshot.
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    schema = schema_of(connection)
    snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
    _run(
        connection,
        server,
        "pg_dump",
        "--format=custom",
        *role,
        f"--snapshot={snapshot}",
        f'--schema="{schema}"',
        f"--file={part}",
    )
    found = contents(connection, part, server)
    there = {
        name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
        for name in inspect(connection).get_table_names()
    }
    if any(found.rows.get(name) != number for name, number in there.items()):
        raise _not_whole(part, "里面的行数与数据库的不同")
    if not set(triggers.there(connection)) <= found.guards:
        raise _not_whole(part, "里面没有保护触发器")
    return found


def contents(connection: Connection, file: Path, server: Server) -> Contents:
    """Reads a dump to its end by pg_restore, for the server behind the connection.

    Raises UsageFault where pg_restore is not there, BadFile for what is no whole dump of ours.
    """
    guards = (line for line in listed(connection, file, server) if "TRIGGER" in kind_of(line))
    with _piped(connection, server, "pg_restore", "--data-only", "--file=-", str(file)) as pipe:
        try:
            version, schema, rows, seq, head = _counted(pipe)
        except (ValueError, LookupError) as error:
            # Packed bytes that were changed are unpacked into something before zlib finds it.
            raise BadFile(
                "备份不完好：里面的行读不通", place=str(file), remedy="换一份备份，或重新备份"
            ) from error
    if "journal" not in rows or not version:
        raise BadFile("这份文件不是先立的备份", place=str(file), remedy="核对文件名")
    names = frozenset(line.split(" ")[-2] for line in guards)
    return Contents(schema, version, rows, seq, head, names)


def listed(connection: Connection, file: Path, server: Server) -> list[str]:
    """The lines of a dump's list, one for each thing in it."""
    told = _run(connection, server, "pg_restore", "--list", str(file))
    lines = told.decode(errors="replace").splitlines()
    return [line for line in lines if line[:1].isdigit()]


def kind_of(line: str) -> str:
    """What kind of thing a line of the list is: `TABLE DATA`, `TRIGGER` …"""
    found = _LISTED.match(line)
    return found[1] if found else ""


def play(connection: Connection, file: Path, choice: Path, server: Server) -> None:
    """Writes the chosen lines' things into the connection's database, all or nothing.

    They belong to the owner. Raises UsageFault where pg_restore is not there, BadFile.
    """
    database = connection.exec_driver_sql("SELECT current_database()").scalar_one()
    name = str(database).replace("\\", "\\\\").replace("'", "\\'")
    _run(
        connection,
        server,
        "pg_restore",
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        f"--role={access.OWNER}",
        f"--use-list={choice}",
        f"--dbname=dbname='{name}'",
        str(file),
    )


def _counted(pipe: IO[bytes]) -> tuple[str, str, dict[str, int], int, str | None]:
    """The version, its schema, rows by table and the journal's end, off a script of all rows.

    Raises ValueError or LookupError for rows that are no rows of ours.
    """
    rows: dict[str, int] = {}
    version, schema, seq, head = "", "", 0, None
    for within, name, columns, lines in _copies(pipe):
        rows[name] = 0
        place = {column: number for number, column in enumerate(columns)}
        for line in lines:
            rows[name] += 1
            if name == VERSIONS:
                schema, version = within, line.decode()
            if name == "journal":
                values = line.split(b"\t")
                if int(values[place["seq"]]) > seq:
                    seq, head = int(values[place["seq"]]), values[place["hash"]].decode()
    return version, schema, rows, seq, head


def _copies(
    pipe: IO[bytes],
) -> Iterator[tuple[str, str, Sequence[str], Iterator[bytes]]]:
    """Each table of a script: schema, name, columns, and its rows, which must be read."""

    def rows() -> Iterator[bytes]:
        for line in pipe:
            if line == b"\\.\n":
                return
            yield line[:-1]

    for line in pipe:
        if begins := _COPY.fullmatch(line):
            within, name = (begins[number].decode().strip('"') for number in (1, 2))
            columns = [column.strip(' "') for column in begins[3].decode().split(",")]
            yield within, name, columns, rows()


def schema_of(connection: Connection) -> str:
    """The schema in which the connection finds its tables."""
    return str(connection.exec_driver_sql("SELECT current_schema()").scalar_one())


# PostgreSQL's own programs --------------------------------------------------------------------


def _run(connection: Connection, server: Server, name: str, *arguments: str) -> bytes:
    with _piped(connection, server, name, *arguments) as pipe:
        return pipe.read()


@contextmanager
def _piped(
    connection: Connection, server: Server, name: str, *arguments: str
) -> Iterator[IO[bytes]]:
    """What a program prints; at the end, that it ended well. Raises UsageFault, BadFile."""
    command = [str(program(connection, server, name)), *arguments]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(connection, server),
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        process.wait()
        errors.seek(0)
        told = errors.read().decode(errors="replace").strip()
    if process.returncode != 0:
        raise BadFile(
            f"{name} 没有做成：{told.splitlines()[0] if told else process.returncode}",
            place=name,
            remedy="检查账号的权限、网络和磁盘空间；原数据库没有受影响",
            code="backup",
        )


def program(connection: Connection, server: Server, name: str) -> Path:
    """The program's file, which must be no older than the server. Raises UsageFault."""
    path = str(server.binaries) if server.binaries else server.environment.get("PATH")
    found = shutil.which(name, path=path)
    wanted = connection.exec_driver_sql("SHOW server_version").scalar_one()
    major = _major(str(wanted))
    remedy = (
        f"安装 PostgreSQL {major} 或更新的客户端程序（Debian：postgresql-client-{major}），"
        f"或用环境变量 {BINARIES}、配置项 postgresql.bin 指明所在目录"
    )
    if found is None:
        where = f"{server.binaries} 里" if server.binaries else "PATH 里"
        raise UsageFault(f"{where}没有 {name}", place=name, remedy=remedy, code="no_pg_dump")
    told = subprocess.run(
        [found, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**server.environment},
        check=False,
    ).stdout.decode(errors="replace")
    ours = _major(told)
    if ours < major:
        raise UsageFault(
            f"{found} 是 {ours} 版，比服务器的 {major} 版旧",
            place=name,
            remedy=remedy,
            code="old_pg_dump",
        )
    return Path(found)


def _major(told: str) -> int:
    number = _NUMBER.search(told)
    return int(number[1]) if number else 0


def parameters(connection: Connection) -> dict[str, str]:
    """How this connection reaches its database, by libpq's environment variables."""
    raw: psycopg.Connection | None = connection.connection.driver_connection
    assert raw is not None
    found = {
        option.envvar.decode(): option.val.decode()
        for option in raw.pgconn.info
        if option.envvar and option.val is not None and option.val != option.compiled
    }
    # Our own settings and time limits are nobody else's.
    found.pop("PGOPTIONS", None)
    return found


def _environment(connection: Connection, server: Server) -> dict[str, str]:
    # What they say is told to people by us, so it must not be in a language that depends.
    return {**server.environment, **parameters(connection), "LC_ALL": "C"}


def _not_whole(part: Path, why: str) -> BadFile:
    return BadFile(
        f"备份不完好：{why}",
        place=str(part),
        remedy="运行 xianli audit verify 查看原数据库；以前的备份都还在",
        code="backup",
    )
