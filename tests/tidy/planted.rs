//! Breaches planted in sample sources: each rule finds its own, at its line, and nothing in good code.

use super::*;

fn source(file: &str, text: &str) -> Source {
    Source { file: file.to_owned(), text: text.to_owned() }
}

/// The lines at which `rule` finds a breach.
fn lines(rule: fn(&Source) -> Vec<Breach>, file: &str, text: &str) -> Vec<usize> {
    rule(&source(file, text)).into_iter().map(|breach| breach.line).collect()
}

#[test]
fn an_import_to_the_right_is_found_in_every_spelling() {
    let planted = [
        "use crate::gateway::Worker;",
        "use crate::{domain::id::KeyId, gateway};",
        "use crate::{domain, console::{operations, api}};",
        "fn f() { crate::app::run() }",
        "fn f() -> crate::cli::Exit { todo() }",
        "fn f() { println!(\"{}\", crate::gateway::NAME) }",
        "use super::super::gateway::Worker;",
        "mod tests { use super::super::super::gateway::Worker; }",
        "macro_rules! m { () => { $crate::console::call() } }",
    ];
    for text in planted {
        assert_eq!(lines(import_direction, "src/telemetry/keys.rs", text), [1], "{text}");
    }
    assert_eq!(lines(import_direction, "src/app.rs", "use super::cli;"), [1]);
    assert_eq!(lines(import_direction, "src/cli/mod.rs", "\nuse super::main::run;"), [2]);
}

#[test]
fn imports_to_the_left_and_within_a_module_are_fine() {
    let good = "use crate::domain::id::KeyId;\nuse crate::telemetry::{Metrics, ops};\nuse super::gateway;\n\
                pub(crate) fn f() { gateway::call(); let x: app::Y = crate::keytable::size(); }";
    assert_eq!(lines(import_direction, "src/telemetry/keys.rs", good), [0; 0]);
    assert_eq!(lines(import_direction, "src/main.rs", "use keystile::cli::run;"), [0; 0]);
    assert_eq!(lines(import_direction, "src/lib.rs", "pub mod gateway; use crate::app::x;"), [0; 0]);
}

#[test]
fn the_planes_do_not_import_each_other() {
    assert_eq!(lines(import_direction, "src/gateway/pool.rs", "use crate::console::router;"), [1]);
    assert_eq!(lines(import_direction, "src/console/mod.rs", "use crate::gateway::Pool;"), [1]);
}

#[test]
fn a_phase_that_reads_the_configuration_is_found() {
    let text = "use crate::config::Route;";
    assert_eq!(lines(import_direction, "src/gateway/authorize.rs", text), [1]);
    assert_eq!(lines(import_direction, "src/gateway/forward/retry.rs", text), [1]);
    assert_eq!(lines(import_direction, "src/gateway/listen.rs", text), [0; 0]);
}

#[test]
fn a_module_without_a_place_is_found() {
    assert_eq!(lines(import_direction, "src/extra/mod.rs", ""), [1]);
}

#[test]
fn sql_and_redis_are_found_outside_their_homes() {
    let sql = "async fn f() {\n    sqlx::query!(\"SELECT 1\");\n}";
    assert_eq!(lines(confined_crates, "src/console/api.rs", sql), [2]);
    assert_eq!(lines(confined_crates, "src/store/keys.rs", sql), [0; 0]);
    assert_eq!(lines(confined_crates, "src/limits/mod.rs", "use redis::Script;"), [1]);
    assert_eq!(lines(confined_crates, "src/limits/mod.rs", "use ::{redis::Script, std::fmt};"), [1]);
    assert_eq!(lines(confined_crates, "src/config/file.rs", "struct Fleet { redis: Url }"), [0; 0]);
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let body = "    step();\n".repeat(FUNCTION_LINES_MAX - 2);
    let fits = format!("/// One.\nfn f() {{\n{body}}}\n");
    assert_eq!(lines(function_length, "src/app.rs", &fits), [0; 0]);
    let over = format!("impl T {{\n    /// One.\n    async fn f() {{\n{body}    step();\n}}\n}}\n");
    assert_eq!(lines(function_length, "src/app.rs", &over), [3]);
    let file = "//\n".repeat(FILE_LINES_MAX);
    assert_eq!(lines(file_length, "src/app.rs", &file), [0; 0]);
    assert_eq!(lines(file_length, "tests/x.rs", &format!("{file}//\n")), [FILE_LINES_MAX + 1]);
}

#[test]
fn a_file_that_does_not_open_with_what_it_owns_is_found() {
    assert_eq!(lines(opening, "src/app.rs", "// a comment\n//! late"), [1]);
    assert_eq!(lines(opening, "src/app.rs", "//! Owns the whole."), [0; 0]);
}

#[test]
fn names_that_say_nothing_are_found() {
    for file in ["src/util.rs", "src/gateway/path_helpers.rs", "tests/common/mod.rs", "src/key_manager/x.rs"]
    {
        assert_eq!(lines(names, file, ""), [1], "{file}");
    }
    assert_eq!(lines(names, "src/store/database.rs", ""), [0; 0]);
}

#[test]
fn notes_ignored_tests_and_sleeps_are_found() {
    let note = format!("//! Fine.\n// {}: later\n", NOTES[0]);
    assert_eq!(lines(notes, "src/app.rs", &note), [2]);
    let ignored = "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n#[cfg_attr(miri, ignore)]\nfn g() {}\n#[test]\nfn ignore() {}";
    assert_eq!(lines(ignored_tests, "tests/x.rs", ignored), [2, 4]);
    let sleep = "async fn f() {\n    tokio::time::sleep(TICK).await;\n}\n";
    assert_eq!(lines(sleeping_tests, "tests/gateway/main.rs", sleep), [2]);
    assert_eq!(lines(sleeping_tests, "src/limits/tests.rs", sleep), [2]);
    assert_eq!(lines(sleeping_tests, "src/limits/keeper.rs", sleep), [0; 0]);
    let subject = "fn f() {\n    // Not synchronisation: a wait is the subject.\n    sleep(TICK);\n}\n";
    assert_eq!(lines(sleeping_tests, "tests/gateway/main.rs", subject), [0; 0]);
    let inline = format!("{sleep}mod tests {{\n{sleep}}}");
    assert_eq!(lines(sleeping_tests, "src/limits/keeper.rs", &inline), [6]);
}

#[test]
fn a_dependency_without_its_reason_is_found() {
    let manifest =
        "[package]\nname = \"x\"\n[dependencies]\na = \"1\" # why\nb = \"2\"\n[features]\nc = []\n";
    let found: Vec<usize> = unexplained_dependencies(manifest).iter().map(|breach| breach.line).collect();
    assert_eq!(found, [5]);
}

#[test]
fn a_breach_reads_as_a_place_and_what_to_do() {
    let breaches = import_direction(&source("src/domain/id.rs", "use crate::store::Row;"));
    let text = breaches.first().expect("a breach").to_string();
    assert!(text.starts_with("src/domain/id.rs:1: `domain` may not import `store`"), "{text}");
}
