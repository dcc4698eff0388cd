//! x
#[test]
fn x() { let _ = turmoil::Builder::new(); }
