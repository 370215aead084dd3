//! REST to request message and response message to JSON, by the rules of `google.api.http`: what the path says, then the
//! body, then the query. A field that two of them set is refused: nobody has to know who would win.

use super::json::{self, field, unknown};
use super::table::{Binding, BodyRule};
use super::template::Bindings;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions, Value};
use serde_json::Value as Json;
use tenantry_kernel::{Error, Reason};

/// Longest `Idempotency-Key`: what the services keep of a `request_id`.
pub(super) const MAX_KEY: usize = 128;
/// Longest `Last-Event-ID` and `If-Match`: tokens of ours, a sealed one among them.
const MAX_TOKEN: usize = 255;

/// The parts of a REST request that become a message.
#[derive(Debug)]
pub struct Parts<'a> {
    /// What the path says.
    pub path: &'a Bindings,
    /// The raw query.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<&'a str>,
    /// The `If-Match` header (RFC 9110): the etag that a change expects.
    pub if_match: Option<&'a str>,
    /// The `Last-Event-ID` header of a client that resumes an event stream.
    pub last_event_id: Option<&'a str>,
}

/// Makes the request message.
///
/// # Errors
/// Names the field and what is accepted.
pub fn request(binding: &Binding, parts: &Parts<'_>) -> Result<DynamicMessage, Error> {
    let kind = binding.method.descriptor.input();
    let mut message = body(&kind, &binding.body, parts.body)?;
    for (name, value) in parts.path {
        bind_path(&mut message, name, value)?;
    }
    query(&mut message, &binding.body, parts)?;
    fill(
        &mut message,
        "request_id",
        parts.idempotency_key,
        ("Idempotency-Key", MAX_KEY),
    )?;
    // A browser's event source repeats the address it was given, and says beside it how far it has come since.
    if let (Some(_), Some(given)) = (
        parts.last_event_id,
        message.descriptor_of().get_field_by_name("resume_token"),
    ) {
        message.clear_field(&given);
    }
    fill(
        &mut message,
        "resume_token",
        parts.last_event_id,
        ("Last-Event-ID", MAX_TOKEN),
    )?;
    expect_etag(&mut message, binding, parts.if_match)?;
    Ok(message)
}

/// `If-Match` becomes the request's or the changed resource's `etag`. A condition that cannot be kept is refused: ignored,
/// it would lose somebody's update.
fn expect_etag(message: &mut DynamicMessage, binding: &Binding, if_match: Option<&str>) -> Result<(), Error> {
    let Some(etag) = if_match.filter(|etag| *etag != "*" && !binding.method.read_only) else {
        return Ok(());
    };
    let quoted =
        etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"') && !etag[1..etag.len() - 1].contains('"');
    if !quoted {
        return Err(Error::invalid_field(
            "If-Match",
            "must be one strong etag in double quotes, as the resource has it, or *",
        ));
    }
    if !conditional(binding) {
        let text = "is not supported by this method; leave it out";
        return Err(Error::invalid_field("If-Match", text));
    }
    let header = ("If-Match", MAX_TOKEN);
    let BodyRule::Field(name) = &binding.body else {
        return fill(message, "etag", if_match, header);
    };
    let changed = message.get_field_by_name_mut(name).and_then(Value::as_message_mut);
    fill(changed.ok_or_else(|| unknown(name))?, "etag", if_match, header)
}

/// Whether a change can be made to depend on an etag: the request has a place for it, or the resource that it updates. What
/// is only created has no version yet.
#[must_use]
pub fn conditional(binding: &Binding) -> bool {
    let input = binding.method.descriptor.input();
    let updates = input.get_field_by_name("update_mask").is_some();
    let holder = match &binding.body {
        BodyRule::Field(name) => message_of(&input, name).filter(|_| updates),
        _ => Some(input),
    };
    !binding.method.read_only && holder.is_some_and(|kind| kind.get_field_by_name("etag").is_some())
}

