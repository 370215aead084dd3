//! `sqlx::migrate!` reads a directory; stable Rust does not notice a new file in it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
