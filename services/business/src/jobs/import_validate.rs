//! The first half of an import: every row is checked before any is written.

use super::import_read::Batch;
use crate::{
    domain::{
        Field, FieldType, ObjectType, Value,
        csv::Row,
        import::{MAX_ERRORS, Plan, RowError},
    },
    store,
};
use std::collections::HashMap;
use tenantry_db::Tx;
use tenantry_kernel::Result;

/// How the columns of a file become values of a type.
#[derive(Debug)]
pub struct Mapping<'a> {
    plan: &'a Plan,
    object_type: &'a ObjectType,
    /// For each field of the type: the column it comes from.
    columns: Vec<Option<usize>>,
}

impl<'a> Mapping<'a> {
    /// Of a plan that was checked against the type.
    #[must_use]
    pub fn new(plan: &'a Plan, object_type: &'a ObjectType) -> Self {
        let column_of = |field: &Field| {
            plan.fields
                .iter()
                .position(|target| target.as_deref() == Some(field.id.as_str()))
        };
        Self {
            plan,
            object_type,
            columns: object_type.fields().iter().map(column_of).collect(),
        }
    }
    /// One value for each field of the type.
    ///
    /// # Errors
    /// The first wrong cell.
    pub fn values(&self, row: &Row) -> std::result::Result<Vec<Value>, RowError> {
        let read = |(field, column): (&Field, &Option<usize>)| match column.and_then(|column| row.cells.get(column)) {
            None => Ok(field.default()),
            Some(cell) => self
                .plan
                .dialect
                .read(field, cell)
                .map_err(|message| self.wrong(row.line, field, message)),
        };
        self.object_type.fields().iter().zip(&self.columns).map(read).collect()
    }

    /// The column a field comes from, as the file calls it.
    fn header(&self, field: &Field) -> String {
        let column = self
            .plan
            .fields
            .iter()
            .position(|target| target.as_deref() == Some(field.id.as_str()));
        column
            .and_then(|column| self.plan.headers.get(column))
            .unwrap_or(&field.id)
            .clone()
    }
    fn wrong(&self, line: u64, field: &Field, message: String) -> RowError {
        RowError {
            line,
            column: self.header(field),
            message,
        }
    }
}

/// Collects what is wrong, over all rows.
pub struct Validator<'a> {
    mapping: Mapping<'a>,
    object_type: &'a ObjectType,
    /// Values of unique fields and the line that had each first.
    seen: Vec<HashMap<String, u64>>,
    errors: Vec<RowError>,
}

impl<'a> Validator<'a> {
    /// Without errors yet.
    #[must_use]
    pub fn new(plan: &'a Plan, object_type: &'a ObjectType) -> Self {
        let seen = vec![HashMap::new(); object_type.fields().len()];
        Self {
            mapping: Mapping::new(plan, object_type),
            object_type,
            seen,
            errors: Vec::new(),
        }
    }
    /// Whether enough is wrong to stop looking.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.errors.len() >= MAX_ERRORS
    }
    /// What is wrong, by line, the first hundred.
    #[must_use]
    pub fn errors(mut self) -> Vec<RowError> {
        self.errors.sort_by_key(|error| error.line);
        self.errors.truncate(MAX_ERRORS);
        self.errors
    }

    /// Checks some rows: types, uniqueness in the file and against the table, references.
    ///
    /// # Errors
    /// As every statement.
    pub async fn check(&mut self, tx: &mut Tx, batch: Batch) -> Result<()> {
        let mut rows: Vec<(u64, Vec<Value>)> = Vec::with_capacity(batch.len());
        for row in batch {
            let line_and_values = row.and_then(|row| self.mapping.values(&row).map(|values| (row.line, values)));
            match line_and_values {
                Ok(row) => rows.push(row),
                Err(error) => self.errors.push(error),
            }
        }
        let object_type = self.object_type;
        for (i, field) in object_type.fields().iter().enumerate() {
            if field.unique {
                self.check_unique(tx, i, field, &rows).await?;
            }
            if field.kind == FieldType::Reference {
                self.check_references(tx, i, field, &rows).await?;
            }
        }
        Ok(())
    }

    async fn check_unique(&mut self, tx: &mut Tx, i: usize, field: &Field, rows: &[(u64, Vec<Value>)]) -> Result<()> {
        let mut fresh: HashMap<String, u64> = HashMap::new();
        let mut values = Vec::new();
        for (line, row) in rows.iter().filter(|(_, row)| !row[i].is_null()) {
            let text = field.render(&row[i]).to_string();
            if let Some(first) = self.seen[i].get(&text) {
                self.errors.push(self.mapping.wrong(
                    *line,
                    field,
                    format!("{text} is in line {first} already; the field is unique"),
                ));
                continue;
            }
            self.seen[i].insert(text.clone(), *line);
            fresh.insert(text, *line);
            values.push(row[i].clone());
        }
        if values.is_empty() {
            return Ok(());
        }
        for taken in store::record::taken(tx, self.object_type, &field.column(), field.column_kind(), &values).await? {
            let text = field.render(&taken).to_string();
            if let Some(line) = fresh.get(&text) {
                self.errors.push(self.mapping.wrong(
                    *line,
                    field,
                    format!("a record with {text} exists already; the field is unique"),
                ));
            }
        }
        Ok(())
    }

    async fn check_references(
        &mut self,
        tx: &mut Tx,
        i: usize,
        field: &Field,
        rows: &[(u64, Vec<Value>)],
    ) -> Result<()> {
        let mut ids: Vec<Value> = rows
            .iter()
            .map(|(_, row)| row[i].clone())
            .filter(|value| !value.is_null())
            .collect();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let existing = store::record::existing(tx, &field.reference_type, &ids).await?;
        for (line, row) in rows
            .iter()
            .filter(|(_, row)| !row[i].is_null() && !existing.contains(&row[i]))
        {
            let text = field.render(&row[i]);
            self.errors
                .push(self.mapping.wrong(*line, field, format!("{text} does not exist")));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Validator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Validator({} errors)", self.errors.len())
    }
}
