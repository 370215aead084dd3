//! Custom domains: claimed by tenants, verified by operators, served once verified.

use crate::{
    app::{Idempotency, Page, Pager, Query, Sagas},
    domain::{CustomDomain, DomainState, TenantName, custom_domain, plan},
    store::{self, Store},
};
use std::sync::Arc;
use tenantry_crypto::OpaqueToken;
use tenantry_kernel::{Clock, Ctx, Error, Reason, Result};

/// See the module.
#[derive(Clone)]
pub struct DomainApp {
    store: Store,
    pager: Pager,
    sagas: Arc<Sagas>,
    clock: Arc<dyn Clock>,
}

impl DomainApp {
    /// All parts.
    #[must_use]
    pub fn new(store: Store, pager: Pager, sagas: Arc<Sagas>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            pager,
            sagas,
            clock,
        }
    }

    /// Claims a domain for the caller's tenant.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `FEATURE_NOT_IN_PLAN`, `QUOTA_EXCEEDED`, `ALREADY_EXISTS`.
    pub async fn create(&self, ctx: &Ctx, domain: &str, once: &Idempotency) -> Result<CustomDomain> {
        let domain = custom_domain::normalize(domain)?;
        let route = ctx.route()?;
        if !route.features.contains(plan::CUSTOM_DOMAIN) {
            let text = format!(
                "The plan {} does not include custom domains. Ask the operator for another plan.",
                route.plan
            );
            return Err(Error::new(Reason::FeatureNotInPlan, text).meta("feature", plan::CUSTOM_DOMAIN));
        }
        let mut tx = self.store.begin(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        if store::domain_count(&mut tx).await? >= custom_domain::MAX_PER_TENANT {
            let text = format!(
                "A tenant can claim {} domains. Delete one first.",
                custom_domain::MAX_PER_TENANT
            );
            return Err(Error::new(Reason::QuotaExceeded, text).meta("limit", "domains"));
        }
        let claim = CustomDomain {
            domain,
            state: DomainState::Pending,
            verification_token: OpaqueToken::random_secret(),
            create_time: super::now(&*self.clock),
        };
        store::domain_insert(&mut tx, &claim).await?;
        once.remember(&mut tx, ctx, &claim).await?;
        tx.commit().await?;
        Ok(claim)
    }

    /// A page of the tenant's domains by name.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, method: &'static str, query: &Query) -> Result<Page<CustomDomain>> {
        let slice = self.pager.open(ctx, method, &[], query).await?;
        let rows = store::domain_list(&mut self.store.begin(ctx).await?, &slice.after, slice.limit()).await?;
        slice.page(rows, |claim| claim.domain.clone()).await
    }

    /// The same of any tenant, for operators.
    ///
    /// # Errors
    /// `NOT_FOUND` where there is no such tenant, `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
    pub async fn list_of(
        &self,
        ctx: &Ctx,
        method: &'static str,
        tenant: &TenantName,
        query: &Query,
    ) -> Result<Page<CustomDomain>> {
        let tenant = store::tenant_fetch(&mut self.store.begin_system(ctx).await?, tenant)
            .await?
            .id;
        // A token of one tenant's list is none of another's.
        let slice = self.pager.open(ctx, method, &[tenant.uuid().as_bytes()], query).await?;
        let mut tx = self.store.begin_system(ctx).await?;
        let rows = store::domain_list_of(&mut tx, tenant, &slice.after, slice.limit()).await?;
        slice.page(rows, |claim| claim.domain.clone()).await
    }

    /// Gives a domain up; a verified one stops leading to the tenant.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn delete(&self, ctx: &Ctx, domain: &str, once: &Idempotency) -> Result<()> {
        let mut tx = self.store.begin(ctx).await?;
        if once.replay::<()>(&mut tx, ctx).await?.is_some() {
            return Ok(());
        }
        let was = store::domain_delete(&mut tx, &domain.to_ascii_lowercase()).await?;
        if was == DomainState::Verified {
            store::route_touch_own(&mut tx).await?;
        }
        once.remember(&mut tx, ctx, &()).await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(())
    }

    /// An operator attests that the tenant controls the domain.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ALREADY_EXISTS` where another tenant has it.
    pub async fn verify(
        &self,
        ctx: &Ctx,
        tenant: &TenantName,
        domain: &str,
        once: &Idempotency,
    ) -> Result<CustomDomain> {
        let mut tx = self.store.begin_system(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let tenant = store::tenant_lock(&mut tx, tenant).await?;
        let domain = domain.to_ascii_lowercase();
        let mut claim = store::domain_of_tenant(&mut tx, tenant.id, &domain).await?;
        if claim.state == DomainState::Pending {
            claim = store::domain_verify(&mut tx, tenant.id, &domain).await?;
            store::route_touch_tenant(&mut tx, tenant.id).await?;
        }
        once.remember(&mut tx, ctx, &claim).await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(claim)
    }
}
