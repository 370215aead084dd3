//! Which tenants have used up what their plan allows in a month. Monitoring counts and says so; the gateway only knows who
//! is over. It must never guess: a tenant that monitoring has not named is served, also while monitoring is away.

use chrono::{DateTime, SecondsFormat, Utc};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tenantry_api::{Access, Method, monitoring::QuotaState};
use tenantry_kernel::{Clock, Error, Reason, Result, TenantId, TenantRoute};

/// Methods that stay open to programs by permission (a dot at the end: all below), beside everything public: signing in
/// and out and looking at one's sessions, one's own page, the usage that says why the rest is refused, and how far work is
/// that began before (the script of a page asks for it, too). What pages ask for is not counted against a quota at all.
const OPEN: [&str; 6] = [
    "auth.login.",
    "auth.sessions.",
    "backup.operations.get",
    "business.operations.get",
    "monitoring.usage.get",
    "registry.branding.get",
];

#[derive(Clone, Debug)]
struct Over {
    limit: String,
    plan: String,
    allowed: u64,
    reset: DateTime<Utc>,
}

/// Tenants over a quota.
pub struct Quotas {
    over: RwLock<HashMap<TenantId, Over>>,
    clock: Arc<dyn Clock>,
}

impl Quotas {
    /// Nobody is over.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            over: RwLock::default(),
            clock,
        }
    }

    /// Whether the tenant may call the method. Pages are not asked about: whoever is over a quota must be able to see why
    /// and to delete what is not needed.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED` with the limit, the plan, what it allows and when it may be used again.
    pub fn check(&self, route: &TenantRoute, method: &Method) -> Result<()> {
        let over = self.over.read().unwrap_or_else(PoisonError::into_inner);
        let Some(over) = over.get(&route.tenant) else {
            return Ok(());
        };
        let now = self.clock.now();
        // The route is newer than what monitoring counted against: with another limit it has to count again first.
        if route.limits.requests_per_month != over.allowed || now >= over.reset || is_open(method) {
            return Ok(());
        }
        Err(exceeded(over, now))
    }

    /// Takes news; `snapshot` collects the tenants that a snapshot in progress names.
    pub fn apply(&self, states: Vec<QuotaState>, mut snapshot: Option<&mut HashSet<TenantId>>) {
        let mut over = self.over.write().unwrap_or_else(PoisonError::into_inner);
        for state in states {
            let Ok(tenant) = state.tenant_id.parse::<TenantId>() else {
                continue;
            };
            if let Some(seen) = snapshot.as_deref_mut() {
                seen.insert(tenant);
            }
            match read(state) {
                Some(news) => over.insert(tenant, news),
                None => over.remove(&tenant),
            };
        }
    }

    /// A snapshot has ended: whoever it did not name is within its quotas.
    pub fn keep_only(&self, seen: &HashSet<TenantId>) {
        let mut over = self.over.write().unwrap_or_else(PoisonError::into_inner);
        over.retain(|tenant, _| seen.contains(tenant));
    }
}

/// `None`: it may be served.
fn read(state: QuotaState) -> Option<Over> {
    if state.within {
        return None;
    }
    let reset = state.reset_time?;
    Some(Over {
        limit: state.limit,
        plan: state.plan,
        allowed: u64::try_from(state.allowed).ok()?,
        reset: DateTime::from_timestamp(reset.seconds, 0)?,
    })
}

fn is_open(method: &Method) -> bool {
    let named = |open: &str| match open.strip_suffix('.') {
        Some(_) => method.permission.starts_with(open),
        None => method.permission == open,
    };
    method.access == Access::Public || OPEN.iter().any(|open| named(open))
}

fn exceeded(over: &Over, now: DateTime<Utc>) -> Error {
    let Over {
        limit,
        plan,
        allowed,
        reset,
    } = over;
    let at = reset.to_rfc3339_opts(SecondsFormat::Secs, true);
    let text = format!(
        "The plan {plan} allows {limit} = {allowed}, and they are used up. They count anew from {at}; a larger plan is in force within seconds."
    );
    let wait = (*reset - now).to_std().unwrap_or(Duration::from_secs(1));
    Error::new(Reason::QuotaExceeded, text)
        .retry_after(wait)
        .meta("plan", plan)
        .meta("limit", limit)
        .meta("value", allowed.to_string())
        .meta("reset_time", at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::gate::platform_route;
    use tenantry_api::Methods;
    use tenantry_kernel::ManualClock;

    fn state(route: &TenantRoute, within: bool) -> QuotaState {
        QuotaState {
            tenant_id: route.tenant.to_string(),
            within,
            limit: "requests_per_month".into(),
            plan: "small".into(),
            allowed: 100,
            reset_time: Some(prost_types::Timestamp {
                seconds: 3_600,
                nanos: 0,
            }),
        }
    }

    #[test]
    fn the_tenant_over_its_quota_is_refused_until_its_plan_or_the_month_changes() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let quotas = Quotas::new(Arc::new(clock.clone()));
        let methods = Methods::load();
        let method = |path: &str| methods.get(path).expect("a method").clone();
        let list = method("/tenantry.business.v1.RecordService/ListRecords");
        let mut route = platform_route();
        route.limits.requests_per_month = 100;
        let mut other = route.clone();
        other.tenant = "0192b0a0-0000-7000-8000-000000000001".parse().expect("an id");
        assert!(quotas.check(&route, &list).is_ok(), "unknown is served");

        let mut seen = HashSet::new();
        quotas.apply(vec![state(&route, false)], Some(&mut seen));
        quotas.keep_only(&seen);
        let error = quotas.check(&route, &list).expect_err("over");
        assert_eq!(error.reason(), Reason::QuotaExceeded);
        for part in ["small", "requests_per_month = 100", "1970-01-01T01:00:00Z"] {
            assert!(error.public().contains(part), "{error}");
        }
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(3_600)));
        assert!(quotas.check(&other, &list).is_ok(), "the neighbour is not affected");
        for open in [
            "/tenantry.auth.v1.LoginService/SignIn",
            "/tenantry.auth.v1.LoginService/SignOut",
            "/tenantry.auth.v1.SessionService/GetCurrentSession",
            "/tenantry.monitoring.v1.UsageService/GetUsage",
            "/tenantry.business.v1.OperationService/GetOperation",
            "/tenantry.backup.v1.OperationService/GetOperation",
        ] {
            assert!(quotas.check(&route, &method(open)).is_ok(), "{open}");
        }
        let mut larger = route.clone();
        larger.limits.requests_per_month = 1_000;
        assert!(quotas.check(&larger, &list).is_ok(), "a larger plan counts at once");

        quotas.apply(vec![state(&route, true)], None);
        assert!(quotas.check(&route, &list).is_ok(), "back within");
        quotas.apply(vec![state(&route, false)], None);
        clock.advance(chrono::Duration::hours(1));
        assert!(quotas.check(&route, &list).is_ok(), "a new month");
        quotas.keep_only(&HashSet::new());
        assert!(quotas.over.read().expect("not poisoned").is_empty());
    }
}
