//! Opening a database: what is made, what is refused, and that what is refused is left as it was.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keystile::config::DatabaseUrl;
use keystile::console::operations::{Caller, create_token};
use keystile::domain::clock::Clock;
use keystile::store::{Database, OpenError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

async fn open(path: &Path) -> Result<Database, OpenError> {
    Database::open(&DatabaseUrl::Sqlite(path.to_owned()), Clock::system()).await
}

async fn open_beside(path: &Path) -> Result<Database, OpenError> {
    Database::open_beside(&DatabaseUrl::Sqlite(path.to_owned()), Clock::system()).await
}

/// A database that was used and closed.
async fn used(folder: &Path) -> PathBuf {
    let path = folder.join("keystile.db");
    let database = open(&path).await.unwrap();
    create_token(&database, &Caller::operator("test"), None).await.unwrap();
    database.close().await;
    path
}

async fn execute(path: &Path, statement: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Every file of a folder but the lock, which holds nothing, and SQLite's shared memory, which outlives no process.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| !path.extension().is_some_and(|end| end == "lock" || end == "db-shm"))
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect()
}

/// Opens `path` both ways, expects both to be refused with one line that holds `said`, and the folder to be as before.
async fn is_refused_untouched(path: &Path, said: &str) {
    let before = contents(path.parent().unwrap());
    for refused in [open(path).await, open_beside(path).await] {
        let line = refused.map(|_| ()).unwrap_err().to_string();
        assert!(line.contains(said) && line.contains(path.to_str().unwrap()), "{line}");
        assert!(!line.contains('\n'));
    }
    assert!(contents(path.parent().unwrap()) == before, "the files have changed");
}

#[tokio::test]
async fn a_missing_folder_and_file_are_made_for_this_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/keystile.db");
    let database = open(&path).await.unwrap();
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    database.close().await;
}

#[tokio::test]
async fn a_database_opens_again_with_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path()).await;
    open(&path).await.unwrap().close().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let tokens: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM management_tokens")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "these are my notes, and they are longer than a header").unwrap();
    is_refused_untouched(&path, "is not a SQLite database").await;
    std::fs::write(&path, "short").unwrap();
    is_refused_untouched(&path, "is not a SQLite database").await;
}

#[tokio::test]
async fn another_programs_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    std::fs::write(&path, "").unwrap();
    execute(&path, "CREATE TABLE songs (title TEXT)").await;
    is_refused_untouched(&path, "belongs to another program").await;
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path()).await;
    execute(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'later', 1, x'00', 1)",
    )
    .await;
    is_refused_untouched(&path, "newer keystile (schema 9000").await;
}

#[tokio::test]
async fn a_newer_database_whose_news_are_in_the_log_still_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path()).await;
    // As a killed process leaves it: the row is in the write-ahead log and not in the file.
    let mut writer = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'later', 1, x'00', 1)",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    let left = tempfile::tempdir().unwrap();
    let copy = left.path().join("keystile.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("keystile.db-wal"), left.path().join("keystile.db-wal")).unwrap();
    is_refused_untouched(&copy, "newer keystile (schema 9000").await;
}

#[tokio::test]
async fn a_database_with_another_history_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path()).await;
    execute(&path, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    is_refused_untouched(&path, "schema step 1 is not the one").await;
}

#[tokio::test]
async fn a_damaged_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path()).await;
    let mut bytes = std::fs::read(&path).unwrap();
    // The first page holds the schema and stays; everything behind it is overwritten.
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    is_refused_untouched(&path, "is damaged").await;
    bytes.truncate(3 * 4096 / 2);
    std::fs::write(&path, &bytes).unwrap();
    is_refused_untouched(&path, "is damaged").await;
    bytes[100..4096].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    is_refused_untouched(&path, "is damaged").await;
}

#[tokio::test]
async fn a_folder_or_a_path_through_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let line = open(folder.path()).await.unwrap_err().to_string();
    assert!(line.contains("cannot be opened"), "{line}");
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let line = open(&file.join("keystile.db")).await.unwrap_err().to_string();
    assert!(line.contains("check the path"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_a_file_and_operators_are_added_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keystile.db");
    let serving = open(&path).await.unwrap();
    let second = open(&path).await.unwrap_err();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    assert!(second.to_string().contains("stop that one first"));
    let beside = open_beside(&path).await.unwrap();
    create_token(&beside, &Caller::operator("test"), None).await.unwrap();
    beside.close().await;
    serving.close().await;
    drop(serving);
    open(&path).await.unwrap();
}

#[tokio::test]
async fn a_link_to_a_file_is_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path()).await;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let _serving = open(&path).await.unwrap();
    assert!(matches!(open(&link).await, Err(OpenError::InUse { .. })));
}

#[tokio::test]
async fn an_older_schema_is_not_changed_under_a_running_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path()).await;
    let serving = open(&path).await.unwrap();
    execute(&path, "DELETE FROM _sqlx_migrations WHERE version = 2").await;
    let refused = open_beside(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::ServedByOlder { .. }), "{refused}");
    serving.close().await;
}
