//! Types, rules and state machines of auth: pure, synchronous, no clock, no chance, no I/O.

pub mod api_key;
pub mod email;
pub mod link;
pub mod password;
pub mod refresh;
pub mod revocation;
pub mod session;
pub mod throttle;
pub mod user;

pub use api_key::{ApiKey, Scopes};
pub use email::Email;
pub use link::{Link, LinkKind};
pub use refresh::{RefreshState, Rotation};
pub use revocation::{Revocation, Subject};
pub use session::{Session, SessionKind};
pub use throttle::Throttle;
pub use user::{User, UserState};
