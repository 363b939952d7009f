"""Alembic's entry: migrates the connection that `data.store` hands over, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
