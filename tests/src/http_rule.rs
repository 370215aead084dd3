//! A method's `google.api.http` rule, read from the descriptor, and how a JSON request is put into path, query and body.

use prost_reflect::{DescriptorPool, MethodDescriptor};
use serde_json::{Map, Value};

/// One HTTP binding.
#[derive(Clone, Debug)]
pub struct HttpRule {
    /// `GET`
    pub method: String,
    /// `/v1/{name=objectTypes/*}`
    pub template: String,
    /// Empty, `*` or a field.
    pub body: String,
}

impl HttpRule {
    /// The rule of a method, if it has one.
    #[must_use]
    pub fn of(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<Self> {
        let extension = pool.get_extension_by_name("google.api.http")?;
        let options = method.options();
        if !options.has_extension(&extension) {
            return None;
        }
        let value = options.get_extension(&extension);
        let rule = value.as_message()?;
        let text = |field: &str| {
            rule.get_field_by_name(field)
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        let (verb, template) = ["get", "post", "patch", "delete", "put"]
            .iter()
            .map(|verb| (*verb, text(verb)))
            .find(|(_, path)| !path.is_empty())?;
        Some(Self {
            method: verb.to_uppercase(),
            template,
            body: text("body"),
        })
    }

    /// Path with query, and body.
    #[must_use]
    pub fn render(&self, request: &Value) -> (String, Option<Value>) {
        let mut rest = request.as_object().cloned().unwrap_or_default();
        let mut path = String::new();
        let mut template = self.template.as_str();
        while let Some((before, after)) = template.split_once('{') {
            let (variable, tail) = after.split_once('}').expect("a closed variable");
            let field = variable.split('=').next().unwrap_or_default();
            path.push_str(before);
            path.push_str(&take(&mut rest, field));
            template = tail;
        }
        path.push_str(template);
        let body = match self.body.as_str() {
            "" => None,
            "*" => Some(Value::Object(std::mem::take(&mut rest))),
            field => Some(
                rest.remove(&camel(field))
                    .or_else(|| rest.remove(field))
                    .unwrap_or_else(|| Value::Object(Map::new())),
            ),
        };
        let query: Vec<String> = rest
            .iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", percent(&scalar(value)?))))
            .collect();
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        (path, body)
    }
}

/// Removes `a.b` from the request and returns its text.
fn take(rest: &mut Map<String, Value>, field: &str) -> String {
    match field.split_once('.') {
        None => {
            let value = rest
                .remove(&camel(field))
                .or_else(|| rest.remove(field))
                .unwrap_or_default();
            value.as_str().unwrap_or_default().to_owned()
        }
        Some((parent, child)) => {
            let key = if rest.contains_key(parent) {
                parent.to_owned()
            } else {
                camel(parent)
            };
            // A nested name also stays in the body: the server takes the path's.
            rest.get(&key)
                .and_then(|value| value.get(child))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        }
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut all, part| {
        let mut letters = part.chars();
        all.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        all.push_str(letters.as_str());
        all
    })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986).
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
