"""Commands on single entries: get, set, delete, inspect."""

import json
import sys
from typing import Annotated

import typer

from caching_core.cli._invalidation import pending
from caching_core.cli._options import ConfigFile, Directory, DryRun, Json, Key, Namespace, Tenant, Ttl
from caching_core.cli._output import FINDING, FINE, Output, json_ready
from caching_core.cli._session import Session
from caching_core.errors import TTLInvalid, ValueNotKept
from caching_core.tenancy import check_key, check_tags, check_ttl
from caching_core.types import MISSING, UNSET, Invalidated


def get(
    key: Key,
    *,
    directory: Directory = None,
    namespace: Namespace = None,
    tenant: Tenant = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print the value under KEY; exit 1 on a miss."""
    output = Output(as_json=as_json)
    check_key(key)
    with Session(directory, namespace, tenant, config).handle(only_reads=True) as handle:
        value = handle.get(key, MISSING)
    found = value is not MISSING
    if as_json:
        output.data({"key": key, "found": found, "type": type(value).__name__ if found else None, "value": value if found else None})
    elif not found:
        output.note(f"miss: {key} (caching inspect says why)")
    elif isinstance(value, bytes) and not output.console.is_terminal:
        sys.stdout.buffer.write(value)
    else:
        output.line(value if isinstance(value, str) else json.dumps(json_ready(value), ensure_ascii=False))
    return FINE if found else FINDING


def set_value(
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The value, as text.", show_default=False)],
    *,
    json_value: Annotated[bool, typer.Option("--json-value", help="VALUE is JSON.")] = False,
    ttl: Ttl = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.", show_default=False)] = None,
    directory: Directory = None,
    namespace: Namespace = None,
    tenant: Tenant = None,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Keep VALUE under KEY."""
    output = Output(as_json=as_json)
    check_key(key)
    kept = _parsed(value) if json_value else value
    check_tags(tags or ())
    lifetime = UNSET if ttl is None else _lifetime(ttl)
    session = Session(directory, namespace, tenant, config)
    if session.config().disabled:
        if as_json:
            output.data({"key": key, "set": False, "dry_run": dry_run, "there": False, "type": type(kept).__name__, "tags": tags or []})
        output.note("disabled: nothing was changed (CACHING_DISABLED, or the setting, switches the cache off)")
        return FINDING
    with session.handle(only_reads=dry_run) as handle:
        if dry_run:
            there = handle.explain(key).hit
            done = False
        else:
            done = bool(handle.set(key, kept, ttl=lifetime, tags=tuple(tags or ())))
            there = done
    if as_json:
        output.data({"key": key, "set": done, "dry_run": dry_run, "there": there, "type": type(kept).__name__, "tags": tags or []})
    elif dry_run:
        output.line(f"would {'replace' if there else 'set'} {key} ({type(kept).__name__})")
    else:
        output.line(f"set {key}" if done else f"not set: {key} (caching doctor says what is wrong)")
    return FINE if done or dry_run else FINDING


def delete(
    keys: Annotated[list[str], typer.Argument(metavar="KEYS", help="The keys.", show_default=False)],
    *,
    directory: Directory = None,
    namespace: Namespace = None,
    tenant: Tenant = None,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Delete KEYS; what was not there is said and no error."""
    output = Output(as_json=as_json)
    wanted = dict.fromkeys(map(check_key, keys))
    found: dict[str, Invalidated] = {}
    with Session(directory, namespace, tenant, config).handle(only_reads=dry_run) as handle:
        for key in wanted:
            found[key] = Invalidated(int(handle.explain(key).hit)) if dry_run else handle.delete(key)
    there = {key: bool(done) for key, done in found.items()}
    is_pending = any(done.pending for done in found.values())
    if as_json:
        output.data({"deleted": {} if dry_run else there, "dry_run": dry_run, "there": there, "pending": is_pending})
    for key, done in found.items():
        verb = "would delete" if dry_run else "deleted"
        output.line(f"{verb} {key}" if done else f"not deleted: {key}{pending(done)}" if done.pending else f"not there: {key}")
    return FINDING if is_pending else FINE


def inspect(
    key: Key,
    *,
    directory: Directory = None,
    namespace: Namespace = None,
    tenant: Tenant = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Say where KEY stands, how it is kept and for how long, or why it is a miss."""
    output = Output(as_json=as_json)
    check_key(key)
    with Session(directory, namespace, tenant, config).handle(only_reads=True) as handle:
        explanation = handle.explain(key).as_dict()
    figures = {name: json_ready(value) for name, value in explanation.items()}
    if not as_json:
        figures["version_no"] = str(explanation["version_no"] or "-")  # a name, not an amount: no thousands
    output.pairs(f"Entry {key}", figures)
    return FINE


def _lifetime(text: str) -> float | None:
    if text == "none":
        return None
    try:
        seconds = float(text)
    except ValueError:
        raise TTLInvalid(f"--ttl takes a number of seconds, or none (for ever), not {text!r}") from None
    return check_ttl(seconds)


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as cause:
        raise ValueNotKept(f"VALUE is no JSON: {cause.msg} at character {cause.pos}; quote it, or leave --json-value out") from cause
    return value
