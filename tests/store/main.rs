//! The store as a process meets it; what records promise on every engine is tested beside them, in `src/store`.

#[cfg(test)]
mod older;
#[cfg(test)]
mod opening;
#[cfg(test)]
#[path = "../support/postgres.rs"]
mod postgres;
#[cfg(test)]
mod server;
