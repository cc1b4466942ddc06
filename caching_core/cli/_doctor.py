"""Command doctor: prove that the cache works here, and say how to fix what does not."""

from collections.abc import Iterator

from caching_core.audit import Status as AuditStatus
from caching_core.audit import verify
from caching_core.cli._check import Check, Status, finding, note, ok
from caching_core.cli._doctor_host import check_host
from caching_core.cli._doctor_place import check_place, check_stamps
from caching_core.cli._doctor_trip import check_trip
from caching_core.cli._options import ConfigFile, Directory, Json, Tenant
from caching_core.cli._output import FINDING, FINE, Output
from caching_core.cli._session import Session
from caching_core.config import CacheConfig
from caching_core.errors import CacheError


def doctor(*, directory: Directory = None, tenant: Tenant = None, config: ConfigFile = None, as_json: Json = False) -> int:
    """Prove a round trip through every tier and the keys; check folder, space, clock and audit log. Exit 1 on a finding."""
    output = Output(as_json=as_json)
    checks = list(_checks(Session(directory, tenant=tenant, config_file=config)))
    found = sum(check.status is Status.FINDING for check in checks)
    if as_json:
        output.data({"findings": found, "checks": [check.as_dict() for check in checks]})
    output.table(
        "Doctor", ("check", "result", "seen", "fix"), [(check.name, check.status.value, check.seen, check.fix) for check in checks]
    )
    output.line(f"{len(checks)} checks, {found} findings")
    return FINDING if found else FINE


def _checks(session: Session) -> Iterator[Check]:
    try:
        config = session.config()
    except CacheError as error:
        yield finding("configuration", str(error), "correct the setting")
        return
    yield ok("configuration", "every setting is known and fits the others")
    if config.disabled:
        yield finding("switch", "the cache is disabled: every get is a miss, every set does nothing", "unset CACHING_DISABLED, or disabled")
    yield from check_host(config)
    on_disk = config.cache_levels > 1 and config.l2.enabled and not config.disabled
    if on_disk:
        yield from check_place(config.host_directory())
    if on_disk and config.l2.redis_url is not None:
        from caching_core.cli._doctor_server import check_server

        yield from check_server(config)
    try:
        yield from check_trip(config, _tenant(session, config))
    except CacheError as error:
        yield finding("round trip", str(error), "do what the message says, then run doctor again")
    if on_disk and config.host_directory().is_dir():
        yield from check_stamps(config.host_directory())
        yield _audit(config)


def _tenant(session: Session, config: CacheConfig) -> str:
    # Any tenant proves the tiers; the first of several is as good as another.
    if session.tenant is None and config.tenancy.tenant is None and config.tenancy.tenants:
        return config.tenancy.tenants[0]
    return session.where(config)[0] if session.tenant is None else session.tenant


def _audit(config: CacheConfig) -> Check:
    if not config.audit.enabled:
        return note("audit log", "audit.enabled is false: nothing is recorded")
    result = verify(config.host_directory())
    if result.finding is not None:
        seen = f"record {result.finding.seq}: {result.finding.fault.value}, {result.finding.message}"
        return finding("audit log", seen, "keep a copy of the folder and find out who wrote there; caching audit verify repeats the check")
    if result.status is not AuditStatus.GOOD:
        return finding("audit log", f"incomplete: {'; '.join(result.notes)}", "start the cache once, then run doctor again")
    return ok("audit log", f"{result.records} records, chain and signatures hold")
