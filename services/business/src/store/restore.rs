//! A restore: a detached schema of the tenant, filled and checked out of sight, then put in the place of the live one.
//! Detached schemas are called `r_<tenant>_<7 hex>`: no service has a right on them, and while their tables are filled
//! they have no row security, so they lie outside of the `t_*` that the linter watches and requests reach.

use super::{contended, ddl, export, relation_in};
use crate::domain::ObjectType;
use sqlx::Row;
use std::time::Duration;
use tenantry_db::{SystemTx, map_error, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use uuid::Uuid;

/// One try of a restore.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Whose data.
    pub tenant: TenantId,
    /// The restore.
    pub id: Uuid,
    /// What is filled.
    pub schema: String,
    /// What the tenant's restores will be counted up to.
    pub generation: i64,
}

/// What a restore put there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Types.
    pub object_types: u64,
    /// Records of all types.
    pub records: u64,
}

/// A name for a detached schema; only the random end of `id` is used.
#[must_use]
pub fn detached(tenant: TenantId, id: Uuid) -> String {
    format!("{}{}", prefix(tenant), &id.simple().to_string()[25..])
}

fn prefix(tenant: TenantId) -> String {
    format!("r_{}_", tenant.uuid().simple())
}

/// What a restore that is done has done.
///
/// # Errors
/// As every statement.
pub async fn done(tx: &mut SystemTx, tenant: TenantId, id: Uuid) -> Result<Option<Counts>> {
    let sql = "SELECT r.object_types, r.records FROM business.restores r WHERE r.tenant_id = $1 AND r.id = $2 AND r.state = 'done'";
    let Some(row) = tx.fetch_optional(query(sql).bind(tenant.uuid()).bind(id)).await? else {
        return Ok(None);
    };
    let read = |i| row.try_get::<i64, _>(i).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Some(Counts {
        object_types: read(0).map_err(map_error)?,
        records: read(1).map_err(map_error)?,
    }))
}

/// Notes an attempt and makes its schema. It takes the place of every other attempt of the tenant: their next step fails.
///
/// # Errors
/// As every statement.
pub async fn begin(tx: &mut SystemTx, tenant: TenantId, id: Uuid, schema: String) -> Result<Attempt> {
    let sql = "DELETE FROM business.restores r WHERE r.tenant_id = $1 AND r.state = 'filling'";
    tx.execute(query(sql).bind(tenant.uuid())).await?;
    let sql = "INSERT INTO business.restores (tenant_id, id, state, schema_name, generation) \
               SELECT $1, $2, 'filling', $3, COALESCE(pg_catalog.max(r.generation), 0) + 1 FROM business.restores r WHERE r.tenant_id = $1 \
               RETURNING generation";
    let insert = query(sql).bind(tenant.uuid()).bind(id).bind(schema.clone());
    let generation = tx.fetch_one(insert).await?.try_get(0).map_err(map_error)?;
    tx.execute_script(format!("CREATE SCHEMA {schema}")).await?;
    Ok(Attempt {
        tenant,
        id,
        schema,
        generation,
    })
}

/// Proves that the attempt is still the tenant's, and that somebody works on it. First in each of its transactions.
///
/// # Errors
/// `FAILED_PRECONDITION` where another attempt took its place.
pub async fn touch(tx: &mut SystemTx, attempt: &Attempt) -> Result<()> {
    let sql = "UPDATE business.restores r SET update_time = pg_catalog.clock_timestamp() \
               WHERE r.tenant_id = $1 AND r.id = $2 AND r.state = 'filling' AND r.schema_name = $3";
    let touch = query(sql)
        .bind(attempt.tenant.uuid())
        .bind(attempt.id)
        .bind(attempt.schema.clone());
    match tx.execute(touch).await? {
        0 => Err(Error::new(
            Reason::FailedPrecondition,
            "Another restore of this tenant began; this one was given up.",
        )),
        _ => Ok(()),
    }
}

/// Makes the table of a type, to be filled.
///
/// # Errors
/// As every statement.
pub async fn create_table(tx: &mut SystemTx, attempt: &Attempt, object_type: &ObjectType) -> Result<()> {
    tx.execute_script(ddl::bare_table(&attempt.schema, object_type, Some(attempt.tenant)))
        .await
}

/// Adds rows; how many they were.
///
/// # Errors
/// As every statement.
pub async fn fill(tx: &mut SystemTx, attempt: &Attempt, object_type: &ObjectType, text: &[u8]) -> Result<u64> {
    // The swap is flushed to disk, and everything before it with it.
    tx.execute_script("SET LOCAL synchronous_commit = off").await?;
    let sql = format!(
        "COPY {} ({}) FROM STDIN",
        relation_in(&attempt.schema, &object_type.id),
        export::columns(object_type).join(", ")
    );
    tx.copy_in(&sql, text).await
}

/// Keys and indexes, once it is filled.
///
/// # Errors
/// As every statement.
pub async fn index(tx: &mut SystemTx, attempt: &Attempt, object_type: &ObjectType) -> Result<()> {
    tx.execute_script(ddl::keys(&attempt.schema, object_type)).await
}

