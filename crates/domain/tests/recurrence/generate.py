"""Writes cases.json: rules, and the dates that they give by python-dateutil.

Run it in this folder, with Python 3.9 or later and python-dateutil (`pip install python-dateutil tzdata`):

    python generate.py > cases.json

dateutil picks the days, on naive local times. What RFC 5545 says otherwise is done here:

- A local time that does not exist is ignored and not counted, one that exists twice means the first (sections 3.3.10
  and 3.3.5). So COUNT, UNTIL and BYSETPOS are applied here, to the instants.
- BYSETPOS chooses from a whole period, also where the first date lies within it; dateutil begins at the first date.
- Weekdays with and without numbers add up in BYDAY; dateutil takes only days that are both.
- BYWEEKNO alone means the weekday of the first date; dateutil takes all seven. Numbers of weeks are found here, as
  dateutil 2.9 takes Sunday 2 January 2039 for week 53 (it is in week 52), and knows no -1 in a week of another year.
"""

import itertools
import json
import random
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from dateutil.rrule import rruleset, rrulestr

SHOWN = 10
LAST_YEAR = 2070  # later ones are not shown; some tables of time zones end in 2100
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
WARSAW, NEW_YORK = "Europe/Warsaw", "America/New_York"


def parts_of(rule):
    return dict(part.split("=") for part in rule.split(";"))


def text_of(parts):
    return ";".join(f"{name}={value}" for name, value in parts.items())


def resolve(local, zone):
    """The first instant at which clocks show a local time, or None where they never do."""
    at = local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(timezone.utc)
    return at if at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local else None


def period_start(day, parts):
    """The first day of the period that a day is in."""
    if parts["FREQ"] == "WEEKLY":
        return day - timedelta((day.weekday() - DAYS.index(parts.get("WKST", "MO"))) % 7)
    return {"DAILY": day, "MONTHLY": day.replace(day=1), "YEARLY": day.replace(month=1, day=1)}[parts["FREQ"]]


def week_of(day, parts):
    """The number of a day's week in the year that has four of its days or more, from its start and from its end."""
    fourth = period_start(day, {**parts, "FREQ": "WEEKLY"}) + timedelta(3)
    same_year = [fourth + timedelta(7 * weeks) for weeks in range(-53, 54)]
    same_year = [other for other in same_year if other.year == fourth.year]
    number = same_year.index(fourth) + 1
    assert parts.get("WKST", "MO") != "MO" or number == day.isocalendar()[1]
    return {number, number - len(same_year) - 1}


def picked(parts, first):
    """The local times that a rule picks from the period of the first one on, without an end and without BYSETPOS."""
    kept = {name: value for name, value in parts.items() if name not in ("COUNT", "UNTIL", "BYSETPOS")}
    week_numbers = [int(number) for number in kept.pop("BYWEEKNO", "").split(",") if number]
    if week_numbers and not {"BYDAY", "BYMONTHDAY", "BYYEARDAY"} & kept.keys():
        kept["BYDAY"] = DAYS[first.weekday()]
    start = first
    if "BYSETPOS" in parts:
        start = datetime.combine(period_start(first.date(), parts), first.time())
    weekdays = kept.get("BYDAY", "").split(",")
    both = rruleset()
    for some in ([day for day in weekdays if len(day) == 2], [day for day in weekdays if len(day) > 2]):
        if some:
            both.rrule(rrulestr(text_of({**kept, "BYDAY": ",".join(some)}), dtstart=start))
    if "BYDAY" not in kept:
        both.rrule(rrulestr(text_of(kept), dtstart=start))
    shown = itertools.takewhile(lambda local: local.year < LAST_YEAR, both)
    return (local for local in shown if not week_numbers or set(week_numbers) & week_of(local.date(), parts))


def dates(rule, first, zone):
    parts = parts_of(rule)
    found = ((local, resolve(local, zone)) for local in picked(parts, first))
    found = ((local, at) for local, at in found if at)
    if "BYSETPOS" in parts:
        found = chosen(found, parts)
    found = (at for local, at in found if local >= first)
    if "UNTIL" in parts:
        until = parts["UNTIL"]
        if "T" in until:
            last_at = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
            found = itertools.takewhile(lambda at: at <= last_at, found)
        else:
            last_on = datetime.strptime(until, "%Y%m%d").date()
            found = itertools.takewhile(lambda at: at.astimezone(ZoneInfo(zone)).date() <= last_on, found)
    return itertools.islice(found, int(parts["COUNT"]) if "COUNT" in parts else None)


