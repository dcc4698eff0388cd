//! x
use std::collections::BTreeSet;
use stateright::{Checker, HasDiscoveries, Model as _};
use super::state::Faults;
use super::{HOLDS, Model, Mutant};
#[test]
fn explore() {
    let var = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u8>().ok()).unwrap_or(0);
    let faults = Faults { losses: var("L"), crashes: var("C"), lapses: var("P"), asks: var("A") };
    let mutant = [Mutant::NoNumbers, Mutant::RelativeAsks, Mutant::SpendsWhatItGivesBack, Mutant::AnswersOfAnyEpoch, Mutant::OpensBeforeDeclarations, Mutant::FloorBeforeDeclarations, Mutant::LateGatewayKeeps]
        .into_iter().find(|m| std::env::var("M").is_ok_and(|name| name == format!("{m:?}")));
    let model = Model { faults, mutant };
    println!("{model:?}");
    let start = std::time::Instant::now();
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AllOf(BTreeSet::from([HOLDS]))).target_state_count(std::env::var("MAX").ok().and_then(|v| v.parse().ok()).unwrap_or(4_000_000)).spawn_bfs().join();
    println!("{} states ({}), depth {}, {:?}", checker.unique_state_count(), checker.state_count(), checker.max_depth(), start.elapsed());
    for (name, path) in checker.discoveries() {
        println!("{name}");
        if name == HOLDS { for a in path.clone().into_actions() { println!("   {a:?}"); } println!("{:?}", path.last_state()); }
    }
}
