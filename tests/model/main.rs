//! The fleet's protocol, checked state by state.

#[cfg(test)]
mod revocation;
#[cfg(test)]
mod slices;