def chosen(found, parts):
    for _, group in itertools.groupby(found, lambda pair: period_start(pair[0].date(), parts)):
        group = list(group)
        indices = {n - 1 if n > 0 else len(group) + n for n in map(int, parts["BYSETPOS"].split(","))}
        yield from (pair for index, pair in enumerate(group) if index in indices)


def case(rule, first, zone):
    shown = list(itertools.islice(dates(rule, first, zone), SHOWN + 1))
    assert shown and shown[0] == resolve(first, zone), (rule, first, zone)
    parts = parts_of(rule)
    return {
        "rule": rule,
        "first": first.strftime("%Y-%m-%dT%H:%M:%S"),
        "zone": zone,
        "ended": len(shown) <= SHOWN and ("UNTIL" in parts or len(shown) == int(parts.get("COUNT", 0))),
        "dates": [at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in shown[:SHOWN]],
    }


def case_after(rule, start, zone):
    """A case that begins with the first date of the rule from a local time on; None if there is none."""
    endless = text_of({name: value for name, value in parts_of(rule).items() if name not in ("COUNT", "UNTIL")})
    first_at = next(dates(endless, start, zone), None)
    if not first_at:
        return None
    first = first_at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return case(rule, first, zone) if next(dates(rule, first, zone), None) else None


