"""Reads the feeds of a demo firm with icalendar and khal, and compares what they show with GET /calendar.

Arguments: the server's address, and a folder for what khal keeps.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import icalendar
from icalendar.parser import Contentlines

SERVER, FOLDER = sys.argv[1], Path(sys.argv[2])
WARSAW = ZoneInfo("Europe/Warsaw")
# What is read: the last change of the clocks and the next one, whatever day it is.
PAST_DAYS, FUTURE_DAYS = 240, 240
TODAY = datetime.now(WARSAW).date()


def call(method, path, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{SERVER}/api/v1{path}", data, headers, method=method)
    if data is not None:
        request.add_header("Content-Type", "application/merge-patch+json" if method == "PATCH" else "application/json")
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()}\n{body}")


def sign_in():
    body = {"grant_type": "password", "username": "anna@kropka.example", "password": "kropka-demo-2026"}
    return {"Authorization": f"Bearer {call('POST', '/auth/token', body)['access_token']}"}


@dataclass(frozen=True, order=True)
class Entry:
    """An entry as a reader sees it: instants in UTC, or days of which the last is the one before `end`."""

    uid: str
    start: str
    end: str
    all_day: bool
    title: str


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(microsecond=0)


def spelt(value):
    return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def midnight(day):
    return datetime.combine(day, time(), WARSAW)


def at(day, clock, fold=0):
    """A time on the clocks of Warsaw, in the pass `fold` of an hour that they show twice, as the API takes it."""
    local = datetime.combine(day, time.fromisoformat(clock), WARSAW).replace(fold=fold)
    return spelt(local)


def clock_changes():
    """The last one and the next one, each with its name: they are on the last Sundays of March and October."""
    last_days = [(name, date(TODAY.year + years, month, 31)) for years in (-1, 0, 1) for name, month in (("spring", 3), ("autumn", 10))]
    sundays = [(name, day - timedelta(days=(day.weekday() + 1) % 7)) for name, day in last_days]
    return [[it for it in sundays if it[1] <= TODAY][-1], [it for it in sundays if it[1] > TODAY][0]]


def make_entries(token):
    """What readers stumble over, on days when the clocks change and at other times. Tells the titles."""
    customer = call("POST", "/customers", {"kind": "company", "name": "Kłos, Syn; i S-ka \\ \"Żółw\""}, **token)["id"]
    made = []

    def task(title, **fields):
        made.append(title)
        return call("POST", "/tasks", {"title": title, **fields}, **token)

    for name, day in clock_changes():
        for clock, fold in (("01:30", 0), ("02:30", 0), ("02:30", 1), ("03:30", 0)):
            start = moment(at(day, clock, fold))
            end = start + timedelta(minutes=45)
            title = f"{name} {clock} {fold}"
            task(title, start_at=spelt(start), due_at=spelt(end))
            task(f"{title}, deadline", due_at=spelt(start), customer_id=customer)
            task(f"{title}, beginning", start_at=spelt(start))
        task(f"{name}, the whole night", start_at=at(day - timedelta(days=1), "22:00"), due_at=at(day, "06:00"))
        task(f"{name}, one day", due_at=at(day, "12:00"), all_day=True)
        first, last = day - timedelta(days=2), day + timedelta(days=2)
        task(f"{name}, five days", start_at=at(first, "12:00"), due_at=at(last, "12:00"), all_day=True)
        weekly = {"recurrence": "FREQ=WEEKLY;COUNT=6", "due_at": at(day - timedelta(days=17), "09:00")}
        task(f"{name}, weekly at nine", **weekly)
        nightly = {"recurrence": "FREQ=DAILY;COUNT=6", "due_at": at(day - timedelta(days=3), "02:30")}
        task(f"{name}, nightly at half past two", start_at=at(day - timedelta(days=3), "01:45"), **nightly)
        whole = {"recurrence": "FREQ=DAILY;COUNT=4", "due_at": at(day - timedelta(days=2), "12:00"), "all_day": True}
        task(f"{name}, daily, whole days", **whole)

    soon = TODAY + timedelta(days=3)
    meeting = {
        "customer_id": customer, "channel": "meeting", "direction": "outbound", "status": "planned",
        "started_at": at(soon, "23:15"), "duration_minutes": 90, "subject": "Kolacja, przez północ",
        "description": "Stolik; w \"Żółwiu\"\\nna dole,\n\npotem spacer 🙂",
    }
    call("POST", "/interactions", meeting, **token)
    made.append(meeting["subject"])
    call("POST", "/interactions", {**meeting, "subject": "Chwila", "duration_minutes": 0, "started_at": at(soon, "08:00")}, **token)
    made.append("Chwila")
    for title in (
        "a, b; c: d \\ e \\n f \\, \"g\" 'h'",
        "🙂 👩‍💻 zażółć gęślą jaźń ＃",
        ("Zażółć gęślą jaźń, a potem łódź; i jeszcze ćma. " * 7)[:239],
        "x" * 240,
        "%s <b>&amp;</b> BEGIN:VEVENT",
    ):
        task(title, start_at=at(soon, "10:00"), due_at=at(soon, "10:30"), customer_id=customer, description=title + "\n" + title * 3)
    done = task("Zrobione", due_at=at(soon, "11:00"))
    call("PATCH", f"/tasks/{done['id']}", {"status": "done"}, **token, **{"If-Match": "\"1\""})
    return made


def calendar(token):
    """What GET /calendar shows in the days of the feed: as readers should show it, and as it stands there, by UID."""
    start, end = midnight(TODAY - timedelta(days=PAST_DAYS)), midnight(TODAY + timedelta(days=FUTURE_DAYS + 1))
    firm = call("GET", "/organization", **token)["id"]
    names, cursor = {}, ""
    while cursor is not None:
        page = call("GET", f"/customers?limit=200&include_archived=true&fields=name,short_name{cursor}", **token)
        names.update({it["id"]: it["short_name"] or it["name"] for it in page["items"]})
        cursor = page["next_cursor"] and "&cursor=" + quote(page["next_cursor"])
    entries = {}
    while start < end:
        until = min(start + timedelta(days=366), end)
        path = f"/calendar?from={spelt(start)}&to={spelt(until)}"
        for item in call("GET", path, **token, **{"Accept-Language": "pl"})["entries"]:
            if item["task_series_id"] and item["occurrence_at"]:
                key = f"series-{item['task_series_id']}-{moment(item['occurrence_at']):%Y%m%dT%H%M%SZ}"
            elif item["id"]:
                key = f"{item['kind']}-{item['id']}"
            else:
                key = f"{item['kind']}-{firm}-{item['start_on'].replace('-', '')}"
            entries[f"{key}@opiekun"] = item
        start = until
    shown = []
    for uid, item in entries.items():
        customer = names.get(item["customer_id"])
        title = f"{item['title']} – {customer}" if customer else item["title"]
        if item["all_day"]:
            shown.append(Entry(uid, item["start_on"], item["end_on"], True, title))
        else:
            shown.append(Entry(uid, spelt(moment(item["start"])), spelt(moment(item["end"])), False, title))
    return shown, entries


def feed(token, tasks_as):
    operator = call("GET", "/me", **token)["operator"]
    call("PATCH", f"/operators/{operator['id']}", {"locale": "pl"}, **token, **{"If-Match": "*"})
    body = {"name": "Kropka, praca", "tasks_as": tasks_as, "past_days": PAST_DAYS, "future_days": FUTURE_DAYS}
    url = call("POST", "/calendar/feeds", body, **token)["url"]
    with urllib.request.urlopen(url) as response:
        assert response.headers["Content-Type"] == "text/calendar; charset=utf-8", response.headers
        whole = response.read()
    with urllib.request.urlopen(url) as response:
        assert response.read() == whole, "the same entries are other bytes"
    return whole


def strictly(raw):
    """The calendar as icalendar reads it without forgiving anything."""
    for line in raw.split(b"\r\n"):
        assert len(line) <= 75 and b"\n" not in line and b"\r" not in line, line
        line.decode()
    for line in Contentlines.from_ical(raw.decode()):
        if line:
            line.strict = True
            line.parts()
    for kind in (icalendar.Calendar, icalendar.Event, icalendar.Todo, icalendar.Timezone):
        # Left to itself, it drops from a component what it cannot read.
        kind.ignore_exceptions = False
    read = icalendar.Calendar.from_ical(raw)
    uids = set()
    for component in read.walk():
        name = component.name
        assert not component.errors, (name, component.errors)
        missing = [it for it in component.required if it not in component]
        assert not missing, (name, missing, component)
        twice = [it for it in component.singletons if isinstance(component.get(it), list)]
        assert not twice, (name, twice, component)
        both = [it for it in component.exclusive if it in component]
        assert len(both) < 2, (name, both, component)
        if name in ("VEVENT", "VTODO"):
            assert component["UID"] not in uids, f"{component['UID']} is there twice"
            uids.add(component["UID"])
            for stamp in ("DTSTAMP", "LAST-MODIFIED", "CREATED"):
                value = component.get(stamp)
                assert value is None or value.dt.utcoffset() == timedelta(0), (stamp, component)
            assert component["SEQUENCE"] >= 0 and component["STATUS"] and component["CATEGORIES"], component
    for name in ("VERSION", "PRODID", "NAME", "X-WR-CALNAME", "REFRESH-INTERVAL"):
        assert name in read, name
    assert read["REFRESH-INTERVAL"].dt == timedelta(minutes=15)
    assert not read.get_missing_tzids(), read.get_missing_tzids()
    check_time_zone(read)
    return read


def check_time_zone(read):
    """The definition of the time zone, not its name, tells what the clocks show."""
    [definition] = read.walk("VTIMEZONE")
    zone = definition.to_tz(lookup_tzid=False)
    hour = midnight(TODAY - timedelta(days=PAST_DAYS)).astimezone(timezone.utc)
    end = midnight(TODAY + timedelta(days=FUTURE_DAYS)).astimezone(timezone.utc)
    while hour < end:
        local = hour.astimezone(WARSAW)
        # What clocks show twice is written in UTC.
        if local.utcoffset() == local.replace(fold=1).utcoffset() and local.fold == 0:
            naive = local.replace(tzinfo=None)
            told = zone.utcoffset(naive)
            assert told == local.utcoffset(), f"{naive}: {told}, not {local.utcoffset()}"
        hour += timedelta(hours=1)


def of_icalendar(read):
    """What icalendar makes of the events."""
    shown = []
    for event in read.walk("VEVENT"):
        start, end = event.start, event.end
        all_day = not isinstance(start, datetime)
        spell = (lambda it: it.isoformat()) if all_day else spelt
        shown.append(Entry(str(event["UID"]), spell(start), spell(end), all_day, str(event["SUMMARY"])))
    return shown


def of_khal(raw, zone):
    """What khal shows on clocks of a zone, once it has imported the feed."""
    home = FOLDER / f"khal-{zone.replace('/', '-')}"
    home.mkdir()
    (home / "calendar").mkdir()
    (home / "feed.ics").write_bytes(raw)
    (home / "config").write_text(f"""
