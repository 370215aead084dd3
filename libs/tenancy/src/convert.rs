//! Route on the wire <-> route in the kernel.

use std::collections::BTreeSet;
use tenantry_api::registry::{self as proto, Branding, PlanLimits, Route, TenantState};
use tenantry_kernel::{Brand, Limits, Placement, TenantRoute, TenantStatus, ThemeMode};

/// The route a message describes; `None` for one that makes no sense (a newer registry; the caller skips it).
#[must_use]
pub fn route_from_proto(route: Route) -> Option<TenantRoute> {
    let status = match route.state() {
        TenantState::Creating => TenantStatus::Creating,
        TenantState::Active => TenantStatus::Active,
        TenantState::Suspended => TenantStatus::Suspended,
        TenantState::Deleted | TenantState::Purging => TenantStatus::Deleted,
        TenantState::Unspecified => return None,
    };
    let limits = route.limits.unwrap_or_default();
    let branding = route.branding.unwrap_or_default();
    let theme_mode = match branding.theme_mode() {
        proto::ThemeMode::Unspecified | proto::ThemeMode::Auto => ThemeMode::Auto,
        proto::ThemeMode::Light => ThemeMode::Light,
        proto::ThemeMode::Dark => ThemeMode::Dark,
    };
    Some(TenantRoute {
        tenant: route.tenant_id.parse().ok()?,
        slug: route.slug,
        brand: Brand {
            display_name: if branding.display_name.is_empty() {
                route.display_name.clone()
            } else {
                branding.display_name
            },
            primary_color: if branding.primary_color.is_empty() {
                Brand::default().primary_color
            } else {
                branding.primary_color
            },
            support_uri: branding.support_uri,
            theme_mode,
        },
        display_name: route.display_name,
        domains: route.domains,
        status,
        epoch: u64::try_from(route.epoch).ok()?,
        placement: match route.placement.as_str() {
            "schema" => Placement::Schema,
            "pooled" => Placement::Pooled,
            "database" => Placement::Database,
            _ => return None,
        },
        cell: route.cell,
        plan: route.plan,
        limits: Limits {
            requests_per_second: limits.requests_per_second,
            burst: limits.burst,
            users: limits.users,
            object_types: limits.object_types,
            records: limits.records,
            api_keys: limits.api_keys,
            requests_per_month: limits.requests_per_month,
        },
        features: route.features.into_iter().collect::<BTreeSet<_>>(),
    })
}

fn theme_mode(mode: ThemeMode) -> proto::ThemeMode {
    match mode {
        ThemeMode::Auto => proto::ThemeMode::Auto,
        ThemeMode::Light => proto::ThemeMode::Light,
        ThemeMode::Dark => proto::ThemeMode::Dark,
    }
}

/// The message for a route.
#[must_use]
pub fn route_to_proto(route: &TenantRoute) -> Route {
    let state = match route.status {
        TenantStatus::Creating => TenantState::Creating,
        TenantStatus::Active => TenantState::Active,
        TenantStatus::Suspended => TenantState::Suspended,
        TenantStatus::Deleted => TenantState::Deleted,
    };
    let placement = match route.placement {
        Placement::Schema => "schema",
        Placement::Pooled => "pooled",
        Placement::Database => "database",
    };
    Route {
        tenant_id: route.tenant.to_string(),
        slug: route.slug.clone(),
        display_name: route.display_name.clone(),
        domains: route.domains.clone(),
        state: state.into(),
        epoch: i64::try_from(route.epoch).unwrap_or(i64::MAX),
        placement: placement.to_owned(),
        cell: route.cell.clone(),
        plan: route.plan.clone(),
        limits: Some(PlanLimits {
            requests_per_second: route.limits.requests_per_second,
            burst: route.limits.burst,
            users: route.limits.users,
            object_types: route.limits.object_types,
            records: route.limits.records,
            api_keys: route.limits.api_keys,
            requests_per_month: route.limits.requests_per_month,
        }),
        features: route.features.iter().cloned().collect(),
        branding: Some(Branding {
            display_name: route.brand.display_name.clone(),
            primary_color: route.brand.primary_color.clone(),
            support_uri: route.brand.support_uri.clone(),
            etag: String::new(),
            theme_mode: theme_mode(route.brand.theme_mode).into(),
        }),
        removed: false,
    }
}
