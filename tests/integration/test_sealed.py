"""What lies on disk: no value in the clear in any form, and nothing that was changed there is ever served."""

import base64
import json
import secrets
import sqlite3

import pytest

from caching_core import SyncCacheManager
from caching_core.errors import EntryCorrupt


def forms_of(marker: str):
    """The bytes that a marker could hide in."""
    plain = marker.encode()
    yield "plain", plain
    yield "reversed", plain[::-1]
    yield "hex", plain.hex().encode()
    yield "HEX", plain.hex().upper().encode()
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        yield encoding, marker.encode(encoding)
    for shift in range(3):  # base64 of the marker at each alignment, without the signs that its neighbours change
        coded = base64.b64encode(b"\0" * shift + plain)
        yield f"base64+{shift}", coded[4 if shift else 0 : -4]
        yield f"urlsafe+{shift}", base64.urlsafe_b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4]


def found_in(directory, marker):
    """Return where the marker is found, in any form, in any file."""
    return [
        (path.name, form)
        for path in directory.rglob("*")
        if path.is_file()
        for form, needle in forms_of(marker)
        if needle in path.read_bytes()
    ]


def fill(cache, marker, *, level="high"):
    """Store the marker in many shapes."""
    shapes = {
        "str": marker,
        "bytes": marker.encode(),
        "embedded": f"before {marker} after",
        "nested": {"list": [marker, {"deep": (marker, {marker})}], marker: 1},
        "large": marker * 5_000,
        "large bytes": (marker.encode() + secrets.token_bytes(50)) * 500,
        "json": json.dumps({"secret": marker}),
    }
    for name, value in shapes.items():
        cache.set(f"set {name}", value, tags=["t"])
        cache.get_or_set(f"loaded {name}", lambda value=value: value, ttl=60)
        cache.set(f"high {name}", value, security_level=level)
        cache.set(f"gone {name}", value)
        cache.get(f"set {name}")
    cache.set_many({f"many {name}": value for name, value in shapes.items()})
    cache.add("added", marker)
    cache.touch("added", 500)
    cache.delete_many([f"gone {name}" for name in shapes])


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd", "auto"])
def test_a_marker_is_found_nowhere(manager, directory, compression):
    marker = secrets.token_hex(16)
    cache = manager(compression_algorithm=compression)
    for tenant in ("acme", "other", "main"):
        fill(cache.tenant(tenant), marker)
    assert cache.flush_audit(30)  # its files are made while they are looked through otherwise
    assert found_in(directory, marker) == []  # also while it is open: log and shared memory
    cache.close()
    assert found_in(directory, marker) == []


def test_without_security_it_would_be_found(manager, directory):
    marker = secrets.token_hex(16)
    cache = manager(security_enabled=False, compression_enabled=False)
    fill(cache.tenant("acme"), marker, level="normal")
    assert {form for _, form in found_in(directory, marker)} == {"plain"}


def test_hashed_names_hide_keys_and_tags(manager, directory):
    marker = secrets.token_hex(16)
    cache = manager(key_privacy="hashed").tenant("acme")
    cache.set(f"user:{marker}", 1, tags=[f"tag:{marker}"])
    cache.get_or_set(f"load:{marker}", lambda: 2, tags=[f"tag:{marker}"])
    cache.invalidate_tags(f"tag:{marker}")
    cache.delete(f"user:{marker}")
    assert found_in(directory, marker) == []


def test_keys_lie_wrapped_and_files_are_the_owners_alone(manager, directory):
    manager().tenant("acme").set("k", 1)
    assert directory.stat().st_mode & 0o777 == 0o700
    for path in directory.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


# -- rows that were changed on disk -----------------------------------------------------------------


@pytest.fixture
def rows(store_file):
    """Read and change the rows of the store behind the cache's back."""

    def run(statement, *arguments):
        connection = sqlite3.connect(store_file(), isolation_level=None)
        try:
            return connection.execute(statement, arguments).fetchall()
        finally:
            connection.close()

    return run


@pytest.fixture
def cache(manager):
    """A cache without memory, so that each get reads the row."""
    return manager(l1_enabled=False)


def names_of(rows):
    return {name.rpartition(":")[2]: name for (name,) in rows("SELECT name FROM entries")}


def audit_reasons(directory):
    """Return the reasons of the SECURITY records in the audit log."""
    from caching_core.audit import AuditClass, tail

    return [record for record in tail(directory) if record.cls == AuditClass.SECURITY]


