//! What our own services get by their identity: tokens in their own name, database contexts, data keys.

use super::{
    Core,
    minter::{Grant, database_role},
};
use chrono::{DateTime, Duration, Utc};
use moka::sync::Cache;
use serde_json::json;
use std::{collections::HashMap, sync::Arc};
use subtle::ConstantTimeEq;
use tenantry_config::Secret;
use tenantry_crypto::{DataKey, Purpose, token::sha256};
use tenantry_kernel::{Ctx, DbContext, Error, PrincipalKind, Reason, Result, TenantId};

/// Life of a context for background work; callers keep it for at most a minute.
const CONTEXT_LIFE: Duration = Duration::seconds(tenantry_db::context::MAX_LIFETIME_SECONDS);
/// One event per service, tenant and job in this time: every context is logged, not every one is a row.
const AUDIT_STEP: std::time::Duration = std::time::Duration::from_secs(3600);

/// Knows our services by their secrets.
pub struct Identities(HashMap<String, [u8; 32]>);

impl Identities {
    /// From configuration; only hashes are kept.
    #[must_use]
    pub fn new(secrets: &HashMap<String, Secret>) -> Self {
        Self(
            secrets
                .iter()
                .map(|(name, secret)| (name.clone(), sha256(secret.expose().as_bytes())))
                .collect(),
        )
    }
    /// Whether `secret` is the secret of `name`.
    #[must_use]
    pub fn check(&self, name: &str, secret: &[u8]) -> bool {
        let presented = sha256(secret);
        // Unknown names are compared too: names are no secret, but the path should not differ.
        let known = self.0.get(name);
        let stored = known.copied().unwrap_or_default();
        bool::from(presented.ct_eq(&stored)) && known.is_some()
    }
}

/// See the module.
#[derive(Clone)]
pub struct Services {
    core: Arc<Core>,
    audited: Cache<(String, TenantId, String), ()>,
}

impl Services {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            audited: Cache::builder().max_capacity(100_000).time_to_live(AUDIT_STEP).build(),
        }
    }
    /// A token that names the calling service itself.
    ///
    /// # Errors
    /// `UNAVAILABLE` before the keys are loaded.
    pub fn token(
        &self,
        ctx: &Ctx,
        audience: &'static str,
        tenant: Option<TenantId>,
    ) -> Result<(String, DateTime<Utc>)> {
        self.token_of(service(ctx)?, audience, tenant)
    }
    /// As [`Services::token`], for auth itself.
    ///
    /// # Errors
    /// As [`Services::token`].
    pub fn token_of(
        &self,
        service: &str,
        audience: &'static str,
        tenant: Option<TenantId>,
    ) -> Result<(String, DateTime<Utc>)> {
        self.core.minter.transaction(Grant {
            audience,
            subject: format!("service:{service}"),
            tenant,
            session: None,
            creator: None,
            role: None,
            scopes: Vec::new(),
            issued: self.core.now(),
        })
    }
    /// A context for the calling service's own login.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for a service without a database.
    pub async fn database_context(
        &self,
        ctx: &Ctx,
        tenant: TenantId,
        purpose: &str,
    ) -> Result<(DbContext, DateTime<Utc>)> {
        let service = service(ctx)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if purpose.is_empty() || purpose.len() > 80 || !purpose.chars().all(plain) {
            return Err(Error::invalid_field(
                "purpose",
                "must be 1 to 80 characters of a-z, 0-9, '.', '_' and '-'",
            ));
        }
        if database_role(service).is_none() {
            return Err(Error::new(Reason::PermissionDenied, "This service has no database."));
        }
        self.audit(ctx, service, tenant, purpose).await?;
        self.core.minter.context(tenant, service, CONTEXT_LIFE)
    }

    async fn audit(&self, ctx: &Ctx, service: &str, tenant: TenantId, purpose: &str) -> Result<()> {
        tracing::info!(target: "tenantry_auth::audit", service, %tenant, purpose, request_id = %ctx.request_id(), "database context issued");
        let seen = (service.to_owned(), tenant, purpose.to_owned());
        if self.audited.contains_key(&seen) {
            return Ok(());
        }
        let own = self.core.minter.own_for(ctx, tenant)?;
        let mut tx = self.core.store.begin(&own).await?;
        let detail = json!({ "service": service, "purpose": purpose });
        self.core
            .event(
                &mut tx,
                &own,
                "auth.database_context.issue.v1",
                &format!("service:{service}"),
                detail,
            )
            .await?;
        tx.commit().await?;
        self.audited.insert(seen, ());
        Ok(())
    }
    /// A tenant's data key, for the purposes that the calling service has.
    ///
    /// # Errors
    /// `NOT_FOUND` for a tenant without keys, `INVALID_ARGUMENT` for an unknown purpose, `PERMISSION_DENIED` for one that
    /// is another service's.
    pub async fn data_key(&self, ctx: &Ctx, tenant: TenantId, purpose: &str, version: u32) -> Result<(u32, DataKey)> {
        let names = Purpose::ALL.map(Purpose::as_str).join(", ");
        let purpose = Purpose::parse(purpose)
            .ok_or_else(|| Error::invalid_field("purpose", format!("must be one of {names}")))?;
        if !purposes(service(ctx)?).contains(&purpose) {
            let text = "Keys of this purpose belong to another service.";
            return Err(Error::new(Reason::PermissionDenied, text));
        }
        self.core
            .keyring
            .data_key(tenant, purpose, (version > 0).then_some(version))
            .await
    }
}

/// What a service seals: who takes over one of them must not read what the others keep.
fn purposes(service: &str) -> &'static [Purpose] {
    match service {
        "business" => &[Purpose::Cache, Purpose::PageToken, Purpose::Field, Purpose::File],
        "registry" => &[Purpose::Cache, Purpose::PageToken, Purpose::Field],
        "backup" => &[Purpose::Backup, Purpose::PageToken],
        "monitoring" => &[Purpose::PageToken],
        _ => &[],
    }
}

fn service(ctx: &Ctx) -> Result<&str> {
    match &ctx.principal().kind {
        PrincipalKind::Service { name } => Ok(name),
        _ => Err(Error::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_backups_are_backups_alone() {
        for service in ["business", "registry", "monitoring", "gateway", "auth", "greeting"] {
            assert!(!purposes(service).contains(&Purpose::Backup), "{service}");
        }
        assert!(purposes("backup").contains(&Purpose::Backup) && !purposes("backup").contains(&Purpose::File));
        assert_eq!(purposes("monitoring"), [Purpose::PageToken]);
        assert!(purposes("gateway").is_empty());
    }
}
