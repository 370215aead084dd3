//! The object types of a tenant: made if missing, given the fields they lack. A field that is there stays as it is.

use super::{declared::Tenant, report::Report};
use crate::{
    Exit, Failure,
    http::{Api, Call},
};
use serde_json::{Value, json};

/// Makes what is missing.
///
/// # Errors
/// What the server said.
pub(crate) async fn load(owner: &Api, declared: &Tenant, report: &mut Report) -> Result<(), Failure> {
    for wanted in &declared.types {
        let name = wanted["name"].as_str().unwrap_or_default();
        match owner.send(Call::get(&format!("/v1/{name}"))).await {
            Ok(found) => add_fields(owner, declared, wanted, &found, report).await?,
            Err(failure) if failure.exit() == Exit::NotFound => {
                owner
                    .send(Call::post("/v1/objectTypes", wanted))
                    .await
                    .map_err(|failure| failure.during(name))?;
                report.changed(&format!("{}: type {name}", declared.slug));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

async fn add_fields(
    owner: &Api,
    declared: &Tenant,
    wanted: &Value,
    found: &Value,
    report: &mut Report,
) -> Result<(), Failure> {
    let list = |one: &Value| one["fields"].as_array().cloned().unwrap_or_default();
    let mut fields = list(found);
    let missing: Vec<Value> = list(wanted)
        .into_iter()
        .filter(|field| !fields.iter().any(|known| known["fieldId"] == field["fieldId"]))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let count = missing.len();
    fields.extend(missing);
    let name = found["name"].as_str().unwrap_or_default();
    let body = json!({"fields": fields, "etag": found["etag"]});
    owner
        .send(Call::patch(&format!("/v1/{name}"), &body).query("updateMask", "fields"))
        .await
        .map_err(|failure| failure.during(name))?;
    report.changed(&format!("{}: {count} more fields of {name}", declared.slug));
    Ok(())
}
