//! Records from CSV files: typed by the declaration, references given by the key of the record they mean.

use super::{
    declared::{Records, Tenant},
    report::Report,
};
use crate::{
    Failure,
    http::{Api, Call},
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What one batch may hold.
const BATCH: usize = 100;

/// Names of records by their key, for each type.
type Keys = HashMap<String, HashMap<String, String>>;

/// One row: its key and its fields; a reference is still the key of what it means.
struct Row {
    key: String,
    fields: Map<String, Value>,
}

/// Adds the records whose key is not there yet; answers how many the files declare.
///
/// # Errors
/// A file that does not fit its type; a reference to a key that is not there; what the server said.
pub(crate) async fn load(owner: &Api, declared: &Tenant, report: &mut Report) -> Result<usize, Failure> {
    let (mut keys, mut total) = (Keys::new(), 0);
    for records in &declared.records {
        let fields = fields_of(declared, &records.object_type);
        let rows = read(declared, records, &fields)?;
        total += rows.len();
        let path = format!("/v1/objectTypes/{}/records", records.object_type);
        let mut known = by_key(&owner.list(&path, "records", &[]).await?, &records.key);
        let missing: Vec<Row> = rows.into_iter().filter(|row| !known.contains_key(&row.key)).collect();
        report.step(&format!("{}: {}", declared.slug, records.object_type), missing.len());
        for batch in missing.chunks(BATCH) {
            let requests: Result<Vec<Value>, Failure> = batch
                .iter()
                .map(|row| Ok(json!({"record": {"fields": resolve(row, &fields, &keys)?}})))
                .collect();
            let answer = owner
                .send(Call::post(
                    &format!("{path}:batchCreate"),
                    &json!({"requests": requests?}),
                ))
                .await;
            let answer = answer.map_err(|failure| failure.during(&records.object_type))?;
            known.extend(by_key(
                answer["records"].as_array().map_or(&[], Vec::as_slice),
                &records.key,
            ));
            report.advance(batch.len());
        }
        if !missing.is_empty() {
            report.changed(&format!(
                "{}: {} records of {}",
                declared.slug,
                missing.len(),
                records.object_type
            ));
        }
        keys.insert(records.object_type.clone(), known);
    }
    Ok(total)
}

/// Whether a file fits its type and its references (also used by a test of the committed files).
///
/// # Errors
/// Names file and line.
#[cfg(test)]
pub(crate) fn check_file(declared: &Tenant, records: &Records) -> Result<(), Failure> {
    let fields = fields_of(declared, &records.object_type);
    let mut keys = Keys::new();
    for other in &declared.records {
        let rows = read(declared, other, &fields_of(declared, &other.object_type))?;
        let unique: HashMap<String, String> = rows.iter().map(|row| (row.key.clone(), row.key.clone())).collect();
        if unique.len() != rows.len() {
            return Err(Failure::usage(format!("{} has a key twice", other.file.display())));
        }
        keys.insert(other.object_type.clone(), unique);
    }
    read(declared, records, &fields)?
        .iter()
        .try_for_each(|row| resolve(row, &fields, &keys).map(drop))
}

/// The declared fields of a type by id.
fn fields_of(declared: &Tenant, object_type: &str) -> HashMap<String, Value> {
    let name = format!("objectTypes/{object_type}");
    let found = declared.types.iter().find(|one| one["name"] == name.as_str());
    let fields = found
        .and_then(|one| one["fields"].as_array())
        .cloned()
        .unwrap_or_default();
    fields
        .into_iter()
        .filter_map(|field| Some((field["fieldId"].as_str()?.to_owned(), field)))
        .collect()
}

fn by_key(records: &[Value], key: &str) -> HashMap<String, String> {
    let pair = |record: &Value| {
        Some((
            record["fields"][key].as_str()?.to_owned(),
            record["name"].as_str()?.to_owned(),
        ))
    };
    records.iter().filter_map(pair).collect()
}

fn read(declared: &Tenant, records: &Records, fields: &HashMap<String, Value>) -> Result<Vec<Row>, Failure> {
    let path = declared.dir.join(&records.file);
    let wrong = |line: usize, what: String| Failure::usage(format!("{}:{line}: {what}", path.display()));
    let mut reader = csv::Reader::from_path(&path).map_err(|error| wrong(1, error.to_string()))?;
    let headers = reader.headers().map_err(|error| wrong(1, error.to_string()))?.clone();
    if let Some(unknown) = headers.iter().find(|header| !fields.contains_key(*header)) {
        return Err(wrong(
            1,
            format!("column '{unknown}' is no field of {}", records.object_type),
        ));
    }
    let mut rows = Vec::new();
    for (index, line) in reader.records().enumerate() {
        let line = line.map_err(|error| wrong(index + 2, error.to_string()))?;
        let mut row = Row {
            key: String::new(),
            fields: Map::new(),
        };
        for (header, cell) in headers.iter().zip(&line).filter(|(_, cell)| !cell.is_empty()) {
            if header == records.key {
                cell.clone_into(&mut row.key);
            }
            let value = typed(&fields[header], cell)
                .ok_or_else(|| wrong(index + 2, format!("'{cell}' does not fit {header}")))?;
            row.fields.insert(header.to_owned(), value);
        }
        if row.key.is_empty() {
            return Err(wrong(index + 2, format!("no {}", records.key)));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// A cell as the JSON that its field takes.
fn typed(field: &Value, cell: &str) -> Option<Value> {
    match field["type"].as_str()? {
        "FIELD_TYPE_INT64" => cell.parse::<i64>().ok().map(Value::from),
        "FIELD_TYPE_DOUBLE" => cell.parse::<f64>().ok().map(Value::from),
        "FIELD_TYPE_BOOL" => cell.parse::<bool>().ok().map(Value::from),
        "FIELD_TYPE_JSON" => serde_json::from_str(cell).ok(),
        "FIELD_TYPE_ENUM" => field["enumValues"]
            .as_array()?
            .iter()
            .any(|known| known == cell)
            .then(|| Value::from(cell)),
        _ => Some(Value::from(cell)),
    }
}

/// The fields of a row with record names for references.
fn resolve(row: &Row, fields: &HashMap<String, Value>, keys: &Keys) -> Result<Value, Failure> {
    let mut out = row.fields.clone();
    for (id, value) in &mut out {
        let Some(target) = fields[id]["referenceType"]
            .as_str()
            .and_then(|name| name.strip_prefix("objectTypes/"))
        else {
            continue;
        };
        let key = value.as_str().unwrap_or_default();
        let name = keys.get(target).and_then(|known| known.get(key));
        let name = name.ok_or_else(|| {
            Failure::usage(format!(
                "{}: {id} refers to '{key}', which is no record of {target}",
                row.key
            ))
        })?;
        *value = Value::from(name.as_str());
    }
    Ok(Value::from(out))
}
