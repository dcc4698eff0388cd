"""The servers compared: a backend, nginx, HAProxy twice, and the way without a proxy.

Each peer does the same work: it knows the key, refuses others with 401, counts the key's rate and forwards over kept
connections. Every setting that makes a peer slower than it could be is a defect of this bench.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import Optional

import children

SMALL_BYTES = 128
LARGE_BYTES = 64 * 1024
NEVER_REACHED = 1_000_000


@dataclass
class Peer:
    """A running server: what it is called, where it listens, whose CPU and memory are its own."""

    name: str
    port: int
    pid: Optional[int]
    prefix: str = ""

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{self.prefix}{path}"


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


_NGINX = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    tcp_nodelay on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{inner}
}}
"""

_BACKEND = """
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=8 inactive=1h;
    open_file_cache_valid 1h;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /small {{ return 200 "{small}"; }}
        location = /large {{ root {folder}; }}
    }}
"""

_NGINX_PROXY = """
    map_hash_bucket_size 128;
    map $http_x_api_key $known {{
        default 0;
        "{key}" 1;
    }}
    limit_req_zone $http_x_api_key zone=keys:10m rate={never}r/s;
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            if ($known = 0) {{ return 401; }}
            limit_req zone=keys burst={never} nodelay;
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 16 8k;
            proxy_max_temp_file_size 0;
        }}
    }}
"""

_HAPROXY = """
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    maxconn 8192
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    http-reuse always
backend keys
    stick-table type string len 64 size 100k expire 10m store http_req_rate(1s)
frontend front
    bind 127.0.0.1:{port} backlog 4096
    http-request deny deny_status 401 unless {{ {sample},map_str({map}) -m found }}
    http-request track-sc0 req.hdr(x-api-key) table keys
    http-request deny deny_status 429 if {{ sc0_http_req_rate gt {never} }}
    default_backend backend
backend backend
    server only 127.0.0.1:{backend} maxconn 8192
"""


def _nginx(folder, inner, core, port):
    os.makedirs(folder, exist_ok=True)
    # As root, nginx would have its worker run as a user who may not read the bench's folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config = _write(f"{folder}/nginx.conf", _NGINX.format(folder=folder, user=user, inner=inner))
    log = f"{folder}/log"
    child = children.start(["nginx", "-e", f"{folder}/error.log", "-p", folder, "-c", config], core, log)
    children.wait_until_listening(child, port, log)
    return child.pid


def start_backend(work_dir):
    """The upstream of all: answers /small and /large from memory, on the load generator's core."""
    folder, port = f"{work_dir}/backend", children.free_port()
    inner = _BACKEND.format(port=port, folder=folder, small="x" * SMALL_BYTES)
    os.makedirs(folder)
    _write(f"{folder}/large", "x" * LARGE_BYTES)
    _nginx(folder, inner, children.LOAD_CORE, port)
    return Peer("no proxy", port, None)


def start_nginx(work_dir, backend, key):
    folder, port = f"{work_dir}/nginx", children.free_port()
    inner = _NGINX_PROXY.format(port=port, key=key, backend=backend.port, never=NEVER_REACHED)
    return Peer("nginx", port, _nginx(folder, inner, children.PROXY_CORE, port))


def start_haproxy(work_dir, backend, key, hashed):
    name = "HAProxy, SHA-256 of the key" if hashed else "HAProxy"
    folder, port = f"{work_dir}/haproxy-{'hashed' if hashed else 'plain'}", children.free_port()
    os.makedirs(folder)
    # HAProxy's hex converter writes capitals.
    known = hashlib.sha256(key.encode()).hexdigest().upper() if hashed else key
    sample = "req.hdr(x-api-key),sha2(256),hex" if hashed else "req.hdr(x-api-key)"
    config = _HAPROXY.format(
        port=port,
        backend=backend.port,
        sample=sample,
        map=_write(f"{folder}/keys.map", f"{known} 1\n"),
        never=NEVER_REACHED,
    )
    log = f"{folder}/log"
    argv = ["haproxy", "-db", "-f", _write(f"{folder}/haproxy.cfg", config)]
    child = children.start(argv, children.PROXY_CORE, log)
    children.wait_until_listening(child, port, log)
    return Peer(name, port, child.pid)