/// Whether an answer that shows `response_body`, or the whole message, has an etag.
#[must_use]
pub fn versioned(answer: &MessageDescriptor, response_body: Option<&str>) -> bool {
    let shown = response_body.map_or_else(|| Some(answer.clone()), |name| message_of(answer, name));
    shown.is_some_and(|kind| kind.get_field_by_name("etag").is_some())
}

fn message_of(kind: &MessageDescriptor, field: &str) -> Option<MessageDescriptor> {
    kind.get_field_by_name(field)?.kind().as_message().cloned()
}

fn body(kind: &MessageDescriptor, rule: &BodyRule, body: &[u8]) -> Result<DynamicMessage, Error> {
    let empty = body.iter().all(u8::is_ascii_whitespace);
    match rule {
        BodyRule::None | BodyRule::Upload if !empty => Err(Error::new(
            Reason::MalformedRequest,
            "This method takes no body. Put its parameters into the path and the query.",
        )),
        BodyRule::All if !empty => json::message(kind, &json::parse(body)?, ""),
        BodyRule::Field(name) if !empty => {
            let target = kind.get_field_by_name(name).ok_or_else(|| unknown(name))?;
            let mut message = DynamicMessage::new(kind.clone());
            message.set_field(&target, json::value(&target, &json::parse(body)?, target.json_name())?);
            Ok(message)
        }
        BodyRule::Field(name) => {
            let name = kind
                .get_field_by_name(name)
                .map_or_else(|| name.clone(), |field| field.json_name().to_owned());
            Err(Error::invalid_field(
                &name,
                "is the body of the request, and there is none; send a JSON object",
            ))
        }
        _ => Ok(DynamicMessage::new(kind.clone())),
    }
}

/// Finds or makes the message that holds the last field of a dotted path.
fn descend<'a>(
    message: &'a mut DynamicMessage,
    path: &str,
) -> Result<(&'a mut DynamicMessage, FieldDescriptor), Error> {
    let mut at = message;
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let found = field(&at.descriptor_of(), part).ok_or_else(|| unknown(path))?;
        if parts.peek().is_none() {
            return Ok((at, found));
        }
        if found.is_list() || found.is_map() || !matches!(found.kind(), Kind::Message(_)) {
            return Err(unknown(path));
        }
        at = at.get_field_mut(&found).as_message_mut().ok_or_else(|| unknown(path))?;
    }
    Err(unknown(path))
}

trait DescriptorOf {
    fn descriptor_of(&self) -> MessageDescriptor;
}
impl DescriptorOf for DynamicMessage {
    fn descriptor_of(&self) -> MessageDescriptor {
        prost_reflect::ReflectMessage::descriptor(self)
    }
}

fn bind_path(message: &mut DynamicMessage, name: &str, text: &str) -> Result<(), Error> {
    let (holder, target) = descend(message, name)?;
    let value = json::single(&target.kind(), &Json::String(text.to_owned()), name)?;
    if holder.has_field(&target) && *holder.get_field(&target) != value {
        return Err(Error::invalid_field(
            name,
            "differs between the path and the body; leave it out of the body",
        ));
    }
    holder.set_field(&target, value);
    Ok(())
}

fn query(message: &mut DynamicMessage, rule: &BodyRule, parts: &Parts<'_>) -> Result<(), Error> {
    let pairs = super::text::pairs(parts.query)
        .ok_or_else(|| Error::new(Reason::MalformedRequest, "The query is not percent-encoded UTF-8."))?;
    for (name, text) in &pairs {
        let path = canonical(&message.descriptor_of(), name)?;
        let in_body = match rule {
            BodyRule::All => true,
            BodyRule::Field(field) => path.split('.').next() == Some(field),
            BodyRule::None | BodyRule::Upload => false,
        };
        if in_body || parts.path.iter().any(|(field, _)| *field == path) {
            return Err(Error::invalid_field(
                name,
                "is not a query parameter here; it comes from the path or the body",
            ));
        }
        let (holder, target) = descend(message, &path)?;
        let value = from_query(&target, text, name)?;
        if target.is_list() {
            holder
                .get_field_mut(&target)
                .as_list_mut()
                .ok_or_else(|| unknown(name))?
                .push(value);
        } else if holder.has_field(&target) {
            return Err(Error::invalid_field(name, "is given twice"));
        } else {
            holder.set_field(&target, value);
        }
    }
    Ok(())
}

