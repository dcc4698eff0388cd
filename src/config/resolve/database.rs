//! The database: where it is, and the password that a server asks for.

use crate::config::problem::{At, Findings};
use crate::config::resolved::DatabaseUrl;
use crate::config::secret::{SecretFile, SecretText};

pub(super) fn resolve(
    written: Option<At<DatabaseUrl>>,
    password: Option<At<SecretText>>,
    password_file: Option<At<SecretFile>>,
    findings: &mut Findings,
) -> DatabaseUrl {
    let url = written.map(|at| at.value);
    let mut url = url.unwrap_or_else(|| DatabaseUrl::Sqlite("keystile-data/keystile.db".into()));
    let place = password_file.as_ref().map(|file| file.place).or(password.as_ref().map(|at| at.place));
    let Some(place) = place else { return url };
    let DatabaseUrl::Postgres(server) = &mut url else {
        let expected = "expected none: a SQLite file has no password; remove this line";
        findings.refuse(place, "a password for a file", expected);
        return url;
    };
    match (password, password_file) {
        (Some(_), Some(file)) => {
            let expected = "expected one of the two: remove `database_password` or `database_password_file`";
            findings.refuse(file.place, "two passwords for the database", expected);
        }
        (Some(password), None) => server.password = Some(password.value),
        (None, Some(file)) => match file.value.read() {
            Ok(password) => server.password = Some(password),
            Err(why) => {
                let expected =
                    "expected a file that holds the password and nothing else, and that this user may read";
                findings.refuse(file.place, why, expected);
            }
        },
        (None, None) => {}
    }
    url
}
