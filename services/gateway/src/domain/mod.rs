//! What the gateway knows without asking anybody: pure rules about hosts, paths, headers, JSON and colours. No sockets,
//! no clocks, no other service; property tests live beside the code.

pub mod catalogue;
pub mod deadline;
pub mod headers;
pub mod host;
pub mod json;
pub mod openapi;
pub mod origin;
pub mod problem;
pub mod proxies;
pub mod table;
pub mod template;
pub mod text;
pub mod theme;
pub mod transcode;
