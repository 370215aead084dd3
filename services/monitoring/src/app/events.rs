//! Events that services tell, kept for operators.

use crate::{
    domain::event::Event,
    store::{self, Store},
};
use tenantry_kernel::{Error, Reason, Result};

/// Who may tell.
pub const PUBLISHERS: [&str; 5] = ["gateway", "registry", "auth", "business", "backup"];

/// See the module.
#[derive(Clone, Debug)]
pub struct EventLog(Store);

impl EventLog {
    /// Over the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps an event; once, however often it is told.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for one that never can be kept; else as every statement.
    pub async fn keep(&self, event: &Event) -> Result<()> {
        event
            .check()
            .map_err(|text| Error::new(Reason::InvalidArgument, text))?;
        let mut tx = self.0.begin_job("events").await?;
        store::events::insert(&mut tx, event).await?;
        tx.commit().await
    }
}
