"""What is measured of a running proxy: requests, CPU, latency, memory, system calls.

Promises that CPU is user and system time of the proxy's whole process tree, read from /proc. Never measures a server
whose answers were not as expected: such a run stops the bench.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import children

CONNECTIONS = 64
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


@dataclass
class Run:
    """One run of the load generator against one server."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    cpu_s: float

    @property
    def per_second(self):
        return self.requests / self.seconds

    @property
    def cpu_us(self):
        return self.cpu_s * 1e6 / self.requests

    @property
    def core_used(self):
        return self.cpu_s / self.seconds


def load(pid, url, key, seconds, script=None, expect_refusals=False):
    """Loads `url` and says what it cost the process tree of `pid` (None: nothing to account)."""
    before = cpu_seconds(pid)
    argv = ["taskset", "-c", children.LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    argv += ["-s", script] if script else ["-H", f"x-api-key: {key}"]
    done = subprocess.run([*argv, url], capture_output=True, text=True)
    cpu_s = cpu_seconds(pid) - before
    if done.returncode != 0:
        sys.exit(f"wrk failed on {url}: {done.stderr or done.stdout}")
    run = parse_wrk(done.stdout, cpu_s)
    if bool(run.refused) != expect_refusals or "Socket errors" in done.stdout:
        sys.exit(f"{url} did not answer as expected:\n{done.stdout}")
    return run


def parse_wrk(text, cpu_s):
    def latency(percent):
        value, unit = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.M).groups()
        return float(value) * _UNITS_MS[unit]

    requests, seconds, unit = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m),", text).groups()
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if int(requests) == 0:
        sys.exit(f"wrk saw no answer:\n{text}")
    return Run(
        requests=int(requests),
        seconds=float(seconds) * _UNITS_MS[unit] / 1000,
        p50_ms=latency(50),
        p99_ms=latency(99),
        refused=int(refused.group(1)) if refused else 0,
        cpu_s=cpu_s,
    )


def cpu_seconds(pid):
    """User and system time of a process tree so far."""
    if pid is None:
        return 0.0
    ticks = 0
    for member in children.process_tree(pid):
        fields = children.stat_fields(member)
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def resident_bytes(pid):
    """Resident memory of a process tree. Pages shared by its members count once for each: only differences mean much."""
    pages = 0
    for member in children.process_tree(pid):
        try:
            with open(f"/proc/{member}/statm") as statm:
                pages += int(statm.read().split()[1])
        except OSError:
            continue
    return pages * PAGE_BYTES


def get(port, key, path="/small", connection=None):
    """One request on a connection of its own, or on `connection`; returns status and body length."""
    stream = connection or socket.create_connection(("127.0.0.1", port), 10)
    stream.settimeout(10)
    field = f"x-api-key: {key}\r\n" if key else ""
    stream.sendall(f"GET {path} HTTP/1.1\r\nhost: bench.test\r\n{field}\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(stream)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)^content-length: *(\d+)", head, re.M).group(1))
    while len(body) < length:
        body += _more(stream)
    if connection is None:
        stream.close()
    return int(head.split()[1]), len(body)


def _more(stream):
    got = stream.recv(65536)
    if not got:
        raise ConnectionError("the server closed the connection instead of answering")
    return got


_SCRIPT = """
local requests, at = {{}}, 0
function init()
  for key in io.lines("{keys}") do
    requests[#requests + 1] = wrk.format("GET", "{path}", {{ ["x-api-key"] = key, ["Host"] = "bench.test" }})
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
"""


def script_cycling_through(keys, path, work_dir):
    """A wrk script that presents another key with each request, in random order."""
    shuffled = random.sample(keys, len(keys))
    name = f"{work_dir}/{len(keys)}-keys"
    with open(f"{name}.txt", "w") as file:
        file.write("\n".join(shuffled))
    with open(f"{name}.lua", "w") as file:
        file.write(_SCRIPT.format(keys=f"{name}.txt", path=path))
    return f"{name}.lua"


def idle_connection_bytes(peer, key, count):
    """Memory that one kept connection takes after it has served a request."""
    path = peer.prefix + "/small"
    for _ in range(200):
        get(peer.port, key, path)
    before = resident_bytes(peer.pid)
    kept = []
    try:
        for _ in range(count):
            stream = socket.create_connection(("127.0.0.1", peer.port), 10)
            kept.append(stream)
            get(peer.port, key, path, connection=stream)
        return (resident_bytes(peer.pid) - before) / count
    finally:
        for stream in kept:
            stream.close()


def system_calls_per_request(pid, url, key, seconds, work_dir):
    """System calls of the process tree per request, or None where tracing is not allowed here."""
    counts = os.path.join(work_dir, "strace.txt")
    argv = ["strace", "-c", "-f", "-o", counts]
    for member in children.process_tree(pid):
        argv += ["-p", str(member)]
    tracer = children.start(argv, children.LOAD_CORE, os.devnull, stderr=subprocess.PIPE)
    attached = tracer.stderr.readline()
    if b"attached" not in attached:
        children.end(tracer)
        return None
    run = load(None, url, key, seconds)
    tracer.send_signal(signal.SIGINT)
    # strace says which processes it lets go; the pipe must not fill up while it does.
    tracer.stderr.read()
    tracer.wait()
    children.end(tracer)
    with open(counts) as table:
        total = re.search(r"^\s*[\d.]+\s+[\d.]+\s+\d*\s+(\d+)\s.*total$", table.read(), re.M)
    return int(total.group(1)) / run.requests if total else None


def settle():
    """Lets connections of the last run close before the next one is measured."""
    time.sleep(0.2)
