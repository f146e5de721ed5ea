"""How the program runs on this computer: `[postgresql]` and `[log]` of the configuration file.

They are needed before a database is open, so this file knows neither the database nor the rest of
the settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from workflow import toml_file
from workflow.toml_file import Reader, Table, refuse

BINARIES = "XIANLI_PG_BIN"
LOG = "XIANLI_LOG"
STDERR = "-"


class Limits(Struct, frozen=True):
    """How many connections to a server a process holds, and how long it waits for what.

    A command holds one connection, the service two.
    """

    pool: int = 2
    connect_seconds: int = 10
    lock_seconds: int = 30
    statement_seconds: int = 600


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is used: the limits, and where PostgreSQL's own programs lie.

    They run in `environment`; without `binaries` they are looked for on its PATH. `backup_env`
    names the variable with the address by which the service takes its backups.
    """

    limits: Limits = field(default_factory=Limits)
    binaries: Path | None = None
    backup_env: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class Log(Struct, frozen=True):
    """Where the log of what was run goes: a folder, for so many days, or the error stream."""

    folder: Path | None
    keep: int


class Operation(Struct, frozen=True):
    """Both; without `log` nothing is logged."""

    server: Server
    log: Log | None


def home_of(url: str) -> Path:
    """The folder of the configuration file, from the address alone: see `Database.home`."""
    if url.startswith("postgresql"):
        return Path()
    return Path(url.removeprefix("sqlite:///")).parent


def load(file: Path | None, home: Path, environment: Mapping[str, str]) -> Operation:
    """What holds on this computer, by the file as `settings.load` finds it. Raises BadFile."""
    found = toml_file.found(file, home)
    if found is None:
        reader = Reader({}, home.resolve(), environment)
    else:
        reader = Reader(toml_file.read(found), found.resolve().parent, environment)
    document = dict(reader.document)
    told = Operation(server(reader, document), log(reader, document))
    if found is not None:
        refuse(found, reader.faults)
    return told


def server(reader: Reader, document: Table) -> Server:
    """The section `[postgresql]`; the environment's folder of programs comes first."""
    table = reader.table(document, "postgresql")
    usual = Limits()
    limits = Limits(
        pool=reader.number(table, "postgresql.pool", usual.pool, 100, least=2),
        connect_seconds=reader.number(
            table, "postgresql.connect_seconds", usual.connect_seconds, 600
        ),
        lock_seconds=reader.number(table, "postgresql.lock_seconds", usual.lock_seconds, 3600),
        statement_seconds=reader.number(
            table, "postgresql.statement_seconds", usual.statement_seconds, 86400
        ),
    )
    written = reader.text(table, "postgresql.bin")
    # Only the service's environment holds the address; other commands do not ask for it.
    backup_env = reader.text(table, "postgresql.backup_url_env")
    reader.rest(table, "postgresql")
    given = reader.environment.get(BINARIES)
    binaries = Path(given) if given else reader.beside / written if written else None
    return Server(limits, binaries, backup_env, reader.environment)


def log(reader: Reader, document: Table) -> Log | None:
    """The section `[log]`; what the environment says comes first: a folder, or `-` for stderr."""
    table = reader.table(document, "log")
    folder = reader.text(table, "log.folder")
    keep = reader.number(table, "log.keep", 90, 3650)
    to_stderr = reader.flag(table, "log.stderr")
    reader.rest(table, "log")
    if folder is not None and to_stderr:
        reader.fault("log.stderr", "已写了 folder；两样只能写一样")
    given = reader.environment.get(LOG)
    if given:
        return Log(None if given == STDERR else Path(given), keep)
    if folder is not None:
        return Log(reader.beside / folder, keep)
    return Log(None, keep) if to_stderr else None
