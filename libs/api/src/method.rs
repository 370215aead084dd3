//! The table of every method and its policy, read from the descriptors: what the request stack enforces, what the
//! gateway routes by and what the isolation matrix enumerates.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use std::collections::{HashMap, HashSet};
use std::{ops::Deref, sync::Arc};

/// Who a method is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; the tenant comes from the host.
    Public,
    /// A member or API key of the tenant.
    Tenant,
    /// A member of the platform tenant.
    Operator,
    /// One of our own services.
    Service,
}

/// What the stack of a service needs to know about a method.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `/tenantry.business.v1.RecordService/GetRecord`
    pub path: String,
    /// `tenantry.business.v1.RecordService/GetRecord`
    pub full_name: String,
    /// The service that serves it, the second part of the package: `auth`, `registry`, `business`, or somebody's own.
    pub service: String,
    /// See [`Access`].
    pub access: Access,
    /// `business.records.get`
    pub permission: String,
    /// The least role: 1 viewer, 2 member, 3 admin, 4 owner; 0 for public and service methods.
    pub least_role: i32,
    /// Scope an API key needs; empty: no API key may call it.
    pub scope: String,
    /// Takes a `request_id`.
    pub idempotent: bool,
    /// Services that may call it; empty means any of ours.
    pub callers: Vec<String>,
    /// It changes nothing.
    pub read_only: bool,
    /// The request is a stream.
    pub client_streaming: bool,
    /// The response is a stream.
    pub server_streaming: bool,
}

/// One method: its [`Policy`] and its descriptor.
#[derive(Clone, Debug)]
pub struct Method {
    policy: Arc<Policy>,
    /// The descriptor. It keeps the whole [`DescriptorPool`] in memory, some MB.
    pub descriptor: MethodDescriptor,
}

impl Deref for Method {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

/// The policies without the descriptors, for a process that only enforces them.
#[derive(Clone, Debug)]
pub struct Policies {
    by_path: Arc<HashMap<String, Arc<Policy>>>,
}

impl Policies {
    /// By gRPC path (`/package.Service/Method`).
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Arc<Policy>> {
        self.by_path.get(path)
    }
}

/// Every method, by gRPC path.
#[derive(Clone, Debug)]
pub struct Methods {
    pool: DescriptorPool,
    by_path: Arc<HashMap<String, Arc<Method>>>,
}

impl Methods {
    /// Reads the table from the built-in descriptors.
    ///
    /// # Panics
    /// Never in a build that passed its tests: the descriptors are part of the binary and a test loads them.
    #[must_use]
    pub fn load() -> Self {
        let pool =
            DescriptorPool::decode(crate::DESCRIPTORS).expect("the built-in descriptors decode; a test loads them");
        let mut by_path = HashMap::new();
        for service in pool
            .services()
            .filter(|service| service.full_name().starts_with("tenantry."))
        {
            for descriptor in service.methods() {
                let method = read(&pool, &descriptor).unwrap_or_else(|| {
                    panic!(
                        "{} has no complete policy; a test loads them all",
                        descriptor.full_name()
                    )
                });
                by_path.insert(method.path.clone(), Arc::new(method));
            }
        }
        Self {
            pool,
            by_path: Arc::new(by_path),
        }
    }
    /// Adds the methods of somebody else's service: `encoded` is its `FileDescriptorSet` with imports, in order. Files
    /// that are known already stay as they are, so nobody can give one of our methods another policy.
    ///
    /// # Errors
    /// A set that does not decode; a method without a complete policy.
    pub fn with_descriptors(mut self, encoded: &[u8]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let known: HashSet<String> = self
            .pool
            .services()
            .map(|service| service.full_name().to_owned())
            .collect();
        for file in RawFiles::decode(encoded)?.file {
            let name = prost_types::FileDescriptorProto::decode(file.as_slice())?
                .name
                .unwrap_or_default();
            if self.pool.get_file_by_name(&name).is_none() {
                self.pool.decode_file_descriptor_proto(file.as_slice())?;
            }
        }
        let mut by_path = HashMap::clone(&self.by_path);
        for service in self
            .pool
            .services()
            .filter(|service| !known.contains(service.full_name()))
        {
            for descriptor in service.methods() {
                let method = read(&self.pool, &descriptor)
                    .ok_or_else(|| format!("{} has no complete policy", descriptor.full_name()))?;
                by_path.insert(method.path.clone(), Arc::new(method));
            }
        }
        self.by_path = Arc::new(by_path);
        Ok(self)
    }
    /// By gRPC path (`/package.Service/Method`).
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Arc<Method>> {
        self.by_path.get(path)
    }
    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Method>> {
        self.by_path.values()
    }
    /// The policies alone: the pool goes when the last [`Methods`] and [`Method`] do.
    #[must_use]
    pub fn policies(&self) -> Policies {
        let by_path = self
            .iter()
            .map(|method| (method.path.clone(), Arc::clone(&method.policy)));
        Policies {
            by_path: Arc::new(by_path.collect()),
        }
    }
    /// The descriptor pool, for dynamic messages.
    #[must_use]
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }
}

