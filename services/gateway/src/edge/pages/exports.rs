//! Exports: every record of a type (under the grid's filter and order) as a file, page by page as the client takes it.
//!
//! CSV is for spreadsheets, which run a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break as a formula: a
//! text cell that does gets an apostrophe in front (numbers, times and the like stay as they are). NDJSON has the values
//! unchanged; it is the one to read back.

use super::{
    console::{Console, Outcome},
    fields, types, values,
};
use crate::edge::respond;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use std::sync::Arc;
use tenantry_api::business::{Field, FieldType, ListRecordsRequest, ListRecordsResponse, ObjectType, Record};
use tonic::{Status, body::Body};

/// Rows asked for at a time.
const PAGE: i32 = 500;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Ndjson,
}

pub(super) async fn csv(console: &Console) -> Outcome {
    export(console, Format::Csv).await
}

pub(super) async fn ndjson(console: &Console) -> Outcome {
    export(console, Format::Ndjson).await
}

struct Export {
    edge: Arc<crate::edge::Edge>,
    visitor: crate::app::visitor::Visitor,
    of: ObjectType,
    format: Format,
    question: ListRecordsRequest,
    /// The first page, asked for before the response begins, so that a refusal is still a page.
    ready: Option<ListRecordsResponse>,
    is_first: bool,
    is_over: bool,
}

async fn export(console: &Console, format: Format) -> Outcome {
    let of = types::get(console).await?;
    let mut export = Export {
        edge: console.edge.clone(),
        visitor: console.visitor.clone(),
        question: ListRecordsRequest {
            parent: of.name.clone(),
            page_size: PAGE,
            page_token: String::new(),
            filter: console.parameter("filter").to_owned(),
            order_by: console.parameter("order").to_owned(),
        },
        of,
        format,
        ready: None,
        is_first: true,
        is_over: false,
    };
    export.ready = Some(export.page().await?);
    let (media, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let frames = stream::unfold(export, async |mut export| {
        let next = export.next().await?;
        Some((next.map(Frame::data), export))
    });
    let mut response = respond::content(StatusCode::OK, media, Bytes::new());
    *response.body_mut() = Body::new(StreamBody::new(Box::pin(frames)));
    let name = format!("attachment; filename=\"{}.{ending}\"", console.binding("type"));
    if let Ok(value) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

impl Export {
    async fn page(&self) -> Result<ListRecordsResponse, Status> {
        self.edge
            .ask(
                &self.visitor,
                "/tenantry.business.v1.RecordService/ListRecords",
                &self.question,
            )
            .await
    }

    /// The next piece of the file. A failure breaks the body off, so that half a file does not look like a whole one.
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        if self.is_over {
            return None;
        }
        let page = match self.ready.take() {
            Some(page) => Ok(page),
            None => self.page().await,
        };
        let piece = page.and_then(|page| {
            self.is_over = page.next_page_token.is_empty();
            self.question.page_token = page.next_page_token;
            let head = std::mem::replace(&mut self.is_first, false);
            match self.format {
                Format::Csv => lines(&self.of.fields, &page.records, head),
                Format::Ndjson => Ok(documents(&page.records)),
            }
        });
        self.is_over |= piece.is_err();
        Some(piece.map(Bytes::from))
    }
}

fn lines(columns: &[Field], records: &[Record], head: bool) -> Result<Vec<u8>, Status> {
    let failed = |_: csv::Error| Status::internal("a line could not be written");
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if head {
        writer
            .write_record(columns.iter().map(|field| field.field_id.as_str()))
            .map_err(failed)?;
    }
    for record in records {
        writer
            .write_record(columns.iter().map(|field| cell(field, record)))
            .map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|_| Status::internal("the lines could not be written"))
}

fn cell(field: &Field, record: &Record) -> String {
    let text = values::raw(fields::value(record, &field.field_id));
    let free = matches!(
        field.r#type(),
        FieldType::String | FieldType::Text | FieldType::Enum | FieldType::Json | FieldType::Unspecified
    );
    if free && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text
    }
}

fn documents(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        let fields = record.fields.iter().flat_map(|fields| &fields.fields);
        let fields: serde_json::Map<String, serde_json::Value> = fields
            .map(|(name, value)| (name.clone(), values::json(value)))
            .collect();
        let document = serde_json::json!({"name": record.name, "etag": record.etag, "fields": fields});
        out.extend(document.to_string().into_bytes());
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_cell_is_never_a_formula_and_a_number_stays_one() {
        let field = |id: &str, kind: FieldType| Field {
            field_id: id.into(),
            r#type: kind.into(),
            ..Field::default()
        };
        let columns = [field("text", FieldType::String), field("number", FieldType::Int64)];
        let record = |text: &str, number: f64| Record {
            fields: Some(prost_types::Struct {
                fields: BTreeMap::from([
                    (
                        "text".to_owned(),
                        prost_types::Value {
                            kind: Some(prost_types::value::Kind::StringValue(text.into())),
                        },
                    ),
                    (
                        "number".to_owned(),
                        prost_types::Value {
                            kind: Some(prost_types::value::Kind::NumberValue(number)),
                        },
                    ),
                ]),
            }),
            ..Record::default()
        };
        let records = [
            record("=1+1", -5.0),
            record("a, \"b\"\nc", 7.0),
            record("@x", 0.5),
            record("\t=1", 1.0),
        ];
        let text = String::from_utf8(lines(&columns, &records, true).expect("lines")).expect("text");
        assert_eq!(
            text,
            "text,number\r\n'=1+1,-5\r\n\"a, \"\"b\"\"\nc\",7\r\n'@x,0.5\r\n'\t=1,1\r\n"
        );
        assert!(!String::from_utf8(documents(&records)).expect("text").contains('\''));
    }
}
