"""Days and working days of China, make-up days included.

Working days come from `chinesecalendar` (the State Council's yearly notices). Past its data a day
counts as working from Monday to Friday and `known` says no: such a deadline is 暂定.
"""

from datetime import date, datetime, timedelta, timezone
from functools import cache

import chinese_calendar

# China has kept UTC+8 without summer time since 1992, so a fixed offset is exact here.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
ONE_DAY = timedelta(days=1)


def local_date(instant: datetime) -> date:
    """The county's calendar date of an aware instant."""
    return instant.astimezone(SHANGHAI).date()


@cache
def known(day: date) -> bool:
    """Whether the holiday notice that covers this day has been published."""
    try:
        chinese_calendar.is_workday(day)
    except NotImplementedError:
        return False
    return True


@cache
def is_workday(day: date) -> bool:
    """Whether offices work on this day; Monday to Friday where the notice is not yet known."""
    if not known(day):
        return day.weekday() < 5
    return bool(chinese_calendar.is_workday(day))


def last_workday(day: date) -> date:
    """The last working day on or before `day`."""
    while not is_workday(day):
        day -= ONE_DAY
    return day


@cache
def workdays_left(after: date, until: date) -> int:
    """How many working days lie in (after, until]; 0 when `until` is not later."""
    return sum(
        is_workday(after + timedelta(days=offset)) for offset in range(1, (until - after).days + 1)
    )
