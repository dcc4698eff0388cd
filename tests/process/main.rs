//! The process as an operator sees it: starting, leaving, commands, logs, and what it must never write anywhere.
//!
//! Promises to end every process that it starts.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod reloading;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod starting;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
