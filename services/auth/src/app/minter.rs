//! Signs what our own services trust: transaction tokens (platform key) and database contexts (context key). Both keys
//! are unwrapped once, kept in memory and read again every minute; nothing else in the system has them.

use crate::store::{Store, platform};
use arc_swap::ArcSwapOption;
use chrono::{DateTime, Duration, Utc};
use std::{fmt, sync::Arc};
use tenantry_crypto::{DataKey, Es256Signer, Es256Verifier, Jwk, RootKey};
use tenantry_db::context;
use tenantry_kernel::{
    BoxFuture, Brand, Clock, Ctx, DbContext, Error, Ids, Limits, Placement, Principal, RequestId, Result, TenantId,
    TenantRoute, TenantStatus, TransactionClaims, claims,
};
use tenantry_server::VerificationKeys;

/// Services with a database login `tenantry_<name>`.
pub const AUDIENCES: [&str; 5] = ["auth", "registry", "business", "backup", "monitoring"];
/// A request may begin its transaction this long after its token has ended.
const CONTEXT_SLACK: Duration = Duration::seconds(60);
/// Life of a context for auth's own work.
const OWN_CONTEXT: Duration = Duration::seconds(120);

struct Keys {
    signer: Es256Signer,
    verifier: Arc<Es256Verifier>,
    jwks: Vec<Jwk>,
    context_kid: i32,
    context_key: DataKey,
}

/// See the module.
pub struct Minter {
    store: Store,
    root: RootKey,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    keys: ArcSwapOption<Keys>,
    audiences: Vec<&'static str>,
}

/// What a transaction token says, apart from what every one says.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The called service.
    pub audience: &'static str,
    /// `user:..`, `key:..`, `service:..`
    pub subject: String,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// The session, for users.
    pub session: Option<tenantry_kernel::SessionId>,
    /// The creator, for keys.
    pub creator: Option<tenantry_kernel::UserId>,
    /// The role.
    pub role: Option<tenantry_kernel::Role>,
    /// Scopes that narrow the role.
    pub scopes: Vec<String>,
    /// When the state behind it was read, moved behind revocations that it survived.
    pub issued: DateTime<Utc>,
}

/// The database login of a service; `None` for one without a database.
#[must_use]
pub fn database_role(service: &str) -> Option<String> {
    AUDIENCES.contains(&service).then(|| format!("tenantry_{service}"))
}

