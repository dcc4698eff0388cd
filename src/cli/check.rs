//! `keystile check`: every problem of a configuration file, or that it has none.
//!
//! Promises to start nothing and to change nothing: no port is opened, no database touched.

use std::io::{self, Write};
use std::path::Path;

use crate::config;

/// Checks the file at `path`. Says on `out` what a good one would serve, on `err` what is wrong with a bad one.
/// True where it is good.
///
/// # Errors
/// Where `out` or `err` cannot be written to.
pub(super) fn check(path: &Path, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<bool> {
    match config::load(path) {
        Ok(config) => {
            let count =
                |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
            let routes = count(config.routes.len(), "route");
            let upstreams = count(config.upstreams.len(), "upstream");
            writeln!(out, "{}: no problems; {routes}, {upstreams}", path.display())?;
            Ok(true)
        }
        Err(problems) => {
            writeln!(err, "{problems}")?;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> (bool, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keystile.yaml");
        std::fs::write(&path, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let good = check(&path, &mut out, &mut err).unwrap();
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(folder.path().to_str().unwrap(), "");
        (good, text(out), text(err))
    }

    #[test]
    fn a_good_file_is_said_to_be_good_and_nothing_goes_to_stderr() {
        let text =
            "upstreams: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\nroutes: [{ path: /, upstream: a }]\n";
        let said = "/keystile.yaml: no problems; 1 route, 1 upstream\n";
        assert_eq!(check_text(text), (true, said.into(), String::new()));
    }

    #[test]
    fn the_problems_of_a_bad_file_go_to_stderr_and_nothing_to_stdout() {
        let (good, out, err) = check_text("gatewy: {}\nroutes: 7\n");
        assert!(!good && out.is_empty());
        assert!(err.contains("/keystile.yaml:1:1: unknown field `gatewy`"), "{err}");
        assert!(err.contains("/keystile.yaml:2:9: "), "{err}");
    }

    #[test]
    fn a_missing_file_is_a_problem_like_any_other() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let good = check(Path::new("/nowhere/keystile.yaml"), &mut out, &mut err).unwrap();
        let err = String::from_utf8(err).unwrap();
        assert!(!good && err.starts_with("/nowhere/keystile.yaml: cannot be read: "), "{err}");
    }
}