/// A `FileDescriptorSet` whose files stay bytes: decoding them as prost types would drop the policies.
#[derive(Clone, PartialEq, Message)]
struct RawFiles {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

fn read(pool: &DescriptorPool, descriptor: &MethodDescriptor) -> Option<Method> {
    let extension = pool.get_extension_by_name("tenantry.options.v1.policy")?;
    let options = descriptor.options();
    let policy = options.get_extension(&extension);
    let policy = policy.as_message()?;
    let text = |field: &str| {
        policy
            .get_field_by_name(field)
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let number = |field: &str| {
        policy
            .get_field_by_name(field)
            .and_then(|v| v.as_enum_number())
            .unwrap_or_default()
    };
    let access = match number("access") {
        1 => Access::Public,
        2 => Access::Tenant,
        3 => Access::Operator,
        4 => Access::Service,
        _ => return None,
    };
    let least_role = number("role");
    if matches!(access, Access::Tenant | Access::Operator) && least_role == 0 {
        return None;
    }
    let service_name = descriptor.parent_service().full_name().to_owned();
    let full_name = format!("{service_name}/{}", descriptor.name());
    let policy = Policy {
        path: format!("/{full_name}"),
        service: service_name.split('.').nth(1)?.to_owned(),
        full_name,
        access,
        permission: text("permission"),
        least_role,
        scope: text("scope"),
        idempotent: policy
            .get_field_by_name("idempotent")
            .and_then(|v| v.as_bool())
            .unwrap_or(false),
        callers: callers(policy),
        read_only: is_read_only(&options),
        client_streaming: descriptor.is_client_streaming(),
        server_streaming: descriptor.is_server_streaming(),
    };
    Some(Method {
        policy: Arc::new(policy),
        descriptor: descriptor.clone(),
    })
}

fn callers(policy: &DynamicMessage) -> Vec<String> {
    let field = policy.get_field_by_name("callers");
    let list = field.as_ref().and_then(|value| value.as_list()).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_read_only(options: &DynamicMessage) -> bool {
    // google.protobuf.MethodOptions.IdempotencyLevel.NO_SIDE_EFFECTS
    options
        .get_field_by_name("idempotency_level")
        .and_then(|v| v.as_enum_number())
        == Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_complete_policy() {
        let methods = Methods::load();
        assert!(methods.iter().count() > 50);
        for method in methods.iter() {
            assert!(
                method.permission.starts_with(&format!("{}.", method.service)),
                "{}",
                method.full_name
            );
            let output = method.descriptor.output();
            assert!(!method.read_only || !method.idempotent, "{}", method.full_name);
            assert_eq!(
                output.name(),
                format!("{}Response", method.descriptor.name()),
                "{}",
                method.full_name
            );
            let has_request_id = method.descriptor.input().get_field_by_name("request_id").is_some();
            assert_eq!(
                method.idempotent, has_request_id,
                "{}: `idempotent` and `request_id` go together",
                method.full_name
            );
        }
    }

    #[test]
    fn a_foreign_descriptor_set_cannot_change_a_policy_of_ours() {
        let (ours, again) = (
            Methods::load(),
            Methods::load().with_descriptors(crate::DESCRIPTORS).unwrap(),
        );
        assert_eq!(ours.iter().count(), again.iter().count());
        for method in ours.iter() {
            assert_eq!(again.get(&method.path).unwrap().permission, method.permission);
        }
        assert!(Methods::load().with_descriptors(b"\x0a\x05nodes").is_err());
    }

    #[test]
    fn a_tenant_scoped_request_has_no_tenant_field() {
        for method in Methods::load()
            .iter()
            .filter(|m| matches!(m.access, Access::Tenant | Access::Public))
        {
            // A tenant that does not exist yet is described, not named: nothing of it can be reached by that.
            let input = method.descriptor.input();
            for field in input.fields().filter(|field| field.name() != "new_tenant") {
                assert!(
                    !field.name().contains("tenant"),
                    "{} has {}",
                    method.full_name,
                    field.name()
                );
            }
        }
    }
}
