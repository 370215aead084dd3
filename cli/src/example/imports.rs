//! Real CSV files through the import service, types inferred by it.

use super::{
    declared::{Import, Tenant},
    report::Report,
};
use crate::{
    Exit, Failure,
    http::{Api, Call},
    import::{self, Plan},
    operations,
};
use std::time::Duration;

const IMPORT: Duration = Duration::from_secs(300);

/// Imports what is not there yet; answers how many rows the files have.
///
/// # Errors
/// What the server said; wrong rows.
pub(crate) async fn load(owner: &Api, declared: &Tenant, report: &mut Report) -> Result<usize, Failure> {
    let mut total = 0;
    for one in &declared.imports {
        report.step(&format!("{}: import {}", declared.slug, one.object_type), 0);
        total += rows(declared, one)?;
        load_one(owner, declared, one, report)
            .await
            .map_err(|failure| failure.during(&one.object_type))?;
    }
    Ok(total)
}

async fn load_one(owner: &Api, declared: &Tenant, one: &Import, report: &mut Report) -> Result<(), Failure> {
    let path = format!("/v1/objectTypes/{}", one.object_type);
    let create_type = match owner.send(Call::get(&path)).await {
        Ok(_) => false,
        Err(failure) if failure.exit() == Exit::NotFound => true,
        Err(failure) => return Err(failure),
    };
    // All rows of such a file are written in one transaction: one record means that all are there.
    if !create_type
        && !owner
            .page(&format!("{path}/records"), "records", &[], 1, String::new())
            .await?
            .0
            .is_empty()
    {
        return Ok(());
    }
    let uploaded = import::upload(owner, &declared.dir.join(&one.file)).await?;
    let plan = Plan {
        object_type: one.object_type.clone(),
        create_type,
        types: one.types.clone(),
        null_values: one.null_values.clone(),
        date_formats: one.date_formats.clone(),
    };
    let operation = import::start(owner, &uploaded, &plan).await?;
    let done = operations::wait(owner, operation, IMPORT, &report.operation_bar()).await?;
    let count = done["response"]["importedCount"].as_str().unwrap_or("all").to_owned();
    report.changed(&format!(
        "{}: {count} rows of {} imported",
        declared.slug,
        one.file.display()
    ));
    Ok(())
}

fn rows(declared: &Tenant, one: &Import) -> Result<usize, Failure> {
    let path = declared.dir.join(&one.file);
    let mut reader =
        csv::Reader::from_path(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(reader.byte_records().count())
}
