//! Imports: what was uploaded, and starting the operation that writes it.

use super::{
    Parts,
    object_types::ObjectTypes,
    once::{self, Once},
    upload::Upload,
};
use crate::{
    domain::{
        ObjectType,
        cell::Dialect,
        import::{self, Column, Import, ImportState, Plan},
        object_type::{self},
        operation::Operation,
    },
    store,
};
use tenantry_db::Statements;
use tenantry_kernel::{Ctx, Error, Reason, Result, Role};
use tenantry_operations::State;
use tokio::sync::Notify;
use uuid::Uuid;

/// The tenant's imports.
#[derive(Clone, Debug)]
pub struct Imports {
    parts: Parts,
    types: ObjectTypes,
    wake: std::sync::Arc<Notify>,
}

/// What a start asks for.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which file.
    pub import: Uuid,
    /// Type id.
    pub object_type: String,
    /// Make the type from the columns.
    pub create_type: bool,
    /// Over the inferred ones; empty = as inferred.
    pub columns: Vec<Column>,
    /// How cells are read.
    pub dialect: Dialect,
}

impl Imports {
    /// Over shared parts; `wake` tells the worker of this process that something is due.
    #[must_use]
    pub fn new(parts: Parts, types: ObjectTypes, wake: std::sync::Arc<Notify>) -> Self {
        Self { parts, types, wake }
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// See [`Upload::begin`].
    pub async fn upload(&self, ctx: &Ctx, filename: &str) -> Result<Upload> {
        super::feature::require(ctx, super::feature::IMPORT)?;
        Upload::begin(&self.parts, ctx, filename).await
    }

    /// One import.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: Uuid) -> Result<Import> {
        let mut tx = self.parts.store.begin(ctx).await?;
        let found = store::import::fetch(&mut tx, ctx.tenant()?, id).await?;
        tx.commit().await?;
        found.ok_or_else(Error::not_found)
    }

    /// Starts an import; the rows are checked and written by its operation.
    ///
    /// # Errors
    /// Columns that do not fit the type, `FAILED_PRECONDITION` where it runs or is done.
    pub async fn start(&self, ctx: &Ctx, start: &Start, once: Option<&Once>) -> Result<Operation> {
        super::feature::require(ctx, super::feature::IMPORT)?;
        start
            .dialect
            .check()
            .map_err(|(field, description)| Error::invalid_field(field, description))?;
        let operation = if start.create_type {
            self.start_with_type(ctx, start, once).await?
        } else {
            self.start_into(ctx, start, once).await?
        };
        self.wake.notify_one();
        Ok(operation)
    }

    async fn start_into(&self, ctx: &Ctx, start: &Start, once: Option<&Once>) -> Result<Operation> {
        let object_type = self.types.read(ctx, &start.object_type).await?;
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(id) = once::replay::<Uuid>(once, &mut tx, ctx).await? {
            return again(&mut tx, ctx, id).await;
        }
        let (import, columns) = self.columns(&mut tx, ctx, start).await?;
        let operation = self
            .enqueue(&mut tx, ctx, start, &import, &columns, &object_type)
            .await?;
        once::finish(once, &mut tx, ctx, &operation.id).await?;
        tx.commit().await?;
        Ok(operation)
    }

    /// Type, table and operation in one transaction of the owner.
    async fn start_with_type(&self, ctx: &Ctx, start: &Start, once: Option<&Once>) -> Result<Operation> {
        may_make_types(ctx)?;
        let mut tx = self.parts.store.begin_ddl("create_type_for_import").await?;
        if let Some(id) = once::replay::<Uuid>(once, &mut tx, ctx).await? {
            return again(&mut tx, ctx, id).await;
        }
        let (import, columns) = self.columns(&mut tx, ctx, start).await?;
        let definition = import::definition_of(&columns);
        object_type::check_new(&start.object_type, &definition, "object_type")?;
        let object_type = self
            .types
            .create_in(&mut tx, ctx, &start.object_type, &definition)
            .await?;
        let operation = self
            .enqueue(&mut tx, ctx, start, &import, &columns, &object_type)
            .await?;
        once::finish(once, &mut tx, ctx, &operation.id).await?;
        self.parts
            .cached
            .fence_object_type(ctx, &object_type.id, object_type.version)
            .await;
        tx.commit().await?;
        self.parts.cached.put_object_type(ctx, &object_type).await;
        Ok(operation)
    }

    async fn columns(&self, tx: &mut impl Statements, ctx: &Ctx, start: &Start) -> Result<(Import, Vec<Column>)> {
        let import = store::import::fetch(tx, ctx.tenant()?, start.import)
            .await?
            .ok_or_else(Error::not_found)?;
        let columns = import::resolve_columns(&import.columns, &start.columns)?;
        Ok((import, columns))
    }

    async fn enqueue(
        &self,
        tx: &mut impl Statements,
        ctx: &Ctx,
        start: &Start,
        import: &Import,
        columns: &[Column],
        object_type: &ObjectType,
    ) -> Result<Operation> {
        let tenant = ctx.tenant()?;
        let plan = Plan {
            import: import.id,
            object_type: object_type.id.clone(),
            type_key: object_type.key,
            made_type: start.create_type,
            headers: columns.iter().map(|column| column.header.clone()).collect(),
            fields: import::map_columns(columns, object_type)?,
            dialect: start.dialect.clone(),
            rows: import.row_count,
        };
        let now = crate::domain::value::micros(self.parts.clock.now());
        let operation = Operation {
            id: self.parts.ids.new_v7(),
            verb: "import_records".to_owned(),
            target: object_type.name(),
            state: State::Running,
            step: "validate".to_owned(),
            attempt: 0,
            last_error: String::new(),
            done_units: 0,
            total_units: import.row_count,
            cancel_requested: false,
            input: serde_json::to_value(&plan).map_err(Error::internal)?,
            result: None,
            creator: Parts::creator(ctx),
            create_time: now,
            update_time: now,
        };
        if !store::import::start(tx, tenant, import.id, operation.id).await? {
            return Err(not_startable(import.state));
        }
        store::operation::insert(tx, tenant, &operation).await?;
        Ok(operation)
    }
}

/// A repetition answers with the operation as it is now.
async fn again(tx: &mut impl Statements, ctx: &Ctx, id: Uuid) -> Result<Operation> {
    store::operation::fetch(tx, ctx.tenant()?, id)
        .await?
        .ok_or_else(Error::not_found)
}

/// Starting an import needs a member; making a type needs what CreateObjectType needs.
fn may_make_types(ctx: &Ctx) -> Result<()> {
    let principal = ctx.principal();
    if principal.role >= Some(Role::Admin) && principal.has_scope("types.write") {
        return Ok(());
    }
    Err(Error::new(
        Reason::PermissionDenied,
        "create_type needs the role admin and the scope types.write. Ask an admin to make the type, or import into an existing one.",
    ))
}

fn not_startable(state: ImportState) -> Error {
    let text = match state {
        ImportState::Running => "The import runs already. Follow its operation.",
        ImportState::Succeeded => "The import is done. Upload the file again to import it again.",
        _ => "The file is not kept any more, or some of its rows were written already. Upload what is left.",
    };
    Error::new(Reason::FailedPrecondition, text)
}
