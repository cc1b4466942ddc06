"""Doctor's look at the folder: owner, modes, space, file system, stamps."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from caching_core.cli._check import Check, finding, note, ok

_OTHERS = 0o077
_KEPT_FREE = 0.10
_SHARED_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "lustre")
_PASSING_FILE_SYSTEMS = ("tmpfs", "ramfs", "overlay")


def check_place(directory: Path) -> Iterator[Check]:
    """Yield what the folder shows before anything is written; a folder that is not there yet is made by the cache."""
    if not directory.exists():
        yield from _absent(directory)
        return
    yield _folder(directory)
    if directory.is_dir():
        yield _files(directory)
        yield _space(directory)
        yield _file_system(directory)


def check_stamps(directory: Path) -> Iterator[Check]:
    """Yield whether the stamp file is allocated in full; called when a cache has been opened there."""
    path = directory / "stamps"
    try:
        found = path.stat()
    except OSError as error:
        yield finding("stamps", f"{path.name} cannot be read: {error.strerror}", "make the folder readable and writable for this user")
        return
    if found.st_blocks * 512 < found.st_size:
        fix = f"stop the processes of this cache and remove {path}; it is made again in full"
        yield finding("stamps", "the file has holes: on a full disk a write into one kills the process", fix)
    else:
        yield ok("stamps", f"allocated in full, {found.st_size / 2**20:.1f} MiB")


def _absent(directory: Path) -> Iterator[Check]:
    parent = next(place for place in directory.parents if place.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        yield ok("folder", f"{directory} is not there yet; the cache makes it")
        yield _space(parent)
        yield _file_system(parent)
    else:
        yield finding("folder", f"{directory} cannot be made", f"make {parent} writable for this user, or pass --directory")


def _folder(directory: Path) -> Check:
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return finding("folder", f"{directory} is a link or no folder", "pass the real folder with --directory")
    if found.st_uid != os.geteuid():
        return finding("folder", f"{directory} belongs to user {found.st_uid}", f"chown {os.geteuid()} {directory}")
    if found.st_mode & _OTHERS:
        return finding("folder", f"{directory} has mode {stat.S_IMODE(found.st_mode):04o}, open to others", f"chmod 700 {directory}")
    if not os.access(directory, os.W_OK | os.X_OK):
        return finding(
            "folder", f"{directory} is not writable: the cache runs in memory only", f"chmod 700 {directory}, or mount it writable"
        )
    return ok("folder", f"{directory}, this user's alone")


def _files(directory: Path) -> Check:
    bad: list[Path] = []
    for path in sorted(directory.rglob("*")):
        try:
            found = path.lstat()
        except FileNotFoundError:  # a draft or a WAL that went while we looked
            continue
        if found.st_uid != os.geteuid() or (stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS):
            bad.append(path)
    if bad:
        named = ", ".join(path.name for path in bad[:5])
        fix = f"chmod 600 {' '.join(map(str, bad[:5]))}"
        return finding("files", f"{len(bad)} files are open to others or belong to another user: {named}", fix)
    return ok("files", "each is this user's alone")


def _space(directory: Path) -> Check:
    volume = os.statvfs(directory)
    free = volume.f_bavail * volume.f_frsize
    share = volume.f_bavail / volume.f_blocks if volume.f_blocks else 1.0
    seen = f"{free / 2**30:.1f} GiB free, {share:.0%} of the volume"
    if share < _KEPT_FREE:
        return finding(
            "space", f"{seen}: the cache leaves the last 10 % alone and evicts", "free space, or pass --directory on another volume"
        )
    return ok("space", seen)


def _file_system(directory: Path) -> Check:
    kind = _kind_of(directory)
    if kind in _SHARED_FILE_SYSTEMS:
        fix = "pass --directory on a local disk: SQLite's log and the stamps need memory that processes share"
        return finding("file system", f"{kind} is shared over a network", fix)
    if kind in _PASSING_FILE_SYSTEMS:
        return note("file system", f"{kind}: keys and audit log are lost with it", "use a volume that outlives the container")
    return ok("file system", kind)


def _kind_of(directory: Path) -> str:
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "local, as far as can be told"
    here = directory.resolve()
    best, kind = -1, "unknown"
    for mount in mounts:
        _, point, name, *_ = mount.split(" ")
        place = Path(point.encode().decode("unicode_escape"))  # spaces stand as \040 there
        if here.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), name
    return kind
