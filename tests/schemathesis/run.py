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
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "25")
SCHEMATHESIS = ROOT / "target/schemathesis/bin/schemathesis"
KEYSTILE = ROOT / "target/debug/keystile"


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


def configuration(demo, credential):
    """What is common to all runs, with the records that this server has."""
    text = (HERE / "schemathesis.toml").read_text(encoding="utf-8")
    text += f"\n[auth.openapi]\n{credential}\n"
    records = {name: ids for name, ids in known(demo).items() if ids}
    for name, ids in records.items():
        text += f"\n[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n"
    # Deleting a known record would leave nothing to call; what is made on the way is deleted.
    text += "\n[[operations]]\nexclude-method = \"DELETE\"\n[operations.parameters]\n"
    for name in records:
        text += f"\"path.{name}\" = {{ dictionary = \"{name}\", probability = 0.8 }}\n"
    return text


def signed_in(demo):
    """The session of an organization admin."""
    person = demo["people"][0]
    body = json.dumps({"email": person["email"], "password": person["password"]}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{demo['console']}/api/v1/session", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        cookie = answer.headers.get_all("set-cookie")[0]
    return cookie.split(";")[0].split("=", 1)[1]


def check(demo, folder, who, credential, *choice):
    """Calls what `choice` leaves, as `who`; whether nothing was found."""
    print(f"schemathesis as {who}: seed {SEED}, {EXAMPLES} examples a call", flush=True)
    path = pathlib.Path(folder, "schemathesis.toml")
    path.write_text(configuration(demo, credential), encoding="utf-8")
    command = [
        SCHEMATHESIS, "--config-file", path, "run", f"{demo['console']}/api/v1/openapi.json",
        "--url", demo["console"], "--checks", "all", "--seed", SEED, "--max-examples", EXAMPLES, "--no-color", *choice,
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode == 0


def check_all(demo, folder):
    # What a session says of its person is not a token's to ask. Ending the session would leave nothing to call.
    own = ["--include-tag", "session", "--exclude-operation-id", "signOut", "--exclude-operation-id", "signOutEverywhere"]
    session = f"session = {{ api_key = \"{signed_in(demo)}\" }}"
    as_person = check(demo, folder, "an organization admin", session, *own)
    token = f"token = {{ bearer = \"{demo['token']}\" }}"
    return check(demo, folder, "an operator's program", token) and as_person


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [KEYSTILE, "demo", "--json"],
            env={**os.environ, "TMPDIR": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            # The line is there once everything listens.
            return 0 if check_all(json.loads(server.stdout.readline()), folder) else 1
        finally:
            server.terminate()
            server.wait(timeout=60)


sys.exit(main())
