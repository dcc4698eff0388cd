//! The fleet's protocol, checked state by state.

#[cfg(test)]
mod revocation;
