//! The documents: what they point to is there, and the tests that they name exist.

use std::collections::BTreeSet;

use crate::files::{below, read, root};

/// Every document that people read.
fn documents() -> Vec<String> {
    let in_folders = ["docs", "deploy"].into_iter().flat_map(below).filter(|path| path.ends_with(".md"));
    let at_the_root = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned);
    at_the_root.into_iter().chain(in_folders).collect()
}

/// Targets of links, `](…)`, outside of blocks of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        if in_code || line.starts_with("    ") {
            continue;
        }
        links.extend(line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    links
}

/// What headings are called in addresses: letters, digits, `-` and `_`, in small letters, with `-` for spaces.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading_that_are_there() {
    let mut followed = 0;
    for document in documents() {
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in links(&read(&document)) {
            if link.starts_with("http://") || link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { root().join(&document) } else { folder.join(path) };
            assert!(target.exists(), "{document}: {link} leads nowhere");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(anchor), "{document}: {link}: no such heading");
            }
            followed += 1;
        }
    }
    assert!(followed > 40, "only {followed} links were found");
}

#[test]
fn every_test_that_the_guarantees_name_is_there() {
    let sources = ["src", "tests"].into_iter().flat_map(below).filter(|path| path.ends_with(".rs"));
    let mut functions = BTreeSet::new();
    for path in sources {
        let text = read(&path);
        let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
        functions.extend(names.map(str::to_owned));
    }
    let text = read("docs/guarantees.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let is_test = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|letter| letter.is_ascii_lowercase() || "_0123456789".contains(letter))
    };
    let named: Vec<&str> = quoted.filter(is_test).filter(|word| !word.starts_with("keystile_")).collect();
    let missing: Vec<&&str> = named.iter().filter(|name| !functions.contains(**name)).collect();
    assert!(missing.is_empty(), "no test is called {missing:?}");
    assert!(named.len() > 80, "only {} tests are named", named.len());
}
