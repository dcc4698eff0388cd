//! What the model of revocation shows: it holds with all rules, and fails without each of them.

use super::mutant::Mutant;
use super::state::Faults;
use super::{HOLDS, Model};
use crate::checking::{Order, breaks, holds};

const NONE: Faults = Faults {
    failovers: 0,
    replications: 0,
    flushes: 0,
    crashes: 0,
    epochs: 0,
    takeovers: 0,
    late_beats: 0,
    skips: 0,
};
/// The primary fails over, and a console notices.
const FAILOVER: Faults = Faults { failovers: 1, epochs: 1, ..NONE };
/// As before, while a second console takes publishing over.
const FAILOVER_AND_TAKEOVER: Faults = Faults { takeovers: 1, ..FAILOVER };
/// Everything is flushed, two consoles notice.
const FLUSH_AND_TAKEOVER: Faults = Faults { flushes: 1, epochs: 2, takeovers: 1, ..NONE };
/// The primary fails over, the old one comes back as its replica, and that fails over as well, unnoticed.
const FAILOVER_AND_BACK: Faults = Faults { failovers: 2, replications: 1, ..NONE };

fn fleet(gateways: usize, faults: Faults) -> Model {
    Model { gateways, signs: false, faults, mutant: None }
}

fn without(mutant: Mutant, faults: Faults) -> Model {
    Model { mutant: Some(mutant), ..fleet(1, faults) }
}

#[test]
fn no_gateway_of_two_admits_a_deleted_key() {
    holds(fleet(2, NONE));
}

#[test]
fn no_gateway_admits_a_deleted_key_after_crashes_late_beats_and_clocks_that_run_apart() {
    holds(fleet(1, Faults { crashes: 1, late_beats: 1, ..NONE }));
    holds(Model { signs: true, ..fleet(1, Faults { skips: 1, ..NONE }) });
}

#[test]
fn no_gateway_admits_a_deleted_key_after_redis_was_flushed() {
    holds(fleet(1, Faults { flushes: 1, epochs: 1, ..NONE }));
}

#[test]
fn no_gateway_admits_a_deleted_key_while_an_old_primary_goes_on() {
    holds(fleet(1, FAILOVER));
}

#[test]
fn no_gateway_admits_a_deleted_key_after_failing_over_and_back() {
    holds(fleet(1, FAILOVER_AND_BACK));
}

#[test]
#[ignore = "minutes: millions of states"]
fn no_gateway_admits_a_deleted_key_while_an_old_primary_goes_on_and_consoles_take_over() {
    holds(Model { signs: true, ..fleet(1, Faults { crashes: 1, late_beats: 1, skips: 1, ..NONE }) });
    holds(fleet(1, FAILOVER_AND_TAKEOVER));
    holds(fleet(1, Faults { epochs: 2, ..FAILOVER }));
    holds(fleet(1, FLUSH_AND_TAKEOVER));
    holds(fleet(1, Faults { crashes: 1, ..FAILOVER }));
    holds(fleet(1, Faults { epochs: 2, ..FAILOVER_AND_TAKEOVER }));
}

#[test]
fn a_gateway_has_to_register_before_it_serves() {
    breaks(HOLDS, Order::Shortest, without(Mutant::RegistersAfterLoading, NONE));
    breaks(HOLDS, Order::Shortest, without(Mutant::TrustsSyncBeforeLoad, NONE));
}

#[test]
fn a_gateway_has_to_apply_before_it_acknowledges() {
    breaks(HOLDS, Order::Shortest, without(Mutant::AcknowledgesBeforeApplying, NONE));
}

#[test]
fn trust_has_to_count_from_the_start_of_a_sync_and_a_console_has_to_allow_for_slower_clocks() {
    breaks(HOLDS, Order::Shortest, without(Mutant::TrustFromAnswer, NONE));
    breaks(HOLDS, Order::Shortest, without(Mutant::NoMargin, Faults { skips: 1, ..NONE }));
}

#[test]
fn beats_have_to_be_taken_in_the_order_of_their_numbers() {
    breaks(HOLDS, Order::Shortest, without(Mutant::LateBeatsCount, Faults { late_beats: 1, ..NONE }));
}

#[test]
fn the_registry_has_to_be_read_after_the_publication_and_together_with_the_head() {
    breaks(HOLDS, Order::Shortest, without(Mutant::ReadsBeforePublishing, NONE));
    let flush = Faults { flushes: 1, epochs: 1, ..NONE };
    breaks(HOLDS, Order::Shortest, without(Mutant::ReadsAnyRegistry, flush));
}

#[test]
fn contents_have_to_be_vouched_for_by_process_and_history() {
    breaks(HOLDS, Order::Shortest, without(Mutant::NoStamp, FAILOVER));
    breaks(HOLDS, Order::Shortest, without(Mutant::StampWithoutHistory, FAILOVER_AND_BACK));
}

#[test]
fn a_gateway_must_not_go_back_to_an_earlier_epoch() {
    breaks(HOLDS, Order::Shortest, without(Mutant::GoesBackToEarlierEpoch, FAILOVER));
}

#[test]
fn the_registry_of_a_new_epoch_is_not_complete_until_gateways_have_seen_it() {
    breaks(HOLDS, Order::Shortest, without(Mutant::YoungRegistryComplete, FAILOVER));
    breaks(HOLDS, Order::Shortest, without(Mutant::YoungRegistryByPresence, FAILOVER));
}

#[test]
fn a_gateway_must_not_serve_before_sql_knows_it_under_the_latest_epoch() {
    breaks(HOLDS, Order::Shortest, without(Mutant::ServesUnremembered, FAILOVER));
    breaks(HOLDS, Order::Shortest, without(Mutant::RemembersUnderAnyEpoch, FAILOVER));
}

#[test]
fn whoever_answers_has_to_ask_sql_last_whether_the_epoch_is_still_the_latest() {
    breaks(HOLDS, Order::Shortest, without(Mutant::NoLastLook, FAILOVER_AND_TAKEOVER));
}

#[test]
fn whoever_answers_has_to_judge_a_registry_by_the_time_at_which_it_was_read() {
    breaks(HOLDS, Order::Shortest, without(Mutant::JudgesLater, Faults { epochs: 2, ..FAILOVER }));
}

#[test]
fn a_publisher_has_to_take_its_epoch_before_it_reads_the_table() {
    breaks(HOLDS, Order::Shortest, without(Mutant::TableBeforeEpoch, FAILOVER_AND_TAKEOVER));
}

#[test]
fn the_hub_has_to_fence_earlier_publishers_out() {
    breaks(HOLDS, Order::Any, without(Mutant::NoFence, FLUSH_AND_TAKEOVER));
}

#[test]
fn acknowledgements_and_publication_count_in_their_own_epoch_only() {
    breaks(HOLDS, Order::Any, without(Mutant::AcknowledgementsOfAnyEpoch, FLUSH_AND_TAKEOVER));
    breaks(HOLDS, Order::Any, without(Mutant::PublishedInAnyEpoch, FLUSH_AND_TAKEOVER));
}
