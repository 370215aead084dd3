//! What the numbers mean: pure, without clock or I/O.

pub mod alert;
pub mod event;
pub mod health;
pub mod quota;
pub mod topk;
pub mod usage;
