//! Slices: the limits of a fleet, of which every gateway spends a part that the fleet's ledger has granted to it.
//!
//! Owns the messages between gateway and ledger, the ledger's rules, and the keeper of a gateway. Promises that all
//! gateways together admit no more than the limit, whoever dies and whatever answer is lost; and that a request waits
//! for the ledger only where its key has no slice to spend from. Never speaks Redis: `fleet/redis` does.

mod answer;
mod ask;
mod holding;
mod keeper;
mod lane;
mod leaving;
mod lineage;
mod record;
mod reference;
mod share;
mod size;
mod standing;
mod uses;

pub use ask::{
    Floor, PlacesAnswer, PlacesPart, QuotaAnswer, QuotaPart, RateAnswer, RatePart, SliceAnswer, SliceAsk,
    SliceBooks, SliceError, SliceLedger,
};
pub use keeper::FleetKeeper;
pub use record::{AccountRecord, GatewayRecord, Lineage, RateRecord, WindowRecord};
pub use reference::ReferenceLedger;
pub(crate) use share::{Entry, GIVEN_BACK_S, Shares};
pub(crate) use standing::FleetLines;
pub use standing::{FleetStanding, FleetView, Seat};
