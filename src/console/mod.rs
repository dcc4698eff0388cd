//! The control plane: what may be done (`operations`), how records are shown (`view`), and the management API (`api`).
//!
//! Promises that keys change nowhere else. Never serves a proxied request and never knows the gateway.

pub mod api;
pub mod operations;
pub mod view;

pub use api::router;
