//! What a history proves: each function gives the breaches of one guarantee, in words; none where it was kept.
//!
//! Promises never to accuse wrongly: where a client cannot know when something happened, the instant that excuses the
//! gateway counts. What is left is a breach without doubt.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;

use super::history::{At, Attempt, Deletion, History, Run};

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: f64 = 1e9;

/// Statuses that say that the gateway let the request in: the upstream's own, and what comes of its failures.
const ADMITTED: [u16; 3] = [200, 502, 504];

impl History {
    /// Whether it is certain that a gateway let this attempt in.
    fn admitted(&self, attempt: &Attempt) -> bool {
        let by_answer = attempt.answer.is_some_and(|(status, _)| ADMITTED.contains(&status));
        by_answer || self.reached.contains(&attempt.number)
    }

    /// The first instant at which a gateway can have looked at the attempt: when it was sent, or when the gateway went
    /// on after standing still.
    fn looked_at(&self, attempt: &Attempt) -> At {
        let stood = self.pauses.iter().find(|pause| {
            pause.gateway == attempt.gateway
                && pause.from <= attempt.sent
                && pause.until.unwrap_or(At::MAX) > attempt.sent
        });
        stood.map_or(attempt.sent, |pause| pause.until.unwrap_or(At::MAX))
    }

    fn of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Attempt> {
        self.attempts.iter().filter(move |attempt| attempt.key == key)
    }

    /// Attempts of a key that were certainly admitted, as spans in which it happened.
    fn admissions(&self, key: &str) -> Vec<Range<At>> {
        let spans = self.of(key).filter(|attempt| self.admitted(attempt)).map(|attempt| {
            let end = attempt.answer.map_or(At::MAX, |(_, answered)| answered);
            attempt.sent..end
        });
        spans.collect()
    }

    /// G1: no gateway admits a key after its deletion was answered, and what it had running ends, at most `bound`
    /// later. Runs that have not ended count as running on.
    pub(crate) fn revocation_breaches(&self, bound: Duration) -> Vec<String> {
        let promises = self.deletions.iter().filter_map(|deletion| Some((deletion, deletion.holds_from?)));
        promises.flat_map(|(deletion, from)| self.breaches_of(deletion, from, bound)).collect()
    }

    fn breaches_of(&self, deletion: &Deletion, from: At, bound: Duration) -> Vec<String> {
        let late = self.of(&deletion.key).filter(|attempt| self.looked_at(attempt) > from);
        let admitted = late.filter(|attempt| self.admitted(attempt)).map(|attempt| {
            let after = millis(self.looked_at(attempt) - from);
            format!(
                "G1: gateway {} admitted a deleted key {after} ms after it was gone: {attempt:?}",
                attempt.gateway
            )
        });
        let bound_at = from.saturating_add(nanos(bound));
        let runs_on = |run: &&Run| run.key == deletion.key && run.ended.is_none_or(|ended| ended > bound_at);
        let running = self.runs.iter().filter(runs_on).map(|run| {
            format!(
                "G1: an answer of a deleted key ran on at gateway {}: {run:?}, gone from {from}",
                run.gateway
            )
        });
        admitted.chain(running).collect()
    }

    /// G2, quotas: in no calendar window of `window_ms` (minute, hour, day in UTC) more than `limit`. What may have
    /// happened in either of two windows counts in none.
    pub(crate) fn quota_breaches(&self, key: &str, limit: usize, window_ms: u64) -> Vec<String> {
        let window_of = |at: At| (self.began_unix_ms + at / NANOS_PER_MILLI) / window_ms;
        let mut windows: BTreeMap<u64, usize> = BTreeMap::new();
        for span in self.admissions(key) {
            // A request without an answer may have been admitted at any later time.
            if span.end != At::MAX && window_of(span.start) == window_of(span.end) {
                *windows.entry(window_of(span.start)).or_default() += 1;
            }
        }
        let over = windows.into_iter().filter(|(_, admitted)| *admitted > limit);
        over.map(|(window, admitted)| {
            format!("G2: {admitted} of {limit} admitted in window {window} of key {key}")
        })
        .collect()
    }

    /// G2, a quota whose window no test outlives (a month): never more than `limit` in all, answers or not.
    pub(crate) fn total_breaches(&self, key: &str, limit: usize) -> Vec<String> {
        let admitted = self.admissions(key).len();
        let breach = format!("G2: {admitted} of {limit} admitted in all of key {key}");
        (admitted > limit).then_some(breach).into_iter().collect()
    }

