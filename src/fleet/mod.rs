//! The fleet: gateways and consoles in plural around one Redis.
//!
//! Owns what travels between them: keys and organizations to the gateways, acknowledgements, grants and counts back.
//! Promises that no gateway admits a key after its revocation was answered. Never a part of a request's way.

pub mod hub;
pub mod redis;
