"""Commands audit verify and audit tail."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from caching_core.audit import AuditRecord, tail, verify
from caching_core.cli._options import ConfigFile, Directory, Json
from caching_core.cli._output import FINE, Output, shown
from caching_core.cli._session import Session

_SHOWN = 12  # of the hash that stands for an actor: enough to tell them apart


def audit_verify(
    *,
    public_key: Annotated[
        str | None, typer.Option("--public-key", help="The log's key as it was kept elsewhere, in hex.", show_default="the folder's own")
    ] = None,
    directory: Directory = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Check every record against the chain and its signatures. Exit 0 good, 2 tampered, 3 incomplete."""
    output = Output(as_json=as_json)
    result = verify(_place(directory, config), public_key=public_key)
    found = result.finding
    output.pairs(
        "Audit log",
        {
            "status": result.status.value,
            "records": result.records,
            "checkpoints": result.checkpoints,
            "first_bad_record": found.seq if found else None,
            "fault": found.fault.value if found else None,
            "message": found.message if found else None,
            "log": result.log,
            "public_key": result.public_key,
            "notes": list(result.notes),
        },
    )
    return result.status.exit_code


def audit_tail(
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1_000_000, help="Records.")] = 20,
    directory: Directory = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print the last records, oldest first."""
    output = Output(as_json=as_json)
    records = tail(_place(directory, config), count)
    if as_json:
        output.data([asdict(record) for record in records])
    headings = ("seq", "time", "class", "action", "outcome", "tenant", "namespace", "actor", "detail")
    output.table("Audit log", headings, map(_cells, records))
    return FINE


def _cells(record: AuditRecord) -> tuple[str, ...]:
    at = datetime.fromtimestamp(record.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    detail = shown(record.detail) if record.detail else "-"
    actor = f"{record.actor_type}:{record.actor[:_SHOWN]}" if record.actor else record.actor_type
    where = (record.tenant or "-", record.namespace or "-")
    return (str(record.seq), at, record.cls, record.action, record.outcome, *where, actor, detail)


def _place(directory: Path | None, config: Path | None) -> Path:
    return Session(directory, config_file=config).config().host_directory()
