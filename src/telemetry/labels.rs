//! Label values that configurations name, each with a place in every worker's arrays of counters.
//!
//! Promises that a text keeps its place for the life of the process, so that a reload resets no counter, and that
//! there are never more places than the arrays have (then: `other`). Never takes a label from a request.

use std::sync::{Arc, Mutex, PoisonError};

/// A set of label values that only grows, up to its bound.
#[derive(Debug)]
pub(crate) struct Labels {
    places_max: usize,
    overflow: usize,
    // A lock, because interning happens at start and on reload only; the hot path carries the place.
    known: Mutex<Vec<Arc<str>>>,
}

/// The label of whatever has no place of its own.
pub(crate) const OTHER: &str = "other";

impl Labels {
    /// Labels with at most `places_max` places; `reserved` take the first ones, and [`OTHER`] the one after them.
    pub(crate) fn new(reserved: &[&str], places_max: usize) -> Labels {
        let known = reserved.iter().chain(&[OTHER]).map(|text| Arc::from(*text)).collect();
        Labels { places_max, overflow: reserved.len(), known: Mutex::new(known) }
    }

    /// The place of `text`, from now on.
    pub(crate) fn intern(&self, text: &str) -> usize {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.iter().position(|label| &**label == text) {
            return place;
        }
        if known.len() >= self.places_max {
            return self.overflow;
        }
        known.push(Arc::from(text));
        known.len() - 1
    }

    /// The label at a place.
    pub(crate) fn at(&self, place: usize) -> Arc<str> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(place).or_else(|| known.get(self.overflow)).map_or_else(|| Arc::from(OTHER), Arc::clone)
    }

    /// The place of [`OTHER`].
    pub(crate) fn overflow(&self) -> usize {
        self.overflow
    }

    /// All labels, by place.
    pub(crate) fn all(&self) -> Vec<Arc<str>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_place_and_the_ones_over_the_bound_share_other() {
        let labels = Labels::new(&["none"], 4);
        assert_eq!(labels.intern("a"), 2);
        assert_eq!(labels.intern("b"), 3);
        assert_eq!(labels.intern("a"), 2);
        assert_eq!(labels.intern("c"), labels.overflow());
        assert_eq!(labels.intern("none"), 0);
        assert_eq!((&*labels.at(2), &*labels.at(labels.overflow())), ("a", "other"));
        assert_eq!(labels.all().len(), 4);
    }
}
