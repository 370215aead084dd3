//! The OpenAPI 3.1 document, made from the descriptors and the route table: paths, schemas and their comments cannot
//! disagree with what is served. Only what the table lists is described.

mod schema;

use super::table::{Binding, BodyRule, Fixed, Kind, Route, Table, Target};
use super::transcode::{self, MAX_KEY};
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use schema::Schemas;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use tenantry_api::{Access, Method, Methods};

/// Makes the document.
#[must_use]
pub fn document(methods: &Methods, table: &Table) -> Json {
    let mut schemas = Schemas::new(methods.pool());
    let mut paths: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    let mut tags = BTreeMap::new();
    for route in table.routes() {
        let (path, names) = route.template.expand();
        let operation = match &route.target {
            Target::Call(binding) => {
                let service = binding.method.descriptor.parent_service();
                let tag = tag(&binding.method);
                tags.entry(tag)
                    .or_insert_with(|| schemas.comment(&service.parent_file(), service.path()));
                call(&mut schemas, route, binding, &names)
            }
            Target::Fixed(_) if is_asset(route) => continue,
            Target::Fixed(_) if route.kind == Kind::System => system(route, &names),
            Target::Fixed(_) | Target::Page(..) => continue,
        };
        let item = paths.entry(path).or_default();
        let http = route.http.as_str().to_ascii_lowercase();
        // Two services declare the operations' template; the id in the path says whose it is, the shape is the same.
        match item.get_mut(&http) {
            None => {
                item.insert(http, operation);
            }
            Some(first) => also(first, &operation),
        }
    }
    let tags: Vec<Json> = tags
        .into_iter()
        .map(|(name, text)| json!({"name": name, "description": text}))
        .collect();
    let problem = problem();
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Tenantry",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "One API per tenant: the host or the credential names the tenant, no request does.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The host this document was fetched from"}],
        "security": [{"bearer": []}, {"session": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token (300 s) or an API key."},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-sid", "description": "A browser session on the tenant's own host."},
            },
            "responses": {"Problem": {"description": "What went wrong and what to do (RFC 9457).", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}},
            "schemas": schemas.finish(problem),
        },
    })
}

const INTRODUCTION: &str = "Send requests to the tenant's own host, or to the shared API host with a credential of the tenant \
(optionally under `/v1/tenants/{tenant}/...`). JSON follows the proto3 mapping: fields with their default value are left out. \
Every answer carries `x-request-id`; limits are in `RateLimit` and `RateLimit-Policy`. A mutation with an `Idempotency-Key` runs once.";

fn tag(method: &Method) -> String {
    method
        .descriptor
        .parent_service()
        .name()
        .trim_end_matches("Service")
        .to_owned()
}

