//! Messages and enums as JSON Schema, by the proto3 JSON mapping. Every message that is named becomes a component.

use prost_reflect::{
    DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, HashMap};

/// google.api.FieldBehavior
const REQUIRED: i32 = 2;
const OUTPUT_ONLY: i32 = 3;

/// Collects components while they are referred to.
pub(super) struct Schemas {
    done: BTreeMap<String, Json>,
    comments: HashMap<(String, Vec<i32>), String>,
    behavior: Option<ExtensionDescriptor>,
}

impl Schemas {
    pub(super) fn new(pool: &DescriptorPool) -> Self {
        let mut comments = HashMap::new();
        for file in pool.files() {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            for location in info.map(|info| info.location.as_slice()).unwrap_or_default() {
                if let Some(text) = &location.leading_comments {
                    comments.insert((file.name().to_owned(), location.path.clone()), tidy(text));
                }
            }
        }
        Self {
            done: BTreeMap::new(),
            comments,
            behavior: pool.get_extension_by_name("google.api.field_behavior"),
        }
    }

    /// The comment above something in a proto.
    pub(super) fn comment(&self, file: &FileDescriptor, path: &[i32]) -> String {
        self.comments
            .get(&(file.name().to_owned(), path.to_vec()))
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn is_required(&self, field: &FieldDescriptor) -> bool {
        self.behaves(field, REQUIRED)
    }

    fn behaves(&self, field: &FieldDescriptor, wanted: i32) -> bool {
        let Some(extension) = &self.behavior else { return false };
        let options = field.options();
        let value = options.get_extension(extension);
        value
            .as_list()
            .unwrap_or_default()
            .iter()
            .any(|value| value.as_enum_number() == Some(wanted))
    }

    /// A reference to a message, or the schema of a well-known type.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Json {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        let name = component(message.full_name());
        if !self.done.contains_key(&name) {
            // A place holder first: messages may contain themselves.
            self.done.insert(name.clone(), Json::Null);
            let schema = self.object(message, |_| true);
            self.done.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// The object schema of a message, with the fields that `keep` wants.
    pub(super) fn object(&mut self, message: &MessageDescriptor, keep: impl Fn(&FieldDescriptor) -> bool) -> Json {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in message.fields().filter(|field| keep(field)) {
            let mut schema = self.field(&field);
            let text = self.comment(&message.parent_file(), field.path());
            if let Some(object) = schema.as_object_mut() {
                if !text.is_empty() {
                    object.insert("description".into(), json!(text));
                }
                if self.behaves(&field, OUTPUT_ONLY) {
                    object.insert("readOnly".into(), json!(true));
                }
            }
            if self.is_required(&field) {
                required.push(json!(field.json_name()));
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        let text = self.comment(&message.parent_file(), message.path());
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !text.is_empty() && !text.starts_with("See ") {
            schema["description"] = json!(text);
        }
        if !required.is_empty() {
            schema["required"] = Json::Array(required);
        }
        schema
    }

    /// The schema of a field's value.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Json {
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let value = self.kind(&entry.map_entry_value_field().kind());
            return json!({"type": "object", "additionalProperties": value});
        }
        let kind = self.kind(&field.kind());
        if field.is_list() {
            json!({"type": "array", "items": kind})
        } else {
            kind
        }
    }

    fn kind(&mut self, kind: &Kind) -> Json {
        match kind {
            Kind::Message(message) => self.message(message),
            Kind::Enum(kind) => self.enumeration(kind),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Double | Kind::Float => json!({"type": "number"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "format": "int64", "minimum": 0}),
            // 64 bits do not fit a JSON number in every language; answers carry them as text.
            _ => json!({"type": ["string", "integer"], "format": "int64"}),
        }
    }

    fn enumeration(&mut self, kind: &EnumDescriptor) -> Json {
        let name = component(kind.full_name());
        if !self.done.contains_key(&name) {
            let values: Vec<String> = kind.values().map(|value| value.name().to_owned()).collect();
            let mut text = self.comment(&kind.parent_file(), kind.path());
            for value in kind.values() {
                text.push_str(&format!(
                    "\n- `{}`: {}",
                    value.name(),
                    self.comment(&kind.parent_file(), value.path())
                ));
            }
            self.done.insert(
                name.clone(),
                json!({"type": "string", "enum": values, "description": text}),
            );
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// All components.
    pub(super) fn finish(mut self, problem: Json) -> BTreeMap<String, Json> {
        self.done.insert("Problem".into(), problem);
        self.done
    }
}

fn component(full_name: &str) -> String {
    full_name.strip_prefix("tenantry.").unwrap_or(full_name).to_owned()
}

fn tidy(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

fn well_known(name: &str) -> Option<Json> {
    Some(match name {
        "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
        "google.protobuf.Duration" => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}),
        "google.protobuf.FieldMask" => json!({"type": "string"}),
        "google.protobuf.Struct" => json!({"type": "object", "additionalProperties": true}),
        "google.protobuf.Value" => json!({}),
        "google.protobuf.ListValue" => json!({"type": "array", "items": {}}),
        "google.protobuf.Empty" => json!({"type": "object", "additionalProperties": false}),
        "google.protobuf.Any" => {
            json!({"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"], "additionalProperties": true})
        }
        _ => return None,
    })
}
