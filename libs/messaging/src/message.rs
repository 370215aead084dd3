//! Messages as CloudEvents 1.0 in binary mode over AMQP 0-9-1: attributes are headers `cloudEvents:<name>`, the body is
//! the data.

use chrono::{DateTime, SecondsFormat, Utc};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use std::collections::BTreeMap;
use tenantry_kernel::TenantId;
use uuid::Uuid;

pub(crate) const ATTEMPT: &str = "x-tenantry-attempt";
pub(crate) const PUBLISHER: &str = "x-tenantry-publisher";
pub(crate) const REASON: &str = "x-tenantry-reason";
const CE: &str = "cloudEvents:";
const PERSISTENT: u8 = 2;

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique id; the consumer's inbox knows it.
    pub id: Uuid,
    /// Exchange, from [`Topology`](crate::Topology).
    pub exchange: String,
    /// Routing key: a service's name.
    pub routing_key: String,
    /// CloudEvents `type`.
    pub kind: String,
    /// CloudEvents `subject`; empty = none.
    pub subject: String,
    /// The tenant it is about; `None` for the platform.
    pub tenant: Option<TenantId>,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// Media type of `payload`.
    pub content_type: String,
    /// The body.
    pub payload: Vec<u8>,
    /// Further headers. Names under `cloudEvents:` and `x-tenantry-` are ours and are not taken from here.
    pub headers: BTreeMap<String, String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// A received message whose headers and sender have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Message id, the key for the inbox.
    pub id: Uuid,
    /// CloudEvents `source`: `/tenantry/<service>`.
    pub source: String,
    /// CloudEvents `type`.
    pub kind: String,
    /// CloudEvents `subject`; empty = none.
    pub subject: String,
    /// The tenant it is about.
    pub tenant: Option<TenantId>,
    /// When it happened.
    pub time: Option<DateTime<Utc>>,
    /// Media type of `payload`.
    pub content_type: String,
    /// The body.
    pub payload: Vec<u8>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The service that published it first, as the broker validated it.
    pub publisher: String,
    /// 1 for the first run.
    pub attempt: u32,
    /// Whether the broker has delivered it before: the consumer may have died with it.
    pub redelivered: bool,
}

/// Properties of a new message. `user` is our own login: the broker refuses any other. `traceparent` is that of the
/// publishing span, if there is one.
pub(crate) fn properties(message: &Message, traceparent: Option<&str>, user: &str) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in &message.headers {
        if !name.starts_with(CE) && !name.starts_with("x-tenantry-") && name.len() <= 128 {
            put(&mut table, name, value);
        }
    }
    let tenant = message.tenant.map(|tenant| tenant.to_string());
    let time = message.time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let (id, source) = (message.id.to_string(), format!("/tenantry/{user}"));
    let attributes = [
        ("specversion", Some("1.0")),
        ("id", Some(id.as_str())),
        ("source", Some(source.as_str())),
        ("type", Some(message.kind.as_str())),
        (
            "subject",
            Some(message.subject.as_str()).filter(|subject| !subject.is_empty()),
        ),
        ("time", Some(time.as_str())),
        ("tenantid", tenant.as_deref()),
        ("traceparent", traceparent.or(message.traceparent.as_deref())),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            put(&mut table, &format!("{CE}{name}"), value);
        }
    }
    BasicProperties::default()
        .with_message_id(id.as_str().into())
        .with_content_type(clip(&message.content_type).into())
        .with_type(clip(&message.kind).into())
        .with_user_id(user.into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(table)
}

