//! Shared by the end-to-end tests: real clients against the running instance. Everything goes through the gateway, as a
//! customer's request does; only the database attacks go around it.

mod data;
mod dynamic;
mod grpc;
mod http_rule;
mod meters;
mod rest;
mod tenant;

pub use data::Data;
pub use dynamic::{Call, Outcome};
pub use grpc::{RawCodec, channel_for};
pub use http_rule::HttpRule;
pub use meters::{Meters, Tap};
pub use rest::{Answer, Rest};
pub use tenant::{Member, Operator, Tenant, unique};
