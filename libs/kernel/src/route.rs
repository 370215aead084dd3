//! Where a tenant lives and what it may use: pushed from the registry to everybody else.

use crate::TenantId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The state of a tenant as the rest of the system sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantStatus {
    /// Onboarding runs; nothing is served.
    Creating,
    /// Served.
    Active,
    /// Locked by the operator; data is kept.
    Suspended,
    /// Soft-deleted or being purged; nothing is served.
    Deleted,
}

/// How a tenant's data is stored (data plane, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// A schema of its own in a shared database.
    Schema,
    /// Shared tables.
    Pooled,
    /// A database of its own.
    Database,
}

/// Limits of the tenant's plan. Zero means none is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Requests a second, sustained, at each gateway.
    pub requests_per_second: u32,
    /// Requests that may come at once above the sustained rate.
    pub burst: u32,
    /// Members.
    pub users: u32,
    /// Object types.
    pub object_types: u32,
    /// Records of all types together.
    pub records: u64,
    /// API keys.
    pub api_keys: u32,
    /// Requests in a calendar month (UTC). Unlike the others, zero means that there is no limit.
    pub requests_per_month: u64,
}

/// One tenant's route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRoute {
    /// The tenant.
    pub tenant: TenantId,
    /// First label of its host; unique, lower case.
    pub slug: String,
    /// Name for people.
    pub display_name: String,
    /// Verified custom domains, lower case.
    pub domains: Vec<String>,
    /// See [`TenantStatus`].
    pub status: TenantStatus,
    /// Grows at every change; a smaller epoch never replaces a larger one.
    pub epoch: u64,
    /// See [`Placement`].
    pub placement: Placement,
    /// Which data database.
    pub cell: String,
    /// Name of the plan, for messages.
    pub plan: String,
    /// Limits of the plan.
    pub limits: Limits,
    /// Features of the plan.
    pub features: BTreeSet<String>,
    /// Branding values.
    pub brand: Brand,
}

/// Whether pages are light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeMode {
    /// As the reader's system says.
    #[default]
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl ThemeMode {
    /// As it stands in tables and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
    /// The reverse of [`ThemeMode::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Auto, Self::Light, Self::Dark]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

/// Branding values that pages are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brand {
    /// Name shown on pages.
    pub display_name: String,
    /// `#rrggbb`.
    pub primary_color: String,
    /// https link or empty.
    pub support_uri: String,
    /// Light or dark.
    pub theme_mode: ThemeMode,
}

impl Default for Brand {
    fn default() -> Self {
        Self {
            display_name: String::new(),
            primary_color: "#3451b2".to_owned(),
            support_uri: String::new(),
            theme_mode: ThemeMode::Auto,
        }
    }
}
