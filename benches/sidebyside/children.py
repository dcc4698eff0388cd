"""Processes that the bench starts: pinned to a core, known by pid, ended however the bench ends.

Promises that no child outlives the bench, not after Ctrl-C, SIGTERM or an exception. Never ends a process that the
bench did not start.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time

PROXY_CORE = "0"
LOAD_CORE = "1"
READY_WITHIN_S = 20
LEAVE_WITHIN_S = 5

_children = []


def start(argv, core, log_path, stderr=None):
    """Starts `argv` on one core. Its output goes to `log_path`, except that `stderr` may be a pipe to read from."""
    with open(log_path, "ab") as log:
        child = subprocess.Popen(
            ["taskset", "-c", core, *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log if stderr is None else stderr,
            # Ctrl-C reaches only the bench, which then ends its children in order.
            start_new_session=True,
        )
    _children.append(child)
    return child


def end(child):
    """Ends one child and waits for it."""
    if child.poll() is None:
        tree = process_tree(child.pid)
        child.terminate()
        try:
            child.wait(LEAVE_WITHIN_S)
        except subprocess.TimeoutExpired:
            for pid in tree:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            child.wait()
    if child in _children:
        _children.remove(child)


def end_all():
    for child in list(reversed(_children)):
        end(child)


def end_all_on_any_exit():
    """Exceptions and Ctrl-C unwind to atexit by themselves; SIGTERM and SIGHUP are turned into an exit."""
    atexit.register(end_all)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))


def free_port():
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(child, port, log_path):
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    with open(log_path, errors="replace") as log:
        sys.exit(f"{child.args[3]} does not listen on port {port}; its log:\n{log.read()[-2000:]}")


def process_tree(root):
    """The pids of `root` and all that descend from it."""
    children_of = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields:
                children_of.setdefault(int(fields[1]), []).append(int(name))
    tree, unseen = [], [root]
    while unseen:
        pid = unseen.pop()
        tree.append(pid)
        unseen.extend(children_of.get(pid, []))
    return tree


def stat_fields(pid):
    """/proc/PID/stat from the state on; empty where the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return []
