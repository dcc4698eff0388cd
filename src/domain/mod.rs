//! The vocabulary that both planes share: ids, secrets, keys, scopes, limits, routes, denials, time.
//!
//! Owns the words and the rules that hold for them wherever they appear. Promises that a value of one of these
//! types is valid, because parsing is the only way to make one. Never does I/O and is never async.

pub mod clock;
pub mod denial;
pub mod id;
pub mod key;
pub mod limit;
pub mod member;
pub mod name;
pub mod network;
pub mod object;
pub mod organization;
pub mod person;
pub mod principal;
pub mod role;
pub mod route;
pub mod scope;
pub mod secret;
pub mod upstream;
pub mod zone;
