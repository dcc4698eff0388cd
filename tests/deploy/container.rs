//! The image: no container engine is needed to see that what its file names is there.

use std::process::Command;

use crate::files::{copy, read, root, run};
use crate::support::gateway::BINARY;

const FILE: &str = "deploy/container/Containerfile";

/// The instructions, continued lines joined: name and rest.
fn instructions() -> Vec<(String, String)> {
    let text = read(FILE);
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = kept.join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.trim().split_once(' '));
    lines
        .map(|(name, rest)| (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

fn all(name: &str) -> Vec<String> {
    instructions().into_iter().filter(|(own, _)| own == name).map(|(_, rest)| rest).collect()
}

/// What is copied from the repository.
fn copied() -> Vec<String> {
    let from_here = all("COPY").into_iter().filter(|rest| !rest.starts_with("--from="));
    from_here
        .flat_map(|rest| {
            let words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            words[..words.len() - 1].to_vec()
        })
        .collect()
}

/// The words of an instruction in JSON.
fn words(rest: &str) -> Vec<String> {
    serde_json::from_str(rest).unwrap_or_else(|error| panic!("{rest}: {error}"))
}

#[test]
fn what_is_copied_is_there_and_reaches_the_builder() {
    let ignored = read(".dockerignore");
    assert!(ignored.lines().any(|line| line == "*"), "everything is left out but what is named");
    for path in copied() {
        assert!(root().join(&path).exists(), "{path}");
        assert!(ignored.lines().any(|line| line == format!("!{path}")), ".dockerignore leaves {path} out");
    }
}

#[test]
fn what_is_copied_is_all_that_cargo_needs_to_know_of_the_package() {
    let folder = tempfile::tempdir().unwrap();
    for path in copied() {
        if root().join(&path).is_dir() {
            copy(&path, folder.path());
        } else {
            std::fs::copy(root().join(&path), folder.path().join(&path)).unwrap();
        }
    }
    let metadata = run(Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(folder.path()));
    assert!(metadata.contains(r#""name":"keystile""#), "{metadata}");
    // What the code takes in when it is compiled is below `src`, which is copied whole.
    let sources = root().join("src").canonicalize().unwrap();
    for source in crate::files::below("src").iter().filter(|path| path.ends_with(".rs")) {
        let text = read(source);
        let taken = text.split("include_str!(\"").skip(1).chain(text.split("include_bytes!(\"").skip(1));
        for taken in taken.map(|rest| rest.split('"').next().unwrap()) {
            let place = root().join(source).parent().unwrap().join(taken).canonicalize();
            assert!(place.is_ok_and(|place| place.starts_with(&sources)), "{source} takes in {taken}");
        }
    }
}

#[test]
fn the_compiler_is_the_one_that_the_package_names_and_the_lock_holds() {
    let package = read("Cargo.toml");
    let named = package.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    let version = named.trim_end_matches('"');
    let stages = all("FROM");
    assert!(stages[0].starts_with(&format!("docker.io/library/rust:{version}-bookworm ")), "{stages:?}");
    // The libc that it was linked to has to be there: the same Debian.
    assert!(stages[1].contains("debian12"), "{stages:?}");
    let build = all("RUN").join("\n");
    assert!(build.contains("cargo build --release --locked --bin keystile"), "{build}");
}

#[test]
fn the_commands_of_the_image_exist_and_it_runs_as_nobody() {
    let check = all("HEALTHCHECK").remove(0);
    let (_, check) = check.split_once("CMD ").unwrap();
    let entry = words(&all("ENTRYPOINT")[0]);
    assert_eq!(entry, ["/usr/local/bin/keystile"]);
    let (check, command) = (words(check), words(&all("CMD")[0]));
    assert_eq!(check[0], entry[0]);
    for command in [&check[1], &command[0]] {
        run(Command::new(BINARY).args([command, "--help"]));
    }
    assert!(!all("USER")[0].starts_with('0') && all("USER")[0] != "root");
}

#[test]
fn the_health_check_of_the_image_tells_a_process_that_serves_from_one_that_does_not() {
    let mut gateway = crate::support::Gateway::start(|_| ());
    let url = format!("http://{}/readyz", gateway.ops_address());
    let ask = || Command::new(BINARY).args(["healthcheck", "--url", &url]).output().unwrap();
    let healthy = ask();
    assert!(healthy.status.success() && healthy.stderr.is_empty() && healthy.stdout.is_empty());
    assert!(gateway.stop().success());
    let gone = ask();
    assert_eq!(gone.status.code(), Some(1));
    assert!(crate::files::said(&gone).contains("does not answer"), "{}", crate::files::said(&gone));
}
