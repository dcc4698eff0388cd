//! Connections to upstreams: one pool per worker, endpoints in turn.

pub(crate) mod pool;
