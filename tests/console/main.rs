//! The management API as programs meet it: a real database in a temporary folder, the real key table, no network.

mod agents;
mod command_line;
mod concurrency;
mod harness;
mod keys;
mod organizations;
mod records;
mod requests;
mod usage;
