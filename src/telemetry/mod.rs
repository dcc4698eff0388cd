//! What is seen of the gateway: metrics, the access log and the ops listener's pages.
//!
//! Owns every number and line that leaves the process for operators. Promises that one request is settled by one
//! call and costs its worker no lock that another worker takes. Never holds a secret or a query string.

pub mod access_log;
mod exposition;
mod histogram;
mod json_line;
mod keys;
mod labels;
mod metrics;
pub mod ops;
mod readiness;
mod redaction;
#[cfg(test)]
mod samples;
mod settled;
mod worker;

pub use access_log::{AccessLog, AccessLogWriter, Destination};
pub use keys::{KeyCounters, KeyTotals};
pub use metrics::{InvalidMetric, Metrics};
pub use readiness::{NotReady, Readiness};
pub use settled::{End, RouteLabel, Settled};
pub use worker::{UpstreamFailure, UpstreamMetrics, WorkerMetrics};
