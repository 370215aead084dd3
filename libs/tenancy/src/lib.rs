//! Who is this tenant and may it be served? A local map of routes, pushed by the registry, with one unary call on a miss.
//!
//! Redis is not in between (decision 21): the push is the cache. While the registry is away the map goes on answering.

mod convert;
mod map;
mod router;

pub use convert::{route_from_proto, route_to_proto};
pub use map::RouteMap;
pub use router::{TenantRouter, TokenSource};
