//! Messages <-> domain. Names and masks are checked here, values in the domain.

use crate::domain::{
    Branding, BrandingRevision, CustomDomain, DomainState, Failure, Operation, Plan, Tenant, TenantName, TenantState,
    etag,
};
use chrono::{DateTime, Utc};
use prost_types::{FieldMask, Timestamp};
use std::{collections::BTreeSet, time::SystemTime};
use tenantry_api::{
    common::OperationMetadata,
    google::longrunning::{self, operation::Result as Outcome},
    name_of, parse_name, registry as proto,
};
use tenantry_kernel::{Error, Limits, OperationId, Placement, Reason, RequestId, Result, ThemeMode};
use tenantry_operations::wire::{self, any};

/// Prefix of our operation ids; the gateway routes by it (decision 23).
const OPERATION: &str = "registry-";

/// Makes links that people open.
#[derive(Clone, Debug)]
pub struct Links {
    /// `http://{slug}.localhost:8080`
    pub base_uri_template: String,
}

impl Links {
    pub(super) fn invite(&self, slug: &str, token: &str) -> String {
        format!(
            "{}/accept?token={token}",
            self.base_uri_template.replace("{slug}", slug).trim_end_matches('/')
        )
    }
}

/// `tenants/{id or slug}`
pub(super) fn tenant_name(field: &str, name: &str) -> Result<TenantName> {
    match parse_name("tenants/*", name).as_deref() {
        Some([segment]) => Ok(TenantName::of(segment)),
        _ => Err(bad_name(field, "tenants/{tenant}")),
    }
}

/// `plans/{id}`
pub(super) fn plan_name(field: &str, name: &str) -> Result<String> {
    match parse_name("plans/*", name).as_deref() {
        Some([id]) => Ok((*id).to_owned()),
        _ => Err(bad_name(field, "plans/{plan}")),
    }
}

/// `domains/{domain}`
pub(super) fn domain_name(field: &str, name: &str) -> Result<String> {
    match parse_name("domains/*", name).as_deref() {
        Some([domain]) => Ok((*domain).to_owned()),
        _ => Err(bad_name(field, "domains/{domain}")),
    }
}

/// `tenants/{tenant}/domains/{domain}`
pub(super) fn tenant_domain_name(name: &str) -> Result<(TenantName, String)> {
    match parse_name("tenants/*/domains/*", name).as_deref() {
        Some([tenant, domain]) => Ok((TenantName::of(tenant), (*domain).to_owned())),
        _ => Err(bad_name("name", "tenants/{tenant}/domains/{domain}")),
    }
}

/// `operations/registry-{id}`
pub(super) fn operation_name(name: &str) -> Result<OperationId> {
    wire::id("registry", name).map(OperationId::from_uuid)
}

fn bad_name(field: &str, shape: &str) -> Error {
    Error::invalid_field(field, format!("must be {shape}"))
}

