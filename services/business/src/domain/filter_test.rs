use super::*;
use crate::domain::object_type::Definition;
use proptest::prelude::*;

pub(crate) fn every_type() -> ObjectType {
    let kinds = [
        ("s", FieldType::String),
        ("t", FieldType::Text),
        ("i", FieldType::Int64),
        ("d", FieldType::Double),
        ("m", FieldType::Decimal),
        ("b", FieldType::Bool),
        ("day", FieldType::Date),
        ("at", FieldType::Timestamp),
        ("u", FieldType::Uuid),
        ("e", FieldType::Enum),
        ("r", FieldType::Reference),
        ("j", FieldType::Json),
    ];
    let fields = kinds.into_iter().map(|(id, kind)| {
        let mut field = Field::new(id, kind);
        match kind {
            FieldType::Decimal => field.scale = 2,
            FieldType::Enum => field.enum_values = vec!["open".into(), "closed".into()],
            FieldType::Reference => field.reference_type = "people".into(),
            _ => {}
        }
        field
    });
    let now = chrono::DateTime::UNIX_EPOCH;
    let definition = Definition {
        fields: fields.collect(),
        ..Definition::default()
    };
    ObjectType {
        id: "all".into(),
        key: uuid::Uuid::nil(),
        version: 1,
        definition,
        create_time: now,
        update_time: now,
    }
}

#[test]
fn comparisons_are_typed_by_their_field() {
    let id = uuid::Uuid::from_u128(9);
    let cases = [
        ("s = \"a \\\"b\\\"\"", Op::Eq, Value::Text("a \"b\"".into())),
        ("fields.s != 'x'", Op::Ne, Value::Text("x".into())),
        ("i>=-5", Op::Ge, Value::Int(-5)),
        ("d < 1.5", Op::Lt, Value::Float(1.5)),
        ("m = 1.2", Op::Eq, Value::Int(120)),
        ("b = true", Op::Eq, Value::Bool(true)),
        ("e = open", Op::Eq, Value::Text("open".into())),
        ("u = 00000000-0000-0000-0000-000000000009", Op::Eq, Value::Uuid(id)),
        (
            "r = \"objectTypes/people/records/00000000-0000-0000-0000-000000000009\"",
            Op::Eq,
            Value::Uuid(id),
        ),
        (
            "day > 2026-11-23",
            Op::Gt,
            Value::Date(chrono::NaiveDate::from_ymd_opt(2026, 11, 23).expect("valid")),
        ),
        (
            "create_time <= 1970-01-01T00:00:00Z",
            Op::Le,
            Value::Time(chrono::DateTime::UNIX_EPOCH),
        ),
        ("s = null", Op::Eq, Value::Null),
    ];
    for (text, op, value) in cases {
        let parsed = parse(text, &every_type()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (parsed.len(), parsed[0].op, &parsed[0].value),
            (1, op, &value),
            "{text}"
        );
    }
    assert_eq!(
        parse("i = 1 AND b = false AND s = \"AND\"", &every_type())
            .expect("three")
            .len(),
        3
    );
    assert!(parse("  ", &every_type()).expect("empty").is_empty());
}

#[test]
fn what_is_not_offered_is_refused_with_a_reason() {
    let many = vec!["i = 1"; MAX_COMPARISONS + 1].join(" AND ");
    let long = format!("s = \"{}\"", "x".repeat(MAX_LENGTH));
    let bad = [
        "i",
        "i =",
        "= 1",
        "i = 1 AND",
        "AND i = 1",
        "i = 1 b = true",
        "i = 1 and b = true",
        "i = 1 OR i = 2",
        "NOT i = 1",
        "(i = 1)",
        "i == 1",
        "i ! 1",
        "s = \"open",
        "s = \"\\x\"",
        "i = x",
        "i = 1.5",
        "b = yes",
        "b = \"true\"",
        "b < true",
        "e = other",
        "e > open",
        "r > \"x\"",
        "j = 1",
        "nope = 1",
        "tenant_id = \"x\"",
        "f_s = \"x\"",
        "i < null",
        "s = \"a\" ; drop",
        "s : \"x\"",
        "creator > \"x\"",
        "creator = \"a\0\"",
        "i = 1 AND AND i = 2",
        &many,
        &long,
    ];
    for text in bad {
        let error = parse(text, &every_type()).expect_err(text);
        assert_eq!(error.reason(), Reason::InvalidFilter, "{text}");
        assert_eq!(error.fields().len(), 1, "{text}");
    }
}

proptest! {
    #[test]
    fn the_parser_never_panics(text in ".{0,300}") {
        let _ = parse(&text, &every_type());
    }
    #[test]
    fn nor_on_almost_filters(words in proptest::collection::vec(prop_oneof![
        Just("i"), Just("s"), Just("="), Just("!="), Just("<"), Just("AND"), Just("\"x\""), Just("'"), Just("\\"), Just("1"), Just("null"), Just("fields."), Just("é"),
    ], 0..30)) {
        let _ = parse(&words.join(" "), &every_type());
    }
    #[test]
    fn any_text_can_be_searched_for(text in "[^\\x00]{0,100}") {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        let parsed = parse(&format!("s = \"{escaped}\""), &every_type()).expect("quoted");
        prop_assert_eq!(&parsed[0].value, &Value::Text(text));
    }
}
