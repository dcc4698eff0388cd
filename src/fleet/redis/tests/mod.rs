//! The hub against real servers.
