use super::*;

#[test]
fn every_name_makes_an_id_or_gets_a_numbered_one() {
    assert_eq!(slug(" First name! "), "first_name");
    assert_eq!(slug("2nd line"), "n_2nd_line");
    assert_eq!(slug("Größe"), "gr_e");
    assert_eq!(slug("氏名"), "");
    assert_eq!(numbered("field", |id| id == "field_1"), "field_2");
}

#[test]
fn a_record_is_called_by_what_tells_it_from_others() {
    let field = |id: &str, kind: FieldType, unique| Field {
        field_id: id.into(),
        r#type: kind.into(),
        unique,
        ..Field::default()
    };
    let of = ObjectType {
        fields: vec![
            field("rain", FieldType::Double, false),
            field("number", FieldType::Int64, true),
            field("note", FieldType::String, false),
            field("title", FieldType::String, false),
        ],
        ..ObjectType::default()
    };
    let record = |pairs: &[(&str, &str)]| Record {
        name: "objectTypes/a/records/b".into(),
        fields: Some(Struct {
            fields: pairs
                .iter()
                .map(|(id, text)| {
                    (
                        (*id).to_owned(),
                        values::parse(&Field::default(), text).expect("a text"),
                    )
                })
                .collect(),
        }),
        ..Record::default()
    };
    let call = |pairs: &[(&str, &str)]| caption(Some(&of), &record(pairs));
    assert_eq!(call(&[("note", "a note"), ("title", "T"), ("number", "7")]), "T");
    assert_eq!(call(&[("note", "a note"), ("title", " "), ("number", "7")]), "7");
    assert_eq!(call(&[("note", "a note"), ("rain", "1.5")]), "a note");
    assert_eq!(call(&[("rain", "1.5")]), "b");
    assert_eq!(call(&[("note", &"x".repeat(100))]).chars().count(), 81);
}

#[test]
fn a_service_speaks_of_paths_and_a_form_of_its_labels() {
    let mut cost = Field {
        field_id: "cost".into(),
        display_name: "What it cost".into(),
        r#type: FieldType::Decimal.into(),
        scale: 2,
        ..Field::default()
    };
    let of = |field: &Field| ObjectType {
        fields: vec![field.clone()],
        ..ObjectType::default()
    };
    let said = named(
        &of(&cost),
        "record.fields.cost",
        "must be a decimal string with at most",
    )
    .expect("known");
    assert_eq!((said.label.as_str(), said.input.as_str()), ("What it cost", "f.cost"));
    assert_eq!(said.text, "must be a number with at most 2 digits after the point");
    cost.r#type = FieldType::Reference.into();
    cost.reference_type = "objectTypes/contacts".into();
    let said = named(
        &of(&cost),
        "record.fields.cost",
        "is required; it must be a name such as …",
    )
    .expect("known");
    assert_eq!(said.text, "is required");
    assert!(named(&of(&cost), "record.fields.other", "x").is_none());
}

#[test]
fn after_a_conflict_only_what_was_typed_stays() {
    let field = Field {
        field_id: "seen".into(),
        r#type: FieldType::Timestamp.into(),
        ..Field::default()
    };
    let form = |now: &str| {
        Form(vec![
            ("was.seen".into(), "2026-11-23T09:30:00".into()),
            ("f.seen".into(), now.into()),
        ])
    };
    assert!(
        is_untouched(&field, &form("2026-11-23T09:30")),
        "the same time in other words"
    );
    assert_eq!(typed(&field, &form("2026-11-23T09:30"), "theirs"), "theirs");
    assert_eq!(typed(&field, &form("2026-11-24T00:00"), "theirs"), "2026-11-24T00:00");
    assert_eq!(typed(&field, &form(""), "theirs"), "", "emptied is typed");
}

#[test]
fn a_literal_cannot_leave_its_quotes() {
    let number = Field {
        r#type: FieldType::Int64.into(),
        ..Field::default()
    };
    assert_eq!(literal(Some(&number), "5"), "5");
    assert_eq!(literal(Some(&number), "5 AND x = 1"), "\"5 AND x = 1\"");
    assert_eq!(literal(None, r#"a" OR "b\"#), r#""a\" OR \"b\\""#);
    assert_eq!(quoted("a\nb"), r#""a\nb""#);
}
