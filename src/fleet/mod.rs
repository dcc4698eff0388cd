//! The fleet: gateways and consoles in plural around one Redis.
//!
//! Owns what travels between them: keys and organizations to the gateways, acknowledgements, grants and counts back.
//! Promises that no gateway admits a key after its revocation was answered. Never a part of a request's way.

mod follower;
pub mod hub;
mod load;
mod pause;
mod progress;
mod record;

pub use follower::{Follower, Following, Identity};
