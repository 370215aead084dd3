//! A record, and what a caller's JSON means for its columns.

use super::{ObjectType, Value, Violations};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

/// One record as callers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Type id.
    #[serde(rename = "type")]
    pub object_type: String,
    /// Its id.
    pub id: Uuid,
    /// Values by field id; null is left out.
    pub fields: Map<String, Json>,
    /// Starts at 1.
    pub version: i64,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
    /// `users/{user}`, or empty for a service.
    pub creator: String,
}

impl Record {
    /// `objectTypes/{type}/records/{id}`
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.object_type, self.id)
    }
}

/// `objectTypes/{type}/records/{id}`
#[must_use]
pub fn name(object_type: &str, id: Uuid) -> String {
    format!("objectTypes/{object_type}/records/{id}")
}

/// New values for some columns, by position of the field in the type.
pub type Changes = Vec<(usize, Value)>;

/// The values of a new record, one for each field of the type, defaults applied.
pub fn values_for_create(
    object_type: &ObjectType,
    given: &Map<String, Json>,
    path: &str,
    bad: &mut Violations,
) -> Vec<Value> {
    reject_unknown(object_type, given, path, bad);
    let read = |field: &super::Field| {
        let Some(json) = given.get(&field.id) else {
            return field.default();
        };
        field.parse(json).unwrap_or_else(|accepts| {
            bad.invalid(format!("{path}.{}", field.id), accepts);
            Value::Null
        })
    };
    let values: Vec<Value> = object_type.fields().iter().map(read).collect();
    for (field, value) in object_type.fields().iter().zip(&values) {
        let wrong_already = given.get(&field.id).is_some_and(|json| !json.is_null());
        if field.required && value.is_null() && !wrong_already {
            bad.invalid(
                format!("{path}.{}", field.id),
                format!("is required; it {}", field.accepts()),
            );
        }
    }
    values
}

/// The values an update sets. `mask` holds `fields.x`, `fields` or `*`; empty means every field that is given.
pub fn values_for_update(
    object_type: &ObjectType,
    given: &Map<String, Json>,
    mask: &[String],
    path: &str,
    mask_path: &str,
    bad: &mut Violations,
) -> Changes {
    reject_unknown(object_type, given, path, bad);
    let whole = mask.iter().any(|entry| entry == "fields" || entry == "*");
    for entry in mask {
        let known = entry == "fields"
            || entry == "*"
            || entry
                .strip_prefix("fields.")
                .is_some_and(|id| object_type.field(id).is_some());
        if !known {
            bad.unknown(
                mask_path,
                format!(
                    "{entry} is not a field of {}; write fields.{{field}}",
                    object_type.name()
                ),
            );
        }
    }
    let chosen = |id: &str| match mask {
        [] => given.contains_key(id),
        _ => whole || mask.iter().any(|entry| entry.strip_prefix("fields.") == Some(id)),
    };
    let mut changes = Changes::new();
    for (i, field) in object_type
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| chosen(&field.id))
    {
        match field.parse(given.get(&field.id).unwrap_or(&Json::Null)) {
            Ok(value) if value.is_null() && field.required => bad.invalid(
                format!("{path}.{}", field.id),
                format!("is required; it {}", field.accepts()),
            ),
            Ok(value) => changes.push((i, value)),
            Err(accepts) => bad.invalid(format!("{path}.{}", field.id), accepts),
        }
    }
    changes
}

/// The JSON of a row's values.
#[must_use]
pub fn render(object_type: &ObjectType, values: &[Value]) -> Map<String, Json> {
    let pairs = object_type
        .fields()
        .iter()
        .zip(values)
        .filter(|(_, value)| !value.is_null());
    pairs
        .map(|(field, value)| (field.id.clone(), field.render(value)))
        .collect()
}

fn reject_unknown(object_type: &ObjectType, given: &Map<String, Json>, path: &str, bad: &mut Violations) {
    for id in given.keys().filter(|id| object_type.field(id).is_none()) {
        let known: Vec<_> = object_type.fields().iter().map(|field| field.id.as_str()).collect();
        let shown: String = id.chars().take(60).collect();
        bad.unknown(
            format!("{path}.{shown}"),
            format!("is not a field of {}; it has {}", object_type.name(), known.join(", ")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Field, FieldType, object_type::Definition};
    use serde_json::json;
    use tenantry_kernel::Reason;

    fn tickets() -> ObjectType {
        let mut title = Field::new("title", FieldType::String);
        title.required = true;
        let mut priority = Field::new("priority", FieldType::Int64);
        priority.default_value = json!(3);
        let fields = vec![title, priority, Field::new("due", FieldType::Date)];
        let now = DateTime::UNIX_EPOCH;
        ObjectType {
            id: "tickets".into(),
            key: Uuid::nil(),
            version: 1,
            definition: Definition {
                fields,
                ..Definition::default()
            },
            create_time: now,
            update_time: now,
        }
    }

    fn map(json: Json) -> Map<String, Json> {
        match json {
            Json::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn a_new_record_gets_defaults_and_every_complaint() {
        let mut bad = Violations::default();
        let values = values_for_create(&tickets(), &map(json!({"title": "a"})), "record.fields", &mut bad);
        assert!(bad.is_empty());
        assert_eq!(values, [Value::Text("a".into()), Value::Int(3), Value::Null]);
        values_for_create(
            &tickets(),
            &map(json!({"due": "soon", "colour": 1})),
            "record.fields",
            &mut bad,
        );
        let error = bad.finish().expect_err("wrong");
        assert_eq!(error.reason(), Reason::UnknownField);
        let named: Vec<_> = error.fields().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(
            named,
            ["record.fields.colour", "record.fields.due", "record.fields.title"]
        );
    }

    #[test]
    fn a_mask_decides_what_changes() {
        let tickets = tickets();
        let given = map(json!({"title": "b", "priority": 1}));
        let change = |mask: &[&str]| {
            let mask: Vec<String> = mask.iter().map(ToString::to_string).collect();
            let mut bad = Violations::default();
            let changes = values_for_update(&tickets, &given, &mask, "record.fields", "update_mask", &mut bad);
            bad.finish().map(|()| changes)
        };
        assert_eq!(change(&[]).expect("given").len(), 2);
        assert_eq!(change(&["fields.due"]).expect("cleared"), [(2, Value::Null)]);
        assert_eq!(change(&["fields"]).expect("all").len(), 3);
        assert_eq!(
            change(&["fields.x"]).expect_err("unknown").reason(),
            Reason::UnknownField
        );
        assert_eq!(
            change(&["title"]).expect_err("not a path").reason(),
            Reason::UnknownField
        );
    }
}
