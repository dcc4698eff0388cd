//! The address of a database on a PostgreSQL server, as the tools of PostgreSQL write it.
//!
//! Promises that a password never stands in it, so that it can be shown, and that no part of it is left without effect.

use std::fmt;
use std::path::PathBuf;

use super::address::host_and_port;
use super::secret::SecretText;
use super::setting::Mistake;

/// Where the servers listen unless told otherwise.
const PORT: u16 = 5432;

/// A database on a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// A name, an address, or the folder of a socket, which begins with `/`.
    pub host: String,
    /// The port; for a socket, the number in its name.
    pub port: u16,
    /// Who signs in.
    pub user: String,
    /// The database's name.
    pub database: String,
    /// How the connection is encrypted.
    pub tls: PostgresTls,
    /// Who vouches for the server; the system's roots where nothing is said.
    pub ca_file: Option<PathBuf>,
    /// The password, from a setting of its own.
    pub password: Option<SecretText>,
}

/// How a connection is encrypted; the names are PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresTls {
    /// Not at all.
    Disable,
    /// Where the server can.
    Prefer,
    /// Always; whoever answers is believed, unless there is a CA file.
    Require,
    /// Always, and the server's certificate must be vouched for.
    VerifyCa,
    /// Always, and the certificate must name the host too.
    VerifyFull,
}

impl PostgresTls {
    const ALL: [(&'static str, PostgresTls); 5] = [
        ("disable", PostgresTls::Disable),
        ("prefer", PostgresTls::Prefer),
        ("require", PostgresTls::Require),
        ("verify-ca", PostgresTls::VerifyCa),
        ("verify-full", PostgresTls::VerifyFull),
    ];
}

/// Without the password, and without parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PostgresUrl { host, port, user, database, .. } = self;
        if host.starts_with('/') {
            return write!(f, "postgres://{user}@/{database}?host={host}");
        }
        if host.contains(':') {
            return write!(f, "postgres://{user}@[{host}]:{port}/{database}");
        }
        write!(f, "postgres://{user}@{host}:{port}/{database}")
    }
}

impl PostgresUrl {
    /// Whether a text means to be such an address.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }

    /// Reads `postgres://user@host:port/database?sslmode=…&sslrootcert=…&host=/folder`.
    pub(crate) fn parse(text: &str) -> Result<PostgresUrl, Mistake> {
        let mistake = || Mistake::with("not the address of a database", EXPECTED);
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or_else(mistake)?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        // To the last `@`: whoever writes a password may forget to encode what is in it.
        let (user, place) = place.rsplit_once('@').ok_or_else(|| Mistake::with("no user", EXPECTED))?;
        if user.contains(':') {
            let instead = "expected the user alone: the password belongs into `database_password_file` or `database_password`";
            return Err(Mistake::with("a password in the address", instead));
        }
        let (authority, database) =
            place.split_once('/').ok_or_else(|| Mistake::with("no database", EXPECTED))?;
        let (user, database) = (decoded(user).ok_or_else(mistake)?, decoded(database).ok_or_else(mistake)?);
        if user.is_empty() || database.is_empty() || database.contains('/') {
            return Err(mistake());
        }
        let (host, port) = match authority {
            "" => (String::new(), None),
            _ => host_and_port(authority).ok_or_else(|| Mistake::with("not a host", EXPECTED))?,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut url = PostgresUrl {
            host,
            port: port.unwrap_or(PORT),
            user,
            database,
            tls: PostgresTls::Prefer,
            ca_file: None,
            password: None,
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            url.set(parameter)?;
        }
        if url.host.is_empty() {
            return Err(Mistake::with("no host", EXPECTED));
        }
        let verifies =
            matches!(url.tls, PostgresTls::Require | PostgresTls::VerifyCa | PostgresTls::VerifyFull);
        if url.ca_file.is_some() && !verifies {
            let instead =
                "expected `sslmode=verify-full` beside `sslrootcert`: without it nothing is verified";
            return Err(Mistake::with("a CA file that is not used", instead));
        }
        Ok(url)
    }

    fn set(&mut self, parameter: &str) -> Result<(), Mistake> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decoded(value).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Mistake::with("a parameter without a value", PARAMETERS))?;
        match name {
            "sslmode" => {
                let known = PostgresTls::ALL.into_iter().find(|(name, _)| *name == value);
                let (_, tls) = known.ok_or_else(|| Mistake::with("no such `sslmode`", PARAMETERS))?;
                self.tls = tls;
            }
            "sslrootcert" => self.ca_file = Some(PathBuf::from(value)),
            "host" if value.starts_with('/') && self.host.is_empty() => self.host = value,
            "host" => {
                let instead = "expected the folder of a socket, such as `postgres://keystile@/keystile?host=/run/postgresql`";
                return Err(Mistake::with("two hosts", instead));
            }
            "password" => {
                let instead = "expected `database_password_file` or `database_password` instead";
                return Err(Mistake::with("a password in the address", instead));
            }
            _ => return Err(Mistake::with("a parameter that is not known here", PARAMETERS)),
        }
        Ok(())
    }
}

const EXPECTED: &str =
    "expected `postgres://USER@HOST:PORT/DATABASE`, such as `postgres://keystile@127.0.0.1/keystile`";
const PARAMETERS: &str =
    "expected `sslmode` (disable, prefer, require, verify-ca, verify-full), `sslrootcert` or `host`";

/// Without percent-encoding; nothing where it is broken, or holds a control character.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_the_tools_of_postgresql_write_it() {
        let shown = |text| PostgresUrl::parse(text).map(|url| url.to_string()).ok();
        for (text, same) in [
            ("postgres://keystile@db/keystile", "postgres://keystile@db:5432/keystile"),
            ("postgresql://a%40b@DB.internal:6000/x", "postgres://a@b@db.internal:6000/x"),
            ("postgres://k@[::1]:5433/d", "postgres://k@[::1]:5433/d"),
            ("postgres://k@/d?host=/run/postgresql", "postgres://k@/d?host=/run/postgresql"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(same), "{text}");
        }
        let url =
            PostgresUrl::parse("postgres://k@h/d?sslmode=verify-full&sslrootcert=/etc/ca%20x.pem").unwrap();
        assert_eq!((url.tls, url.ca_file), (PostgresTls::VerifyFull, Some("/etc/ca x.pem".into())));
        for bad in [
            "postgres:k@h/d",
            "postgres://h/d",
            "postgres://k@h",
            "postgres://k@h/",
            "postgres://k@/d",
            "postgres://k@h/d/e",
            "postgres://k@h:0/d",
            "postgres://k@h/d?sslmode=on",
            "postgres://k@h/d?sslmode",
            "postgres://k@h/d?host=/x",
            "postgres://k@h/d?connect_timeout=3",
            "postgres://k@h/d?sslrootcert=/ca.pem",
            "postgres://k%@h/d",
            "postgres://k@h/d%00",
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
