//! Pauses between tries, spread so that a fleet does not come back as one.
//!
//! Promises that the same seed gives the same pauses, so that a simulation can be run again.

use std::time::Duration;

/// Pauses that double from `first` to `longest`, each shortened by up to a half.
#[derive(Debug)]
pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
    seed: u64,
}

impl Pauses {
    /// The ids of a fleet's members make good seeds: no two are the same.
    pub(super) fn new(first: Duration, longest: Duration, seed: &[u8; 16]) -> Pauses {
        let seed = seed.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Pauses { first, longest, next: first, seed }
    }

    /// Begins anew with the shortest.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Waits for the next pause.
    pub(super) async fn wait(&mut self) {
        let whole = self.next;
        self.next = (whole * 2).min(self.longest);
        tokio::time::sleep(self.spread(whole)).await;
    }

    /// Between a half and the whole of `whole`.
    fn spread(&mut self, whole: Duration) -> Duration {
        // SplitMix64 (Steele, Lea, Flood 2014): the top byte is random enough to part a fleet.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let [top, ..] = ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)).to_be_bytes();
        whole / 2 + whole * u32::from(top) / 512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_differ_by_seed_and_are_never_longer_than_whole() {
        let longest = Duration::from_millis(400);
        let of = |seed: u8| {
            let mut pauses = Pauses::new(Duration::from_millis(100), longest, &[seed; 16]);
            (0..50).map(|_| pauses.spread(longest)).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(of(3).into_iter().all(|pause| pause >= longest / 2 && pause <= longest));
    }
}
