//! How much waits in an outbox, for metrics. Whoever claims from it looks now and then, so that no service needs a job
//! for it; the age grows by itself where nobody claims any more.

use crate::{Statements, error::map_error, query};
use sqlx::Row;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenantry_kernel::{Result, probe};

const EVERY: Duration = Duration::from_secs(5);
/// More is not counted: by then the number says enough.
const MOST: i64 = 10_000;

#[derive(Default)]
struct Backlog {
    looked: Option<Instant>,
    messages: f64,
    oldest: Option<Instant>,
}

type Shared = Arc<Mutex<Backlog>>;

static BACKLOGS: LazyLock<Mutex<HashMap<&'static str, Shared>>> = LazyLock::new(Mutex::default);

/// Looks, if it is time. Messages that are being published count until they are forgotten.
pub(super) async fn measure(tx: &mut impl Statements, schema: &'static str) -> Result<()> {
    let backlog = of(schema);
    let due = |backlog: &mut Backlog| {
        let due = backlog.looked.is_none_or(|at| at.elapsed() >= EVERY);
        if due {
            backlog.looked = Some(Instant::now());
        }
        due
    };
    if !due(&mut backlog.lock().unwrap_or_else(PoisonError::into_inner)) {
        return Ok(());
    }
    let sql = format!(
        "SELECT pg_catalog.count(*) AS messages, pg_catalog.date_part('epoch', pg_catalog.now() - pg_catalog.min(o.create_time)) AS age \
         FROM (SELECT create_time FROM {schema}.outbox ORDER BY create_time LIMIT $1) o"
    );
    let row = tx.fetch_one(query(sql).bind(MOST)).await?;
    let messages: i64 = row.try_get("messages").map_err(map_error)?;
    let age: Option<f64> = row.try_get("age").map_err(map_error)?;
    let oldest = age.and_then(|age| Instant::now().checked_sub(Duration::try_from_secs_f64(age.max(0.0)).ok()?));
    let mut backlog = backlog.lock().unwrap_or_else(PoisonError::into_inner);
    backlog.messages = messages as f64;
    backlog.oldest = oldest;
    Ok(())
}

fn of(schema: &'static str) -> Shared {
    let mut backlogs = BACKLOGS.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = backlogs.entry(schema).or_insert_with(|| {
        let backlog = Arc::new(Mutex::new(Backlog::default()));
        show(schema, &backlog);
        backlog
    });
    Arc::clone(entry)
}

fn show(schema: &'static str, backlog: &Shared) {
    let labels = [("schema", schema)];
    let here = Arc::clone(backlog);
    let help = "Messages that wait to be published (counted up to 10,000)";
    probe::gauge("tenantry_outbox_messages", help, &labels, move || {
        Some(here.lock().unwrap_or_else(PoisonError::into_inner).messages)
    });
    let here = Arc::clone(backlog);
    let help = "Age of the oldest message that waits to be published";
    probe::gauge("tenantry_outbox_oldest_seconds", help, &labels, move || {
        let oldest = here.lock().unwrap_or_else(PoisonError::into_inner).oldest;
        Some(oldest.map_or(0.0, |oldest| oldest.elapsed().as_secs_f64()))
    });
}
