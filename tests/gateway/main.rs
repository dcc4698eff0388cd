//! The data plane as clients and upstreams see it: one file for each guarantee, all against the real binary.
//!
//! Promises nothing about timing: no test here asserts how long something took.

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod front_door;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod streaming;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod upgrades;
#[cfg(test)]
mod websocket;
