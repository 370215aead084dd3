//! For tests only: what the running test instance is (`world.json`, written by `make test` and `make up`) and how to
//! wait for a condition without sleeping blindly, and an S3 server. Nothing of this may be linked into a service.

mod eventually;
pub mod weed;
mod world;

pub use eventually::{eventually, eventually_within};
pub use world::{Operator, Ports, World};
