//! The code's own shape, held by a test: who may import whom, how long files and functions are, what they are called.
//!
//! Reads the sources as tokens, so that nothing hides in a macro. Promises that every message says what to do. It
//! never judges what the compiler, rustfmt or clippy judge already.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

use std::fmt;
use std::fs;
use std::path::Path;

use imports::{Import, imports, is_word};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/planted.rs"]
mod planted;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// The line of DESIGN.md section 2, left to right. A module imports from its left only; those in one place, which are
/// the two planes, do not import each other.
const LAYERS: &[&[&str]] = &[
    &["domain"],
    &["config"],
    &["limits"],
    &["keytable"],
    &["store"],
    &["fleet"],
    &["telemetry"],
    &["gateway", "console"],
    &["shutdown"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Crates that one module alone may use.
const CONFINED: &[(&str, &str)] = &[("sqlx", "src/store"), ("redis", "src/fleet")];

/// The phases of a request: they get compiled snapshots, not the configuration.
const PHASES: &[&str] = &[
    "handle",
    "normalize",
    "route",
    "credential",
    "authenticate",
    "authorize",
    "limit",
    "forward",
    "respond",
];

/// Words that name nothing.
const EMPTY_WORDS: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "info", "data", "manager"];

/// Notes to oneself. Written apart, so that this file does not hold them.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    file: String,
    line: usize,
    advice: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.advice)
    }
}

/// One source file: its path from the crate's root, with `/`, and its text.
struct Source {
    file: String,
    text: String,
}

impl Source {
    fn breach(&self, line: usize, advice: impl Into<String>) -> Breach {
        Breach { file: self.file.clone(), line, advice: advice.into() }
    }

    fn tokens(&self) -> TokenStream {
        self.text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.file))
    }

    fn is_under(&self, folder: &str) -> bool {
        self.file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The names from `src/` down, without `.rs` and `mod`: `["gateway", "handle"]`.
    fn module_path(&self) -> Vec<&str> {
        let path = self.file.strip_prefix("src/").unwrap_or(&self.file);
        path.trim_end_matches(".rs").split('/').filter(|name| *name != "mod").collect()
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn import_direction(source: &Source) -> Vec<Breach> {
    let module_path = source.module_path();
    let Some(own) = module_path.first().filter(|name| source.is_under("src") && **name != "lib") else {
        return Vec::new();
    };
    let Some(own_layer) = layer_of(own) else {
        return vec![
            source.breach(1, format!("give the module `{own}` its place in LAYERS of tests/tidy.rs")),
        ];
    };
    let is_phase = *own == "gateway" && module_path.get(1).is_some_and(|name| PHASES.contains(name));
    let mut found = Vec::new();
    imports(source.tokens(), module_path.len(), &mut found);
    let judge = |import: &Import| {
        let root = import.names.first()?;
        let target = import.names.get(1).filter(|_| root == "crate" || root == "keystile")?;
        if target == own {
            return None;
        }
        if layer_of(target)? >= own_layer {
            let advice = format!(
                "`{own}` may not import `{target}`: imports point left in DESIGN.md section 2; \
                                  move what both need to the left, or pass it in from `app`"
            );
            return Some(source.breach(import.line, advice));
        }
        let advice = "a phase may not see the configuration: give it what it uses, compiled, as an argument";
        (is_phase && target == "config").then(|| source.breach(import.line, advice))
    };
    let mut breaches: Vec<Breach> = found.iter().filter_map(judge).collect();
    breaches.dedup();
    breaches
}

fn confined_crates(source: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    imports(source.tokens(), source.module_path().len(), &mut found);
    let mut breaches = Vec::new();
    for (confined, home) in CONFINED {
        if source.is_under("src") && !source.is_under(home) {
            let uses =
                found.iter().filter(|import| import.names.first().is_some_and(|name| name == confined));
            let advice =
                format!("`{confined}` is used under {home} only: add an operation there and call it here");
            breaches.extend(uses.map(|import| source.breach(import.line, advice.clone())));
        }
    }
    breaches
}

fn file_length(source: &Source) -> Vec<Breach> {
    let lines = source.text.lines().count();
    let advice = format!("{lines} lines: split the file by concept, at most {FILE_LINES_MAX} lines each");
    (lines > FILE_LINES_MAX).then(|| source.breach(lines, advice)).into_iter().collect()
}

/// Collects functions that are too long.
struct Functions<'a> {
    source: &'a Source,
    breaches: Vec<Breach>,
}

impl Functions<'_> {
    fn judge(&mut self, signature: &syn::Signature, end: proc_macro2::Span) {
        let start = signature.span().start().line;
        let lines = end.end().line + 1 - start;
        if lines > FUNCTION_LINES_MAX {
            let advice = format!(
                "`{}` has {lines} lines: take out straight-line work, at most \
                                  {FUNCTION_LINES_MAX} lines each",
                signature.ident
            );
            self.breaches.push(self.source.breach(start, advice));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.judge(&function.sig, function.block.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.judge(&function.sig, function.block.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.judge(&function.sig, function.span());
        visit::visit_trait_item_fn(self, function);
    }
}

fn function_length(source: &Source) -> Vec<Breach> {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.file));
    let mut functions = Functions { source, breaches: Vec::new() };
    functions.visit_file(&file);
    functions.breaches
}

fn opening(source: &Source) -> Vec<Breach> {
    let advice = "open the file with `//!`: what it owns, what it promises, what it never does";
    (!source.text.starts_with("//! ")).then(|| source.breach(1, advice)).into_iter().collect()
}

fn names(source: &Source) -> Vec<Breach> {
    let path = source.file.trim_end_matches(".rs");
    let mut words = path.split(['/', '_', '-', '.']);
    let empty = words.find(|word| EMPTY_WORDS.contains(word));
    empty
        .map(|word| source.breach(1, format!("`{word}` names nothing: call the file by its concept")))
        .into_iter()
        .collect()
}

fn notes(source: &Source) -> Vec<Breach> {
    let lines =
        source.text.lines().enumerate().filter(|(_, line)| NOTES.iter().any(|note| line.contains(note)));
    lines.map(|(at, _)| source.breach(at + 1, "do it now, or open an issue and take the note out")).collect()
}

/// Groups that follow a given token, anywhere in `tokens`.
fn groups_after(tokens: TokenStream, is_it: &dyn Fn(&TokenTree) -> bool, found: &mut Vec<Group>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (place, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            if place > 0 && is_it(&tokens[place - 1]) {
                found.push(group.clone());
            }
            groups_after(group.stream(), is_it, found);
        }
    }
}

