"""The kinds of column that are our own."""

from datetime import datetime

from sqlalchemy import Dialect, String, TypeDecorator

from workflow.instants import instant_of, instant_text


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant, kept as the journal's own text: every database sorts it alike."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else instant_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else instant_of(value)
