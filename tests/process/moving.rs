//! Records that move from a file to a server: what worked before works after.

use std::process::{Command, Output};

use serde_json::json;

use crate::support::gateway::BINARY;
use crate::support::postgres::Postgres;
use crate::support::{Gateway, Scene, Upstream};

const PASSWORD: &str = "hunter2 und Ümläute";

fn migrate(from: &str, to: &str, password: Option<&str>) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["migrate", "--from", from, "--to", to]).env_remove("PGPASSWORD");
    if let Some(password) = password {
        command.env("KEYSTILE_TO_PASSWORD", password);
    }
    command.output().unwrap()
}

/// The one line that a refused move says.
fn refusal(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    said
}

/// Makes the configuration name another database.
fn repoint(gateway: &Gateway, url: &str) {
    let text = std::fs::read_to_string(gateway.config()).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("database: ") {
        true => format!("database: {url}\ndatabase_password: {PASSWORD}\n"),
        false => format!("{line}\n"),
    });
    std::fs::write(gateway.config(), lines.collect::<String>()).unwrap();
}

#[test]
fn keys_and_what_is_used_of_their_limits_move_to_a_server_that_one_process_serves() {
    let server = Postgres::start_with_password(PASSWORD);
    let mut scene = Scene::new(Upstream::echo());
    let limits = json!({"limits": {"quotas": [{"requests": 5, "per": "month"}]}});
    let key = scene.management().key("acme", limits);
    let request = crate::support::Request::get("/agents/echo/x").key(&key.secret);
    for _ in 0..3 {
        assert_eq!(scene.exchange(&request).status, 200);
    }
    let (from, to) = (format!("sqlite:{}", scene.gateway.database().display()), server.url());
    let said = refusal(&migrate(&from, &to, Some(PASSWORD)));
    assert!(said.contains("in use by another running keystile"), "{said}");
    assert!(scene.gateway.stop().success());

    assert!(refusal(&migrate(&from, &to, None)).contains("refuses this user or password"));
    assert!(refusal(&migrate(&from, &to, Some("hunter23"))).contains("refuses this user or password"));
    let with_password = to.replace("keystile@", "keystile:hunter2@");
    assert!(refusal(&migrate(&from, &with_password, None)).contains("a password in the address"));
    assert!(refusal(&migrate("sqlite:/nowhere/a.db", &to, Some(PASSWORD))).contains("check `--from`"));
    let moved = migrate(&from, &to, Some(PASSWORD));
    let said = String::from_utf8_lossy(&moved.stderr).into_owned();
    assert!(moved.status.success() && said.contains("keys: 2\n"), "{said}");
    assert!(refusal(&migrate(&from, &to, Some(PASSWORD))).contains("holds records already"));

    repoint(&scene.gateway, &to);
    scene.gateway.run();
    let left: Vec<u16> = (0..4).map(|_| scene.exchange(&request).status).collect();
    assert_eq!(left, [200, 200, 429, 429], "three of five were used before");
    assert_eq!(scene.exchange(&scene.get("/agents/clock/x")).status, 200);

    let mut second = Gateway::prepare(|settings| {
        settings.database(&to).section(&format!("database_password: {PASSWORD}"));
    });
    let refused = second.try_run().unwrap_err();
    assert!(refused.said.contains("in use by another running keystile"), "{}", refused.said);
    assert!(!refused.said.contains("hunter2") && !scene.gateway.logs().contains("hunter2"));
}
