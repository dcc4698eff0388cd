//! `keystile completions SHELL`.

use std::io::Write;

use clap::CommandFactory;

/// Prints the completions of `shell`.
pub(super) fn run(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::CommandLine::command(), "keystile", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}
