//! How much a tenant may send (its plan says), how often one address may try to sign in, and how much may be in flight.
//!
//! The counters are this process's own: no shared store stands between a request and its answer. A plan's rate is per
//! gateway, and the plan says so.

use base64::{Engine, engine::general_purpose::STANDARD};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use moka::future::Cache;
use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};
use tenantry_kernel::{Error, Limits, Reason, TenantId, TenantRoute};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// Buckets of tenants or addresses that were not heard of for this long are full again anyway.
const IDLE: Duration = Duration::from_secs(600);
const MOST_TENANTS: u64 = 50_000;
const MOST_ADDRESSES: u64 = 100_000;

/// What the `RateLimit` headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateState {
    name: &'static str,
    quota: u32,
    window: u64,
    left: u32,
    reset: u64,
    key: String,
}

impl RateState {
    /// `RateLimit-Policy`
    #[must_use]
    pub fn policy(&self) -> String {
        format!("\"{}\";q={};w={};pk=:{}:", self.name, self.quota, self.window, self.key)
    }
    /// `RateLimit`
    #[must_use]
    pub fn limit(&self) -> String {
        format!("\"{}\";r={};t={}", self.name, self.left, self.reset)
    }
}

/// One token bucket.
struct Bucket {
    rate: u32,
    burst: u32,
    /// `None`: nothing is allowed.
    limiter: Option<Limiter>,
}

impl Bucket {
    fn new(rate: u32, burst: u32) -> Self {
        let limiter = NonZeroU32::new(rate).map(|per_second| {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN).max(per_second);
            RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst))
                .with_middleware::<StateInformationMiddleware>()
        });
        Self {
            rate,
            burst: burst.max(rate),
            limiter,
        }
    }
    fn per_minute(rate: NonZeroU32, burst: NonZeroU32) -> Self {
        let limiter = RateLimiter::direct(Quota::per_minute(rate).allow_burst(burst))
            .with_middleware::<StateInformationMiddleware>();
        Self {
            rate: rate.get(),
            burst: burst.get(),
            limiter: Some(limiter),
        }
    }
    /// What is left, or how long to wait.
    fn take(&self) -> Result<u32, Duration> {
        let Some(limiter) = &self.limiter else {
            return Err(Duration::from_secs(60));
        };
        match limiter.check() {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(DefaultClock::default().now())),
        }
    }
    fn state(&self, key: &str, left: u32) -> RateState {
        let per = |n: u32| u64::from(n.div_ceil(self.rate.max(1))).max(1);
        let reset = per(self.burst.saturating_sub(left));
        RateState {
            name: "tenant",
            quota: self.burst,
            window: per(self.burst),
            left,
            reset,
            key: key.to_owned(),
        }
    }
}

struct Tenant {
    bucket: Bucket,
    limits: Limits,
    key: String,
    in_flight: Arc<Semaphore>,
}

/// What a request holds while it runs.
#[derive(Debug)]
pub struct Held {
    _tenant: OwnedSemaphorePermit,
}

/// Settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Sign-in attempts a minute of one address at one tenant.
    pub sign_in_per_minute: NonZeroU32,
    /// Attempts that may come at once.
    pub sign_in_burst: NonZeroU32,
    /// Requests of one tenant at the same time, open streams included.
    pub tenant_in_flight: usize,
}

/// All counters of this process.
pub struct Limiters {
    tenants: Cache<TenantId, Arc<Tenant>>,
    sign_in: Cache<(TenantId, IpAddr), Arc<Bucket>>,
    settings: Settings,
}

impl Limiters {
    /// Empty counters.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            tenants: Cache::builder().max_capacity(MOST_TENANTS).time_to_idle(IDLE).build(),
            sign_in: Cache::builder().max_capacity(MOST_ADDRESSES).time_to_idle(IDLE).build(),
            settings,
        }
    }

    /// Counts one request of a tenant. The state goes into the headers of whatever is answered.
    ///
    /// # Errors
    /// `RATE_LIMITED`, also where the tenant has too many requests open.
    pub async fn tenant(&self, route: &TenantRoute) -> (RateState, Result<Held, Error>) {
        let tenant = self.of(route).await;
        match tenant.bucket.take() {
            Ok(left) => {
                let state = tenant.bucket.state(&tenant.key, left);
                let held = tenant
                    .in_flight
                    .clone()
                    .try_acquire_owned()
                    .map(|permit| Held { _tenant: permit });
                let most = self.settings.tenant_in_flight;
                (state, held.map_err(|_| busy(most)))
            }
            Err(wait) => (tenant.bucket.state(&tenant.key, 0), Err(limited(route, wait))),
        }
    }

    async fn of(&self, route: &TenantRoute) -> Arc<Tenant> {
        let fresh = || {
            let hash = tenantry_crypto::token::sha256(route.tenant.uuid().as_bytes());
            Arc::new(Tenant {
                bucket: Bucket::new(route.limits.requests_per_second, route.limits.burst),
                limits: route.limits,
                key: STANDARD.encode(&hash[..6]),
                in_flight: Arc::new(Semaphore::new(self.settings.tenant_in_flight)),
            })
        };
        let known = self.tenants.get_with(route.tenant, async { fresh() }).await;
        if known.limits == route.limits {
            return known;
        }
        // The plan changed: a new bucket, full.
        let changed = fresh();
        self.tenants.insert(route.tenant, changed.clone()).await;
        changed
    }

    /// Counts one attempt to sign in (or to use a link or refresh token) from an address.
    ///
    /// # Errors
    /// `SIGN_IN_THROTTLED`.
    pub async fn sign_in(&self, tenant: TenantId, client: IpAddr) -> Result<(), Error> {
        let Settings {
            sign_in_per_minute,
            sign_in_burst,
            ..
        } = self.settings;
        let fresh = async { Arc::new(Bucket::per_minute(sign_in_per_minute, sign_in_burst)) };
        let bucket = self.sign_in.get_with((tenant, subnet(client)), fresh).await;
        bucket.take().map(drop).map_err(|wait| {
            let text = format!("Too many sign-in attempts from your address: at most {sign_in_per_minute} a minute. Wait and try again.");
            Error::new(Reason::SignInThrottled, text).retry_after(wait).meta("limit", sign_in_per_minute.to_string())
        })
    }
}

