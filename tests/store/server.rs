//! Opening a database on a server: what is made, what is refused with one line, and that what is refused is as it was.

use keystile::config::{DatabaseUrl, SecretText};
use keystile::console::operations::{Caller, create_token};
use keystile::domain::clock::Clock;
use keystile::store::{Database, OpenError, ServerError};

use crate::postgres::Postgres;

fn read(url: &str) -> DatabaseUrl {
    url.parse().unwrap()
}

async fn open(url: &str) -> Result<Database, OpenError> {
    Database::open(&read(url), Clock::system()).await
}

async fn open_shared(url: &str) -> Result<Database, OpenError> {
    Database::open_shared(&read(url), Clock::system()).await
}

async fn open_beside(url: &str) -> Result<Database, OpenError> {
    Database::open_beside(&read(url), Clock::system()).await
}

/// The name at the end of a URL.
fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// Opens `url` in every way, and expects each to be refused with one line that holds `said` and no password.
async fn is_refused(url: &str, said: &str) {
    for refused in [open(url).await, open_shared(url).await, open_beside(url).await] {
        let line = refused.map(|_| ()).unwrap_err().to_string();
        assert!(line.contains(said) && line.contains(url) && !line.contains('\n'), "{line}");
    }
}

/// Everything that a database of ours holds, as far as it can be compared.
fn contents(server: &Postgres, url: &str) -> String {
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    server.sql(name(url), tables)
}

#[tokio::test]
async fn a_new_database_is_set_up_and_opens_again_with_what_it_held() {
    let server = Postgres::start();
    let url = server.url();
    let database = open(&url).await.unwrap();
    create_token(&database, &Caller::operator("test"), None).await.unwrap();
    database.close().await;
    drop(database);
    open(&url).await.unwrap().close().await;
    assert_eq!(server.sql(name(&url), "SELECT count(*) FROM management_tokens"), "1");
}

#[tokio::test]
async fn a_password_is_needed_where_the_server_asks_for_one_and_shown_nowhere() {
    let server = Postgres::start_with_password("hunter2");
    let url = server.url();
    is_refused(&url, "refuses this user or password").await;
    let with = |password: &str| {
        let DatabaseUrl::Postgres(mut server) = read(&url) else { panic!("not a server") };
        server.password = SecretText::new(password);
        DatabaseUrl::Postgres(server)
    };
    let wrong = Database::open(&with("hunter23"), Clock::system()).await.unwrap_err();
    let said = format!("{wrong} {wrong:?}");
    assert!(matches!(wrong, OpenError::Server(ServerError::Denied { .. })) && !said.contains("hunter23"));
    let right = Database::open(&with("hunter2"), Clock::system()).await.unwrap();
    assert!(!format!("{right:?}").contains("hunter2"));
    right.close().await;
}

#[tokio::test]
async fn what_is_not_there_is_told_as_such() {
    let mut server = Postgres::start();
    is_refused(&server.url_of("nowhere"), "has no database `nowhere`").await;
    let url = server.url();
    let (host, port) = ("127.0.0.1:", server.port().to_string());
    assert!(url.contains(&format!("{host}{port}")));
    server.end();
    is_refused(&url, "does not answer").await;
}

