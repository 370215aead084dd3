//! DDL text of a type's table. Every identifier is a checked id with a prefix; the only values in it are defaults and
//! enum values, quoted here.

use super::relation_in;
use crate::domain::{Field, FieldType, Kind, ObjectType, Value, ident};
use std::fmt::Write;
use tenantry_kernel::TenantId;
use uuid::Uuid;

/// Statements that make a type's table.
#[must_use]
pub fn create_table(tenant: TenantId, object_type: &ObjectType) -> String {
    let schema = tenant.schema();
    bare_table(&schema, object_type, None)
        + &keys(&schema, object_type)
        + &references(&schema, object_type)
        + &protect(&schema, object_type)
}

/// The table with its columns and checks and nothing else, to be filled. `owner` is whose every row is, until
/// [`protect`].
#[must_use]
pub fn bare_table(schema: &str, object_type: &ObjectType, owner: Option<TenantId>) -> String {
    let relation = relation_in(schema, &object_type.id);
    let owner = owner.map_or(String::new(), |tenant| format!(" DEFAULT '{}'", tenant.uuid()));
    let fields: String = object_type
        .fields()
        .iter()
        .map(|field| format!(",\n{}", column(field)))
        .collect();
    format!(
        "CREATE TABLE {relation} (
tenant_id pg_catalog.uuid NOT NULL{owner},
id pg_catalog.uuid NOT NULL,
version pg_catalog.int8 NOT NULL,
create_time pg_catalog.timestamptz NOT NULL,
update_time pg_catalog.timestamptz NOT NULL,
creator pg_catalog.text COLLATE pg_catalog.\"C\" NOT NULL{fields});
"
    )
}

/// Its primary key, unique constraints and indexes.
#[must_use]
pub fn keys(schema: &str, object_type: &ObjectType) -> String {
    let (relation, key) = (relation_in(schema, &object_type.id), object_type.key);
    let mut sql = format!(
        "ALTER TABLE {relation} ADD CONSTRAINT {} PRIMARY KEY (tenant_id, id);
CREATE INDEX {} ON {relation} (tenant_id, create_time, id);
",
        ident::index(key, "0id"),
        ident::index(key, "0create")
    );
    sql.extend(
        object_type
            .fields()
            .iter()
            .map(|field| field_keys(&relation, key, field)),
    );
    sql
}

/// Its foreign keys, to types of the same schema.
#[must_use]
pub fn references(schema: &str, object_type: &ObjectType) -> String {
    let relation = relation_in(schema, &object_type.id);
    object_type
        .fields()
        .iter()
        .map(|field| field_reference(schema, &relation, field))
        .collect()
}

/// Row security and grants: from here on only the context's tenant is there.
#[must_use]
pub fn protect(schema: &str, object_type: &ObjectType) -> String {
    let (relation, table) = (relation_in(schema, &object_type.id), ident::table(&object_type.id));
    format!(
        "ALTER TABLE {relation} ALTER COLUMN tenant_id DROP DEFAULT;
SELECT tenancy.enable_rls('{schema}', '{table}', ARRAY['tenantry_business']);
"
    )
}

/// Statements that add fields to it.
#[must_use]
pub fn add_columns(tenant: TenantId, type_id: &str, key: Uuid, fields: &[Field]) -> String {
    let schema = tenant.schema();
    let relation = relation_in(&schema, type_id);
    let columns: String = fields
        .iter()
        .map(|field| format!("ALTER TABLE {relation} ADD COLUMN {};\n", column(field)))
        .collect();
    let constraints = |field| field_keys(&relation, key, field) + &field_reference(&schema, &relation, field);
    columns + &fields.iter().map(constraints).collect::<String>()
}

