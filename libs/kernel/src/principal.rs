//! Who calls.

use crate::{ApiKeyId, SessionId, UserId};
use serde::{Deserialize, Serialize};

/// A member's role in its tenant. Ordered: each role holds everything the smaller ones hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes records.
    Member,
    /// Manages members, keys, types and branding.
    Admin,
    /// Everything, including ownership.
    Owner,
}

impl Role {
    /// The wire text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
    /// Parses the wire text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// What kind of caller a verified token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A signed-in member.
    User {
        /// The member.
        user: UserId,
        /// The session the token came from.
        session: SessionId,
    },
    /// An API key acting with at most its creator's rights.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// The member who made it.
        creator: UserId,
    },
    /// One of our own services, by its service identity.
    Service {
        /// `gateway`, `registry`, `auth`, `business`.
        name: String,
    },
    /// Nobody yet: only methods with public access run.
    Anonymous,
}

/// A verified caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What it is.
    pub kind: PrincipalKind,
    /// Its role in the tenant; `None` for services and anonymous callers.
    pub role: Option<Role>,
    /// Scopes that narrow the role; empty = not narrowed (a session). An API key always has at least one.
    pub scopes: Vec<String>,
}

impl Principal {
    /// Nobody.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            kind: PrincipalKind::Anonymous,
            role: None,
            scopes: Vec::new(),
        }
    }
    /// One of our own services.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self {
            kind: PrincipalKind::Service { name: name.to_owned() },
            role: None,
            scopes: Vec::new(),
        }
    }
    /// Whether the scopes allow `scope` (`records.read`); an unnarrowed principal has every scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|own| own == scope)
    }
    /// The user behind the call, for audit columns: the member, or the creator of the key.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.kind {
            PrincipalKind::User { user, .. } => Some(user),
            PrincipalKind::ApiKey { creator, .. } => Some(creator),
            PrincipalKind::Service { .. } | PrincipalKind::Anonymous => None,
        }
    }
    /// A stable name for idempotency keys, page tokens and logs: `user:<id>`, `key:<id>`, `service:<name>`, `anonymous`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.kind {
            PrincipalKind::User { user, .. } => format!("user:{user}"),
            PrincipalKind::ApiKey { key, .. } => format!("key:{key}"),
            PrincipalKind::Service { name } => format!("service:{name}"),
            PrincipalKind::Anonymous => "anonymous".to_owned(),
        }
    }
}
