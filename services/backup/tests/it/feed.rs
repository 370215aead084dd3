//! What business would send, and the keys it is kept under.

#![expect(clippy::disallowed_methods, reason = "tests may use the real clock and random ids")]

use std::sync::Arc;
use tenantry_api::business::{DataFooter, DataHeader, DataPart, DataRows, DataType, data_part::Part};
use tenantry_backup::{
    archive::{Archive, writer::Writer},
    domain::Manifest,
};
use tenantry_crypto::{DataKey, Purpose, Sealer, SigningKey, TenantKeys, VerifyingKeys, token::sha256};
use tenantry_kernel::{BoxFuture, Error, Result, TenantId};
use uuid::Uuid;

pub(crate) fn id() -> String {
    Uuid::now_v7().simple().to_string()
}

/// Keys made from the tenant's id.
pub(crate) struct Keys;

impl TenantKeys for Keys {
    fn sealer(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<Arc<Sealer>>> {
        let key = sha256(format!("{tenant}{}", purpose.as_str()).as_bytes());
        let sealer = match version {
            None | Some(1) => Ok(Arc::new(Sealer::new(DataKey::new(key), 1))),
            Some(_) => Err(Error::not_found()),
        };
        Box::pin(async move { sealer })
    }
}

pub(crate) fn snapshot() -> Uuid {
    Uuid::now_v7()
}

pub(crate) fn signing(n: u8) -> SigningKey {
    SigningKey::from_seed(&DataKey::new([n; 32])).expect("a seed")
}

pub(crate) fn trusted() -> VerifyingKeys {
    VerifyingKeys::new([signing(1).public().as_str()]).expect("a key")
}

pub(crate) fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::now_v7())
}

fn part(part: Part) -> DataPart {
    DataPart { part: Some(part) }
}

/// Two types: `tickets` with `blocks` blocks of about 100 KiB that compress to half and no further, and an empty one.
pub(crate) fn parts(blocks: u64) -> Vec<DataPart> {
    let header = DataHeader {
        format: 1,
        snapshot_time: Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 5_000,
        }),
    };
    let data_type = |name: &str| DataType {
        object_type: name.to_owned(),
        definition: format!("definition of {name}").into_bytes(),
        columns: vec!["id".into(), "title".into()],
    };
    let mut parts = vec![part(Part::Header(header)), part(Part::DataType(data_type("tickets")))];
    parts.extend((0..blocks).map(|block| part(Part::DataRows(rows(block)))));
    parts.push(part(Part::DataType(data_type("people"))));
    parts.push(part(Part::Footer(DataFooter {
        object_types: 2,
        rows: 100 * blocks,
    })));
    parts
}

pub(crate) fn rows(block: u64) -> DataRows {
    let mut copy_text = Vec::new();
    for row in 0..100_u64 {
        for piece in 0..16_u64 {
            let hash = sha256(format!("{block} {row} {piece}").as_bytes());
            copy_text.extend(hash.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
        }
        copy_text.push(b'\n');
    }
    DataRows { copy_text, rows: 100 }
}

/// Writes a snapshot in segments of about a megabyte.
pub(crate) async fn write(archive: &Archive, tenant: TenantId, snapshot: Uuid, blocks: u64) -> Result<Manifest> {
    let sealer = Keys.sealer(tenant, Purpose::Backup, None).await?;
    let mut writer = Writer::new(archive.clone(), sealer, tenant, snapshot, Uuid::now_v7()).segment_bytes(1 << 20);
    for part in parts(blocks) {
        writer.part(part).await?;
    }
    writer.finish(&signing(1), chrono::Utc::now()).await
}
