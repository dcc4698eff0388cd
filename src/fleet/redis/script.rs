//! Scripts that run inside Redis: what cannot be torn apart there.
//!
//! Promises that each is named, that its source is one file, and that it is sent by its hash. Their KEYS and ARGV are
//! documented where they are written.

use std::sync::OnceLock;

/// A script, kept in a `static`.
#[derive(Debug)]
pub(crate) struct Script {
    name: &'static str,
    source: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    /// The script of that source; metrics call it `name`.
    pub(crate) const fn new(name: &'static str, source: &'static str) -> Script {
        Script { name, source, hash: OnceLock::new() }
    }

    /// What metrics call it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Its text.
    pub(crate) fn source(&self) -> &'static str {
        self.source
    }

    /// SHA-1 of its text, by which Redis knows it.
    pub(crate) fn hash(&self) -> &str {
        self.hash.get_or_init(|| redis::Script::new(self.source).get_hash().to_owned())
    }
}

/// The text of a script file with the shared beginning before it, which tells the process that answers
/// (`scripts/process.lua`).
macro_rules! script_text {
    ($file:literal) => {
        concat!(include_str!("scripts/process.lua"), include_str!(concat!("scripts/", $file)))
    };
}

pub(crate) use script_text;

/// One run of a script. It may be carried out more than once: scripts are written so that this does no harm.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(super) script: &'static Script,
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<Vec<u8>>,
}

impl Invocation {
    /// A run of `script` on `keys`, of which there is at least one, all in one slot.
    pub(crate) fn new<A: AsRef<[u8]>>(script: &'static Script, keys: &[String], args: &[A]) -> Invocation {
        let args = args.iter().map(|arg| arg.as_ref().to_vec()).collect();
        Invocation { script, keys: keys.to_vec(), args }
    }

    /// Adds an argument.
    pub(crate) fn push(&mut self, arg: impl AsRef<[u8]>) {
        self.args.push(arg.as_ref().to_vec());
    }

    /// The command that runs it: by its hash, or with its whole text.
    pub(super) fn command(&self, whole: bool) -> redis::Cmd {
        let mut command = redis::cmd(if whole { "EVAL" } else { "EVALSHA" });
        if whole {
            command.arg(self.script.source());
        } else {
            command.arg(self.script.hash());
        }
        command.arg(self.keys.len()).arg(&self.keys);
        for arg in &self.args {
            command.arg(arg.as_slice());
        }
        command
    }
}
