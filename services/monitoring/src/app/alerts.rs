//! Alertmanager's webhook.

use crate::{
    domain::alert,
    store::{self, Store},
};
use tenantry_kernel::{Error, Reason, Result};

/// See the module.
#[derive(Clone, Debug)]
pub struct AlertInbox {
    store: Store,
    /// SHA-256 of the token that callers must send.
    token: Option<[u8; 32]>,
    open: bool,
}

impl AlertInbox {
    /// `token`: what callers must send. Without one only a development instance takes alerts.
    #[must_use]
    pub fn new(store: Store, token: Option<&str>, dev: bool) -> Self {
        Self {
            store,
            token: token.map(|token| tenantry_crypto::token::sha256(token.as_bytes())),
            open: dev,
        }
    }

    /// Takes one call; how many alerts it had.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID`, `INVALID_ARGUMENT`, else as every statement.
    pub async fn take(&self, authorization: Option<&str>, body: &[u8]) -> Result<usize> {
        self.admit(authorization)?;
        let alerts = alert::read(body).map_err(|text| Error::new(Reason::InvalidArgument, text))?;
        let mut tx = self.store.begin_job("alerts").await?;
        for alert in &alerts {
            store::alerts::upsert(&mut tx, alert).await?;
        }
        store::alerts::bound(&mut tx).await?;
        tx.commit().await?;
        Ok(alerts.len())
    }

    /// Hashes are compared: how long it takes says nothing about the token.
    fn admit(&self, authorization: Option<&str>) -> Result<()> {
        let sent = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(|token| tenantry_crypto::token::sha256(token.as_bytes()));
        match self.token {
            Some(token) if sent == Some(token) => Ok(()),
            None if self.open => Ok(()),
            _ => Err(Error::new(
                Reason::CredentialsInvalid,
                "Set alerts.token here and send it as a bearer token (Alertmanager: http_config.authorization).",
            )),
        }
    }
}
