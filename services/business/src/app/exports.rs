//! Everything a tenant has, in one snapshot. The stream waits for a slow client instead of buffering, and a client that
//! has gone ends its transaction.

use super::{Contexts, Parts, holds};
use crate::{
    domain::{
        ObjectType,
        data::{CHUNK, FORMAT, Part},
    },
    store::{self, Store},
};
use std::{sync::Arc, time::Duration};
use tenantry_db::Tx;
use tenantry_kernel::{
    Brand, Ctx, DbContext, Error, Limits, Placement, Principal, Reason, RequestId, Result, TenantId, TenantRoute,
    TenantStatus,
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Parts on their way to the client.
const BUFFER: usize = 4;
/// A client that takes no part for this long has gone.
const STALL: Duration = Duration::from_secs(60);
/// No table takes longer, and no pause between two.
const LIMIT: Duration = Duration::from_secs(2 * 3_600);
/// Types that change just when their tables are locked make us look again.
const LOOKS: usize = 5;
/// More than any plan allows.
const ALL: i64 = 100_000;

/// Makes exports.
#[derive(Clone)]
pub struct Exports {
    parts: Parts,
    contexts: Arc<dyn Contexts>,
}

impl Exports {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts, contexts: Arc<dyn Contexts>) -> Self {
        Self { parts, contexts }
    }

    /// Takes the snapshot; what follows is read as it is taken from the receiver. For a `restore` that will replace the
    /// data the tenant is held first; a complete export leaves it held.
    ///
    /// # Errors
    /// `TENANT_NOT_ACTIVE` where the tenant has no schema here, `CONFLICT` where its types do not stand still.
    pub async fn open(&self, tenant: TenantId, restore: Option<Uuid>) -> Result<mpsc::Receiver<Result<Part>>> {
        let store = &self.parts.store;
        let mut tx = store.begin_ddl("export").await?;
        store::provision::ensure_active(&mut tx, tenant).await?;
        tx.commit().await?;
        if let Some(id) = restore {
            holds::take(store, tenant, id).await?;
        }
        let begun = async {
            let db = self.contexts.database_context(tenant, "export").await?;
            self.snapshot(&bound(&self.parts, tenant, Some(db))).await
        };
        let (tx, types) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                if let Some(id) = restore {
                    holds::release(store, tenant, id).await;
                }
                return Err(error);
            }
        };
        let (out, parts) = mpsc::channel(BUFFER);
        let (store, export) = (store.clone(), run(tx, types, out));
        tokio::spawn(async move {
            match restore {
                None => drop(export.await),
                Some(id) => held(&store, tenant, id, export).await,
            }
        });
        Ok(parts)
    }

    /// Tables are locked by the names their types had a moment before; the snapshot must show the same types.
    async fn snapshot(&self, ctx: &Ctx) -> Result<(Tx, Vec<ObjectType>)> {
        let tenant = ctx.tenant()?;
        for _ in 0..LOOKS {
            let mut tx = self.parts.store.begin(ctx).await?;
            let before = store::object_type::list(&mut tx, tenant, "", ALL).await?;
            tx.commit().await?;
            let relations: Vec<_> = before.iter().map(|found| store::relation(tenant, &found.id)).collect();
            let mut tx = match self.parts.store.begin_snapshot(ctx, &relations, LIMIT).await {
                Err(error) if store::is_outdated(&error) => continue,
                begun => begun?,
            };
            let types = store::object_type::list(&mut tx, tenant, "", ALL).await?;
            if types == before {
                return Ok((tx, types));
            }
            tx.rollback().await?;
        }
        let text = "The tenant's object types change all the time. Repeat the call.";
        Err(Error::new(Reason::Conflict, text))
    }
}

impl std::fmt::Debug for Exports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exports(..)")
    }
}

