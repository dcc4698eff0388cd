//! Tells cargo that the embedded migrations are part of the source: a new file is picked up by the next build.

fn main() {
    println!("cargo:rerun-if-changed=src/store/migrations");
}
