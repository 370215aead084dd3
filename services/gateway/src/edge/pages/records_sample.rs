//! Pages of records with something in everything that people type, for tests of templates.

use super::*;

fn type_of(text: &str) -> ObjectType {
    let field = |id: &str, kind: FieldType| Field {
        field_id: id.to_owned(),
        display_name: text.to_owned(),
        description: text.to_owned(),
        r#type: kind.into(),
        enum_values: vec![text.to_owned()],
        ..Field::default()
    };
    ObjectType {
        name: "objectTypes/evil".to_owned(),
        display_name: text.to_owned(),
        fields: vec![field("status", FieldType::Enum), field("title", FieldType::String)],
        ..ObjectType::default()
    }
}

fn cell_of(text: &str) -> Cell {
    Cell {
        text: text.to_owned(),
        href: format!("/types/evil/records/{text}"),
    }
}

pub(in crate::edge::pages) fn grid(text: &str) -> String {
    let of = type_of(text);
    let page = RecordsPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        id: "evil".to_owned(),
        label: text.to_owned(),
        simple: SimpleFilter::sample(&of, text),
        columns: vec![column("status", text, "/types/evil/records", text, text)],
        changed: column("update_time", text, "/types/evil/records", text, text),
        more_columns: 1,
        rows: vec![RowView {
            href: text.to_owned(),
            caption: text.to_owned(),
            cells: vec![cell_of(text)],
            changed: String::new(),
        }],
        filter: text,
        added_to: text,
        order: text,
        next: String::new(),
        first: String::new(),
        is_first: true,
        may_write: true,
    };
    page.render().expect("a page")
}

pub(in crate::edge::pages) fn record(text: &str, may_write: bool) -> String {
    let page = RecordPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        type_label: text.to_owned(),
        is_new: false,
        id: "1".to_owned(),
        caption: text.to_owned(),
        etag: text.to_owned(),
        created: String::new(),
        changed: String::new(),
        inputs: fields::sample(&type_of(text), text),
        shown: vec![Shown {
            label: text.to_owned(),
            cell: cell_of(text),
        }],
        action: text.to_owned(),
        delete: text.to_owned(),
        back: text.to_owned(),
        differences: vec![Difference {
            label: text.to_owned(),
            yours: text.to_owned(),
            theirs: text.to_owned(),
        }],
        may_write,
        request_id: "r-2".to_owned(),
    };
    page.render().expect("a page")
}