# RFC 5545, section 3.8.5.3, but for those with times of day in the rule.
OF_THE_RFC = [
    ("19970902", "FREQ=DAILY;COUNT=10"),
    ("19970902", "FREQ=DAILY;UNTIL=19971224T000000Z"),
    ("19970902", "FREQ=DAILY;INTERVAL=2"),
    ("19970902", "FREQ=DAILY;INTERVAL=10;COUNT=5"),
    ("19980101", "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA"),
    ("19980101", "FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1"),
    ("19970902", "FREQ=WEEKLY;COUNT=10"),
    ("19970902", "FREQ=WEEKLY;UNTIL=19971224T000000Z"),
    ("19970902", "FREQ=WEEKLY;INTERVAL=2;WKST=SU"),
    ("19970902", "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH"),
    ("19970902", "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH"),
    ("19970901", "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR"),
    ("19970902", "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH"),
    ("19970905", "FREQ=MONTHLY;COUNT=10;BYDAY=1FR"),
    ("19970905", "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR"),
    ("19970907", "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU"),
    ("19970922", "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO"),
    ("19970928", "FREQ=MONTHLY;BYMONTHDAY=-3"),
    ("19970902", "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15"),
    ("19970930", "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1"),
    ("19970910", "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15"),
    ("19970902", "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU"),
    ("19970610", "FREQ=YEARLY;COUNT=10;BYMONTH=6,7"),
    ("19970310", "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3"),
    ("19970101", "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200"),
    ("19970519", "FREQ=YEARLY;BYDAY=20MO"),
    ("19970512", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO"),
    ("19970313", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH"),
    ("19970605", "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8"),
    ("19980213", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13"),  # there from 2 September 1997, which is taken out
    ("19970913", "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13"),
    ("19961105", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8"),
    ("19970904", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3"),
    ("19970929", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2"),
    ("19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO"),
    ("19970805", "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU"),
    ("20070115", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5"),
]


def last_sunday(year, month):
    last = date(year, month, 31)
    return last - timedelta((last.weekday() + 1) % 7)


def around_clock_changes():
    """Warsaw, on and around the last Sundays of March (02:00 becomes 03:00) and October (03:00 becomes 02:00)."""
    times = itertools.cycle([time(2, 30), time(2), time(2, 59, 59), time(1, 59, 59), time(3), time(9), time(0)])
    for year in range(2024, 2031):
        march, october = last_sunday(year, 3), last_sunday(year, 10)
        for change in (march, october):
            compact = change.strftime("%Y%m%d")
            for rule, days_before in [
                ("FREQ=DAILY", 3),
                ("FREQ=DAILY;COUNT=5", 2),
                (f"FREQ=DAILY;UNTIL={compact}", 4),
                (f"FREQ=DAILY;UNTIL={compact}T003000Z", 1),
                ("FREQ=WEEKLY;BYDAY=SA,SU", 7),
                ("FREQ=WEEKLY;INTERVAL=2;COUNT=4", 28),
                ("FREQ=MONTHLY;BYDAY=-1SU", 60),
                ("FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU;COUNT=6", 0),
            ]:
                yield rule, datetime.combine(change - timedelta(days_before), next(times)), WARSAW
        half_past_two = datetime(year, 1, 1, 2, 30)
        yield "FREQ=MONTHLY;BYDAY=SU;BYSETPOS=-1", half_past_two, WARSAW
        yield "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=-2,-1;COUNT=9", half_past_two, WARSAW
        yield "FREQ=DAILY;BYMONTH=3,10;BYMONTHDAY=25,26,27,28,29,30,31", half_past_two, WARSAW


def random_rule(rng):
    """A rule that makes sense more often than not."""
    def some(numbers, most=3):
        return ",".join(map(str, sorted(rng.sample(numbers, rng.randint(1, most)))))

    def signed(most):
        return [*range(-most, 0), *range(1, most + 1)]

    def weekdays(ordinals=()):
        return ",".join(dict.fromkeys(
            f"{rng.choice(ordinals) if ordinals and rng.random() < 0.7 else ''}{day}"
            for day in rng.sample(DAYS, rng.randint(1, 4))))

    frequency = rng.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    parts = {"FREQ": frequency}
    end = rng.random()
    if end < 0.25:
        parts["COUNT"] = rng.randint(1, 14)
    elif end < 0.35:
        parts["UNTIL"] = f"{rng.randint(2026, 2032)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    elif end < 0.45:
        parts["UNTIL"] = f"{rng.randint(2026, 2032)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}T{rng.randint(0, 23):02}0000Z"
    if rng.random() < 0.5:
        parts["INTERVAL"] = rng.choice([2, 2, 3, 4, 5, 12])
    if rng.random() < 0.3:
        parts["BYMONTH"] = some(range(1, 13), 4)
    if frequency == "YEARLY" and rng.random() < 0.25:
        parts["BYWEEKNO"] = some([1, 2, 20, 51, 52, 53, -1, -2, -20])
        parts.pop("BYMONTH", None)
        if rng.random() < 0.8:
            parts["BYDAY"] = weekdays()
    elif frequency == "YEARLY" and rng.random() < 0.25:
        parts["BYYEARDAY"] = some([*signed(366), 1, -1, 60, 366, -366], 6)
        parts.pop("BYMONTH", None)
    elif frequency != "WEEKLY" and rng.random() < 0.4:
        parts["BYMONTHDAY"] = some(signed(31) + [30, 31, 31, -1, -31], 5)
    if "BYDAY" not in parts and "BYWEEKNO" not in parts and rng.random() < 0.5:
        of_month, of_year = [1, 2, 3, 4, 5, -1, -2, -4], [1, 2, 10, 20, 52, 53, -1, -2, -52, -53]
        ordinals = {"MONTHLY": of_month, "YEARLY": of_month if "BYMONTH" in parts else of_year}
        parts["BYDAY"] = weekdays(ordinals.get(frequency, ()))
    if any(name.startswith("BY") for name in parts) and rng.random() < 0.35:
        parts["BYSETPOS"] = some([1, 2, 3, -1, -2, -3])
    if rng.random() < 0.4:
        parts["WKST"] = rng.choice(DAYS)
    return text_of(parts)


def at_random(seed, count):
    rng = random.Random(seed)
    zones = [WARSAW, WARSAW, NEW_YORK, "UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "America/Havana"]
    times = [time(0), time(0, 30), time(2), time(2, 30), time(9), time(17, 45), time(23, 59, 59)]
    found = 0
    while found < count:
        start = datetime.combine(date(2024, 1, 1) + timedelta(rng.randrange(1500)), rng.choice(times))
        made = case_after(random_rule(rng), start, rng.choice(zones))
        if made:
            found += 1
            yield made


def cases(seed=5545, count=120):
    for day, rule in OF_THE_RFC:
        yield case(rule, datetime.strptime(day, "%Y%m%d").replace(hour=9), NEW_YORK)
    for rule, start, zone in around_clock_changes():
        made = case_after(rule, start, zone)
        if made:
            yield made
    yield from at_random(seed, count)


if __name__ == "__main__":
    print("[")
    print(",\n".join(json.dumps(made) for made in cases()))
    print("]")
