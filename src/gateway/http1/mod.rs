//! What speaks HTTP/1.1 on both sides of the gateway: heads, body framing, buffers, bounded waits.
//!
//! Owns every byte that is read from or written to a peer. Promises that whatever leaves this module as a request
//! head is unambiguous (RFC 9112), and that a body ends only where its framing says so. Never knows of keys, routes
//! or limits.

pub(crate) mod body;
pub(crate) mod buffer;
pub(crate) mod field;
pub(crate) mod io;
pub(crate) mod pump;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod target;
pub(crate) mod watch;
