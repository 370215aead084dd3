//! DDL text of a type's table. Every identifier is a checked id with a prefix; the only values in it are defaults and
//! enum values, quoted here.

use super::relation;
use crate::domain::{Field, FieldType, Kind, ObjectType, Value, ident};
use std::fmt::Write;
use tenantry_kernel::TenantId;
use uuid::Uuid;

/// Statements that make a type's table.
#[must_use]
pub fn create_table(tenant: TenantId, object_type: &ObjectType) -> String {
    let (schema, table) = (tenant.schema(), ident::table(&object_type.id));
    let key = object_type.key;
    let fields: String = object_type
        .fields()
        .iter()
        .map(|field| format!("{},\n", column(field)))
        .collect();
    let mut sql = format!(
        "CREATE TABLE {schema}.{table} (
tenant_id pg_catalog.uuid NOT NULL,
id pg_catalog.uuid NOT NULL,
version pg_catalog.int8 NOT NULL,
create_time pg_catalog.timestamptz NOT NULL,
update_time pg_catalog.timestamptz NOT NULL,
creator pg_catalog.text COLLATE pg_catalog.\"C\" NOT NULL,
{fields}CONSTRAINT {} PRIMARY KEY (tenant_id, id));
",
        ident::index(key, "0id")
    );
    let _infallible = writeln!(
        sql,
        "CREATE INDEX {} ON {schema}.{table} (tenant_id, create_time, id);",
        ident::index(key, "0create")
    );
    sql.extend(
        object_type
            .fields()
            .iter()
            .map(|field| constraints(tenant, &object_type.id, key, field)),
    );
    let _infallible = writeln!(
        sql,
        "SELECT tenancy.enable_rls('{schema}', '{table}', ARRAY['tenantry_business']);"
    );
    sql
}

/// Statements that add fields to it.
#[must_use]
pub fn add_columns(tenant: TenantId, type_id: &str, key: Uuid, fields: &[Field]) -> String {
    let relation = relation(tenant, type_id);
    let columns: String = fields
        .iter()
        .map(|field| format!("ALTER TABLE {relation} ADD COLUMN {};\n", column(field)))
        .collect();
    columns
        + &fields
            .iter()
            .map(|field| constraints(tenant, type_id, key, field))
            .collect::<String>()
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

/// Unique and foreign keys have the tenant in front; nothing cascades.
fn constraints(tenant: TenantId, type_id: &str, key: Uuid, field: &Field) -> String {
    let (relation, column) = (relation(tenant, type_id), field.column());
    let mut sql = String::new();
    if field.unique {
        let name = ident::unique_constraint(key, &field.id);
        let _infallible = writeln!(
            sql,
            "ALTER TABLE {relation} ADD CONSTRAINT {name} UNIQUE (tenant_id, {column});"
        );
    }
    if field.kind == FieldType::Reference {
        let target = super::relation(tenant, &field.reference_type);
        let name = ident::foreign_key(&field.id);
        let _infallible = writeln!(
            sql,
            "ALTER TABLE {relation} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {column}) REFERENCES {target} (tenant_id, id);"
        );
    }
    // A reference is looked up whenever its target is deleted.
    if (field.indexed || field.kind == FieldType::Reference) && !field.unique {
        let _infallible = writeln!(
            sql,
            "CREATE INDEX {} ON {relation} (tenant_id, {column}, id);",
            ident::index(key, &field.id)
        );
    }
    sql
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
