//! For tests only: what the running test instance is (`world.json`, written by `make test` and `make up`) and how to
//! wait for a condition without sleeping blindly. Nothing of this may be linked into a service.

mod eventually;
mod world;

pub use eventually::{eventually, eventually_within};
pub use world::{Operator, Ports, World};