[calendars]
[[work]]
path = {home}/calendar
[sqlite]
path = {home}/khal.db
[locale]
local_timezone = {zone}
default_timezone = {zone}
timeformat = %H:%M:%S
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = %Y-%m-%d %H:%M:%S
longdatetimeformat = %Y-%m-%d %H:%M:%S
unicode_symbols = False
""")
    environment = {**os.environ, "TZ": zone, "LC_ALL": "C.UTF-8", "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}

    def khal(*arguments):
        command = [sys.executable, "-m", "khal", "-c", str(home / "config"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"khal {arguments[0]}: {done.stderr}\n{done.stdout}"
        # Of what it takes against the feed it says so and goes on.
        complaints = [line for line in done.stderr.splitlines() if line.strip()]
        assert not complaints, f"khal {arguments[0]}:\n" + "\n".join(complaints[:20])
        return done.stdout

    khal("import", "--batch", "--include-calendar", "work", str(home / "feed.ics"))
    # Entries may have begun long before the feed's first day.
    days = (TODAY - timedelta(days=PAST_DAYS + 1), TODAY + timedelta(days=FUTURE_DAYS + 2))
    fields = [argument for field in ("uid", "start-long", "end-long", "all-day", "title") for argument in ("--json", field)]
    listed = khal("list", "--once", *fields, *(f"{day}" for day in days))
    shown = set()
    for line in listed.splitlines():
        for event in json.loads(line):
            all_day = event["all-day"] == "True"
            end = event["end-long"]
            if all_day:
                # It shows the last day, not the one after.
                end = (date.fromisoformat(end) + timedelta(days=1)).isoformat()
            shown.add(Entry(event["uid"], event["start-long"], end, all_day, event["title"]))
    return sorted(shown)


def on_clocks(entries, zone):
    """Entries as a reader shows them that tells times by the clocks of a zone alone."""
    def shown(text):
        return moment(text).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")

    return [
        it if it.all_day else Entry(it.uid, shown(it.start), shown(it.end), False, it.title)
        for it in entries
    ]


def of_todos(read, entries):
    """What icalendar makes of the things to do, and what it should, by UID."""
    shown, expected = {}, {}
    for todo in read.walk("VTODO"):
        spell = lambda it: it and (spelt(it) if isinstance(it, datetime) else it.isoformat())
        start, due = (todo[name].dt if name in todo else None for name in ("DTSTART", "DUE"))
        if start and due:
            assert type(start) is type(due) and start < due, todo
        shown[str(todo["UID"])] = (spell(start), spell(due), str(todo["STATUS"]), todo.get("PERCENT-COMPLETE"))
    words = {"open": "NEEDS-ACTION", "in_progress": "IN-PROCESS", "done": "COMPLETED"}
    for uid, item in entries.items():
        if item["kind"] not in ("task", "recurring_task"):
            continue
        if item["all_day"]:
            start, due = item["start_on"], (date.fromisoformat(item["end_on"]) - timedelta(days=1)).isoformat()
        else:
            start, due = spelt(moment(item["start"])), spelt(moment(item["end"]))
        # A deadline alone has no start; what is never due is told by its title here.
        start = None if start == due else start
        if item["title"].endswith("beginning"):
            start, due = due, None
        expected[uid] = (start, due, words[item["status"]], item["percent_done"])
    return shown, expected


def compare(reader, shown, expected):
    """Fails with what differs, entry by entry."""
    shown, expected = sorted(shown), sorted(expected)
    if shown == expected:
        print(f"{reader}: {len(shown)} entries as in /calendar")
        return True
    print(f"{reader} shows other entries than /calendar (- as it should be, + as it is):")
    only_expected, only_shown = sorted(set(expected) - set(shown)), sorted(set(shown) - set(expected))
    for sign, entry in sorted([(str(it), ("-", it)) for it in only_expected] + [(str(it), ("+", it)) for it in only_shown]):
        print("  ", *entry)
    if len(shown) != len(set(shown)):
        print("   some entries are shown twice")
    return False


def main():
    token = sign_in()
    made = make_entries(token)
    raw = feed(token, "event")
    expected, entries = calendar(token)
    titles = {item["title"] for item in entries.values()}
    assert not set(made) - titles, f"not in the calendar: {set(made) - titles}"
    kinds = {item["kind"] for item in entries.values()}
    assert kinds == {"task", "recurring_task", "interaction", "invoice_run"}, kinds

    read = strictly(raw)
    agreed = [compare("icalendar", of_icalendar(read), expected)]
    for zone in ("UTC", "Europe/Warsaw"):
        agreed.append(compare(f"khal on the clocks of {zone}", of_khal(raw, zone), on_clocks(expected, zone)))

    read = strictly(feed(token, "todo"))
    shown, wanted = of_todos(read, entries)
    agreed.append(compare("icalendar, things to do", shown.items(), wanted.items()))
    tasks = {uid for uid, item in entries.items() if item["kind"] in ("task", "recurring_task")}
    others = [it for it in expected if it.uid not in tasks]
    agreed.append(compare("icalendar, beside things to do", of_icalendar(read), others))
    sys.exit(0 if all(agreed) else 1)


main()
