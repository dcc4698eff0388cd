"""Holds a live server to its own description, with inputs that schemathesis makes of it.

Starts `keystile demo` on free ports, waits until it says where it is, and ends it by its id. The seed is printed; the
same seed makes the same inputs: SCHEMATHESIS_SEED=… tests/schemathesis/run.py. Needs the virtual environment that
tests/run makes under target/.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# The same in every run unless set: what fails, fails again.
SEED = os.environ.get("SCHEMATHESIS_SEED", "20261123")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "40")


def ask(demo, path):
    headers = {"authorization": f"Bearer {demo['token']}"}
    request = urllib.request.Request(f"{demo['console']}/api/v1{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def known(demo):
    """Ids of records that exist, so that not every call ends at 404. Ids, because inputs change slugs."""
    organization = ask(demo, f"/organizations/{demo['organization']}")["id"]
    under = f"/organizations/{organization}"
    return {
        "org": [organization],
        "agent": [agent["id"] for agent in ask(demo, f"{under}/agents")["items"]],
        "key": [key["id"] for key in ask(demo, f"{under}/keys")["items"]],
        "member": [member["id"] for member in ask(demo, f"{under}/members")["items"]],
    }


def configuration(demo):
    """What is common to all runs, with the records that this server has."""
    text = (HERE / "schemathesis.toml").read_text(encoding="utf-8")
    records = {name: ids for name, ids in known(demo).items() if ids}
    for name, ids in records.items():
        text += f"\n[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n"
    # Deleting a known record would leave nothing to call; what is made on the way is deleted.
    text += "\n[[operations]]\nexclude-method = \"DELETE\"\n[operations.parameters]\n"
    for name in records:
        text += f"\"path.{name}\" = {{ dictionary = \"{name}\", probability = 0.8 }}\n"
    return text


def check(demo, folder):
    path = pathlib.Path(folder, "schemathesis.toml")
    path.write_text(configuration(demo), encoding="utf-8")
    command = [
        str(ROOT / "target/schemathesis/bin/schemathesis"),
        "--config-file", str(path),
        "run", f"{demo['console']}/api/v1/openapi.json",
        "--url", demo["console"],
        "--header", f"Authorization: Bearer {demo['token']}",
        "--checks", "all",
        "--seed", SEED,
        "--max-examples", EXAMPLES,
        "--no-color",
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    print(f"schemathesis: seed {SEED}, {EXAMPLES} examples a call", flush=True)
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [str(ROOT / "target/debug/keystile"), "demo", "--json"],
            env={**os.environ, "TMPDIR": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            # The line is there once everything listens.
            return check(json.loads(server.stdout.readline()), folder)
        finally:
            server.terminate()
            server.wait(timeout=60)


sys.exit(main())
