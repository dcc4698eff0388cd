//! The fleet's protocol as a model, checked state by state; `docs/fleet-protocol.md` says what it is about.
//!
//! `revocation` shows that no gateway admits a key once its DELETE was answered 200, `slices` that all gateways together
//! admit no more than a limit. Each rule of the protocol is broken once, and the model has to fail: a rule that could
//! be left out would not be understood. Knows nothing of the code: that is what `tests/simulation` and `tests/fleet` run.

#[cfg(test)]
mod checking;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod slices;
