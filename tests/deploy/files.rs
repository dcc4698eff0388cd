//! The repository's files, and programs run on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository as text.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder of the repository, sorted, by their path from the root. Secrets that somebody made for
/// themselves are passed over.
pub(crate) fn below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if !entry.file_type().unwrap().is_dir() {
            found.push(path);
        } else if path != "deploy/compose/secrets" {
            found.extend(below(&path));
        }
    }
    found.sort();
    found
}

/// Copies a folder of the repository into `into`.
pub(crate) fn copy(folder: &str, into: &Path) -> PathBuf {
    for file in below(folder) {
        let target = into.join(&file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(root().join(&file), target).unwrap();
    }
    into.join(folder)
}

/// Whether there is a program of that name.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// What a command said on both its outputs.
pub(crate) fn said(output: &Output) -> String {
    [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat()
}

/// Runs a command that must succeed; gives what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    said(&output)
}