/// A dotted path in the names of the proto.
fn canonical(kind: &MessageDescriptor, name: &str) -> Result<String, Error> {
    let (mut at, mut path) = (Some(kind.clone()), String::new());
    for part in name.split('.') {
        let found = at.and_then(|kind| field(&kind, part)).ok_or_else(|| unknown(name))?;
        path = json::join(&path, found.name());
        at = match found.kind() {
            Kind::Message(kind) if !found.is_list() && !found.is_map() => Some(kind),
            _ => None,
        };
    }
    Ok(path)
}

fn from_query(target: &FieldDescriptor, text: &str, name: &str) -> Result<Value, Error> {
    let json = match (target.kind(), text) {
        (Kind::Bool, "true") => Json::Bool(true),
        (Kind::Bool, "false") => Json::Bool(false),
        _ => Json::String(text.to_owned()),
    };
    if target.is_map() {
        return Err(Error::invalid_field(name, "cannot come in a query"));
    }
    json::single(&target.kind(), &json, name)
}

/// Puts a header, which may be so long, into the field it stands for, where the message has one. Said twice, both must be the
/// same: a condition that one reader sees and another does not is no condition.
fn fill(
    message: &mut DynamicMessage,
    name: &str,
    text: Option<&str>,
    (header, most): (&str, usize),
) -> Result<(), Error> {
    let (Some(text), Some(target)) = (text, message.descriptor_of().get_field_by_name(name)) else {
        return Ok(());
    };
    if text.is_empty() || text.len() > most || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid_field(
            header,
            format!("must be 1 to {most} visible ASCII characters"),
        ));
    }
    let text = Value::String(text.to_owned());
    if message.has_field(&target) && *message.get_field(&target) != text {
        let what = format!("differs from the header {header}; give one of them");
        return Err(Error::invalid_field(target.json_name(), what));
    }
    message.set_field(&target, text);
    Ok(())
}

/// JSON of a response: the whole message or the one field that `response_body` names.
///
/// # Errors
/// `INTERNAL` where the response holds something that has no JSON.
pub fn response(message: &DynamicMessage, response_body: Option<&str>) -> Result<Vec<u8>, Error> {
    let options = SerializeOptions::new();
    let mut out = Vec::with_capacity(256);
    let field = response_body.and_then(|name| message.get_field_by_name(name));
    let inner = field.as_ref().map_or(Some(message), |value| value.as_message());
    let inner = inner.ok_or_else(|| Error::internal("response_body names a field that is no message"))?;
    inner
        .serialize_with_options(
            &mut serde_json::Serializer::with_formatter(&mut out, WholeNumbers),
            &options,
        )
        .map_err(Error::internal)?;
    Ok(out)
}

/// The etag of what a response shows, in its double quotes: the `ETag` header (RFC 9110). `None` where it has none.
#[must_use]
pub fn etag(message: &DynamicMessage, response_body: Option<&str>) -> Option<String> {
    let of = |shown: &DynamicMessage| {
        let etag = shown.get_field_by_name("etag")?;
        etag.as_str().filter(|etag| !etag.is_empty()).map(str::to_owned)
    };
    match response_body {
        None => of(message),
        Some(name) => message.get_field_by_name(name)?.as_message().and_then(of),
    }
}

/// `google.protobuf.Value` knows only floats: a whole number is written without its `.0`, as every JSON client wrote it.
struct WholeNumbers;

impl serde_json::ser::Formatter for WholeNumbers {
    fn write_f64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: f64) -> std::io::Result<()> {
        // Up to 2^53 a whole float is exactly that integer.
        if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
            return write!(writer, "{value:.0}");
        }
        serde_json::ser::CompactFormatter.write_f64(writer, value)
    }
}

#[cfg(test)]
#[path = "transcode_test.rs"]
mod tests;