def test_every_flipped_bit_and_every_cut_is_a_miss(cache, rows):
    acme = cache.tenant("acme")
    acme.set("k", "value", tags=["t"])
    name = names_of(rows)["k"]
    ((frame,),) = rows("SELECT frame FROM entries WHERE name = ?", name)
    assert acme.get("k") == "value"
    changed = [bytes([*frame[:at], frame[at] ^ 1 << at % 8, *frame[at + 1 :]]) for at in range(1, len(frame))]
    changed += [frame[:length] for length in range(0, len(frame), 3)] + [frame + b"\0", b"\0", b""]
    for each in changed:
        rows("INSERT OR REPLACE INTO entries(expires, used, size, name, frame) VALUES(?, 0, ?, ?, ?)", 2**62, len(each), name, each)
        assert acme.get("k", "miss") == "miss", each
    rows("INSERT OR REPLACE INTO entries(expires, used, size, name, frame) VALUES(?, 0, ?, ?, ?)", 2**62, len(frame), name, frame)
    assert acme.get("k") == "value"
    assert acme.get_or_set("k", lambda: pytest.fail("loaded")) == "value"


def test_a_tampered_row_is_removed_reported_and_loaded_anew(cache, rows, directory):
    acme = cache.tenant("acme")
    acme.set("k", "value")
    name = names_of(rows)["k"]
    rows("UPDATE entries SET frame = CAST(substr(frame, 1, length(frame) - 1) || x'00' AS BLOB) WHERE name = ?", name)
    assert acme.get("k") is None
    assert rows("SELECT count(*) FROM entries") == [(0,)]
    assert cache.stats().tampered == 1
    assert cache.flush_audit()
    assert len(audit_reasons(directory)) == 1
    assert acme.get_or_set("k", lambda: "loaded") == "loaded"


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (("acme", "default", "a"), ("other", "default", "a")),
        (("acme", "default", "a"), ("acme", "default", "b")),
        (("acme", "one", "a"), ("acme", "two", "a")),
    ],
    ids=["tenant", "key", "namespace"],
)
def test_a_row_copied_to_another_name_is_a_miss(cache, rows, here, there, directory):
    for tenant, namespace, key in (here, there):
        cache.tenant(tenant, namespace=namespace).set(key, f"of {tenant} {namespace} {key}")
    names = dict(rows("SELECT name, frame FROM entries"))
    first, second = sorted(names, key=lambda name: f":{here[1]}:{here[2]}" not in name or here[0] not in name)
    rows("UPDATE entries SET frame = ? WHERE name = ?", names[first], second)
    tenant, namespace, key = there
    assert cache.tenant(tenant, namespace=namespace).get(key) is None
    assert cache.flush_audit()
    assert audit_reasons(directory)


def test_an_old_row_put_back_after_a_delete_is_never_served_by_who_saw_more(manager, rows):
    acme = manager().tenant("acme")
    acme.set("k", "old", tags=["t"])
    name = names_of(rows)["k"]
    ((frame,),) = rows("SELECT frame FROM entries WHERE name = ?", name)
    acme.set("k", "new")
    assert acme.get("k") == "new"
    rows("UPDATE entries SET frame = ? WHERE name = ?", frame, name)
    assert acme.get("k") == "new"
    acme.invalidate_tags("t")
    acme.delete("other")
    assert acme.get("k") in ("new", None)
    rows("INSERT OR REPLACE INTO entries(expires, used, size, name, frame) VALUES(?, 0, 9, ?, ?)", 2**62, name, frame)
    acme.delete("unrelated")
    assert acme.get("k") in ("new", None)


def test_a_plain_frame_is_not_accepted_where_there_are_keys(directory, rows):
    plain = SyncCacheManager({"directory": str(directory), "security_enabled": False})
    plain.tenant("acme").set("k", "not sealed")
    plain.close()
    sealed = SyncCacheManager({"directory": str(directory)})
    try:
        assert sealed.tenant("acme").get("k") is None
        assert sealed.tenant("acme").get_or_set("k", lambda: "sealed") == "sealed"
    finally:
        sealed.close()


def test_strict_raises(manager, rows):
    acme = manager(strict=True, l1_enabled=False).tenant("acme")
    acme.set("k", "value")
    rows("UPDATE entries SET frame = CAST(substr(frame, 1, length(frame) - 1) || x'00' AS BLOB)")
    with pytest.raises(EntryCorrupt, match="a key of length 1 of tenant acme failed authentication"):
        acme.get("k")
