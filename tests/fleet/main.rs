//! A fleet of real processes around a real Redis: what programs see of it while things break.
//!
//! Promises that every scenario is judged by a checker over what clients saw, and that all processes that it starts end
//! with it.

#[cfg(test)]
mod consoles;
#[cfg(test)]
mod everyday;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod link;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod redis_trouble;
#[cfg(test)]
mod revocation;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
