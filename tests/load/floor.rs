//! The floor: the statements the business service runs for the same requests, with the same signed context as the same
//! login, straight on PostgreSQL. No cache: where the gateway answers a get from Redis it can be below this floor.

use crate::{
    args::Args,
    engine::Target,
    gateway::{PAGE, check_title},
    instance::Instance,
    plan::{Job, Kind},
    setup::{LoadTenant, TYPE},
};
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use serde_json::json;
use sqlx::{
    AssertSqlSafe, ConnectOptions, PgConnection, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use std::{
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tenantry_api::auth::{IssueDatabaseContextRequest, token_service_client::TokenServiceClient};
use tenantry_kernel::{Clock, SystemClock};
use tokio::task::JoinHandle;
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

/// A tenant always meets the same few backends, as in the service.
const SHARDS: usize = 4;
const BEGIN: &str = "RESET ALL; BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *";
const BIND: &str =
    "SELECT pg_catalog.set_config('tenancy.ctx', $1, true), pg_catalog.set_config('statement_timeout', $2, true)";
const COLUMNS: &str = "id, version, create_time, update_time, creator, f_title, f_status, f_priority";
const CHANGE: &str = "INSERT INTO business.changes (tenant_id, type, kind, change_time, record_id, record) \
     SELECT $1, $2, $3, $4, u.id, u.record FROM unnest($5, $6) WITH ORDINALITY AS u (id, record, place) ORDER BY u.place";
const TITLE: usize = 5;
/// Contexts live for five minutes: a usual run is over before they are renewed, which costs the database something.
const RENEW_EVERY: Duration = Duration::from_secs(150);
const ISSUE_CONCURRENCY: usize = 16;

/// Asks PostgreSQL directly.
pub(crate) struct Floor {
    inner: Arc<Inner>,
    renewal: JoinHandle<()>,
}

struct Inner {
    pools: Vec<PgPool>,
    tenants: Arc<[LoadTenant]>,
    contexts: Vec<RwLock<Arc<str>>>,
    auth: TokenServiceClient<Channel>,
    secret: String,
}

impl Floor {
    /// With a fresh context for every tenant.
    pub(crate) async fn new(instance: &Instance, args: &Args, tenants: &Arc<[LoadTenant]>) -> Result<Self> {
        let url = instance.database("tenantry_business", "tenantry_data")?;
        let options = PgConnectOptions::from_str(url)?
            .statement_cache_capacity(0)
            .extra_float_digits(None)
            .disable_statement_logging();
        let width = args.floor_connections.div_ceil(u32::try_from(SHARDS)?);
        let pool = || {
            PgPoolOptions::new()
                .max_connections(width)
                .acquire_timeout(Duration::from_secs(30))
                .test_before_acquire(false)
                .connect_lazy_with(options.clone())
        };
        let secret = instance.world.service_secrets.get("business");
        let inner = Arc::new(Inner {
            pools: (0..SHARDS).map(|_| pool()).collect(),
            tenants: tenants.clone(),
            contexts: tenants.iter().map(|_| RwLock::new(Arc::from(""))).collect(),
            auth: TokenServiceClient::new(Endpoint::from_shared(instance.grpc("auth")?.to_owned())?.connect_lazy()),
            secret: secret.context("world.json has no secret of business")?.clone(),
        });
        inner.issue_all().await.context("signed database contexts")?;
        let renewing = inner.clone();
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                // A context that could not be renewed shows as failed requests.
                drop(renewing.issue_all().await);
            }
        });
        Ok(Self { inner, renewal })
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Target for Floor {
    fn ask(&self, job: Job) -> BoxFuture<'static, Result<()>> {
        let inner = self.inner.clone();
        Box::pin(async move { inner.ask(job).await })
    }
}

impl Inner {
    async fn issue_all(&self) -> Result<()> {
        let issue = |n: usize| async move {
            let context = self.issue(&self.tenants[n]).await?;
            *self.contexts[n].write().unwrap_or_else(PoisonError::into_inner) = context;
            anyhow::Ok(())
        };
        stream::iter((0..self.tenants.len()).map(issue))
            .buffer_unordered(ISSUE_CONCURRENCY)
            .try_collect()
            .await
    }

