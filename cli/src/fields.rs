//! Fields and values as people type them: a declaration (`sku:string:required`) and an assignment (`price=9.50`).

use crate::Failure;
use serde_json::{Map, Value, json};

const KINDS: &[&str] = &[
    "string",
    "text",
    "int64",
    "double",
    "decimal",
    "bool",
    "date",
    "timestamp",
    "uuid",
    "enum",
    "reference",
    "json",
];

/// A field from `ID:KIND[=VALUES][:RULE,..]`.
///
/// # Errors
/// Where it is none.
pub(crate) fn declared(text: &str) -> Result<Value, Failure> {
    let wrong = |what: &str| Failure::usage(format!("--field {text}: {what}"));
    let mut parts = text.splitn(3, ':');
    let id = parts.next().unwrap_or_default();
    let kind = parts
        .next()
        .ok_or_else(|| wrong("must be ID:KIND[=VALUES][:RULE,..]"))?;
    let (kind, values) = kind.split_once('=').unwrap_or((kind, ""));
    if !KINDS.contains(&kind) {
        return Err(wrong(&format!(
            "'{kind}' is no kind of field; there are: {}",
            KINDS.join(", ")
        )));
    }
    let mut field = json!({"fieldId": id, "type": format!("FIELD_TYPE_{}", kind.to_uppercase())});
    match (kind, values) {
        ("enum", values) => field["enumValues"] = values.split('|').collect(),
        ("reference", to) => field["referenceType"] = json!(crate::text::full_name("objectTypes", to)),
        (_, "") => {}
        _ => return Err(wrong("only enum and reference take values after '='")),
    }
    for rule in parts
        .next()
        .unwrap_or_default()
        .split(',')
        .filter(|rule| !rule.is_empty())
    {
        let number = |text: &str| {
            text.parse::<u32>()
                .map_err(|_| wrong(&format!("{rule}: must be a number")))
        };
        match rule.split_once('=') {
            None if ["required", "unique", "indexed"].contains(&rule) => field[rule] = json!(true),
            Some(("max", length)) => field["maxLength"] = json!(number(length)?),
            Some(("scale", digits)) => field["scale"] = json!(number(digits)?),
            _ => {
                return Err(wrong(&format!(
                    "'{rule}' is no rule; there are: required, unique, indexed, max=N, scale=N"
                )));
            }
        }
    }
    Ok(field)
}

/// Values from `FIELD=VALUE` in the JSON that the fields of the type take.
///
/// # Errors
/// A field that the type does not have; a value that is none of its kind.
pub(crate) fn assigned(object_type: &Value, set: &[String], unset: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut values = Map::new();
    for pair in set {
        let (id, text) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--set {pair}: must be FIELD=VALUE")))?;
        let value = value(kind(object_type, id)?, text)
            .ok_or_else(|| Failure::usage(format!("--set {pair}: '{text}' is not a value of this field's type")))?;
        values.insert(id.to_owned(), value);
    }
    for id in unset {
        kind(object_type, id)?;
        values.insert(id.clone(), Value::Null);
    }
    Ok(values)
}

fn kind<'a>(object_type: &'a Value, id: &str) -> Result<&'a str, Failure> {
    let fields = || object_type["fields"].as_array().into_iter().flatten();
    let field = fields().find(|field| field["fieldId"] == id);
    field.and_then(|field| field["type"].as_str()).ok_or_else(|| {
        let known: Vec<&str> = fields().filter_map(|field| field["fieldId"].as_str()).collect();
        Failure::usage(format!("the type has no field '{id}'; it has: {}", known.join(", ")))
    })
}

fn value(kind: &str, text: &str) -> Option<Value> {
    match kind {
        // Beyond 2^53 the API takes a string, and a string is right for smaller ones too.
        "FIELD_TYPE_INT64" => text.parse::<i64>().ok().map(|_| json!(text)),
        "FIELD_TYPE_DOUBLE" => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| json!(n)),
        "FIELD_TYPE_BOOL" => text.parse::<bool>().ok().map(|flag| json!(flag)),
        "FIELD_TYPE_JSON" => serde_json::from_str(text).ok(),
        _ => Some(json!(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_declared_in_one_word() {
        assert_eq!(
            declared("sku:string:required,unique,max=40").unwrap(),
            json!({"fieldId": "sku", "type": "FIELD_TYPE_STRING", "required": true, "unique": true, "maxLength": 40})
        );
        assert_eq!(
            declared("state:enum=open|closed").unwrap(),
            json!({"fieldId": "state", "type": "FIELD_TYPE_ENUM", "enumValues": ["open", "closed"]})
        );
        assert_eq!(
            declared("part:reference=parts:indexed").unwrap(),
            json!({"fieldId": "part", "type": "FIELD_TYPE_REFERENCE", "referenceType": "objectTypes/parts", "indexed": true})
        );
        for wrong in [
            "sku",
            "sku:words",
            "sku:string:sometimes",
            "sku:string=a",
            "n:decimal:scale=x",
        ] {
            assert_eq!(
                declared(wrong).map_err(|failure| failure.exit().code()),
                Err(2),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_value_takes_the_type_of_its_field() {
        let kinds = [
            ("t", "STRING"),
            ("n", "INT64"),
            ("d", "DOUBLE"),
            ("m", "DECIMAL"),
            ("b", "BOOL"),
            ("j", "JSON"),
        ];
        let fields: Vec<Value> = kinds
            .iter()
            .map(|(id, kind)| json!({"fieldId": id, "type": format!("FIELD_TYPE_{kind}")}))
            .collect();
        let object_type = json!({"fields": fields});
        let set = ["t=12", "n=9007199254740993", "d=1.5", "m=1.50", "b=true", "j=[1]"].map(str::to_owned);
        assert_eq!(
            Value::Object(assigned(&object_type, &set, &[]).unwrap()),
            json!({"t": "12", "n": "9007199254740993", "d": 1.5, "m": "1.50", "b": true, "j": [1]})
        );
        assert_eq!(
            Value::Object(assigned(&object_type, &[], &["t".to_owned()]).unwrap()),
            json!({"t": null})
        );
        for wrong in ["n=x", "d=inf", "b=yes", "j=[", "other=1", "t"] {
            assert!(assigned(&object_type, &[wrong.to_owned()], &[]).is_err(), "{wrong}");
        }
    }
}
