"""The schema's history. `upgrade` brings a database to the newest version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect

from states.errors import UsageFault
from workflow import access


def make(connection: Connection) -> None:
    """Makes the tables of the newest version where there are none.

    Raises UsageFault where somebody else was quicker.
    """
    if inspect(connection).has_table("alembic_version"):
        raise UsageFault("另有人刚建好了这个数据库", place="--db", remedy="核对后直接使用它")
    upgrade(connection)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Brings the database behind an open transaction to a revision; the caller commits.

    On a server it is done as the owner, in the plan's schema, and at the newest version ends with
    who may do what there (`access`). Raises what `access.begin` does.
    """
    shared = connection.dialect.name == "postgresql"
    if shared:
        access.begin(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if shared and revision == "head":
        access.install(connection)
