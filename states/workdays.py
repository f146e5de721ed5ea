"""Days and working days of China, make-up days included.

Working days come from `chinesecalendar` (the State Council's yearly notices) and from what a county
has entered itself. Past both, a day counts as working from Monday to Friday and `known` says no:
such a deadline is 暂定.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from functools import cache

import chinese_calendar
from msgspec import Struct

from states.errors import PlanFault

# China has kept UTC+8 without summer time since 1992, so a fixed offset is exact here.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
ONE_DAY = timedelta(days=1)
# The State Council announces a year's holidays in October or November of the year before.
ANNOUNCED_BY = (12, 15)


def local_date(instant: datetime) -> date:
    """The county's calendar date of an aware instant."""
    return instant.astimezone(SHANGHAI).date()


def local_minute(instant: datetime) -> str:
    """An aware instant in the county's time, to the minute: `2023-09-15 10:00`."""
    return f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


class Holidays(Struct, frozen=True):
    """One year's holidays as a county entered them, with the notice they come from.

    `off` are weekdays on which offices rest, `working` weekend days on which they work.
    """

    year: int
    source: str
    off: frozenset[date]
    working: frozenset[date]


class Calendar(Struct, frozen=True):
    """The working days a county counts by; its own entries come before the shipped data."""

    years: tuple[Holidays, ...] = ()

    def known(self, day: date) -> bool:
        """Whether the holidays of this day's year have been announced and entered."""
        return _shipped(day) is not None or self._entered(day) is not None

    def is_workday(self, day: date) -> bool:
        """Whether offices work on this day; Monday to Friday where that is not yet known."""
        holidays = self._entered(day)
        if holidays is not None:
            return day in holidays.working or (day.weekday() < 5 and day not in holidays.off)
        shipped = _shipped(day)
        return day.weekday() < 5 if shipped is None else shipped

    def last_workday(self, day: date) -> date:
        """The last working day on or before `day`."""
        return self.before(day, 1) + ONE_DAY

    def workdays_left(self, after: date, until: date) -> int:
        """How many working days lie in (after, until]; 0 when `until` is not later."""
        return _workdays_left(self, after, until)

    def after(self, day: date, workdays: int) -> date:
        """The day that is so many working days after `day`."""
        while workdays > 0:
            day += ONE_DAY
            workdays -= self.is_workday(day)
        return day

    def before(self, day: date, workdays: int) -> date:
        """The last day after which so many working days are left until `day`, that day included."""
        return _before(self, day, workdays)

    def missing(self, today: date) -> int | None:
        """The coming year, if its holidays must have been announced by now and are not here."""
        if (today.month, today.day) < ANNOUNCED_BY or self.known(date(today.year + 1, 1, 1)):
            return None
        return today.year + 1

    def _entered(self, day: date) -> Holidays | None:
        # The last word on a year counts.
        return next((found for found in reversed(self.years) if found.year == day.year), None)


NATIONAL = Calendar()


@cache
def _shipped(day: date) -> bool | None:
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None


# Thousands of cases ask for the same few days.
@cache
def _before(calendar: Calendar, day: date, workdays: int) -> date:
    while workdays > 0:
        workdays -= calendar.is_workday(day)
        day -= ONE_DAY
    return day


@cache
def _workdays_left(calendar: Calendar, after: date, until: date) -> int:
    return sum(
        calendar.is_workday(after + timedelta(days=offset))
        for offset in range(1, (until - after).days + 1)
    )


def shipped_years() -> tuple[int, int]:
    """The first and the last year that `chinesecalendar` knows."""
    years = [day.year for day in chinese_calendar.holidays]
    return min(years), max(years)


def holidays_of(document: Mapping[str, object], place: str) -> Holidays:
    """One year's holidays from a county's file or the journal; days may be dates or texts.

    Raises PlanFault with the key and what to do.
    """
    for key in document:
        if key not in ("year", "source", "off", "working"):
            raise _fault("不认识的键", f"{place}: {key}")
    year, source = document.get("year"), document.get("source")
    if not isinstance(year, int) or isinstance(year, bool) or not 2000 <= year <= 2100:
        raise _fault("year 须是年份，如 2027", f"{place}: year")
    if not isinstance(source, str) or not source.strip():
        raise _fault("source 须写明节假日安排的来源（通知名称和文号）", f"{place}: source")
    off = _days(document, "off", year, place)
    working = _days(document, "working", year, place)
    for day in sorted(off):
        if day.weekday() >= 5:
            raise _fault(f"{day} 本就是周末，不必列为放假日", f"{place}: off")
    for day in sorted(working):
        if day.weekday() < 5:
            raise _fault(f"{day} 本就是周一至周五，不必列为调休上班日", f"{place}: working")
    if not off:
        raise _fault("没有列出放假日", f"{place}: off")
    return Holidays(year, source.strip(), off, working)


def _days(document: Mapping[str, object], key: str, year: int, place: str) -> frozenset[date]:
    listed = document.get(key, [])
    if not isinstance(listed, list):
        raise _fault(f"{key} 须是日期的列表", f"{place}: {key}")
    days = []
    for value in listed:
        try:
            day = value if isinstance(value, date) else date.fromisoformat(str(value))
        except ValueError:
            raise _fault(f"“{value}”不是日期，写作 {year}-10-01", f"{place}: {key}") from None
        if isinstance(day, datetime) or day.year != year:
            raise _fault(f"{day} 不是 {year} 年的日期", f"{place}: {key}")
        days.append(day)
    if len(set(days)) != len(days):
        raise _fault(f"{key} 中有日期列了两次", f"{place}: {key}")
    return frozenset(days)


def _fault(message: str, place: str) -> PlanFault:
    return PlanFault(
        message, place=place, remedy="改正后再试；写法见 docs/example/holidays-2027.toml"
    )
