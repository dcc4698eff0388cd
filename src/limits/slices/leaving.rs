//! Leaving: all slices of a gateway are ended and what was not spent of them goes back to the fleet's ledger.
//!
//! Promises that what is given back can no longer be spent, and that an exchange which fails is tried again a few times,
//! in bounded time. Comes after the last request.

use tokio::time::Instant;

use super::ask::SliceLedger;
use super::keeper::{Landed, Work, queue};
use super::lane::RETRY;
use crate::limits::ledger::UsageBook;

/// Exchanges for each account at most: one for what was never answered, one to give back, and tries of both.
const ROUNDS: u32 = 6;

impl<S: SliceLedger, B: UsageBook> Work<S, B> {
    /// Gives everything back.
    pub(super) async fn give_back_all(mut self) {
        // What is under way ends by itself, in bounded time.
        while let Some(landed) = self.flights.join_next().await {
            if let Ok(landed) = landed {
                self.land(landed);
            }
        }
        for holding in self.holdings.values_mut() {
            holding.retire();
        }
        for _ in 0..ROUNDS {
            for holding in self.holdings.values_mut() {
                // At once, though it may be gathered with others already.
                queue(&mut self.lanes, self.ledger.as_ref(), holding, true);
            }
            let mut failed = false;
            loop {
                for lane in &mut self.lanes {
                    lane.landed(true, Instant::now());
                }
                self.start();
                let mut under_way = false;
                while let Some(landed) = self.flights.join_next().await {
                    under_way = true;
                    failed |= landed.is_ok_and(|landed| self.land_last(landed));
                }
                // More accounts than one exchange takes go with the next.
                if !under_way {
                    break;
                }
            }
            if failed {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// As [`Work::land`], where nothing follows. Says whether it failed.
    fn land_last(&mut self, landed: Landed) -> bool {
        let terms = self.terms();
        let failed = landed.answers.is_err();
        let mut answers = landed.answers.unwrap_or_default().into_iter();
        for key in landed.keys {
            let (Some(holding), answer) = (self.holdings.get_mut(&key), answers.next()) else { continue };
            holding.flying = false;
            if let Some(answer) = answer
                && let Some(sent) = holding.take_pending()
            {
                holding.apply(&sent, &answer, &terms);
                // What it brought is not spent any more.
                holding.retire();
            }
        }
        failed
    }
}
