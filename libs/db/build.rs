//! `sqlx::migrate!` reads a directory; stable Rust does not notice a new file in it.
#![expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
