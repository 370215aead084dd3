//! Names: what a tenant may call a type or a field, and what they are called in PostgreSQL. Every identifier that
//! reaches SQL text is made here from a checked id, prefixed (so it is never a keyword) and short enough (63 bytes).

use uuid::Uuid;

/// What an id must look like, for messages.
pub const SHAPE: &str = "must be 1 to 40 characters of a-z, 0-9 and '_', starting with a letter";
/// Ids that filters and orders use for something else.
const RESERVED: &[&str] = &[
    "create_time",
    "update_time",
    "creator",
    "fields",
    "and",
    "or",
    "not",
    "true",
    "false",
    "null",
];

/// Whether `id` may name a type or a field.
#[must_use]
pub fn is_id(id: &str) -> bool {
    (1..=40).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a field may not be called that.
#[must_use]
pub fn is_reserved(id: &str) -> bool {
    RESERVED.contains(&id)
}

/// Table of a type.
#[must_use]
pub fn table(type_id: &str) -> String {
    debug_assert!(is_id(type_id));
    format!("o_{type_id}")
}

/// Column of a field.
#[must_use]
pub fn column(field_id: &str) -> String {
    debug_assert!(is_id(field_id));
    format!("f_{field_id}")
}

/// Name of a unique constraint (its index shares the schema's name space with every other type's).
#[must_use]
pub fn unique_constraint(type_key: Uuid, field_id: &str) -> String {
    format!("u_{}_{field_id}", short(type_key))
}

/// Name of an index on a field or a system column.
#[must_use]
pub fn index(type_key: Uuid, field_id: &str) -> String {
    format!("i_{}_{field_id}", short(type_key))
}

/// Name of a foreign key.
#[must_use]
pub fn foreign_key(field_id: &str) -> String {
    format!("r_{field_id}")
}

/// Name of a check.
#[must_use]
pub fn check(field_id: &str) -> String {
    format!("c_{field_id}")
}

/// The field a unique constraint or foreign key of ours is about.
#[must_use]
pub fn field_of_constraint(name: &str) -> Option<&str> {
    let (kind, rest) = name.split_once('_')?;
    match kind {
        "u" => rest.split_once('_').map(|(_, field)| field),
        "r" | "c" => Some(rest),
        _ => None,
    }
}

/// The random end of a time-ordered id: 48 bits tell the types of one tenant apart.
fn short(type_key: Uuid) -> String {
    let mut hex = type_key.simple().to_string();
    hex.split_off(20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_safe_in_sql_text_and_every_name_fits() {
        for bad in [
            "",
            "A",
            "1a",
            "_a",
            "a-b",
            "a b",
            "a\"b",
            "a;drop",
            "é",
            &"a".repeat(41),
        ] {
            assert!(!is_id(bad), "{bad}");
        }
        let longest = "a".repeat(40);
        assert!(is_id(&longest));
        let key = Uuid::from_u128(u128::MAX);
        for name in [
            table(&longest),
            column(&longest),
            unique_constraint(key, &longest),
            index(key, &longest),
            foreign_key(&longest),
        ] {
            assert!(name.len() <= 63, "{name}");
        }
    }

    #[test]
    fn a_constraint_leads_back_to_its_field() {
        let key = Uuid::from_u128(7);
        assert_eq!(field_of_constraint(&unique_constraint(key, "e_mail")), Some("e_mail"));
        assert_eq!(field_of_constraint(&foreign_key("assigned_to")), Some("assigned_to"));
        assert_eq!(field_of_constraint("changes_pkey"), None);
    }
}
