//! The routes by id, slug and domain. A smaller epoch never replaces a larger one, so late messages do no harm.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};
use tenantry_kernel::{TenantId, TenantRoute};

#[derive(Default)]
struct Tables {
    by_id: HashMap<TenantId, Arc<TenantRoute>>,
    by_slug: HashMap<String, TenantId>,
    by_domain: HashMap<String, TenantId>,
}

/// All known routes. Reads take a shared lock for the time of one hash lookup.
#[derive(Default)]
pub struct RouteMap(RwLock<Tables>);

impl RouteMap {
    /// Adds or replaces a route unless a newer one is known.
    pub fn put(&self, route: TenantRoute) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if tables
            .by_id
            .get(&route.tenant)
            .is_some_and(|known| known.epoch > route.epoch)
        {
            return;
        }
        tables.unlink(route.tenant);
        tables.by_slug.insert(route.slug.clone(), route.tenant);
        for domain in &route.domains {
            tables.by_domain.insert(domain.clone(), route.tenant);
        }
        tables.by_id.insert(route.tenant, Arc::new(route));
    }
    /// Forgets a tenant.
    pub fn remove(&self, tenant: TenantId) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tables.unlink(tenant);
    }
    /// Forgets every tenant that is not in `seen`: a finished snapshot is the whole truth.
    pub fn keep_only(&self, seen: &std::collections::HashSet<TenantId>) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<TenantId> = tables.by_id.keys().filter(|id| !seen.contains(id)).copied().collect();
        for tenant in gone {
            tables.unlink(tenant);
        }
    }
    /// By id.
    #[must_use]
    pub fn by_id(&self, tenant: TenantId) -> Option<Arc<TenantRoute>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_id
            .get(&tenant)
            .cloned()
    }
    /// Every known route.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<TenantRoute>> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tables.by_id.values().cloned().collect()
    }
    /// By slug.
    #[must_use]
    pub fn by_slug(&self, slug: &str) -> Option<Arc<TenantRoute>> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tables.by_slug.get(slug).and_then(|id| tables.by_id.get(id)).cloned()
    }
    /// By verified custom domain.
    #[must_use]
    pub fn by_domain(&self, domain: &str) -> Option<Arc<TenantRoute>> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tables
            .by_domain
            .get(domain)
            .and_then(|id| tables.by_id.get(id))
            .cloned()
    }
}

impl Tables {
    fn unlink(&mut self, tenant: TenantId) {
        let Some(old) = self.by_id.remove(&tenant) else { return };
        // A slug or domain may belong to somebody else by now: remove only what is still ours.
        if self.by_slug.get(&old.slug) == Some(&tenant) {
            self.by_slug.remove(&old.slug);
        }
        for domain in &old.domains {
            if self.by_domain.get(domain) == Some(&tenant) {
                self.by_domain.remove(domain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kernel::{Brand, Limits, Placement, TenantStatus};
    use uuid::Uuid;

    fn route(n: u128, slug: &str, epoch: u64, domains: &[&str]) -> TenantRoute {
        TenantRoute {
            tenant: TenantId::from_uuid(Uuid::from_u128(n)),
            slug: slug.into(),
            display_name: slug.into(),
            domains: domains.iter().map(|d| (*d).to_owned()).collect(),
            status: TenantStatus::Active,
            epoch,
            placement: Placement::Schema,
            cell: "main".into(),
            plan: "free".into(),
            limits: Limits {
                requests_per_second: 1,
                burst: 1,
                users: 1,
                object_types: 1,
                records: 1,
                api_keys: 1,
                requests_per_month: 0,
            },
            features: Default::default(),
            brand: Brand::default(),
        }
    }

    #[test]
    fn an_older_epoch_does_not_win() {
        let map = RouteMap::default();
        map.put(route(1, "new", 5, &[]));
        map.put(route(1, "old", 4, &[]));
        assert_eq!(map.by_slug("new").unwrap().epoch, 5);
        assert!(map.by_slug("old").is_none());
    }

    #[test]
    fn a_slug_that_moved_on_is_not_taken_away_from_its_new_owner() {
        let map = RouteMap::default();
        map.put(route(1, "acme", 1, &["acme.example"]));
        map.put(route(2, "acme", 1, &["acme.example"]));
        map.remove(TenantId::from_uuid(Uuid::from_u128(1)));
        assert_eq!(map.by_slug("acme").unwrap().tenant.uuid(), Uuid::from_u128(2));
        assert_eq!(map.by_domain("acme.example").unwrap().tenant.uuid(), Uuid::from_u128(2));
    }

    #[test]
    fn a_snapshot_removes_what_it_does_not_name() {
        let map = RouteMap::default();
        map.put(route(1, "one", 1, &[]));
        map.put(route(2, "two", 1, &[]));
        map.keep_only(&[TenantId::from_uuid(Uuid::from_u128(2))].into_iter().collect());
        assert!(map.by_slug("one").is_none());
        assert!(map.by_slug("two").is_some());
    }
}
