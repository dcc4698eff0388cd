//! How far the end of keys has got, as it is told.

use serde::Serialize;
use utoipa::ToSchema;

use super::Instant;

/// How far the end of some keys has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Revocation)]
pub struct RevocationView {
    /// Whether every gateway confirmed.
    pub state: RevocationState,
    /// Gateways that served the keys.
    pub gateways: u32,
    /// Of these, how many refuse the keys now and have begun to cut what they had running.
    pub confirmed: u32,
    /// The names of the others, as they call themselves.
    pub awaiting: Vec<String>,
    /// Milliseconds from the start of the operation to this answer.
    pub took_ms: u64,
    /// From when on no gateway admits the keys. Null where none can be promised yet, because the gateways have not been
    /// told: the end of the keys is on record, and they are told as soon as that can be.
    #[schema(required)]
    pub effective_by: Option<Instant>,
}

/// Whether a revocation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevocationState {
    /// Every gateway confirmed: none admits the keys, and what they had running is cut.
    Complete,
    /// Some gateways did not confirm in time, or could not be told.
    Pending,
}
