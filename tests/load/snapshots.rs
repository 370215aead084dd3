//! How fast one tenant's data is snapshotted, verified and restored in place, through the public API. The times are of
//! whole operations: a restore first takes a snapshot of what it replaces and reads the wanted one twice.

use crate::{args::Args, instance::Instance, setup};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    fmt::{self, Write},
    time::{Duration, Instant},
};
use tenantry_tests::Rest;

/// No operation of this size may take longer.
const PATIENCE: Duration = Duration::from_secs(1800);
const TYPE: &str = "objectTypes/parcels";

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Snapshots {
    records: u64,
    size_bytes: u64,
    stored_bytes: u64,
    import_seconds: f64,
    snapshot_seconds: f64,
    verify_seconds: f64,
    restore_seconds: f64,
}

/// Makes a tenant with `args.snapshot_records` records and takes it through all of it; `None` for zero records.
pub(crate) async fn measure(instance: &Instance, args: &Args) -> Result<Option<Snapshots>> {
    if args.snapshot_records == 0 {
        return Ok(None);
    }
    let slug = setup::single(instance, args).await?;
    let import_seconds = import(&setup::sign_in(instance, &slug).await?, args.snapshot_records).await?;
    // An access token lives five minutes: each step signs in again.
    let owner = setup::sign_in(instance, &slug).await?;
    let (snapshot_seconds, snapshot) = timed(&owner, "/v1/snapshots", &json!({"description": "bench"})).await?;
    let name = text(&snapshot, "name")?.to_owned();
    let owner = setup::sign_in(instance, &slug).await?;
    let (verify_seconds, _) = timed(&owner, &format!("/v1/{name}:verify"), &json!({})).await?;
    let owner = setup::sign_in(instance, &slug).await?;
    let (restore_seconds, restored) = timed(&owner, &format!("/v1/{name}:restore"), &json!({"inPlace": true})).await?;
    let records = number(&snapshot, "records")?;
    if number(&restored, "records")? != records {
        bail!("{records} records were snapshotted, but {restored} restored");
    }
    Ok(Some(Snapshots {
        records,
        size_bytes: number(&snapshot, "sizeBytes")?,
        stored_bytes: number(&snapshot, "storedBytes")?,
        import_seconds,
        snapshot_seconds,
        verify_seconds,
        restore_seconds,
    }))
}

/// Rows that look like rows: words, numbers and dates that compress as such.
async fn import(owner: &Rest, records: u32) -> Result<f64> {
    let mut csv = String::from("number,recipient,city,weight,sent_on,note\n");
    for n in 0..records {
        let (city, day) = (["Lyon", "Oslo", "Graz", "Porto", "Cork"][n as usize % 5], n % 28 + 1);
        writeln!(
            csv,
            "P-{n:07},Customer {},{city},{}.{:02},2026-{:02}-{day:02},Parcel {n} left the depot in {city} and waits for customs paper {}",
            n.wrapping_mul(2_654_435_761) % 90_000,
            n % 30,
            n % 100,
            n % 12 + 1,
            n.wrapping_mul(40_503) % 100_000,
        )?;
    }
    let upload = owner.try_send("POST", "/v1/imports:upload", Some(("text/csv", csv.into_bytes())));
    let upload = upload.await.context("upload")?;
    if upload.status != 200 {
        bail!("upload: {} {}", upload.status, upload.text);
    }
    let start = format!("/v1/{}:start", text(&upload.json()["import"], "name")?);
    let (seconds, _) = timed(owner, &start, &json!({"objectType": TYPE, "createType": true})).await?;
    Ok(seconds)
}

/// Starts an operation and waits for its response.
async fn timed(owner: &Rest, path: &str, body: &Value) -> Result<(f64, Value)> {
    let started = Instant::now();
    let mut operation = setup::call(owner, "POST", path, Some(body)).await?;
    let wait = format!("/v1/{}:wait", text(&operation, "name")?);
    while operation["done"] != json!(true) {
        if started.elapsed() > PATIENCE {
            bail!("{path} takes longer than {} s: {operation}", PATIENCE.as_secs());
        }
        operation = setup::call(owner, "POST", &wait, Some(&json!({"timeout": "30s"}))).await?;
    }
    match operation["response"].is_object() {
        true => Ok((started.elapsed().as_secs_f64(), operation["response"].clone())),
        false => bail!("{path} failed: {operation}"),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("no {name} in {value}"))
}

/// 64-bit integers are strings in JSON.
fn number(value: &Value, name: &str) -> Result<u64> {
    text(value, name)?.parse().with_context(|| name.to_owned())
}

impl fmt::Display for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let rate = |seconds: f64| {
            format!(
                "{seconds:.1} s, {:.0} records/s, {:.1} MiB/s",
                self.records as f64 / seconds,
                mib(self.size_bytes) / seconds
            )
        };
        writeln!(
            f,
            "Snapshots: one tenant with {} records, {:.1} MiB, stored in {:.1} MiB",
            self.records,
            mib(self.size_bytes),
            mib(self.stored_bytes)
        )?;
        writeln!(
            f,
            "  CSV import (checked, then applied)       {}",
            rate(self.import_seconds)
        )?;
        writeln!(
            f,
            "  snapshot                                 {}",
            rate(self.snapshot_seconds)
        )?;
        writeln!(
            f,
            "  verify                                   {}",
            rate(self.verify_seconds)
        )?;
        writeln!(
            f,
            "  restore in place (snapshot first, verify) {}",
            rate(self.restore_seconds)
        )
    }
}