fn column(field: &Field) -> String {
    let mut sql = format!("{} {}", field.column(), column_type(field.column_kind()));
    let default = field.default();
    if !default.is_null() {
        let _infallible = write!(sql, " DEFAULT {}", literal(&default));
    }
    if field.required {
        sql.push_str(" NOT NULL");
    }
    if field.kind == FieldType::Enum {
        let values: Vec<_> = field.enum_values.iter().map(|value| quote(value)).collect();
        let _infallible = write!(
            sql,
            " CONSTRAINT {} CHECK ({} IN ({}))",
            ident::check(&field.id),
            field.column(),
            values.join(", ")
        );
    }
    sql
}

/// Unique keys have the tenant in front.
fn field_keys(relation: &str, key: Uuid, field: &Field) -> String {
    let column = field.column();
    if field.unique {
        let name = ident::unique_constraint(key, &field.id);
        return format!("ALTER TABLE {relation} ADD CONSTRAINT {name} UNIQUE (tenant_id, {column});\n");
    }
    // A reference is looked up whenever its target is deleted.
    if field.indexed || field.kind == FieldType::Reference {
        let name = ident::index(key, &field.id);
        return format!("CREATE INDEX {name} ON {relation} (tenant_id, {column}, id);\n");
    }
    String::new()
}

/// Foreign keys have the tenant in front; nothing cascades.
fn field_reference(schema: &str, relation: &str, field: &Field) -> String {
    if field.kind != FieldType::Reference {
        return String::new();
    }
    let (column, name) = (field.column(), ident::foreign_key(&field.id));
    let target = relation_in(schema, &field.reference_type);
    format!(
        "ALTER TABLE {relation} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {column}) REFERENCES {target} (tenant_id, id);\n"
    )
}

/// Only types with leakproof comparison (but for json, which is never compared). Text in byte order: it does not change
/// with the operating system's locale data.
fn column_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "pg_catalog.text COLLATE pg_catalog.\"C\"",
        Kind::Int => "pg_catalog.int8",
        Kind::Float => "pg_catalog.float8",
        Kind::Bool => "pg_catalog.bool",
        Kind::Date => "pg_catalog.date",
        Kind::Time => "pg_catalog.timestamptz",
        Kind::Uuid => "pg_catalog.uuid",
        Kind::Json => "pg_catalog.jsonb",
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Text(text) => quote(text),
        Value::Int(int) => quote(&int.to_string()),
        Value::Float(float) => quote(&float.to_string()),
        Value::Bool(truth) => truth.to_string(),
        Value::Date(date) => quote(&date.format("%Y-%m-%d").to_string()),
        Value::Time(time) => quote(&time.to_rfc3339()),
        Value::Uuid(id) => quote(&id.to_string()),
        Value::Json(json) => quote(&json.to_string()),
    }
}

/// A literal that is the same with and without `standard_conforming_strings`.
fn quote(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::object_type::Definition;

    #[test]
    fn values_in_ddl_cannot_leave_their_quotes() {
        assert_eq!(quote("a'b\\'c"), "E'a''b\\\\''c'");
        let mut field = Field::new("status", FieldType::Enum);
        field.enum_values = vec!["x'); DROP TABLE y; --".into()];
        assert!(column(&field).ends_with("CHECK (f_status IN (E'x''); DROP TABLE y; --'))"));
    }

    #[test]
    fn a_reference_has_the_tenant_in_its_key_and_does_not_cascade() {
        let mut field = Field::new("owner", FieldType::Reference);
        field.reference_type = "people".into();
        let definition = Definition {
            fields: vec![field],
            ..Definition::default()
        };
        let now = chrono::DateTime::UNIX_EPOCH;
        let object_type = ObjectType {
            id: "tickets".into(),
            key: Uuid::nil(),
            version: 1,
            definition,
            create_time: now,
            update_time: now,
        };
        let sql = create_table(TenantId::PLATFORM, &object_type);
        assert!(sql.contains("FOREIGN KEY (tenant_id, f_owner) REFERENCES t_00000000000070008000000000000001.o_people (tenant_id, id);"), "{sql}");
        assert!(!sql.to_lowercase().contains("cascade"));
        assert!(sql.contains("enable_rls('t_00000000000070008000000000000001', 'o_tickets'"));
    }
}
