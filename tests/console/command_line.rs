//! The commands `orgs`, `agents`, `keys` and `operator` as a shell runs them, against a console on a free port.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::Console;

pub(crate) struct Shell {
    url: String,
    token: String,
}

pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shell {
    pub(crate) async fn to(console: &Console) -> Shell {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, console.router.clone()).into_future());
        Shell { url, token: console.token.clone() }
    }

    pub(crate) fn run(&self, line: &[&str]) -> Said {
        let mut command = keystile(line);
        command.env("KEYSTILE_URL", &self.url).env("KEYSTILE_TOKEN", &self.token);
        // A proxy of the surroundings is not asked.
        said(command.env("HTTP_PROXY", "http://127.0.0.1:1").output().unwrap())
    }
}

fn keystile(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keystile"));
    command.args(line).env_remove("KEYSTILE_URL").env_remove("KEYSTILE_TOKEN").stdin(Stdio::null());
    command
}

fn said(output: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    #[track_caller]
    pub(crate) fn done(self) -> Said {
        assert_eq!(self.code, 0, "{}", self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_its_whole_life_on_the_command_line() {
    let console = Console::start().await;
    let shell = Shell::to(&console).await;
    shell.run(&["orgs", "create", "acme", "--name", "Acme", "--time-zone", "Europe/Berlin"]).done();
    shell.run(&["agents", "create", "echo", "--org", "acme"]).done();
    let line = [
        "keys",
        "create",
        "--org",
        "acme",
        "--name",
        "ci",
        "--agent",
        "echo",
        "--rate",
        "100/s",
        "--burst",
        "200",
        "--quota",
        "1000/day",
        "--quota",
        "5000/week",
        "--concurrency",
        "7",
    ];
    let made = shell.run(&line).done();
    let secret = made.out.trim_end_matches('\n');
    assert!(secret.starts_with("ks_") && secret.len() == 52, "stdout holds the secret alone");
    assert!(!made.err.contains(secret));
    let entry = console.lookup(secret).unwrap();
    assert_eq!(entry.limits.limits().rate.unwrap().burst, 200);
    assert_eq!(entry.limits.limits().quotas.as_ref().unwrap().len(), 2);
    let id = entry.id.to_string();

    let list = shell.run(&["keys", "list", "--org", "acme"]).done();
    assert!(list.out.contains(&id) && list.out.contains("echo") && !list.out.contains(secret));
    shell.run(&["keys", "limits", &id, "--org", "acme", "--concurrency", "9"]).done();
    let limits = console.lookup(secret).unwrap().limits.limits().clone();
    assert_eq!((limits.concurrency, limits.rate.unwrap().burst), (Some(9), 200));
    shell.run(&["keys", "limits", &id, "--org", "acme", "--clear"]).done();
    assert_eq!(console.lookup(secret).unwrap().limits.limits().concurrency, None);
    shell.run(&["keys", "disable", &id, "--org", "acme"]).done();
    assert!(console.lookup(secret).unwrap().disabled);
    shell.run(&["keys", "enable", &id, "--org", "acme"]).done();
    shell.run(&["keys", "rename", &id, "--org", "acme", "--name", "other"]).done();
    let shown = shell.run(&["--json", "keys", "show", &id, "--org", "acme"]);
    let shown =
        if shown.code == 0 { shown } else { shell.run(&["keys", "show", &id, "--org", "acme", "--json"]) };
    assert_eq!(shown.done().json()["name"], "other");
    assert!(shell.run(&["keys", "usage", &id, "--org", "acme"]).done().out.contains("total"));
    let gone = shell.run(&["keys", "delete", &id, "--org", "acme"]).done();
    assert!(gone.out.starts_with("deleted; refused everywhere"), "{}", gone.out);
    assert!(console.lookup(secret).is_none());
    shell.run(&["agents", "rename", "echo", "--org", "acme", "--slug", "echo2"]).done();
    shell.run(&["agents", "delete", "echo2", "--org", "acme"]).done();
    shell.run(&["orgs", "update", "acme", "--name", "A"]).done();
    assert!(shell.run(&["orgs", "show", "acme"]).done().out.contains("Europe/Berlin"));
    shell.run(&["orgs", "delete", "acme"]).done();
    assert_eq!(shell.run(&["orgs", "list", "--json"]).done().json()["items"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_one_line_on_stderr_and_exit_code_1() {
    let console = Console::with_acme().await;
    let mut shell = Shell::to(&console).await;
    let lines: [(&[&str], &str); 3] = [
        (&["keys", "list", "--org", "nobody"], "no such record"),
        (&["orgs", "create", "Not A Slug"], "/slug"),
        (&["orgs", "create", "acme"], "already taken"),
    ];
    for (line, expected) in lines {
        let refused = shell.run(line);
        assert_eq!((refused.code, refused.out.as_str()), (1, ""));
        assert!(refused.err.contains(expected) && refused.err.lines().count() == 1, "{}", refused.err);
    }
    shell.token = "ksm_unknown".to_owned();
    assert!(shell.run(&["orgs", "list"]).err.contains("operator token"));
    let unset = said(keystile(&["orgs", "list"]).output().unwrap());
    assert!(unset.code == 1 && unset.err.contains("KEYSTILE_TOKEN"), "{}", unset.err);
    shell.url = "http://127.0.0.1:1".to_owned();
    let away = shell.run(&["orgs", "list"]);
    assert!(
        away.code == 1 && away.err.contains("is it running?") && away.err.lines().count() == 1,
        "{}",
        away.err
    );
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    let lines: [&[&str]; 5] = [
        &["keys", "list"],
        &["keys", "limits", "x", "--org", "acme"],
        &["keys", "create", "--org", "acme", "--name", "k", "--rate", "fast"],
        &["keys", "create", "--org", "acme", "--name", "k", "--expires-at", "tomorrow"],
        &["orgs", "update", "acme"],
    ];
    for line in lines {
        let wrong = said(keystile(line).env("KEYSTILE_TOKEN", "x").output().unwrap());
        assert_eq!((wrong.code, wrong.out.as_str()), (2, ""), "{line:?}: {}", wrong.err);
    }
}

#[tokio::test]
async fn the_first_operator_and_token_are_made_on_a_new_database() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("keystile.yaml");
    let database = folder.path().join("new/keystile.db");
    std::fs::write(&config, format!("database: sqlite:{}\n", database.display())).unwrap();
    let config = config.to_str().unwrap();
    let token = said(keystile(&["operator", "token", "--config", config]).output().unwrap()).done();
    assert!(token.out.starts_with("ksm_") && token.out.lines().count() == 1 && token.out.trim().len() == 53);

    let create = |password: &str| {
        let line = ["operator", "create", "--email", "Ada@Example.com", "--config", config];
        let mut child = keystile(&line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        said(child.wait_with_output().unwrap())
    };
    let weak = create("short\n");
    assert!(weak.code == 1 && weak.err.contains("12 or more") && !weak.err.contains("short"), "{}", weak.err);
    create("correct horse battery\n").done();
    let again = create("correct horse battery\n");
    assert!(again.code == 1 && again.err.contains("already taken"), "{}", again.err);
    for file in std::fs::read_dir(database.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(13).any(|window| window == b"correct horse"));
    }
    let stored = std::fs::read(&database).unwrap();
    assert!(stored.windows(9).any(|window| window == b"$argon2id"));
    assert!(stored.windows(15).any(|window| window == b"ada@example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_invited_changed_and_removed_on_the_command_line() {
    let console = Console::with_acme().await;
    let shell = Shell::to(&console).await;
    let line = ["members", "invite", "--org", "acme", "--role", "organization-admin", "ada@acme.example"];
    let link = shell.run(&line).done().out;
    assert!(
        link.starts_with("https://keys.example.com/invitations/ksi_") && link.lines().count() == 1,
        "{link}"
    );
    let again = shell.run(&["members", "link", "--org", "acme", "ada@acme.example"]).done().out;
    assert_ne!(link, again);
    let line = [
        "members",
        "invite",
        "--org",
        "acme",
        "--role",
        "agent-admin",
        "--agent",
        "echo",
        "bob@acme.example",
    ];
    shell.run(&line).done();
    let edit = ["members", "edit", "--org", "acme", "Bob@acme.example", "--disabled", "true", "--json"];
    assert_eq!(shell.run(&edit).done().json()["state"], "disabled");
    let listed = shell.run(&["members", "list", "--org", "acme"]).done().out;
    assert!(listed.contains("bob@acme.example  agent-admin         echo    disabled"), "{listed}");
    shell.run(&["members", "remove", "--org", "acme", "bob@acme.example"]).done();
    let missing = shell.run(&["members", "remove", "--org", "acme", "bob@acme.example"]);
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert!(missing.err.contains("no member has the address bob@acme.example"), "{}", missing.err);
    assert_eq!(shell.run(&["members", "edit", "--org", "acme", "ada@acme.example"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_management_token_opens_nothing_from_then_on() {
    let console = Console::start().await;
    let shell = Shell::to(&console).await;
    let config = console.folder.path().join("keystile.yaml");
    let database = console.folder.path().join("keystile.db");
    std::fs::write(&config, format!("database: sqlite:{}\n", database.display())).unwrap();
    let config = config.to_str().unwrap();
    shell.run(&["orgs", "list"]).done();
    let listed = shell.run(&["operator", "tokens", "--config", config]).done().out;
    assert!(!listed.contains(&console.token), "{listed}");
    let id = listed.lines().nth(1).unwrap().split_whitespace().last().unwrap().to_owned();
    shell.run(&["operator", "revoke", &id, "--config", config]).done();
    assert_eq!(shell.run(&["orgs", "list"]).code, 1);
    let again = shell.run(&["operator", "revoke", &id, "--config", config]);
    assert!(again.code == 1 && again.err.contains("operator tokens"), "{}", again.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_list_the_gateways() {
    let console = Console::start().await;
    let shell = Shell::to(&console).await;
    let listed = shell.run(&["gateways", "list"]).done();
    assert!(listed.out.contains("this process  serving"), "{}", listed.out);
    assert!(listed.err.starts_with("no fleet"), "{}", listed.err);
    let told = shell.run(&["gateways", "list", "--json"]).done().json();
    assert_eq!((&told["gateways"], &told["items"][0]["state"]), (&1.into(), &"serving".into()));
}
