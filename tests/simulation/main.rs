//! The fleet's own code over a simulated network, from a seed: `docs/fleet-protocol.md` says how to run it.
//!
//! Followers with their replicas, publishers, registers and revokers as they are, over a hub and an SQL in memory; messages
//! are lost, late and out of step, processes die, stop and start again, contents are lost, clocks run apart. After each
//! millisecond no gateway may admit a key of which somebody was told that nobody does. The same seed is the same run.

#![expect(
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "numbers of a simulation are small, and an answer that was not asked for is strange, whichever it is"
)]

#[cfg(test)]
mod book;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod contents;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod run;
#[cfg(test)]
mod server;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod wire;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::run::{Outcome, Plant, run};

    /// Seeds that are looked at where nobody says how many.
    const SEEDS: u64 = 30;

    fn number(variable: &str) -> Option<u64> {
        let text = std::env::var(variable).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
    }

    #[test]
    fn no_gateway_admits_a_key_after_its_revocation_was_complete_and_all_get_in_step_again() {
        let seeds = match (number("KEYSTILE_SIM_SEED"), number("KEYSTILE_SIM_SEEDS")) {
            (Some(seed), _) => seed..seed + 1,
            (None, count) => 0..count.unwrap_or(SEEDS),
        };
        let (next, failures) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return;
                }
                match run(seed, None) {
                    Ok(Outcome { hash, events, revoked, epochs, calm }) => println!(
                        "seed {seed}: {events} events {hash:016x}, {epochs} epochs, {revoked} keys revoked, \
                         in step {calm:?} after the last fault"
                    ),
                    Err(what) => failures.lock().unwrap().push(what),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        let failures = failures.into_inner().unwrap();
        for what in &failures {
            println!("{what}");
        }
        let which: Vec<&str> = failures.iter().filter_map(|what| what.lines().next()).collect();
        assert!(which.is_empty(), "replay with KEYSTILE_SIM_SEED=<seed>:\n{}", which.join("\n"));
    }

    #[test]
    fn the_same_seed_is_the_same_run() {
        let traces = [7, 7, 8].map(|seed| run(seed, None).map(|outcome| (outcome.hash, outcome.events)));
        assert_eq!(traces[0], traces[1]);
        assert_ne!(traces[0], traces[2]);
    }

    /// Whether a planted fault makes a gateway admit what it must not, in one of the runs.
    fn is_found(plant: Plant) -> bool {
        let found = (0..number("KEYSTILE_SIM_SEEDS").unwrap_or(40))
            .find(|seed| run(*seed, Some(plant)).is_err_and(|what| what.contains("admits")));
        println!("{plant:?}: {found:?}");
        found.is_some()
    }

    #[test]
    fn a_hub_that_vouches_for_whatever_it_holds_is_found() {
        assert!(is_found(Plant::CredulousHub));
    }

    #[test]
    fn a_hub_that_vouches_for_another_history_of_its_own_is_found() {
        assert!(is_found(Plant::StampsWithoutHistory));
    }

    #[test]
    fn gateways_that_acknowledge_before_they_apply_are_found() {
        assert!(is_found(Plant::HastyGateways));
    }
}
