"""The checks of the tour: each does something with several processes and says what it saw."""

import json
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from example_project.tour._crew import ABSENT, CheckFailed, Crew, Member, is_alive
from example_project.tour._payload import payload

Check = Callable[[Crew], str]
THREADS = 25
ROUNDS = 100


def expect(seen: object, wanted: object, what: str) -> None:
    """Fail the check unless ``seen`` is ``wanted``."""
    if seen != wanted:
        raise CheckFailed(f"{what}: expected {shown(wanted)}, saw {shown(seen)}")


def shown(value: object) -> str:
    """Return a value short enough for a line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def shared_between_processes(crew: Crew) -> str:
    """Set in one process, read in the others."""
    writer, *readers = crew.members
    value = {"name": "Ada", "scores": [1, 2.5, None, True], "note": "grüße"}
    writer.call("acme", "set", "greeting", value, ttl=60)
    begun = time.perf_counter()
    for reader in readers:
        expect(reader.get("acme", "greeting"), value, f"read in worker {reader.name}")
    trip = (time.perf_counter() - begun) / len(readers)
    return f"set in worker {writer.name}, read in {len(readers)} others, {trip * 1e6:.0f} us each with the trip to the process"


def seen_at_once(crew: Crew) -> str:
    """Invalidate in one process: once the call has returned, no process reads the old value."""
    ways: dict[str, Callable[[Member, str], object]] = {
        "delete": lambda member, key: member.call("acme", "delete", key),
        "tag": lambda member, _: member.call("acme", "invalidate_tags", "tour"),
        "clear": lambda member, _: member.call("acme", "clear"),
    }
    reads = 0
    for number in range(ROUNDS):
        for way, invalidate in ways.items():
            key = f"volatile:{way}"
            crew.members[number % len(crew.members)].call("acme", "set", key, number, ttl=60, tags=["tour"])
            for member in crew.members:
                expect(member.get("acme", key), number, f"before the {way}, worker {member.name}")
            invalidate(crew.members[(number + 1) % len(crew.members)], key)
            for member in crew.members:
                expect(member.get("acme", key), ABSENT, f"after the {way}, worker {member.name}")
                reads += 1
    return f"{ROUNDS} rounds each of delete, tag, clear; {reads} reads after them in {len(crew.members)} processes, 0 old values"


def tenants_are_apart(crew: Crew) -> str:
    """Ask for one key as several tenants: each sees its own entry and nobody else's."""
    one, two = crew.members[:2]
    for tenant in ("acme", "globex"):
        one.call(tenant, "set", "config", f"of {tenant}", ttl=60, tags=["shared-tag"])
    for tenant in ("acme", "globex"):
        expect(two.get(tenant, "config"), f"of {tenant}", f"{tenant}'s own entry")
    expect(two.get("initech", "config"), ABSENT, "a third tenant")
    two.call("acme", "invalidate_tags", "shared-tag")
    two.call("acme", "clear")
    expect(one.get("acme", "config"), ABSENT, "acme after its clear")
    expect(one.get("globex", "config"), "of globex", "globex after acme's clear")
    return "2 tenants hold one key with 2 values, a third sees none; acme's clear left globex as it was"


def nothing_in_clear(crew: Crew) -> str:
    """Search the bytes of the directory for a value that was stored."""
    marker = secrets.token_hex(16)
    crew.members[0].call("acme", "set", "secret", {"marker": marker, "many": [marker] * 50}, ttl=60)
    expect(crew.members[1].get("acme", "secret")["marker"], marker, "the marker through the cache")
    control = crew.scratch("control.txt")
    control.write_text(f"…{marker}…", encoding="utf-8")
    if not holding(marker.encode(), [control]):
        raise CheckFailed("the search found no marker in a file that holds it")
    files = [path for path in crew.directory.rglob("*") if path.is_file()]
    found = holding(marker.encode(), files)
    if found:
        raise CheckFailed(f"the marker stands in {', '.join(path.name for path in found)}")
    size = sum(path.stat().st_size for path in files)
    return f"searched {len(files)} files, {size / 1024:.0f} KiB: found 0 times (and once in a control file)"


def holding(marker: bytes, files: list[Path]) -> list[Path]:
    """Return the files with ``marker`` in their bytes."""
    return [path for path in files if marker in path.read_bytes()]


def values_are_isolated(crew: Crew) -> str:
    """Change a returned value in place: the cache stays as it was."""
    value = {"list": [1, 2, 3]}
    crew.members[0].call("acme", "set", "mutable", value, ttl=60)
    expect(crew.members[0].order("mutate", tenant="acme", key="mutable"), value, "read again in the same process")
    expect(crew.members[1].get("acme", "mutable"), value, "read in another process")
    return "a list and a dict changed in place after a read; both processes still read the original"


