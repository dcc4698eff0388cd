//! What breaks around the gateway: upstreams, clients, disks, and the process itself.
//!
//! Promises that each fault is followed by a request that must succeed.

#[cfg(test)]
mod broken_answers;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod silence;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod unreachable;