/// A call of this service itself, bound to a tenant whatever its state is: a suspended one is backed up, too, and a new
/// one is filled before it is served. Only the id of the route is of use.
pub(super) fn bound(parts: &Parts, tenant: TenantId, db: Option<DbContext>) -> Ctx {
    let route = TenantRoute {
        tenant,
        slug: String::new(),
        display_name: String::new(),
        domains: Vec::new(),
        status: TenantStatus::Active,
        epoch: 0,
        placement: Placement::Schema,
        cell: String::new(),
        plan: String::new(),
        limits: Limits {
            requests_per_second: 0,
            burst: 0,
            users: 0,
            object_types: 0,
            records: 0,
            api_keys: 0,
            requests_per_month: 0,
        },
        features: std::collections::BTreeSet::new(),
        brand: Brand::default(),
    };
    let request = RequestId::from_uuid(parts.ids.new_v7());
    Ctx::new(Principal::service("business"), request)
        .with_route(Arc::new(route))
        .with_db(db)
}

/// Runs an export of what will be replaced: it stays held only if all of it was sent.
async fn held(store: &Store, tenant: TenantId, id: Uuid, export: impl Future<Output = bool>) {
    let complete = tokio::select! {
        complete = export => complete,
        never = holds::keep(store, tenant, id) => match never {},
    };
    if !complete {
        holds::release(store, tenant, id).await;
    }
}

/// Sends everything; whether all of it was sent.
async fn run(mut tx: Tx, types: Vec<ObjectType>, out: mpsc::Sender<Result<Part>>) -> bool {
    let outcome = tokio::select! {
        // First: a client that has everything may be gone already.
        biased;
        outcome = send_all(&mut tx, &types, &out) => outcome,
        // Dropped in the middle of a table, the transaction ends with its connection.
        () = out.closed() => return false,
    };
    let outcome = match outcome {
        Ok(()) => tx.rollback().await,
        failed => failed,
    };
    // What still lies in the buffer nobody has.
    let complete = outcome.is_ok() && out.reserve_many(BUFFER).await.is_ok();
    if let Err(error) = outcome {
        // A client that has gone needs no reason.
        drop(out.send(Err(error)).await);
    }
    complete
}

async fn send_all(tx: &mut Tx, types: &[ObjectType], out: &mpsc::Sender<Result<Part>>) -> Result<()> {
    let header = Part::Header {
        format: FORMAT,
        snapshot_time: store::export::time(tx).await?,
    };
    send(out, header).await?;
    let mut rows = 0;
    for object_type in types {
        let part = Part::Type {
            object_type: object_type.clone(),
            columns: store::export::columns(object_type),
        };
        send(out, part).await?;
        rows += send_rows(tx, object_type, out).await?;
    }
    let footer = Part::Footer {
        object_types: types.len() as u64,
        rows,
    };
    send(out, footer).await
}

async fn send_rows(tx: &mut Tx, object_type: &ObjectType, out: &mpsc::Sender<Result<Part>>) -> Result<u64> {
    let mut copy = store::export::rows(tx, object_type).await?;
    let (mut text, mut rows, mut total) = (Vec::new(), 0, 0);
    loop {
        let start = text.len();
        let more = copy.read(&mut text).await?;
        if start > 0 && (!more || text.len() > CHUNK) {
            let row = text.split_off(start);
            let full = std::mem::replace(&mut text, row);
            send(out, Part::Rows { text: full, rows }).await?;
            rows = 0;
        }
        if !more {
            return Ok(total);
        }
        (rows, total) = (rows + 1, total + 1);
    }
}

async fn send(out: &mpsc::Sender<Result<Part>>, part: Part) -> Result<()> {
    match tokio::time::timeout(STALL, out.send(Ok(part))).await {
        Ok(sent) => sent.map_err(|_| Error::new(Reason::Cancelled, "The caller has gone.")),
        Err(_) => Err(Error::new(
            Reason::DeadlineExceeded,
            "Nothing was read from the export for a minute. Export again and read faster.",
        )),
    }
}