    /// G2, rates: in no span more than `burst` and what the rate gives for its length. Looks at every span that begins
    /// with a request and ends with an answer; the first breach is told.
    pub(crate) fn rate_breaches(&self, key: &str, burst: usize, per_second: f64) -> Vec<String> {
        let mut spans: Vec<Range<At>> = self.admissions(key);
        spans.retain(|span| span.end != At::MAX);
        spans.sort_by_key(|span| span.end);
        let starts: Vec<At> = spans.iter().map(|span| span.start).collect();
        for start in starts {
            let mut within = 0_usize;
            for span in spans.iter().filter(|span| span.start >= start) {
                within += 1;
                let length_s = (span.end - start) as f64 / NANOS_PER_SECOND;
                let allowed = burst as f64 + per_second * length_s;
                if within as f64 > allowed {
                    return vec![format!(
                        "G2: {within} admitted within {length_s:.3} s of key {key}, where {allowed:.2} may be"
                    )];
                }
            }
        }
        Vec::new()
    }

    /// G2, concurrency: never more than `limit` answers running at once, over all gateways.
    pub(crate) fn concurrency_breaches(&self, key: &str, limit: usize) -> Vec<String> {
        let runs = self.runs.iter().filter(|run| run.key == key);
        let mut steps: Vec<(At, i64)> = Vec::new();
        for run in runs {
            steps.push((run.begun, 1));
            steps.extend(run.ended.map(|ended| (ended, -1)));
        }
        // Ends first: what ends and begins at one instant does not overlap for certain.
        steps.sort();
        let mut running = 0_i64;
        let most = steps
            .into_iter()
            .map(|(_, step)| {
                running += step;
                running
            })
            .max()
            .unwrap_or(0);
        let breach = format!("G2: {most} of {limit} in flight at once of key {key}");
        (most > i64::try_from(limit).unwrap_or(i64::MAX)).then_some(breach).into_iter().collect()
    }

    /// A good key is never told that it is not one, whatever is down.
    pub(crate) fn wrong_refusals(&self) -> Vec<String> {
        let is_wrong = |attempt: &&Attempt| {
            let deletion = self.deletions.iter().find(|deletion| deletion.key == attempt.key);
            let good_until = deletion.map_or(At::MAX, |deletion| deletion.sent);
            attempt.answer.is_some_and(|(status, at)| status == 401 && at < good_until)
        };
        let wrong = self.attempts.iter().filter(is_wrong);
        wrong.map(|attempt| format!("a good key was answered 401: {attempt:?}")).collect()
    }

    /// G3: the API's totals of a key are what its clients saw. To be asked where every attempt has an answer.
    pub(crate) fn account_breaches(&self, key: &str, usage: &Value) -> Vec<String> {
        let mut breaches = Vec::new();
        let unanswered = self.of(key).filter(|attempt| attempt.answer.is_none()).count();
        if unanswered > 0 {
            breaches.push(format!("G3 cannot be judged: {unanswered} attempts of key {key} have no answer"));
        }
        let seen = |statuses: &[u16]| {
            let is_one = |attempt: &&Attempt| attempt.answer.is_some_and(|(own, _)| statuses.contains(&own));
            self.of(key).filter(is_one).count() as u64
        };
        // Whoever is told 503 is denied where the key was known and its limits could not be decided, and else not counted.
        let denied = seen(&[403, 404, 405, 429]);
        let expected = [
            ("allowed", seen(&[200])..=seen(&[200])),
            ("denied", denied..=denied + seen(&[503])),
            ("failed", seen(&[502, 504])..=seen(&[502, 504])),
        ];
        for (name, seen) in expected {
            let told = usage["totals"][name].as_u64();
            if told.is_none_or(|told| !seen.contains(&told)) {
                breaches
                    .push(format!("G3: usage says {name} {told:?} of key {key}, its clients saw {seen:?}"));
            }
        }
        breaches
    }

    /// How many attempts of a key were certainly admitted.
    pub(crate) fn admitted_count(&self, key: &str) -> usize {
        self.admissions(key).len()
    }
}

/// Fails the test where something was found.
pub(crate) fn expect_none(breaches: &[String]) {
    assert!(
        breaches.is_empty(),
        "{} breaches:\n{}",
        breaches.len(),
        breaches.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(nanos: u64) -> u64 {
    nanos / NANOS_PER_MILLI
}
