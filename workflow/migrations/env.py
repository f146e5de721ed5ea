"""Alembic's environment: it works on the connection it is handed, in one transaction."""

from alembic import context

from workflow.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