impl Minter {
    /// Without keys until [`Minter::load`].
    #[must_use]
    pub fn new(store: Store, root: RootKey, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self {
            store,
            root,
            clock,
            ids,
            keys: ArcSwapOption::empty(),
            audiences: AUDIENCES.to_vec(),
        }
    }
    /// Also makes tokens for these services, without a database context. The names live as long as the process: they are
    /// the few of the configuration, given once.
    #[must_use]
    pub fn with_services<'a>(mut self, names: impl IntoIterator<Item = &'a String>) -> Self {
        for name in names {
            // Nothing is called with a token for the gateway.
            if name != "gateway" && !self.audiences.contains(&name.as_str()) {
                self.audiences.push(name.clone().leak());
            }
        }
        self
    }
    /// The audience of that name.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn audience(&self, name: &str) -> Result<&'static str> {
        let known = self.audiences.iter().copied().find(|known| *known == name);
        known.ok_or_else(|| Error::invalid_field("audience", format!("must be one of {}", self.audiences.join(", "))))
    }
    /// Reads the keys.
    ///
    /// # Errors
    /// `UNAVAILABLE`; `INTERNAL` where the database was not bootstrapped or the root key is another one.
    pub async fn load(&self) -> Result<()> {
        let mut tx = self.store.begin_system("load_keys").await?;
        let keys = platform::platform_key_list(&mut tx).await?;
        let context = platform::context_key_active(&mut tx).await?;
        tx.commit().await?;
        let active = keys.iter().find(|key| key.state == "active");
        let (Some(active), Some(context)) = (active, context) else {
            return Err(Error::internal("no platform keys: run `tenantry-auth migrate` first"));
        };
        let der = self
            .root
            .unwrap(&platform_aad(&active.kid), &active.wrapped)
            .map_err(Error::internal)?;
        let secret = self
            .root
            .unwrap(&context_aad(context.kid), &context.wrapped)
            .map_err(Error::internal)?;
        let jwks: Vec<Jwk> = keys
            .iter()
            .map(|key| serde_json::from_value(key.jwk.clone()))
            .collect::<Result<_, _>>()
            .map_err(Error::internal)?;
        self.keys.store(Some(Arc::new(Keys {
            signer: Es256Signer::from_pkcs8(&der).map_err(Error::internal)?,
            verifier: Arc::new(Es256Verifier::from_jwks(&jwks).map_err(Error::internal)?),
            jwks,
            context_kid: context.kid,
            context_key: DataKey::from_slice(&secret).map_err(Error::internal)?,
        })));
        Ok(())
    }

    fn keys(&self) -> Result<Arc<Keys>> {
        self.keys
            .load_full()
            .ok_or_else(|| Error::unavailable("the platform keys are not loaded yet"))
    }
    /// A transaction token and its end.
    ///
    /// # Errors
    /// `UNAVAILABLE` before the keys are loaded.
    pub fn transaction(&self, grant: Grant) -> Result<(String, DateTime<Utc>)> {
        let keys = self.keys()?;
        let iat = grant.issued.timestamp();
        let exp = iat + claims::MAX_LIFETIME_SECONDS;
        let end = DateTime::from_timestamp(exp, 0).ok_or_else(|| Error::internal("the clock is out of range"))?;
        let bound = grant.tenant.filter(|_| database_role(grant.audience).is_some());
        let dbc = bound.map(|tenant| mint(&keys, tenant, grant.audience, end + CONTEXT_SLACK));
        let claims = TransactionClaims {
            iss: claims::ISSUER.to_owned(),
            aud: grant.audience.to_owned(),
            sub: grant.subject,
            tid: grant.tenant,
            sid: grant.session,
            act: grant.creator,
            role: grant.role,
            scopes: grant.scopes,
            dbc: dbc.map(|dbc| dbc.expose().to_owned()),
            iat,
            iat_ms: grant.issued.timestamp_millis(),
            exp,
            jti: self.ids.new_v7().simple().to_string(),
        };
        Ok((
            keys.signer.sign(claims::TOKEN_TYPE, &claims).map_err(Error::internal)?,
            end,
        ))
    }
    /// A database context for one service's login.
    ///
    /// # Errors
    /// As [`Minter::transaction`].
    pub fn context(&self, tenant: TenantId, service: &str, life: Duration) -> Result<(DbContext, DateTime<Utc>)> {
        let end = self.clock.now() + life;
        Ok((mint(&*self.keys()?, tenant, service, end), end))
    }
    /// A context for auth's own work on a tenant: background work, or a call that only names the tenant.
    ///
    /// # Errors
    /// As [`Minter::transaction`].
    pub fn own(&self, tenant: TenantId) -> Result<Ctx> {
        let ctx = Ctx::new(Principal::service("auth"), RequestId::from_uuid(self.ids.new_v7()));
        self.bind(ctx, tenant)
    }
    /// As [`Minter::own`], with deadline, request id and tally of `call`.
    ///
    /// # Errors
    /// As [`Minter::transaction`].
    pub fn own_for(&self, call: &Ctx, tenant: TenantId) -> Result<Ctx> {
        let ctx = Ctx::new(call.principal().clone(), call.request_id().clone())
            .with_deadline(call.deadline())
            .with_traceparent(call.traceparent().map(Into::into))
            .with_tally(Arc::clone(call.tally()));
        self.bind(ctx, tenant)
    }

    fn bind(&self, ctx: Ctx, tenant: TenantId) -> Result<Ctx> {
        let (context, _) = self.context(tenant, "auth", OWN_CONTEXT)?;
        Ok(ctx.with_route(Arc::new(bare_route(tenant))).with_db(Some(context)))
    }
    /// Public keys that verify transaction tokens.
    ///
    /// # Errors
    /// As [`Minter::transaction`].
    pub fn jwks(&self) -> Result<Vec<Jwk>> {
        Ok(self.keys()?.jwks.clone())
    }
    /// The clock tokens are dated by.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

fn mint(keys: &Keys, tenant: TenantId, service: &str, end: DateTime<Utc>) -> DbContext {
    context::mint(
        keys.context_key.expose(),
        keys.context_kid,
        tenant,
        &format!("tenantry_{service}"),
        end,
    )
}

/// What the platform key of this name is wrapped under.
#[must_use]
pub fn platform_aad(kid: &str) -> Vec<u8> {
    format!("tenantry/platform_key/{kid}").into_bytes()
}

/// What the context key of this number is wrapped under.
#[must_use]
pub fn context_aad(kid: i32) -> Vec<u8> {
    format!("tenantry/context_key/{kid}").into_bytes()
}

/// Only the id of this route is ever used: auth's own work must also reach tenants that are not served (yet, any more).
fn bare_route(tenant: TenantId) -> TenantRoute {
    let limits = Limits {
        requests_per_second: 0,
        burst: 0,
        users: 0,
        object_types: 0,
        records: 0,
        api_keys: 0,
        requests_per_month: 0,
    };
    TenantRoute {
        tenant,
        slug: String::new(),
        display_name: String::new(),
        domains: Vec::new(),
        status: TenantStatus::Creating,
        epoch: 0,
        placement: Placement::Schema,
        cell: String::new(),
        plan: String::new(),
        limits,
        features: Default::default(),
        brand: Brand::default(),
    }
}

/// [`Minter`] as the source of verification keys of auth's own request stack.
#[derive(Clone)]
pub struct OwnKeys(pub Arc<Minter>);

impl VerificationKeys for OwnKeys {
    fn current(&self) -> Option<Arc<Es256Verifier>> {
        self.0.keys.load().as_ref().map(|keys| Arc::clone(&keys.verifier))
    }
    fn refresh(&self) -> BoxFuture<'_, Result<()>> {
        // A job reads the keys every minute, and every key is published long before it signs.
        Box::pin(async { Ok(()) })
    }
}

impl fmt::Debug for Minter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minter(***)")
    }
}
