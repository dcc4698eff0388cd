"""Keystile under test: its configuration with everything on, its start, and the keys it is given.

Works only through the binary and its management API, as operators do. Never touches the database.
"""

import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import children
import peers

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CREATE_AT_ONCE = 4
KEYS_PER_ORGANIZATION = 100

_CONFIG = """
gateway: {{ listen: [{{ address: 127.0.0.1:0 }}], workers: 1 }}
console: {{ listen: {{ address: 127.0.0.1:0 }} }}
ops: {{ listen: {{ address: 127.0.0.1:0 }} }}
database: sqlite:{folder}/keystile.db
guard: {{ failures_per_minute: {guard} }}
access_log: {access_log}
limits:
  keys_per_organization: {keys_max}
  key:
    rate: {{ requests: {never}, per: second }}
    concurrency: 10000
    quotas: [{{ requests: 1000000000000, per: day }}, {{ requests: 1000000000000, per: month }}]
upstreams:
  backend: {{ endpoints: [http://127.0.0.1:{backend}], idle_connections_max: 128 }}
routes:
  - {{ path: "/agents/{{agent}}/{{*rest}}", agent: "{{agent}}", upstream: backend, rewrite: "/{{rest}}" }}
"""


class Keystile(peers.Peer):
    """A running `keystile serve` with one organization, one agent and as many keys as asked for."""

    def __init__(self, binary, name, work_dir, backend, guard="off", access_log=False):
        self.folder = f"{work_dir}/{name.replace(' ', '-').replace(',', '')}"
        os.makedirs(self.folder)
        self.binary = binary
        self.config = f"{self.folder}/keystile.yaml"
        log_file = f"{{ file: {self.folder}/access.log }}" if access_log else "off"
        with open(self.config, "w") as file:
            file.write(
                _CONFIG.format(
                    folder=self.folder,
                    guard=guard,
                    access_log=log_file,
                    backend=backend.port,
                    never=peers.NEVER_REACHED,
                    keys_max=KEYS_PER_ORGANIZATION,
                )
            )
        super().__init__(name, 0, None, "/agents/backend")
        self.child = None
        self.start()
        self._local = threading.local()
        self.token = self._operator_token()
        self.post("/organizations", {"slug": "bench", "name": "Bench"})
        self.post("/organizations/bench/agents", {"slug": "backend", "name": "Backend"})

    def start(self):
        """Starts it, reads from its standard error where it listens, and says how many seconds it took."""
        began = time.monotonic()
        argv = [self.binary, "serve", "--config", self.config]
        log = f"{self.folder}/log"
        self.child = children.start(argv, children.PROXY_CORE, log, stderr=subprocess.PIPE)
        self.pid = self.child.pid
        said = []
        for line in self.child.stderr:
            text = line.decode(errors="replace").strip()
            said.append(text)
            if "gateway listening on" in text:
                self.port = int(text.rpartition(":")[2])
            elif "console listening on" in text:
                self.console_port = int(text.rpartition(":")[2])
            elif "ops listening on" in text:
                self.ops_port = int(text.rpartition(":")[2])
            elif text.split()[-1:] == ["ready"]:
                break
        else:
            sys.exit(f"{self.name} did not become ready:\n" + "\n".join(said))
        # Whatever it says later is read, so that it never waits for a full pipe.
        threading.Thread(target=self.child.stderr.read, daemon=True).start()
        return time.monotonic() - began

    def restart(self):
        children.end(self.child)
        self._local = threading.local()
        return self.start()

    def _operator_token(self):
        argv = [self.binary, "operator", "token", "--config", self.config]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"keystile operator token failed: {done.stderr}")
        return done.stdout.strip()

    def denials(self):
        """How many requests it refused, by reason."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ops_port, timeout=30)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
        counted = re.findall(r'^keystile_denials_total\{reason="(\w+)"\} (\d+)', page, re.M)
        return {reason: int(count) for reason, count in counted if count != "0"}

    def post(self, path, body):
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.console_port, timeout=30)
            self._local.connection = connection
        fields = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        connection.request("POST", f"/api/v1{path}", json.dumps(body), fields)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 201:
            sys.exit(f"POST {path} was answered {response.status}: {answer.decode(errors='replace')}")
        return json.loads(answer)

    def create_key(self, name="bench", organization="bench"):
        body = {"name": name, "scope": {"type": "organization"}}
        return self.post(f"/organizations/{organization}/keys", body)["secret"]

    def create_keys(self, count):
        """Keys of several organizations, because an organization is not made for very many."""
        of_key = [f"bench-{number // KEYS_PER_ORGANIZATION}" for number in range(count)]
        for organization in sorted(set(of_key)):
            self.post("/organizations", {"slug": organization, "name": organization})
            self.post(f"/organizations/{organization}/agents", {"slug": "backend", "name": "Backend"})
        pool = ThreadPoolExecutor(_CREATE_AT_ONCE)
        try:
            return list(pool.map(lambda organization: self.create_key("bench", organization), of_key))
        finally:
            # After Ctrl-C nothing more is created; otherwise nothing is left to cancel.
            pool.shutdown(cancel_futures=True)


def unknown_keys(count):
    """Keys of the right form and checksum that nobody issued."""
    return [_well_formed() for _ in range(count)]


def _well_formed():
    body = "ks_" + "".join(secrets.choice(_ALPHABET) for _ in range(43))
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = _ALPHABET[digit] + digits
    return body + digits
