//! Everything the protos say, as Rust: messages, clients, servers, the descriptor set and the table of method
//! policies. Generated code stays in here; nobody edits it, nobody else generates any.

pub mod method;
mod name;

pub use method::{Access, Method, Methods, Policies, Policy};
pub use name::{Segments, name_of, parse_name};

/// The encoded `FileDescriptorSet` of all protos, custom options included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::needless_pass_by_value,
    reason = "generated code; which of these it triggers changes with the generator"
)]
mod generated {
    pub mod google {
        pub mod api {
            tonic::include_proto!("google.api");
        }
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
        pub mod longrunning {
            tonic::include_proto!("google.longrunning");
        }
    }
    pub mod tenantry {
        pub mod options {
            pub mod v1 {
                tonic::include_proto!("tenantry.options.v1");
            }
        }
        pub mod common {
            pub mod v1 {
                tonic::include_proto!("tenantry.common.v1");
            }
        }
        pub mod events {
            pub mod v1 {
                tonic::include_proto!("tenantry.events.v1");
            }
        }
        pub mod registry {
            pub mod v1 {
                tonic::include_proto!("tenantry.registry.v1");
            }
        }
        pub mod auth {
            pub mod v1 {
                tonic::include_proto!("tenantry.auth.v1");
            }
        }
        pub mod business {
            pub mod v1 {
                tonic::include_proto!("tenantry.business.v1");
            }
        }
        pub mod backup {
            pub mod v1 {
                tonic::include_proto!("tenantry.backup.v1");
            }
        }
        pub mod monitoring {
            pub mod v1 {
                tonic::include_proto!("tenantry.monitoring.v1");
            }
        }
    }
}

pub use generated::google;
pub use generated::tenantry::{
    auth::v1 as auth, backup::v1 as backup, business::v1 as business, common::v1 as common, events::v1 as events,
    monitoring::v1 as monitoring, options::v1 as options, registry::v1 as registry,
};
