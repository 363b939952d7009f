"""`tracker` in processes of their own that need not import everything anew: one process that has it forks a child for each.

As a script it is that process: it listens on the socket it is given, and ends with the process that started it.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What Python reads when it starts, so that a child of one that has started would not heed it."""
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LANG", "LC_"))}


_STARTED_WITH = _read_at_start(os.environ)


def run_tracker(
    words: Sequence[object], *, cwd: Path, env: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """`python -m tracker WORDS` as `subprocess.run` with captured text does it."""
    command = [sys.executable, "-m", "tracker", *map(str, words)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # `-m` looks in the working directory first: a test may have put another tracker there.
        if _read_at_start(env) != _STARTED_WITH or (cwd / "tracker.py").exists():
            outputs: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            run = subprocess.run(command, cwd=cwd, env=env, timeout=timeout, check=False, **outputs)
            code = run.returncode
        else:
            code = _run_forked(command, {"cwd": str(cwd), "env": dict(env)}, [out.fileno(), err.fileno()], timeout)
        told = []
        for file in (out, err):
            file.seek(0)
            told.append(file.read().decode("utf-8").replace("\r\n", "\n"))
    return subprocess.CompletedProcess(command, code, *told)


def _run_forked(command: list[str], job: dict[str, Any], outputs: list[int], timeout: float) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(_server())
        content = json.dumps(job | {"words": command[3:]}).encode()
        socket.send_fds(connection, [len(content).to_bytes(8, "big")], outputs)
        connection.sendall(content)
        try:
            answer = connection.makefile().readline()
        except TimeoutError:
            raise subprocess.TimeoutExpired(command, timeout) from None  # the other end sees that nobody listens
    assert answer, "the process that forks has ended"
    return int(answer)


@cache
def _server() -> str:
    """The address of the process that forks, which is started once for each process of tests."""
    folder = tempfile.TemporaryDirectory(prefix="tracker-commands-")
    address = str(Path(folder.name) / "socket")
    root = Path(__file__).parent.parent
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, __file__, address],
        env={name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
        | {"PYTHONPATH": path},
        cwd=folder.name,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    def end() -> None:
        process.stdin.close()
        process.wait()
        process.stdout.close()
        folder.cleanup()

    atexit.register(end)
    return address


def main() -> None:
    sys.path.remove(str(Path(__file__).parent))  # no command finds what is the tests' own
    import tracker  # noqa: F401 - what a child needs is here before it is forked
    from collector import runner  # noqa: F401
    from collector.sources import bluesky, mastodon, news, official, reddit, reviews, x  # noqa: F401
    from data import store  # noqa: F401

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those that wait have ended
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:  # whose end is the parent's
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _serve(connection)
                os._exit(0)
            connection.close()


def _serve(connection: socket.socket) -> None:
    """Fork the command, wait for its end or that of whoever asked, and say its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, outputs, _, _ = socket.recv_fds(connection, 8, 2)
    content = b""
    while len(content) < int.from_bytes(head, "big"):
        part = connection.recv(1 << 20)
        if not part:
            return
        content += part
    job = json.loads(content)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(job, outputs)
    watched = os.pidfd_open(child)
    readable = select.select([watched, connection], [], [])[0]
    if watched not in readable:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if connection not in readable:
        connection.sendall(f"{status}\n".encode())


def _become(job: dict[str, Any], outputs: list[int]) -> None:
    """This process is the command from here on."""
    empty = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate([empty, *outputs]):
        os.dup2(file, number)
        os.close(file)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    time.tzset()
    sys.argv = ["tracker", *job["words"]]
    code: Any = 0
    try:
        runpy.run_module("tracker", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    main()
