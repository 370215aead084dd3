//! The vocabulary every other crate shares: who calls ([`Ctx`]), what can go wrong ([`Error`]), what things are
//! called ([`TenantId`] and friends) and the three edges that tests replace ([`Clock`], [`Ids`], [`Resolve`]).
//!
//! It must never learn about tokio, tonic, sqlx or any wire format: it is at the bottom of every arrow.

pub mod claims;
pub mod clock;
pub mod ctx;
pub mod error;
pub mod id;
pub mod page;
pub mod principal;
pub mod probe;
pub mod quota;
pub mod reason;
pub mod resolve;
pub mod route;
pub mod slug;
pub mod tally;

pub use claims::TransactionClaims;
pub use clock::{Clock, Ids, ManualClock, SystemClock, SystemIds};
pub use ctx::{Ctx, DbContext};
pub use error::{Error, FieldViolation, Kind, Result};
pub use id::{ApiKeyId, OperationId, RequestId, SessionId, TenantId, UserId};
pub use principal::{Principal, PrincipalKind, Role};
pub use quota::{fits_plan, within_limit};
pub use reason::Reason;
pub use resolve::{BoxFuture, Resolve};
pub use route::{Brand, Limits, Placement, TenantRoute, TenantStatus, ThemeMode};
pub use tally::Tally;
