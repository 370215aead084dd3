//! Shared by the end-to-end tests: real clients against the running instance. Everything goes through the gateway, as a
//! customer's request does; only the database attacks go around it.

mod dynamic;
mod grpc;
mod http_rule;
mod rest;
mod tenant;

pub use dynamic::{Call, Outcome};
pub use grpc::{RawCodec, channel_for};
pub use http_rule::HttpRule;
pub use rest::{Answer, Rest};
pub use tenant::{Member, Operator, Tenant, unique};
