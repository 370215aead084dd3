//! Pages (AIP-158): keyset cursors, sealed for the tenant, caller, method and query they were made for. For lists whose
//! cursor is a text; it never looks into a page.

use crate::{Binding, PageTokens, TenantKeys};
use std::sync::Arc;
use tenantry_kernel::{Clock, Ctx, Error, Result, page};

/// What a list is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// As sent.
    pub page_size: i32,
    /// As sent.
    pub page_token: String,
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Empty at the end.
    pub next: String,
}

/// Opens and seals page tokens.
#[derive(Clone)]
pub struct Pager {
    keys: Arc<dyn TenantKeys>,
    clock: Arc<dyn Clock>,
}

/// A list in progress: where it starts and how much it returns.
pub struct Slice<'a> {
    pager: &'a Pager,
    ctx: &'a Ctx,
    method: &'static str,
    hash: [u8; 32],
    size: i64,
    /// Cursor of the last item of the page before; empty at the start.
    pub after: String,
}

impl Pager {
    /// With the keys of page tokens.
    #[must_use]
    pub fn new(keys: Arc<dyn TenantKeys>, clock: Arc<dyn Clock>) -> Self {
        Self { keys, clock }
    }
    /// Starts a list. `shape` is everything besides the cursor that decides what the list contains.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a bad size, `INVALID_PAGE_TOKEN` for a token of another call.
    pub async fn open<'a>(
        &'a self,
        ctx: &'a Ctx,
        method: &'static str,
        shape: &[&[u8]],
        query: &Query,
    ) -> Result<Slice<'a>> {
        let size = page::size(query.page_size)?;
        let mut slice = Slice {
            pager: self,
            ctx,
            method,
            hash: PageTokens::query_hash(shape),
            size,
            after: String::new(),
        };
        if !query.page_token.is_empty() {
            let name = ctx.principal().name();
            let cursor =
                PageTokens::open_keyed(&*self.keys, slice.binding(&name)?, &query.page_token, self.clock.now()).await?;
            slice.after = String::from_utf8(cursor).map_err(Error::internal)?;
        }
        Ok(slice)
    }
}

impl Slice<'_> {
    /// How many rows to read: one more than the page, to know whether there is another.
    #[must_use]
    pub const fn limit(&self) -> i64 {
        self.size + 1
    }
    /// Makes the page.
    ///
    /// # Errors
    /// Where the key of page tokens cannot be fetched.
    pub async fn page<T>(self, mut rows: Vec<T>, cursor: impl Fn(&T) -> String) -> Result<Page<T>> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return Ok(Page {
                items: rows,
                next: String::new(),
            });
        }
        rows.truncate(size);
        let Some(last) = rows.last() else {
            return Ok(Page {
                items: rows,
                next: String::new(),
            });
        };
        let (name, cursor) = (self.ctx.principal().name(), cursor(last));
        let next = PageTokens::seal_keyed(
            &*self.pager.keys,
            self.binding(&name)?,
            cursor.as_bytes(),
            self.pager.clock.now(),
        )
        .await?;
        Ok(Page { items: rows, next })
    }

    fn binding<'b>(&self, principal: &'b str) -> Result<Binding<'b>> {
        Ok(Binding {
            tenant: self.ctx.tenant()?,
            principal,
            method: self.method,
            query_hash: self.hash,
        })
    }
}
