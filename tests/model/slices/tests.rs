//! What the model of slices shows: it holds with all rules, and fails without each of them.

use super::state::Faults;
use super::{HOLDS, Model, Mutant};
use crate::checking::{Order, breaks, holds};

const NONE: Faults = Faults { losses: 0, crashes: 0, lapses: 0, asks: 2 };
/// The ledger loses what it holds.
const LOSS: Faults = Faults { losses: 1, ..NONE };
/// As before, and a gateway is out of touch for longer than it may go on.
const LOSS_AND_LAPSE: Faults = Faults { losses: 1, lapses: 1, ..NONE };

fn ledger(faults: Faults) -> Model {
    Model { limit: 1, copies: 1, faults, mutant: None }
}

/// Copies of asks overtake each other.
fn shuffled(asks: u8) -> Model {
    Model { copies: 2, ..ledger(Faults { asks, ..NONE }) }
}

#[test]
fn no_more_than_the_limit_is_admitted_whatever_asks_are_lost_late_or_repeated() {
    holds(shuffled(3));
    holds(Model { limit: 2, ..ledger(NONE) });
}

#[test]
fn no_more_than_the_limit_is_admitted_whoever_dies() {
    holds(Model { copies: 2, ..ledger(Faults { crashes: 2, ..NONE }) });
}

#[test]
fn no_more_than_the_limit_is_admitted_after_the_ledger_lost_everything() {
    holds(ledger(LOSS));
}

#[test]
fn only_what_is_in_no_book_exceeds_the_limit_where_ledger_and_gateway_are_lost_together() {
    holds(ledger(Faults { asks: 1, ..LOSS_AND_LAPSE }));
    holds(ledger(Faults { asks: 1, crashes: 1, ..LOSS }));
}

#[test]
fn asks_have_to_be_numbered_and_to_say_how_much_in_total() {
    breaks(HOLDS, Order::Shortest, Model { mutant: Some(Mutant::NoNumbers), ..shuffled(3) });
    breaks(HOLDS, Order::Shortest, Model { mutant: Some(Mutant::RelativeAsks), ..shuffled(3) });
}

#[test]
fn a_gateway_must_not_spend_what_it_gives_back() {
    breaks(HOLDS, Order::Shortest, Model { mutant: Some(Mutant::SpendsWhatItGivesBack), ..ledger(NONE) });
}

#[test]
fn an_answer_of_an_earlier_lineage_must_not_count() {
    breaks(HOLDS, Order::Shortest, Model { mutant: Some(Mutant::AnswersOfAnyEpoch), ..ledger(LOSS) });
}

#[test]
fn a_new_lineage_must_not_grant_before_all_gateways_have_declared() {
    breaks(HOLDS, Order::Shortest, Model { mutant: Some(Mutant::OpensBeforeDeclarations), ..ledger(LOSS) });
}

#[test]
fn what_sql_has_counted_must_be_read_after_all_declarations() {
    breaks(HOLDS, Order::Shortest, Model { mutant: Some(Mutant::FloorBeforeDeclarations), ..ledger(LOSS) });
}

#[test]
fn a_gateway_that_the_ledger_was_opened_without_must_not_keep_its_slices() {
    breaks(
        HOLDS,
        Order::Shortest,
        Model { mutant: Some(Mutant::LateGatewayKeeps), ..ledger(LOSS_AND_LAPSE) },
    );
}