/// Foreign keys, once every type has its keys.
///
/// # Errors
/// As every statement.
pub async fn refer(tx: &mut SystemTx, attempt: &Attempt, object_type: &ObjectType) -> Result<()> {
    tx.execute_script(ddl::references(&attempt.schema, object_type)).await
}

/// Row security, once every type has its foreign keys: behind it their check would find no record.
///
/// # Errors
/// As every statement.
pub async fn protect(tx: &mut SystemTx, attempt: &Attempt, object_type: &ObjectType) -> Result<()> {
    let relation = relation_in(&attempt.schema, &object_type.id);
    let sql = ddl::protect(&attempt.schema, object_type) + &format!("ANALYZE {relation};\n");
    tx.execute_script(sql).await.map_err(contended)
}

/// Waits until nobody reads or writes the tenant's records any more. A lock is given up before the server would look for
/// a deadlock and end a request.
///
/// # Errors
/// `CONFLICT` where somebody holds on to a table.
pub async fn lock_live(tx: &mut SystemTx, tenant: TenantId, live: &[ObjectType]) -> Result<()> {
    let mut sql = "SET LOCAL lock_timeout = '800ms';\n".to_owned();
    for object_type in live {
        sql += &format!(
            "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE;\n",
            super::relation(tenant, &object_type.id)
        );
    }
    tx.execute_script(sql).await
}

/// Puts the filled schema in the place of the live one, which is called `aside` from then on.
///
/// # Errors
/// As every statement.
pub async fn exchange(tx: &mut SystemTx, attempt: &Attempt, aside: &str) -> Result<()> {
    let (live, filled) = (attempt.tenant.schema(), &attempt.schema);
    let sql = format!(
        "ALTER SCHEMA {live} RENAME TO {aside};
REVOKE ALL ON SCHEMA {aside} FROM tenantry_business;
ALTER SCHEMA {filled} RENAME TO {live};
GRANT USAGE ON SCHEMA {live} TO tenantry_business;"
    );
    tx.execute_script(sql).await.map_err(contended)
}

/// Notes that it is done, so that it is never done again. Answers the oldest transaction that still runs: changes of older
/// ones are about the data that was replaced.
///
/// # Errors
/// As every statement.
pub async fn finish(tx: &mut SystemTx, attempt: &Attempt, counts: Counts) -> Result<i64> {
    let sql = "UPDATE business.restores r SET state = 'done', schema_name = NULL, object_types = $3, records = $4, update_time = pg_catalog.now() \
               WHERE r.tenant_id = $1 AND r.id = $2 AND r.state = 'filling' \
               RETURNING pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8";
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let finish = query(sql)
        .bind(attempt.tenant.uuid())
        .bind(attempt.id)
        .bind(number(counts.object_types))
        .bind(number(counts.records));
    tx.fetch_one(finish).await?.try_get(0).map_err(map_error)
}

/// Forgets an attempt that failed; one that is done stays.
///
/// # Errors
/// As every statement.
pub async fn forget(tx: &mut SystemTx, attempt: &Attempt) -> Result<()> {
    let sql = "DELETE FROM business.restores r WHERE r.tenant_id = $1 AND r.id = $2 AND r.state = 'filling' AND r.schema_name = $3";
    let forget = query(sql)
        .bind(attempt.tenant.uuid())
        .bind(attempt.id)
        .bind(attempt.schema.clone());
    tx.execute(forget).await.map(|_| ())
}

/// Forgets attempts that nobody has worked on for `age`; one in work holds its row's lock and is passed over.
///
/// # Errors
/// As every statement.
pub async fn forget_stale(tx: &mut SystemTx, age: Duration) -> Result<u64> {
    let sql = "DELETE FROM business.restores r WHERE r.ctid = ANY (ARRAY(SELECT s.ctid FROM business.restores s \
               WHERE s.state = 'filling' AND s.update_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1) FOR UPDATE SKIP LOCKED))";
    tx.execute(query(sql).bind(age.as_secs_f64())).await
}

/// Detached schemas, of one tenant or of all, that no attempt fills any more.
///
/// # Errors
/// As every statement.
pub async fn left_over(tx: &mut SystemTx, tenant: Option<TenantId>) -> Result<Vec<String>> {
    let sql = "SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_namespace n WHERE n.nspname ~ '^r_[0-9a-f]{32}_[0-9a-f]{7}$' \
               AND ($1 IS NULL OR pg_catalog.starts_with(n.nspname::pg_catalog.text, $1)) \
               AND NOT EXISTS (SELECT FROM business.restores r WHERE r.schema_name = n.nspname::pg_catalog.text) ORDER BY 1";
    let rows = tx.fetch_all(query(sql).bind(tenant.map(prefix))).await?;
    rows.iter().map(|row| row.try_get(0).map_err(map_error)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detached_schema_is_at_most_eight_characters_longer_than_the_live_one_and_not_called_like_it() {
        let name = detached(TenantId::PLATFORM, Uuid::from_u128(0xabc_def0));
        assert_eq!(name, "r_00000000000070008000000000000001_abcdef0");
        assert!(name.len() <= TenantId::PLATFORM.schema().len() + 8);
    }
}