fn ignored_tests(source: &Source) -> Vec<Breach> {
    let mut attributes = Vec::new();
    let is_hash = |token: &TokenTree| matches!(token, TokenTree::Punct(hash) if hash.as_char() == '#' && hash.spacing() == Spacing::Alone);
    groups_after(source.tokens(), &is_hash, &mut attributes);
    let names_ignore = |group: &Group| {
        let text = group.stream().to_string();
        text.starts_with("ignore") || (text.starts_with("cfg_attr") && text.contains("ignore"))
    };
    let ignored =
        attributes.iter().filter(|group| group.delimiter() == Delimiter::Bracket && names_ignore(group));
    let advice = "a test that does not run proves nothing: make it run, or delete it";
    ignored.map(|group| source.breach(group.span_open().start().line, advice)).collect()
}

fn sleeping_tests(source: &Source) -> Vec<Breach> {
    // Time itself is simulated there: to sleep is to let it pass.
    if source.is_under("tests/simulation") {
        return Vec::new();
    }
    let is_test_file = source.is_under("tests") || source.module_path().contains(&"tests");
    let mut test_code = Vec::new();
    if is_test_file {
        test_code.push(source.tokens());
    } else {
        let mut modules = Vec::new();
        groups_after(source.tokens(), &|token| is_word(token, "tests"), &mut modules);
        test_code.extend(modules.iter().map(Group::stream));
    }
    let mut calls = Vec::new();
    for tokens in test_code {
        groups_after(tokens, &|token| is_word(token, "sleep"), &mut calls);
    }
    let advice = "do not sleep in a test: wait for the event itself, with a bound, or advance a manual clock";
    // Where time that passes is what a test is about, the line above says so in these words.
    let is_subject = |line: &usize| {
        let above = source.text.lines().nth(line.saturating_sub(2)).unwrap_or_default();
        above.trim_start().starts_with("// Not synchronisation:")
    };
    let lines = calls.iter().map(|call| call.span_open().start().line).filter(|line| !is_subject(line));
    lines.map(|line| source.breach(line, advice)).collect()
}

/// Lines of Cargo.toml that name a dependency without saying what it is for.
fn unexplained_dependencies(manifest: &str) -> Vec<Breach> {
    let mut is_dependencies = false;
    let mut breaches = Vec::new();
    for (at, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            is_dependencies = line.ends_with("dependencies]");
        } else if is_dependencies && line.contains('=') && !line.starts_with('#') && !line.contains(" # ") {
            let advice = "say in a comment on this line what the dependency is for";
            breaches.push(Breach { file: "Cargo.toml".into(), line: at + 1, advice: advice.into() });
        }
    }
    breaches
}

/// All Rust files under `folders`.
fn sources(folders: &[&str]) -> Vec<Source> {
    fn gather(root: &Path, folder: &Path, found: &mut Vec<Source>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                gather(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path
                    .strip_prefix(root)
                    .expect("a path under the root")
                    .to_string_lossy()
                    .replace('\\', "/");
                found.push(Source { file, text: fs::read_to_string(&path).expect("a readable file") });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    folders.iter().for_each(|folder| gather(root, &root.join(folder), &mut found));
    assert!(!found.is_empty(), "no sources found: the test looks in the wrong place");
    found
}

fn hold(rule: fn(&Source) -> Vec<Breach>, folders: &[&str]) {
    let breaches: Vec<String> =
        sources(folders).iter().flat_map(rule).map(|breach| breach.to_string()).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

const ALL: &[&str] = &["src", "tests", "benches"];

#[test]
fn imports_point_left() {
    hold(import_direction, &["src"]);
}

#[test]
fn sql_stays_in_the_store_and_redis_in_the_fleet() {
    hold(confined_crates, &["src"]);
}

#[test]
fn files_are_short() {
    hold(file_length, ALL);
}

#[test]
fn functions_are_short() {
    hold(function_length, ALL);
}

#[test]
fn every_file_says_what_it_owns() {
    hold(opening, &["src"]);
}

#[test]
fn files_are_called_by_their_concept() {
    hold(names, ALL);
}

#[test]
fn nothing_is_left_for_later_in_the_sources() {
    hold(notes, ALL);
}

#[test]
fn every_test_runs() {
    hold(ignored_tests, ALL);
}

#[test]
fn no_test_sleeps() {
    hold(sleeping_tests, &["src", "tests"]);
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = include_str!("../Cargo.toml");
    let breaches: Vec<String> = unexplained_dependencies(manifest).iter().map(Breach::to_string).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}
