//! Starting: at once and with a clear line where something cannot be had, its files untouched.

use std::net::TcpListener;
use std::path::Path;

use crate::support::gateway::FailedStart;
use crate::support::{Gateway, Scene, Settings, Upstream};

/// A start that must fail with exit code 1 and with one line that says each of `words`.
fn fails_saying(gateway: &mut Gateway, words: &[&str]) {
    let FailedStart { status, said } = gateway.try_run().expect_err("it started");
    assert_eq!(status.code(), Some(1), "{said}");
    let told = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told, "no line says all of {words:?}:\n{said}");
    assert!(!said.contains("panicked"), "{said}");
}

fn bytes_of(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listeners: [fn(&mut Settings, &str); 3] = [
        |settings, address| {
            settings.gateway(&format!("listen: [{{ address: {address} }}]"));
        },
        |settings, address| {
            settings.console(address);
        },
        |settings, address| {
            settings.ops_listener(address);
        },
    ];
    for configure in listeners {
        let mut gateway = Gateway::prepare(|settings| configure(settings, &address));
        fails_saying(&mut gateway, &[&address]);
    }
}

#[test]
fn a_database_that_is_none_is_refused_and_untouched() {
    let mut gateway = Gateway::prepare(|_| ());
    let path = gateway.database();
    let garbage = b"this is not a database ".repeat(1000);
    std::fs::write(&path, &garbage).unwrap();
    fails_saying(&mut gateway, &["keystile.db"]);
    assert_eq!(bytes_of(&path), garbage);
}

#[test]
fn a_database_that_is_corrupt_is_refused_and_untouched() {
    let mut scene = Scene::new(Upstream::echo());
    assert!(scene.gateway.stop().success());
    let path = scene.gateway.database();
    let mut bytes = bytes_of(&path);
    // Page headers, not only free space: past the file header, which still says that it is a database.
    for byte in bytes.iter_mut().skip(100) {
        *byte = !*byte;
    }
    std::fs::write(&path, &bytes).unwrap();
    fails_saying(&mut scene.gateway, &["keystile.db"]);
    assert_eq!(bytes_of(&path), bytes);
}

#[test]
fn a_database_of_a_newer_keystile_is_refused_and_untouched() {
    let mut scene = Scene::new(Upstream::echo());
    assert!(scene.gateway.stop().success());
    let path = scene.gateway.database();
    pretend_a_later_migration_ran(&path);
    let bytes = bytes_of(&path);
    fails_saying(&mut scene.gateway, &["keystile.db", "newer"]);
    assert_eq!(bytes_of(&path), bytes);
}

fn pretend_a_later_migration_ran(path: &Path) {
    use sqlx::{Connection, SqliteConnection};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut database = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        let later = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, \
                     execution_time) VALUES (999999, 'later', '2030-01-01', TRUE, x'00', 0)";
        sqlx::query(later).execute(&mut database).await.unwrap();
        // Everything into the one file whose bytes are compared.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut database).await.unwrap();
        database.close().await.unwrap();
    });
}

#[test]
fn a_place_where_no_database_can_be_is_named() {
    let mut gateway = Gateway::prepare(|_| ());
    std::fs::create_dir(gateway.database()).unwrap();
    fails_saying(&mut gateway, &["keystile.db"]);
    let mut below_a_file = Gateway::prepare(|settings| {
        settings.database("sqlite:file/keystile.db");
    });
    std::fs::write(below_a_file.folder().join("file"), "not a folder").unwrap();
    fails_saying(&mut below_a_file, &["file/keystile.db"]);
}

#[test]
fn an_access_log_that_cannot_be_written_is_named() {
    let mut gateway = Gateway::prepare(|settings| {
        settings.section("access_log: { file: /proc/no/such/place.log }");
    });
    fails_saying(&mut gateway, &["/proc/no/such/place.log"]);
}

#[test]
fn a_configuration_with_problems_names_each_with_its_place() {
    let mut gateway = Gateway::prepare(|settings| {
        settings.gateway("wrokers: 2").section("nonsense: true");
    });
    let FailedStart { status, said } = gateway.try_run().expect_err("it started");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("keystile.yaml:") && said.contains("wrokers") && said.contains("workers"),
        "{said}"
    );
    assert!(said.contains("nonsense"), "{said}");
}

#[test]
fn two_gateways_cannot_share_one_port_by_accident() {
    let first = Gateway::start(|_| ());
    let address = first.address().to_string();
    let mut second = Gateway::prepare(|settings| {
        settings.gateway(&format!("listen: [{{ address: {address} }}]"));
    });
    fails_saying(&mut second, &[&address]);
}

#[test]
fn what_was_created_is_there_after_a_restart() {
    let mut scene = Scene::new(Upstream::echo());
    scene.gateway.restart();
    assert_eq!(scene.exchange(&scene.get("/agents/echo/x")).status, 200);
    let listed = scene.management().get("/organizations/acme/keys");
    assert_eq!((&listed["count"], &listed["cap"]), (&1.into(), &10.into()), "{listed}");
}