/// One customer of an IPv6 provider has a /64.
fn subnet(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        },
        v4 => v4,
    }
}

fn limited(route: &TenantRoute, wait: Duration) -> Error {
    let Limits {
        requests_per_second,
        burst,
        ..
    } = route.limits;
    let text = format!(
        "More requests than the plan {} allows: requests_per_second = {requests_per_second}, burst = {burst}. Wait as long as Retry-After says.",
        route.plan
    );
    Error::new(Reason::RateLimited, text)
        .retry_after(wait)
        .meta("plan", &route.plan)
        .meta("limit", "requests_per_second")
        .meta("value", requests_per_second.to_string())
}

fn busy(most: usize) -> Error {
    let text = format!("Your organisation has {most} requests open at the same time. Wait for some of them to end.");
    Error::new(Reason::RateLimited, text)
        .retry_after(Duration::from_secs(1))
        .meta("limit", "open_requests")
        .meta("value", most.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::gate::platform_route;

    fn limiters(in_flight: usize) -> Limiters {
        let one = |n| NonZeroU32::new(n).expect("not zero");
        Limiters::new(Settings {
            sign_in_per_minute: one(1),
            sign_in_burst: one(3),
            tenant_in_flight: in_flight,
        })
    }
    fn route(id: u8, rate: u32, burst: u32) -> TenantRoute {
        let mut route = platform_route();
        route.tenant = format!("0192b0a0-0000-7000-8000-0000000000{id:02x}")
            .parse()
            .expect("an id");
        route.plan = "small".into();
        route.limits = Limits {
            requests_per_second: rate,
            burst,
            ..route.limits
        };
        route
    }

    #[tokio::test]
    async fn a_plan_is_a_bucket_of_its_own_and_the_refusal_names_it() {
        let limiters = limiters(100);
        let (small, other) = (route(1, 1, 3), route(2, 1, 3));
        for left in [2, 1, 0] {
            let (state, held) = limiters.tenant(&small).await;
            assert!(
                held.is_ok() && state.limit().starts_with(&format!("\"tenant\";r={left};")),
                "{state:?}"
            );
            assert!(state.policy().starts_with("\"tenant\";q=3;w=3;pk=:"), "{state:?}");
        }
        let error = limiters.tenant(&small).await.1.expect_err("the bucket is empty");
        assert_eq!(error.reason(), Reason::RateLimited);
        assert!(
            error.public().contains("small") && error.public().contains("requests_per_second = 1"),
            "{error}"
        );
        assert!(error.retry_delay().is_some_and(|wait| wait <= Duration::from_secs(1)));
        assert!(limiters.tenant(&other).await.1.is_ok(), "the neighbour is not affected");
        assert!(
            limiters.tenant(&route(1, 1, 30)).await.1.is_ok(),
            "a larger plan counts at once"
        );
        assert!(limiters.tenant(&route(3, 0, 0)).await.1.is_err(), "zero is none");
    }

    #[tokio::test]
    async fn open_requests_are_bounded_and_come_back() {
        let limiters = limiters(1);
        let tenant = route(1, 100, 100);
        let first = limiters.tenant(&tenant).await.1.expect("free");
        let full = limiters.tenant(&tenant).await.1.expect_err("full");
        assert_eq!(full.reason(), Reason::RateLimited, "its own doing, not the house's");
        assert!(full.public().contains("1 requests open"), "{full}");
        drop(first);
        assert!(limiters.tenant(&tenant).await.1.is_ok());
    }

    #[tokio::test]
    async fn sign_in_is_counted_by_address_and_tenant() {
        let limiters = limiters(1);
        let (tenant, other) = (route(1, 1, 1).tenant, route(2, 1, 1).tenant);
        let (here, there): (IpAddr, IpAddr) = (
            "::1".parse().expect("an address"),
            "10.0.0.1".parse().expect("an address"),
        );
        let same: IpAddr = "::2".parse().expect("an address");
        for address in [here, same, here] {
            assert!(limiters.sign_in(tenant, address).await.is_ok());
        }
        assert_eq!(
            limiters.sign_in(tenant, same).await.expect_err("throttled").reason(),
            Reason::SignInThrottled
        );
        assert!(limiters.sign_in(tenant, there).await.is_ok() && limiters.sign_in(other, here).await.is_ok());
    }
}
