//! Databases that older versions have made: everybody who could come in can still.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHasher};
use keystile::config::DatabaseUrl;
use keystile::console::operations::{
    Caller, InForce, Login, Operations, Rules, SessionRules, SignIn, Whence, create_operator,
};
use keystile::domain::clock::Clock;
use keystile::domain::limit::Limits;
use keystile::domain::secret::SecretFormat;
use keystile::keytable::KeyTable;
use keystile::limits::Limiter;
use keystile::store::Database;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

const PASSWORD: &str = "correct horse battery";

/// A database as it was when there were operators and no people, with one of them.
async fn made_by_the_first_schema(path: &Path) {
    let scripts = tempfile::tempdir().unwrap();
    for (name, script) in [
        ("0001_records.sql", include_str!("../../src/store/migrations/sqlite/0001_records.sql")),
        ("0002_ledger.sql", include_str!("../../src/store/migrations/sqlite/0002_ledger.sql")),
    ] {
        std::fs::write(scripts.path().join(name), script).unwrap();
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    Migrator::new(scripts.path()).await.unwrap().run(&mut connection).await.unwrap();
    let hash = Argon2::default().hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    for statement in [
        "INSERT INTO operators (id, email, password_hash, created_at)
         VALUES ('0190b5c8-7d1e-7c3a-9a55-3a1f0c9d2b11', 'root@example.com', $1, 1800000000000)",
        "INSERT INTO audit (id, at, actor, action, subject, subject_name, organization_id)
         VALUES ('0190b5c8-7d1e-7c3a-9a55-3a1f0c9d2b12', 1, $1, 'organization.created', 's', 'n',
         '0190b5c8-7d1e-7c3a-9a55-3a1f0c9d2b13')",
    ] {
        sqlx::query(statement).bind(&hash).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

fn operations(database: &Database) -> Operations {
    let (limiter, _keeper) = Limiter::new();
    let rules = Rules {
        key_format: SecretFormat::keys(),
        keys_per_organization: 10,
        sessions: SessionRules {
            idle_timeout: Duration::from_secs(3_600),
            lifetime: Duration::from_secs(86_400),
        },
        people_may_sign_in: true,
    };
    let keys = Arc::new(KeyTable::new(Limits::default()));
    Operations::new(database.clone(), InForce::here(keys, limiter), Clock::system(), rules)
}

#[tokio::test]
async fn an_operator_of_a_database_that_knew_no_people_signs_in_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keystile.db");
    made_by_the_first_schema(&path).await;
    let url = DatabaseUrl::Sqlite(path);
    let database = Database::open(&url, Clock::system()).await.unwrap();
    let tried = SignIn {
        email: "Root@Example.com".to_owned(),
        password: PASSWORD.to_owned().into(),
        from: Whence::default(),
        browser: None,
    };
    let begun = operations(&database).sign_in(tried).await.unwrap();
    assert_eq!(begun.caller.name(), "root@example.com");
    assert!(begun.caller.is_operator());
    let again = Login { email: "root@example.com".to_owned(), password: PASSWORD.to_owned().into() };
    let taken = create_operator(&database, &Caller::operator("test"), again).await.unwrap_err();
    assert_eq!(taken.to_string(), "the e-mail address is already taken");
    database.close().await;
}