def one_load(crew: Crew) -> str:
    """Ask for one cold key from everywhere at once: the host loads it once."""
    log = crew.scratch("loads.txt")
    order = {"tenant": "acme", "key": f"cold:{secrets.token_hex(4)}", "threads": THREADS, "log": str(log), "at": time.monotonic() + 0.5}
    answers = [answer for part in crew.all("herd", [order] * len(crew.members)) for answer in part]
    loads = len(log.read_text(encoding="utf-8").splitlines())
    expect(loads, 1, "loads")
    expect({answer["loaded_by"] for answer in answers}, {answers[0]["loaded_by"]}, "the processes whose value was returned")
    return f"{len(crew.members)} processes x {THREADS} threads asked at once: {loads} load, {len(answers)} equal answers"


def corruption_is_a_miss(crew: Crew) -> str:
    """Flip a bit of an entry on disk: a process that has to read it meets a miss, never a wrong value."""
    value = {"text": secrets.token_hex(3000)}
    crew.members[0].call("acme", "set", "damaged", value, ttl=60)
    with newcomer(crew) as control:
        expect(control.get("acme", "damaged"), value, "the entry in a new process, before the damage")
    database, place = entry_on_disk(crew.directory)
    with database.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))
    with newcomer(crew) as reader:
        expect(reader.get("acme", "damaged"), ABSENT, "the damaged entry in a new process")
        reader.call("acme", "set", "damaged", value, ttl=60)
        expect(reader.get("acme", "damaged"), value, "the entry written again")
    return f"1 bit flipped at byte {place} of {database.name}: read before, a miss after, written again it reads well"


@contextmanager
def newcomer(crew: Crew) -> Generator[Member]:
    """Have one more process, whose memory holds nothing yet."""
    member = crew.hire()
    try:
        yield member
    finally:
        crew.leave(member)


def entry_on_disk(directory: Path) -> tuple[Path, int]:
    """Return the file and the offset of a byte in the middle of the largest stored entry."""
    largest: tuple[int, Path, bytes] | None = None
    for path in directory.rglob("*"):
        if path.is_file() and path.read_bytes()[:16] == b"SQLite format 3\0":
            blob = largest_blob(path)
            if largest is None or len(blob) > largest[0]:
                largest = (len(blob), path, blob)
    if largest is None or largest[0] < 1024:
        raise CheckFailed("no stored entry was found in the directory")
    _, path, blob = largest
    # A part within one page of the file: a large entry is spread over pages that need not lie together.
    needle = blob[len(blob) // 2 : len(blob) // 2 + 24]
    place = path.read_bytes().find(needle)
    if place < 0:
        raise CheckFailed(f"the entry's bytes were not found in {path.name}")
    return path, place


def largest_blob(path: Path) -> bytes:
    """Move the write-ahead log into the database and return its largest binary value."""
    best = b""
    connection = sqlite3.connect(path, timeout=10)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall():
                name = f'"{column[0]}"'
                # The names come from the database's own schema.
                query = f"SELECT {name} FROM \"{table}\" WHERE typeof({name}) = 'blob' ORDER BY length({name}) DESC LIMIT 1"  # noqa: S608
                found = connection.execute(query).fetchone()
                if found and len(found[0]) > len(best):
                    best = found[0]
    finally:
        connection.close()
    return best


def survives_kill(crew: Crew) -> str:
    """Kill a process while it writes: it takes nothing with it but itself and its children."""
    log = crew.scratch("written.txt")
    employer = crew.hire()
    writer = employer.order("hire_writer", tenant="globex", log=str(log))
    wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") >= 200, "the writer wrote 200 values")
    crew.leave(employer, killed=True)
    wait_until(lambda: not is_alive(writer), "the writer ended with the process that had started it")
    begun = time.perf_counter()
    crew.members[0].call("globex", "set", "after", "the kill", ttl=60)
    expect(crew.members[1].get("globex", "after"), "the kill", "a set and a get after the kill")
    pause = time.perf_counter() - begun
    written = [int(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for number in written:
        expect(crew.members[number % len(crew.members)].get("globex", f"writer:{number}"), payload(number), f"value {number}")
    return (
        f"kill -9 after {len(written)} sets, its child went too; all {len(written)} read back, next set and get took {pause * 1e3:.1f} ms"
    )


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
    """Wait for something that another process does."""
    limit = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > limit:
            raise CheckFailed(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.01)


def audit_verifies(crew: Crew) -> str:
    """Verify the chain of audit records of this directory."""
    for member in crew.members:
        member.order("flush_audit")
    command = [sys.executable, "-m", "caching_core.cli", "audit", "verify", "--json", "--directory", str(crew.directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise CheckFailed(f"caching audit verify ended with {done.returncode}: {' '.join((done.stdout + done.stderr).split())}")
    found = json.loads(done.stdout)
    if found["records"] < ROUNDS:
        raise CheckFailed(f"{found['records']} records, though the tour cleared a tenant {ROUNDS} times")
    return f"{found['status']}: {found['records']} records in one chain, {found['checkpoints']} signed checkpoints"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("shared between processes", shared_between_processes),
    ("invalidation is seen at once", seen_at_once),
    ("tenants are apart", tenants_are_apart),
    ("nothing in clear on disk", nothing_in_clear),
    ("values are isolated", values_are_isolated),
    ("one load for a cold key", one_load),
    ("a flipped byte is a miss", corruption_is_a_miss),
    ("kill -9 of a writer", survives_kill),
    ("audit chain verified", audit_verifies),
)
