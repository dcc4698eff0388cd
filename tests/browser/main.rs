//! The console as people meet it: the real binary, a real chromium, and what a person would look for on each page.
//!
//! Promises to find things by the names that people read or hear, never by how a page is built. Never sleeps.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod every_page;
#[cfg(test)]
mod hostile_names;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod key_life;
#[cfg(test)]
mod keyboard;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod people;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod secret_once;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod strangers;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod turns;
