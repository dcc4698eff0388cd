//! The fleet: gateways and consoles in plural around one Redis.
//!
//! Owns what travels between them: keys and organizations to the gateways, acknowledgements, grants and counts back.
//! Promises that no gateway admits a key after its revocation was answered. Never a part of a request's way.

mod desk;
mod drain;
mod durations;
mod floors;
mod follower;
pub mod hub;
mod identity;
mod load;
mod pause;
mod progress;
mod publisher;
mod record;
pub mod redis;
mod register;
mod revocation;
mod truth;
mod usage;

pub use desk::Desk;
pub use drain::{Drain, Draining};
pub use durations::REVOCATION_BOUNDS_NS;
pub use floors::{Floors, Resumption};
pub use follower::{Follower, Following};
pub use identity::{Identity, Told};
pub use publisher::{Publisher, Publishing};
pub use register::{Lookout, Register, Sighting, Snapshot};
pub use revocation::{Confirmation, Revoker};
pub use truth::{Cursor, KnownGateway, Truth, TruthError};
pub use usage::{Batch, FleetBook, UsageSender};