#[tokio::test]
async fn databases_that_are_not_ours_or_not_fit_are_refused_untouched() {
    let server = Postgres::start();
    let foreign = server.url();
    server.sql(name(&foreign), "CREATE TABLE songs (title TEXT)");
    is_refused(&foreign, "belongs to another program").await;
    assert_eq!(contents(&server, &foreign), "songs");

    let newer = server.url();
    open(&newer).await.unwrap().close().await;
    let before = contents(&server, &newer);
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9000, 'later', TRUE, '', 1)";
    server.sql(name(&newer), later);
    is_refused(&newer, "newer keystile (schema 9000").await;
    server.sql(name(&newer), "DELETE FROM _sqlx_migrations WHERE version = 9000");
    server.sql(name(&newer), "UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1");
    is_refused(&newer, "schema step 1 is not the one").await;
    assert_eq!(contents(&server, &newer), before);

    let forbidden = server.url();
    server.sql(
        name(&forbidden),
        "ALTER SCHEMA public OWNER TO postgres; REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    );
    let statement = format!("ALTER DATABASE {} OWNER TO postgres", name(&forbidden));
    server.sql("postgres", &statement);
    is_refused(&forbidden, "make the user in `database` its owner").await;

    let latin = "CREATE DATABASE latin OWNER keystile ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    server.sql("postgres", latin);
    is_refused(&server.url_of("latin"), "its encoding is LATIN1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_start_at_once_on_a_new_database_all_serve_it() {
    let server = Postgres::start();
    let url = server.url();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { open_shared(&url).await.unwrap() })
        })
        .collect();
    let mut consoles = Vec::new();
    for start in starts {
        consoles.push(start.await.unwrap());
    }
    for console in &consoles {
        create_token(console, &Caller::operator("test"), None).await.unwrap();
    }
    assert_eq!(server.sql(name(&url), "SELECT count(*), max(seq) FROM changes"), "8|8");
    assert_eq!(server.sql(name(&url), "SELECT count(*) FROM _sqlx_migrations"), "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_fleet_serves_a_database_alone_and_consoles_of_a_fleet_together() {
    let server = Postgres::start();
    let url = server.url();
    let alone = open(&url).await.unwrap();
    for refused in [open(&url).await, open_shared(&url).await] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, OpenError::Server(ServerError::InUse { .. })), "{refused}");
    }
    let beside = open_beside(&url).await.unwrap();
    create_token(&beside, &Caller::operator("test"), None).await.unwrap();
    alone.close().await;
    drop(alone);
    let (one, two) = (open_shared(&url).await.unwrap(), open_shared(&url).await.unwrap());
    let refused = open(&url).await.unwrap_err();
    assert!(matches!(refused, OpenError::Server(ServerError::InUse { .. })), "{refused}");
    drop((one, two));
    open(&url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_schema_is_not_changed_under_a_running_process_by_a_command_beside_it() {
    let server = Postgres::start();
    let url = server.url();
    let serving = open(&url).await.unwrap();
    server.sql(name(&url), "DELETE FROM _sqlx_migrations WHERE version = 5");
    let refused = open_beside(&url).await.unwrap_err();
    assert!(matches!(refused, OpenError::Server(ServerError::ServedByOlder { .. })), "{refused}");
    drop(serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_console_has_the_right_to_publish_until_it_lets_go_or_loses_its_connection() {
    let server = Postgres::start();
    let url = server.url();
    let (one, two) = (open_shared(&url).await.unwrap(), open_shared(&url).await.unwrap());
    let mut lock = one.publisher_lock().await.unwrap().unwrap();
    assert!(lock.is_held().await && two.publisher_lock().await.unwrap().is_none());
    assert!(one.publisher_lock().await.unwrap().is_none(), "nor does the same console get it twice");
    drop(lock);
    let mut lock = loop {
        // The server has yet to see that the connection is closed.
        if let Some(lock) = two.publisher_lock().await.unwrap() {
            break lock;
        }
    };
    assert!(lock.is_held().await);
    let holder = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'";
    assert_eq!(server.sql(name(&url), holder), "t");
    assert!(!lock.is_held().await, "the server has ended the connection");
    assert!(!lock.is_held().await);
    assert!(one.publisher_lock().await.unwrap().is_some());
    let (first, second) = (one.next_term().await.unwrap(), two.next_term().await.unwrap());
    assert!(first < second);
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_waited_for_without_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://keystile@{}/keystile", silent.local_addr().unwrap());
    let refused = open(&url).await.unwrap_err().to_string();
    assert!(refused.contains("does not answer (no answer in time)"), "{refused}");
}

#[tokio::test]
async fn after_the_server_was_away_records_are_read_and_written_again() {
    let server = Postgres::start();
    let url = server.url();
    let database = open(&url).await.unwrap();
    create_token(&database, &Caller::operator("test"), None).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'keystile'";
    server.sql("postgres", cut);
    create_token(&database, &Caller::operator("test"), None).await.unwrap();
    assert_eq!(server.sql(name(&url), "SELECT count(*) FROM management_tokens"), "2");
}
