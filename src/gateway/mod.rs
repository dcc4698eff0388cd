//! DATA PLANE: a program sends a key, the gateway checks it, counts it, forwards the request and streams the answer.
//!
//! A request's way is `handle`: normalize → route → credential → authenticate → authorize → limit → forward →
//! respond, one file a phase. `http1` speaks the protocol, `connection` lives as long as a client's socket, `worker`
//! as long as its thread. Never touches SQL, Redis or configuration types; never keeps a secret.

mod authenticate;
mod authorize;
mod client;
mod compose;
mod connection;
mod credential;
mod forward;
mod handle;
mod http1;
mod limit;
mod listen;
mod normalize;
mod receive;
mod record;
mod respond;
mod routes;
mod snapshot;
mod tunnel;
mod upstream;
mod websocket;
mod worker;

pub use authenticate::Guard;
pub use listen::{BindFailed, Gateway, Listening, Planes};
pub use routes::{CompiledRoute, Found, Routes};
pub use snapshot::Settings;