/// The fields a change names: the mask, or without one every field that has a value (AIP-134).
pub(super) fn masked(mask: Option<FieldMask>, known: &[(&'static str, bool)]) -> Result<BTreeSet<&'static str>> {
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        return Ok(known
            .iter()
            .filter(|(_, has_value)| *has_value)
            .map(|(name, _)| *name)
            .collect());
    }
    let mut fields = BTreeSet::new();
    for path in &paths {
        if path == "*" {
            fields.extend(known.iter().map(|(name, _)| *name));
            continue;
        }
        let Some((name, _)) = known.iter().find(|(name, _)| name == path) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let text = format!("update_mask: only {} can be changed", names.join(", "));
            return Err(Error::new(Reason::UnknownField, text.clone()).field("update_mask", text));
        };
        fields.insert(*name);
    }
    Ok(fields)
}

fn time(at: DateTime<Utc>) -> Timestamp {
    SystemTime::from(at).into()
}

/// A tenant.
pub(super) fn tenant(tenant: &Tenant) -> proto::Tenant {
    let state = match tenant.state {
        TenantState::Creating => proto::TenantState::Creating,
        TenantState::Active => proto::TenantState::Active,
        TenantState::Suspended => proto::TenantState::Suspended,
        TenantState::Deleted => proto::TenantState::Deleted,
        TenantState::Purging => proto::TenantState::Purging,
    };
    let placement = match tenant.placement {
        Placement::Schema => "schema",
        Placement::Pooled => "pooled",
        Placement::Database => "database",
    };
    proto::Tenant {
        name: name_of("tenants/*", &[&tenant.id.to_string()]),
        tenant_id: tenant.id.to_string(),
        slug: tenant.slug.clone(),
        display_name: tenant.display_name.clone(),
        plan: name_of("plans/*", &[&tenant.plan]),
        state: state.into(),
        placement: placement.to_owned(),
        cell: tenant.cell.clone(),
        epoch: tenant.epoch,
        etag: etag::of(tenant.version),
        create_time: Some(time(tenant.create_time)),
        update_time: Some(time(tenant.update_time)),
        delete_time: tenant.delete_time.map(time),
        purge_time: tenant.purge_time.map(time),
        suspend_reason: tenant.suspend_reason.clone(),
    }
}

/// A plan.
pub(super) fn plan(plan: &Plan) -> proto::Plan {
    let limits = &plan.limits;
    proto::Plan {
        name: name_of("plans/*", &[&plan.id]),
        display_name: plan.display_name.clone(),
        limits: Some(proto::PlanLimits {
            requests_per_second: limits.requests_per_second,
            burst: limits.burst,
            users: limits.users,
            object_types: limits.object_types,
            records: limits.records,
            api_keys: limits.api_keys,
            requests_per_month: limits.requests_per_month,
        }),
        features: plan.features.iter().cloned().collect(),
        etag: etag::of(plan.version),
    }
}

/// Limits from outside.
pub(super) fn limits(limits: proto::PlanLimits) -> Limits {
    Limits {
        requests_per_second: limits.requests_per_second,
        burst: limits.burst,
        users: limits.users,
        object_types: limits.object_types,
        records: limits.records,
        api_keys: limits.api_keys,
        requests_per_month: limits.requests_per_month,
    }
}

/// A domain.
pub(super) fn domain(claim: &CustomDomain) -> proto::Domain {
    let state = match claim.state {
        DomainState::Pending => proto::DomainState::Pending,
        DomainState::Verified => proto::DomainState::Verified,
    };
    proto::Domain {
        name: name_of("domains/*", &[&claim.domain]),
        state: state.into(),
        verification_token: claim.verification_token.clone(),
        create_time: Some(time(claim.create_time)),
    }
}

/// Branding.
pub(super) fn branding(branding: &Branding) -> proto::Branding {
    proto::Branding {
        display_name: branding.brand.display_name.clone(),
        primary_color: branding.brand.primary_color.clone(),
        support_uri: branding.brand.support_uri.clone(),
        theme_mode: match branding.brand.theme_mode {
            ThemeMode::Auto => proto::ThemeMode::Auto,
            ThemeMode::Light => proto::ThemeMode::Light,
            ThemeMode::Dark => proto::ThemeMode::Dark,
        }
        .into(),
        etag: etag::of(branding.version),
    }
}

/// Branding as it was published once.
pub(super) fn revision(one: &BrandingRevision) -> proto::BrandingRevision {
    let values = Branding {
        brand: one.brand.clone(),
        version: one.revision,
    };
    proto::BrandingRevision {
        revision: one.revision,
        branding: Some(branding(&values)),
        publish_time: Some(time(one.publish_time)),
        publisher: one.publisher.clone(),
    }
}

/// What a message says of light and dark; unknown is as the system says.
pub(super) fn theme_mode(mode: i32) -> ThemeMode {
    match proto::ThemeMode::try_from(mode) {
        Ok(proto::ThemeMode::Light) => ThemeMode::Light,
        Ok(proto::ThemeMode::Dark) => ThemeMode::Dark,
        _ => ThemeMode::Auto,
    }
}

/// An operation. `invite` is the opened one-time token, for those who may see it.
pub(super) fn operation(
    operation: &Operation,
    invite: Option<&str>,
    links: &Links,
    request_id: &RequestId,
) -> longrunning::Operation {
    let saga = &operation.saga;
    let progress = saga.progress();
    let percent = if saga.is_done() {
        100
    } else {
        progress.done * 100 / progress.total.max(1)
    };
    let last_error = match &saga.failure {
        Some(failure) if saga.last_error.is_empty() => format!("{}: {}", failure.reason, failure.message),
        _ => saga.last_error.clone(),
    };
    let metadata = OperationMetadata {
        verb: saga.verb.as_str().to_owned(),
        target: name_of("tenants/*", &[&operation.tenant.to_string()]),
        step: saga.step.map_or_else(String::new, |step| step.as_str().to_owned()),
        attempt: i32::try_from(saga.attempt).unwrap_or(i32::MAX),
        last_error,
        progress_percent: i32::try_from(percent).unwrap_or(100),
        done_units: i64::try_from(progress.done).unwrap_or(0),
        total_units: i64::try_from(progress.total).unwrap_or(0),
        create_time: Some(time(operation.create_time)),
        update_time: Some(time(operation.update_time)),
    };
    longrunning::Operation {
        name: name_of("operations/*", &[&format!("{OPERATION}{}", operation.id)]),
        metadata: Some(any("tenantry.common.v1.OperationMetadata", &metadata)),
        done: saga.is_done(),
        result: outcome(operation, invite, links, request_id),
    }
}

fn outcome(operation: &Operation, invite: Option<&str>, links: &Links, request_id: &RequestId) -> Option<Outcome> {
    use crate::domain::Verb;
    if !operation.saga.is_done() {
        return None;
    }
    if let Some(failure) = &operation.saga.failure {
        let reason = Reason::parse(&failure.reason).unwrap_or(Reason::FailedPrecondition);
        let text = failure_text(failure);
        let error = Error::new(reason, text)
            .meta("step", failure.step.as_str())
            .meta("cause", failure.reason.as_str());
        return Some(Outcome::Error(wire::failure(&error, request_id)));
    }
    let tenant = operation.response.as_ref().map(tenant);
    Some(Outcome::Response(match operation.saga.verb {
        Verb::Create => {
            let invite_uri = invite
                .map(|token| links.invite(&operation.slug, token))
                .unwrap_or_default();
            any(
                "tenantry.registry.v1.CreateTenantResult",
                &proto::CreateTenantResult { tenant, invite_uri },
            )
        }
        _ => any("tenantry.registry.v1.Tenant", &tenant.unwrap_or_default()),
    }))
}

/// Why an operation failed, for people.
pub(super) fn failure_text(failure: &Failure) -> String {
    format!(
        "The step {} failed: {} Everything it made was removed.",
        failure.step.as_str(),
        sentence(&failure.message)
    )
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with('.') {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_names_known_fields_or_everything_that_is_set() {
        let known = [("display_name", true), ("plan", false)];
        let mask = |paths: &[&str]| {
            Some(FieldMask {
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            })
        };
        let names = |mask| {
            masked(mask, &known)
                .map(|set| set.into_iter().collect::<Vec<_>>())
                .map_err(|error| error.reason())
        };
        assert_eq!(names(None), Ok(vec!["display_name"]));
        assert_eq!(names(mask(&["plan"])), Ok(vec!["plan"]));
        assert_eq!(names(mask(&["*"])), Ok(vec!["display_name", "plan"]));
        assert_eq!(names(mask(&["slug"])), Err(Reason::UnknownField));
    }

    #[test]
    fn names_are_read_strictly_and_another_services_operation_is_missing() {
        assert_eq!(
            tenant_name("name", "tenants/acme").ok(),
            Some(TenantName::Slug("acme".to_owned()))
        );
        for bad in ["acme", "tenants/", "tenants/a/b", "/tenants/a", "plans/a"] {
            assert!(tenant_name("name", bad).is_err(), "{bad}");
        }
        let id = "0192b0a0-0000-7000-8000-000000000001";
        assert!(operation_name(&format!("operations/registry-{id}")).is_ok());
        assert_eq!(
            operation_name(&format!("operations/business-{id}"))
                .unwrap_err()
                .reason(),
            Reason::NotFound
        );
        assert_eq!(
            operation_name("operations/registry-x").unwrap_err().reason(),
            Reason::NotFound
        );
    }

    #[test]
    fn an_invite_link_leads_to_the_tenants_own_host() {
        let links = Links {
            base_uri_template: "http://{slug}.localhost:8080/".to_owned(),
        };
        assert_eq!(
            links.invite("acme", "tlk_x"),
            "http://acme.localhost:8080/accept?token=tlk_x"
        );
    }
}
