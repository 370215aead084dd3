//! Migrations: a job of their own under an advisory lock, as `tenantry_owner`. `run` only compares.

use crate::{error::map_error, settings};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row,
    migrate::{MigrateError, Migrator},
};
use std::{collections::BTreeMap, time::Duration};
use tenantry_kernel::{Error, Kind, Reason, Result};

const CONNECT: Duration = Duration::from_secs(5);
/// Between two looks at a database that is away.
const WAIT: Duration = Duration::from_millis(500);

static TENANCY: Migrator = sqlx::migrate!("migrations/tenancy");

/// The migrations of schema `tenancy`, applied to every database before any other: context verification, `enable_rls`,
/// `create_service_tables`.
#[must_use]
pub fn tenancy_migrator() -> &'static Migrator {
    &TENANCY
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Versions applied by this run.
    pub applied: Vec<i64>,
    /// Versions in place now.
    pub total: usize,
}

/// How the database differs from what this binary expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Not applied yet.
    pub missing: Vec<i64>,
    /// Applied with another text than this binary has.
    pub altered: Vec<i64>,
    /// Applied by a newer binary; allowed, because two versions run side by side during a rollout.
    pub newer: Vec<i64>,
}

impl Pending {
    /// Whether this binary may serve.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.missing.is_empty() && self.altered.is_empty()
    }
}

/// Applies what is missing to `schema` (created if needed; bookkeeping in `<schema>._sqlx_migrations`). `ddl_url` is
/// the login `tenantry_ddl`, connected directly, not through a pooler.
///
/// # Errors
/// `UNAVAILABLE`; `INTERNAL` where a statement fails or an applied migration was altered.
pub async fn migrate(ddl_url: &str, schema: &str, migrator: &Migrator) -> Result<Report> {
    let mut conn = connect(ddl_url).await?;
    let schema = checked(schema)?;
    sqlx::raw_sql("SET ROLE tenantry_owner; SET search_path = ''")
        .execute(&mut conn)
        .await
        .map_err(map_error)?;
    let before = applied(&mut conn, schema).await?;
    let own = Migrator {
        migrations: migrator.migrations.clone(),
        ignore_missing: true,
        table_name: format!("{schema}._sqlx_migrations").into(),
        create_schemas: vec![schema.to_owned().into()].into(),
        ..Migrator::DEFAULT
    };
    own.run_direct(None, &mut conn, false).await.map_err(migration_error)?;
    // `run` compares with the service's own login; versions and checksums are no secret.
    let grants =
        format!("GRANT USAGE ON SCHEMA {schema} TO PUBLIC; GRANT SELECT ON {schema}._sqlx_migrations TO PUBLIC");
    sqlx::raw_sql(AssertSqlSafe(grants))
        .execute(&mut conn)
        .await
        .map_err(map_error)?;
    let after = applied(&mut conn, schema).await?;
    conn.close().await.map_err(map_error)?;
    Ok(Report {
        applied: after
            .keys()
            .filter(|version| !before.contains_key(version))
            .copied()
            .collect(),
        total: after.len(),
    })
}

/// Compares `schema` with `migrator`. Any login of the service will do.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn pending(url: &str, schema: &str, migrator: &Migrator) -> Result<Pending> {
    let mut conn = connect(url).await?;
    let there = applied(&mut conn, checked(schema)?).await?;
    conn.close().await.map_err(map_error)?;
    let mut pending = Pending::default();
    for migration in migrator.iter() {
        match there.get(&migration.version) {
            None => pending.missing.push(migration.version),
            Some(checksum) if **checksum != *migration.checksum => pending.altered.push(migration.version),
            Some(_) => {}
        }
    }
    pending.newer = there
        .keys()
        .filter(|version| !migrator.version_exists(**version))
        .copied()
        .collect();
    Ok(pending)
}

/// What `run` asks before it serves.
///
/// # Errors
/// `FAILED_PRECONDITION` naming the schema and versions; `UNAVAILABLE`.
pub async fn ensure_current(url: &str, schema: &str, migrator: &Migrator) -> Result<()> {
    let pending = pending(url, schema, migrator).await?;
    if pending.is_current() {
        return Ok(());
    }
    let text = format!(
        "Schema {schema} does not fit this version: missing migrations {:?}, altered {:?}. Run the service's `migrate` first.",
        pending.missing, pending.altered
    );
    Err(Error::new(Reason::FailedPrecondition, text))
}

/// [`ensure_current`] of schema `tenancy` and of a service's own, as soon as the database answers: one that is away when a
/// service starts (a failover, a node that drains) must not turn into a crash loop that outlasts it. Waits without end;
/// whoever started the process has a limit of its own.
///
/// # Errors
/// `FAILED_PRECONDITION` as [`ensure_current`]: waiting would not help.
pub async fn wait_until_current(url: &str, schema: &str, migrator: &Migrator) -> Result<()> {
    loop {
        let current = async {
            ensure_current(url, "tenancy", tenancy_migrator()).await?;
            ensure_current(url, schema, migrator).await
        };
        match current.await {
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::ResourceExhausted) => {
                tracing::warn!(schema, "the database is away; trying again");
            }
            done => return done,
        }
        tokio::time::sleep(WAIT).await;
    }
}

async fn connect(url: &str) -> Result<PgConnection> {
    let options = settings::options(url)?;
    match tokio::time::timeout(CONNECT, options.connect()).await {
        Ok(done) => done.map_err(map_error),
        Err(_) => Err(Error::unavailable("the database does not answer")),
    }
}

/// Schema names of ours are plain identifiers; anything else would have to be quoted everywhere.
fn checked(schema: &str) -> Result<&str> {
    let plain = schema.starts_with(|c: char| c.is_ascii_lowercase())
        && schema
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && schema.len() <= 63 {
        Ok(schema)
    } else {
        Err(Error::internal(format!("{schema:?} is no plain schema name")))
    }
}

async fn applied(conn: &mut PgConnection, schema: &str) -> Result<BTreeMap<i64, Vec<u8>>> {
    let table = format!("{schema}._sqlx_migrations");
    let there = sqlx::query("SELECT pg_catalog.to_regclass($1) IS NOT NULL")
        .persistent(false)
        .bind(&table)
        .fetch_one(&mut *conn)
        .await;
    if !there.and_then(|row| row.try_get::<bool, _>(0)).map_err(map_error)? {
        return Ok(BTreeMap::new());
    }
    let sql = AssertSqlSafe(format!("SELECT version, checksum FROM {table} WHERE success"));
    let rows = sqlx::query(sql)
        .persistent(false)
        .fetch_all(conn)
        .await
        .map_err(map_error)?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<sqlx::Result<_>>()
        .map_err(map_error)
}

fn migration_error(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(inner) => map_error(inner),
        MigrateError::ExecuteMigration(inner, version) => {
            tracing::error!(version, error = %inner, "migration failed");
            map_error(inner)
        }
        other => Error::internal(other),
    }
}
