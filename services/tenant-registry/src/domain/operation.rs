//! A long-running operation: one saga on one tenant, with what its steps need and what came out.

use crate::domain::{Saga, Tenant, Verb};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{OperationId, TenantId};
use uuid::Uuid;

/// What the steps of an operation need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// E-mail of the first owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub admin_email: String,
    /// Name of the first owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub admin_display_name: String,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// The tenant it is about.
    pub tenant: TenantId,
    /// Slug of the tenant, for people.
    pub slug: String,
    /// Where it stands.
    pub saga: Saga,
    /// Id of the current step's command, the same for every resend.
    pub command: Uuid,
    /// See [`Input`].
    pub input: Input,
    /// The tenant as it was when the operation succeeded.
    pub response: Option<Tenant>,
    /// The sealed one-time invite of the first owner.
    #[serde(skip)]
    pub invite: Option<Vec<u8>>,
    /// Who asked.
    pub created_by: String,
    /// Trace of the request that asked.
    pub traceparent: Option<String>,
    /// When it was asked for.
    pub create_time: DateTime<Utc>,
    /// When it last moved.
    pub update_time: DateTime<Utc>,
}

impl Operation {
    /// Whether it is the onboarding that `principal` has asked for.
    #[must_use]
    pub fn is_onboarding_by(&self, principal: &str) -> bool {
        self.saga.verb == Verb::Create && self.created_by == principal
    }
}

/// What the sealed invite is bound to: another operation's row cannot be read with it.
#[must_use]
pub fn invite_binding(operation: OperationId) -> Vec<u8> {
    format!("registry.operations.invite|{operation}").into_bytes()
}