/// Properties of a message that we move to a retry or dead-letter queue: the same, under our own login.
pub(crate) fn moved(properties: &BasicProperties, user: &str, marks: &[(&str, String)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in properties.headers().iter().flatten() {
        // The broker's own x-death entries would grow with every round.
        if name.as_str().starts_with(CE) || !name.as_str().starts_with("x-") {
            table.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in marks {
        put(&mut table, name, value);
    }
    properties
        .clone()
        .with_headers(table)
        .with_user_id(user.into())
        .with_delivery_mode(PERSISTENT)
}

/// Reads a delivery. `own` is our login: only a copy that we moved ourselves may name an earlier publisher.
pub(crate) fn read(
    properties: &BasicProperties,
    payload: Vec<u8>,
    redelivered: bool,
    own: &str,
) -> Result<Delivery, &'static str> {
    let headers: BTreeMap<String, String> = properties.headers().iter().flatten().filter_map(string).collect();
    let attribute = |name: &str| -> Option<String> { headers.get(&format!("{CE}{name}")).cloned() };
    let required = |name: &str| attribute(name).filter(|value| !value.is_empty());
    if attribute("specversion").as_deref() != Some("1.0") {
        return Err("cloudEvents:specversion is not 1.0");
    }
    let user = properties
        .user_id()
        .as_ref()
        .map(ToString::to_string)
        .ok_or("user_id is missing")?;
    let moved = user == own && headers.contains_key(PUBLISHER);
    let mark = |name: &str| headers.get(name).filter(|_| moved).cloned();
    let publisher = mark(PUBLISHER).unwrap_or(user);
    let source = required("source").ok_or("cloudEvents:source is missing")?;
    if source != format!("/tenantry/{publisher}") {
        return Err("cloudEvents:source is not the publisher");
    }
    Ok(Delivery {
        id: required("id")
            .and_then(|id| id.parse().ok())
            .ok_or("cloudEvents:id is not a UUID")?,
        kind: required("type").ok_or("cloudEvents:type is missing")?,
        subject: attribute("subject").unwrap_or_default(),
        tenant: attribute("tenantid")
            .map(|id| id.parse())
            .transpose()
            .map_err(|_| "cloudEvents:tenantid is not a UUID")?,
        time: attribute("time")
            .and_then(|time| DateTime::parse_from_rfc3339(&time).ok())
            .map(|time| time.to_utc()),
        content_type: properties
            .content_type()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        traceparent: attribute("traceparent"),
        attempt: mark(ATTEMPT).and_then(|attempt| attempt.parse().ok()).unwrap_or(1),
        headers: headers
            .iter()
            .filter(|(name, _)| !name.starts_with(CE) && !name.starts_with("x-"))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect(),
        source,
        publisher,
        payload,
        redelivered,
    })
}

fn string((name, value): (&lapin::types::ShortString, &AMQPValue)) -> Option<(String, String)> {
    let value = match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok()?,
        AMQPValue::ShortString(text) => text.to_string(),
        _ => return None,
    };
    Some((name.to_string(), value))
}

fn put(table: &mut FieldTable, name: &str, value: &str) {
    table.insert(name.into(), AMQPValue::LongString(value.into()));
}

/// AMQP short strings end at 255 bytes.
fn clip(text: &str) -> &str {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            id: Uuid::from_u128(7),
            exchange: "tenantry.commands".to_owned(),
            routing_key: "business".to_owned(),
            kind: "tenantry.test.v1".to_owned(),
            subject: "tenants/7".to_owned(),
            tenant: Some(TenantId::PLATFORM),
            time: DateTime::UNIX_EPOCH,
            content_type: "application/protobuf".to_owned(),
            payload: vec![1],
            headers: BTreeMap::from([
                ("step".to_owned(), "3".to_owned()),
                ("x-tenantry-publisher".to_owned(), "auth".to_owned()),
            ]),
            traceparent: None,
        }
    }

    #[test]
    fn what_is_published_is_what_is_read() {
        let properties = properties(&message(), None, "registry");
        let got = read(&properties, vec![1], false, "business").expect("reads");
        assert_eq!(
            (got.id, got.kind.as_str(), got.tenant),
            (Uuid::from_u128(7), "tenantry.test.v1", Some(TenantId::PLATFORM))
        );
        assert_eq!(
            (got.publisher.as_str(), got.attempt, got.time),
            ("registry", 1, Some(DateTime::UNIX_EPOCH))
        );
        assert_eq!(got.headers, BTreeMap::from([("step".to_owned(), "3".to_owned())]));
    }

    #[test]
    fn only_our_own_copy_may_name_an_earlier_publisher() {
        let marks = [(PUBLISHER, "registry".to_owned()), (ATTEMPT, "3".to_owned())];
        let first = properties(&message(), None, "registry");
        let own = read(&moved(&first, "business", &marks), vec![], false, "business").expect("reads");
        assert_eq!((own.publisher.as_str(), own.attempt), ("registry", 3));
        // auth claims to move what registry sent: the source does not fit the validated sender.
        assert!(read(&moved(&first, "auth", &marks), vec![], false, "business").is_err());
    }
}
