//! A fleet in numbers: real processes around a real Redis on one machine, measured by clients, printed as Markdown.
//!
//! Run by `benches/fleet/run`, all of it or the parts that are named. Numbers of different machines say nothing about
//! each other. Promises to end within a bounded time, and every process that it starts.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a bench is no API, prints, and fails loudly"
)]

mod backend;
mod calls;
mod load;
mod million;
mod outage;
mod revocation;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;

/// A part of the bench and its name on the command line.
const PARTS: [(&str, fn()); 5] = [
    ("revocation", revocation::measure),
    ("propagation", revocation::measure_propagation),
    ("calls", calls::measure),
    ("outage", outage::measure),
    ("million", million::measure),
];

fn main() {
    // `cargo bench` adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    for name in &named {
        let known = PARTS.map(|(part, _)| part);
        assert!(
            known.contains(&name.as_str()),
            "no part is called {name}: name some of {}",
            known.join(", ")
        );
    }
    for (name, measure) in PARTS {
        if named.is_empty() || named.iter().any(|asked| asked == name) {
            measure();
        }
    }
}
