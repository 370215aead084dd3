//! Page tokens of this service's lists: sealed, bound to tenant, caller and method.

use super::Core;
use tenantry_crypto::{Binding, PageTokens};
use tenantry_kernel::{Ctx, Result, page};

/// One page.
#[derive(Debug)]
pub struct Page<T> {
    /// Items.
    pub items: Vec<T>,
    /// Empty at the end.
    pub next: String,
}

/// What a list was asked for.
pub struct Request {
    size: i64,
    after: Option<Vec<u8>>,
    method: &'static str,
    principal: String,
}

/// Checks size and token.
///
/// # Errors
/// `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
pub async fn request(core: &Core, ctx: &Ctx, method: &'static str, size: i32, token: &str) -> Result<Request> {
    let mut request = Request {
        size: page::size(size)?,
        after: None,
        method,
        principal: ctx.principal().name(),
    };
    if !token.is_empty() {
        let binding = request.binding(ctx)?;
        request.after = Some(PageTokens::open_keyed(core.keyring.sealers(), binding, token, core.now()).await?);
    }
    Ok(request)
}

impl Request {
    /// One more than the page, to know whether there is another.
    #[must_use]
    pub fn limit(&self) -> i64 {
        self.size + 1
    }
    /// Where the page starts, as text.
    #[must_use]
    pub fn after(&self) -> Option<String> {
        self.after
            .as_ref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
    /// Cuts the page and seals where the next one starts.
    ///
    /// # Errors
    /// Where the key cannot be fetched.
    pub async fn page<T>(
        &self,
        core: &Core,
        ctx: &Ctx,
        mut items: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = match items.last() {
            Some(last) if more => {
                PageTokens::seal_keyed(
                    core.keyring.sealers(),
                    self.binding(ctx)?,
                    key(last).as_bytes(),
                    core.now(),
                )
                .await?
            }
            _ => String::new(),
        };
        Ok(Page { items, next })
    }

    fn binding(&self, ctx: &Ctx) -> Result<Binding<'_>> {
        let query_hash = PageTokens::query_hash(&[self.method.as_bytes()]);
        Ok(Binding {
            tenant: ctx.tenant()?,
            principal: &self.principal,
            method: self.method,
            query_hash,
        })
    }
}
