//! What the model of revocation shows.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model as _};

use super::mutant::Mutant;
use super::state::Faults;
use super::{HOLDS, Model};

#[test]
fn explore() {
    let var = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u8>().ok()).unwrap_or(0);
    let faults = Faults { failovers: var("F"), epochs: var("E"), replications: var("R"), flushes: var("L"), crashes: var("C"), takeovers: var("K"), late_beats: var("B"), skips: var("S") };
    let mutant = [
        Mutant::RegistersAfterLoading, Mutant::TrustsSyncBeforeLoad, Mutant::AcknowledgesBeforeApplying, Mutant::TrustFromAnswer, Mutant::GoesBackToEarlierEpoch, Mutant::LateBeatsCount, Mutant::ServesUnremembered, Mutant::ReadsBeforePublishing, Mutant::ReadsAnyRegistry, Mutant::NoStamp, Mutant::AcknowledgementsOfAnyEpoch, Mutant::JudgesLater, Mutant::PublishedInAnyEpoch, Mutant::StampWithoutHistory, Mutant::NoFence, Mutant::TableBeforeEpoch, Mutant::NoLastLook, Mutant::YoungRegistryComplete, Mutant::YoungRegistryByPresence, Mutant::RemembersUnderAnyEpoch, Mutant::NoMargin]
        .into_iter().find(|m| std::env::var("M").is_ok_and(|name| name == format!("{m:?}")));
    let model = Model { gateways: usize::from(var("G")), signs: var("N") > 0, faults, mutant };
    println!("{model:?}");
    let start = std::time::Instant::now();
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AllOf(BTreeSet::from([HOLDS]))).target_state_count(std::env::var("MAX").ok().and_then(|v| v.parse().ok()).unwrap_or(4_000_000)).spawn_bfs().join();
    println!("{} states ({}), depth {}, {:?}", checker.unique_state_count(), checker.state_count(), checker.max_depth(), start.elapsed());
    for (name, path) in checker.discoveries() {
        println!("{name}");
        if name == HOLDS { for a in path.clone().into_actions() { println!("   {a:?}"); } println!("{:?}", path.last_state()); }
    }
}