fn call(schemas: &mut Schemas, route: &Route, binding: &Binding, names: &[(String, String)]) -> Json {
    let method = &binding.method;
    let text = schemas.comment(&method.descriptor.parent_file(), method.descriptor.path());
    let mut parameters: Vec<Json> = names.iter().map(|(name, _)| path_parameter(name)).collect();
    parameters.extend(query_parameters(schemas, route, binding));
    if method.idempotent {
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "required": false, "schema": {"type": "string", "maxLength": MAX_KEY},
            "description": "Runs once per value within 24 hours; the same as the field request_id."}));
    }
    if transcode::conditional(binding) {
        parameters.push(json!({"name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "The etag that was read, in its double quotes: changes only that version. The same as the field etag."}));
    }
    let mut operation = json!({
        "operationId": format!("{}_{}_{}", method.service, tag(method), method.descriptor.name()),
        "tags": [tag(method)],
        "summary": text.split_inclusive(['.', '\n']).next().unwrap_or_default().trim().trim_end_matches('.'),
        "description": text,
        "responses": responses(schemas, binding),
        "x-grpc-method": method.path,
        "x-permission": method.permission,
    });
    if !parameters.is_empty() {
        operation["parameters"] = Json::Array(parameters);
    }
    if let Some(body) = request_body(schemas, route, binding) {
        operation["requestBody"] = body;
    }
    if method.access == Access::Public {
        operation["security"] = json!([]);
    }
    if !method.scope.is_empty() {
        operation["x-scope"] = json!(method.scope);
    }
    operation
}

fn path_parameter(name: &str) -> Json {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
}

fn query_parameters(schemas: &mut Schemas, route: &Route, binding: &Binding) -> Vec<Json> {
    let taken: Vec<&str> = route.template.fields().collect();
    let in_body = |field: &FieldDescriptor| match &binding.body {
        BodyRule::All => true,
        BodyRule::Field(name) => field.name() == name,
        BodyRule::None => false,
        BodyRule::Upload => field.name() != "filename",
    };
    let input = binding.method.descriptor.input();
    let fields = input
        .fields()
        .filter(|field| !taken.contains(&field.name()) && !in_body(field));
    let mut out = Vec::new();
    for field in fields {
        // Structured values do not fit a query.
        if field.is_map()
            || matches!(field.kind(), prost_reflect::Kind::Message(kind) if !kind.full_name().starts_with("google.protobuf."))
        {
            continue;
        }
        let description = schemas.comment(&input.parent_file(), field.path());
        let (required, schema) = (schemas.is_required(&field), schemas.field(&field));
        out.push(json!({"name": field.json_name(), "in": "query", "required": required, "description": description, "schema": schema}));
    }
    out
}

fn request_body(schemas: &mut Schemas, route: &Route, binding: &Binding) -> Option<Json> {
    let input = binding.method.descriptor.input();
    let (media, schema) = match &binding.body {
        BodyRule::None => return None,
        BodyRule::Upload => (
            "text/csv",
            json!({"type": "string", "contentMediaType": "text/csv", "description": "The file: UTF-8, header line, at most 100 MiB."}),
        ),
        BodyRule::Field(name) => ("application/json", schemas.field(&input.get_field_by_name(name)?)),
        BodyRule::All => (
            "application/json",
            without(schemas, &input, &route.template.fields().collect::<Vec<_>>()),
        ),
    };
    Some(json!({"required": true, "content": {media: {"schema": schema}}}))
}

/// The message without the fields that the path sets.
fn without(schemas: &mut Schemas, message: &MessageDescriptor, fields: &[&str]) -> Json {
    if fields.is_empty() {
        return schemas.message(message);
    }
    schemas.object(message, |field| !fields.contains(&field.name()))
}

fn responses(schemas: &mut Schemas, binding: &Binding) -> Json {
    let output = binding.method.descriptor.output();
    let field = binding
        .response_body
        .as_deref()
        .and_then(|name| output.get_field_by_name(name));
    let schema = match field {
        Some(field) => schemas.field(&field),
        None => schemas.message(&output),
    };
    let content = if binding.method.server_streaming {
        json!({"application/x-ndjson": {"schema": schema.clone()}, "text/event-stream": {"schema": schema}})
    } else {
        json!({"application/json": {"schema": schema}})
    };
    let mut done = json!({"description": "Done.", "content": content});
    let headers = response_headers(binding, &output);
    if !headers.is_empty() {
        done["headers"] = Json::Object(headers);
    }
    json!({"200": done, "4XX": {"$ref": "#/components/responses/Problem"}, "default": {"$ref": "#/components/responses/Problem"}})
}

fn response_headers(binding: &Binding, output: &MessageDescriptor) -> Map<String, Json> {
    let mut headers = Map::new();
    let mut say = |name: &str, text: &str| {
        let header = json!({"schema": {"type": "string"}, "description": text});
        headers.insert(name.to_owned(), header);
    };
    if !binding.method.server_streaming && transcode::versioned(output, binding.response_body.as_deref()) {
        say("ETag", "The version of what is shown; the same as the field etag.");
    }
    if binding.method.idempotent {
        say(
            "Idempotency-Replayed",
            "`true` if this is the answer of an earlier call with the same key.",
        );
    }
    headers
}

/// Parts of pages, which are no part of the API.
fn is_asset(route: &Route) -> bool {
    matches!(route.target, Target::Fixed(Fixed::ConsoleStyle | Fixed::ConsoleScript))
}

fn system(route: &Route, names: &[(String, String)]) -> Json {
    let parameters: Vec<Json> = names.iter().map(|(name, _)| path_parameter(name)).collect();
    let media = match route.template.text() {
        "/healthz" => "text/plain",
        "/errors/{reason}" => "text/html",
        _ => "application/json",
    };
    let id: String = route
        .template
        .text()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    json!({
        "operationId": format!("system{id}"),
        "tags": ["System"],
        "summary": match route.template.text() {
            "/healthz" => "Whether the gateway answers",
            "/openapi.json" => "This document",
            "/errors/{reason}" => "What an error reason means",
            _ => "Public keys that verify the tenant's access tokens",
        },
        "description": "Needs no credentials.",
        "parameters": parameters,
        "security": [],
        "responses": {"200": {"description": "Done.", "content": {media: {"schema": {}}}}, "4XX": {"$ref": "#/components/responses/Problem"}, "default": {"$ref": "#/components/responses/Problem"}},
    })
}

fn also(first: &mut Json, second: &Json) {
    let (Some(text), Some(method)) = (first["description"].as_str(), second["x-grpc-method"].as_str()) else {
        return;
    };
    first["description"] = json!(format!("{text} Also {method}; the id says which service it is of."));
}

fn problem() -> Json {
    json!({
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "detail", "instance", "reason", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Page about the reason."},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What to do."},
            "instance": {"type": "string", "format": "uri"},
            "reason": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$", "description": "Stable; branch on it."},
            "request_id": {"type": "string"},
            "violations": {"type": "array", "items": {"type": "object", "required": ["field", "description"],
                "properties": {"field": {"type": "string"}, "description": {"type": "string"}}}},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn made() -> Json {
        let methods = Methods::load();
        document(&methods, &Table::load(&methods, &[]))
    }

    fn references(json: &Json, out: &mut Vec<String>) {
        match json {
            Json::Object(object) => {
                if let Some(target) = object.get("$ref").and_then(Json::as_str) {
                    out.push(target.to_owned());
                }
                object.values().for_each(|value| references(value, out));
            }
            Json::Array(items) => items.iter().for_each(|value| references(value, out)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_id_is_unique() {
        let document = made();
        let mut all = Vec::new();
        references(&document, &mut all);
        for target in all {
            let pointer = target.strip_prefix('#').expect("local").to_owned();
            assert!(document.pointer(&pointer).is_some(), "{target}");
        }
        let mut ids = HashSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (http, operation) in item.as_object().expect("operations") {
                assert!(
                    ids.insert(operation["operationId"].as_str().expect("an id").to_owned()),
                    "{http} {path}"
                );
                assert!(
                    !operation["summary"].as_str().unwrap_or_default().is_empty(),
                    "{http} {path} has no summary"
                );
                let named: HashSet<&str> = operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|p| p["in"] == "path")
                    .filter_map(|p| p["name"].as_str())
                    .collect();
                let wanted: HashSet<&str> = path
                    .split('{')
                    .skip(1)
                    .filter_map(|part| part.split('}').next())
                    .collect();
                assert_eq!(named, wanted, "{http} {path}");
            }
        }
    }

    #[test]
    fn the_document_lists_exactly_the_rest_and_system_routes() {
        let methods = Methods::load();
        let table = Table::load(&methods, &[]);
        let document = document(&methods, &table);
        let described: HashSet<(String, String)> = document["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .into_iter()
                    .flatten()
                    .map(|(http, _)| (http.to_ascii_uppercase(), path.clone()))
            })
            .collect();
        let listed: HashSet<(String, String)> = table
            .routes()
            .iter()
            .filter(|route| route.kind != Kind::Page && !is_asset(route))
            .map(|route| (route.http.to_string(), route.template.expand().0))
            .collect();
        assert_eq!(described, listed);
    }

    #[test]
    fn one_operation_in_full() {
        let document = made();
        insta::assert_json_snapshot!(
            "update_record",
            document["paths"]["/v1/objectTypes/{objectType}/records/{record}"]["patch"]
        );
        insta::assert_json_snapshot!("record", document["components"]["schemas"]["business.v1.Record"]);
        insta::assert_json_snapshot!(
            "paths",
            document["paths"].as_object().expect("paths").keys().collect::<Vec<_>>()
        );
    }
}