    async fn issue(&self, tenant: &LoadTenant) -> Result<Arc<str>> {
        let mut request = Request::new(IssueDatabaseContextRequest {
            tenant_id: tenant.id.to_string(),
            purpose: "load-floor".to_owned(),
        });
        let metadata = request.metadata_mut();
        metadata.insert("x-tenantry-service", "business".parse()?);
        metadata.insert("x-tenantry-service-secret", self.secret.parse()?);
        let answer = self.auth.clone().issue_database_context(request).await?;
        Ok(answer.into_inner().database_context.into())
    }

    async fn ask(&self, job: Job) -> Result<()> {
        let tenant = &self.tenants[job.tenant];
        let context = self.contexts[job.tenant]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut connection = self.pools[job.tenant % SHARDS].acquire().await?;
        let done = transaction(&mut connection, tenant, &context, job).await;
        if done.is_err() {
            connection.close_on_drop();
        }
        done
    }
}

async fn transaction(connection: &mut PgConnection, tenant: &LoadTenant, context: &str, job: Job) -> Result<()> {
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await?;
    let bind = sqlx::query(BIND).bind(context).bind("30000").persistent(false);
    bind.execute(&mut *connection).await?;
    let id = tenant.records[job.record];
    let relation = format!("{}.o_{TYPE}", tenant.schema());
    let rows = match job.kind {
        Kind::Get => {
            let sql = format!("SELECT {COLUMNS} FROM {relation} WHERE tenant_id = $1 AND id = $2");
            let get = sqlx::query(AssertSqlSafe(sql)).bind(tenant.id).bind(id);
            get.persistent(false).fetch_all(&mut *connection).await?
        }
        Kind::List => {
            let sql = format!(
                "SELECT {COLUMNS}, f_priority FROM {relation} WHERE tenant_id = $1 AND f_status = $2 ORDER BY f_priority DESC, id DESC LIMIT {}",
                PAGE + 1
            );
            let list = sqlx::query(AssertSqlSafe(sql)).bind(tenant.id).bind("open");
            list.persistent(false).fetch_all(&mut *connection).await?
        }
        Kind::Write => write(connection, tenant, &relation, job).await?,
    };
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    ensure!(!rows.is_empty(), "no rows");
    rows.iter().try_for_each(|row| check_title(tenant, row.try_get(TITLE)?))
}

/// The row and its line in the change log.
async fn write(connection: &mut PgConnection, tenant: &LoadTenant, relation: &str, job: Job) -> Result<Vec<PgRow>> {
    let (id, now) = (tenant.records[job.record], SystemClock.now());
    let sql = format!(
        "UPDATE {relation} SET f_priority = $5, version = version + 1, update_time = $3 \
         WHERE tenant_id = $1 AND id = $2 AND ($4 IS NULL OR version = $4) RETURNING {COLUMNS}"
    );
    let update = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.id)
        .bind(id)
        .bind(now)
        .bind(None::<i64>)
        .bind(i64::from(job.priority));
    let rows = update.persistent(false).fetch_all(&mut *connection).await?;
    let row = rows.first().context("no such record")?;
    let (title, status): (&str, &str) = (row.try_get(TITLE)?, row.try_get(TITLE + 1)?);
    let record = json!({"object_type": TYPE, "id": id, "version": row.try_get::<i64, _>(1)?, "creator": row.try_get::<&str, _>(4)?,
        "create_time": now.to_rfc3339(), "update_time": now.to_rfc3339(),
        "fields": {"title": title, "status": status, "priority": job.priority.to_string()}});
    let change = sqlx::query(CHANGE).bind(tenant.id).bind(TYPE).bind("updated").bind(now);
    let change = change.bind(vec![id]).bind(vec![Some(record)]);
    change.persistent(false).execute(&mut *connection).await?;
    Ok(rows)
}
