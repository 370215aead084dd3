//! API keys. A key acts with the role its creator has when it is used, narrowed by its scopes.

use super::{
    Core, once,
    once::Once,
    pages::{self, Page},
    users::check_quota,
};
use crate::{
    domain::{ApiKey, Scopes, Subject, api_key, user},
    store::{api_keys, realms, users},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use tenantry_crypto::{OpaqueToken, Prefix};
use tenantry_kernel::{ApiKeyId, Ctx, Error, PrincipalKind, Reason, Result};

const CREATE: &str = "tenantry.auth.v1.ApiKeyService/CreateApiKey";
const LIST: &str = "tenantry.auth.v1.ApiKeyService/ListApiKeys";
const DELETE: &str = "tenantry.auth.v1.ApiKeyService/DeleteApiKey";

/// A key to make.
#[derive(Debug, Serialize)]
pub struct NewKey {
    /// Name for people.
    pub display_name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends; `None`: 90 days.
    pub expire_time: Option<DateTime<Utc>>,
}

/// See the module.
#[derive(Clone)]
pub struct ApiKeys {
    core: Arc<Core>,
    scopes: Arc<Scopes>,
}

impl ApiKeys {
    /// With the scopes there are.
    #[must_use]
    pub fn new(core: Arc<Core>, scopes: Arc<Scopes>) -> Self {
        Self { core, scopes }
    }
    /// Makes a key: it and its secret.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `PERMISSION_DENIED` for a scope beyond the creator's rights, `QUOTA_EXCEEDED`.
    pub async fn create(&self, ctx: &Ctx, new: NewKey, request_id: &str) -> Result<(ApiKey, String)> {
        let PrincipalKind::User { user: creator, .. } = ctx.principal().kind else {
            return Err(denied());
        };
        user::check_display_name("api_key.display_name", &new.display_name)?;
        let mut run = match once::begin(&self.core, ctx, CREATE, request_id, &new).await? {
            Once::Replay(answer) => return Ok(answer),
            Once::Run(run) => run,
        };
        let now = self.core.now();
        // The lock keeps the count true, and the creator in the state that was read.
        realms::realm_lock(&mut run.tx).await?;
        let role = users::active_role(&mut run.tx, creator).await?.ok_or_else(denied)?;
        let scopes = self.scopes.grant(new.scopes, role)?;
        let expire_time = api_key::expiry(new.expire_time, now)?;
        check_quota(
            "API keys",
            api_keys::api_key_count(&mut run.tx).await?,
            ctx.route()?.limits.api_keys,
            &ctx.route()?.plan,
        )?;
        let id = self.core.id();
        let (secret, hash) = OpaqueToken::generate(Prefix::ApiKey, ctx.tenant()?, id);
        let key = ApiKey {
            id: ApiKeyId::from_uuid(id),
            display_name: new.display_name,
            scopes,
            creator,
            expire_time,
            create_time: now,
            last_used_time: None,
        };
        api_keys::api_key_insert(&mut run.tx, &key, &hash).await?;
        self.core
            .event(
                &mut run.tx,
                ctx,
                "auth.api_key.create.v1",
                &format!("key:{id}"),
                json!({ "scopes": key.scopes }),
            )
            .await?;
        run.commit((key, secret)).await
    }
    /// One key.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: ApiKeyId) -> Result<ApiKey> {
        let mut tx = self.core.store.begin(ctx).await?;
        let found = api_keys::api_key_fetch(&mut tx, id).await?;
        tx.commit().await?;
        found.ok_or_else(Error::not_found)
    }
    /// Keys, newest first.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, size: i32, token: &str) -> Result<Page<ApiKey>> {
        let request = pages::request(&self.core, ctx, LIST, size, token).await?;
        let before = request.after().and_then(|text| text.parse().ok());
        let mut tx = self.core.store.begin(ctx).await?;
        let items = api_keys::api_key_list(&mut tx, before, request.limit()).await?;
        tx.commit().await?;
        request.page(&self.core, ctx, items, |key| key.id.to_string()).await
    }
    /// Ends a key.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn delete(&self, ctx: &Ctx, id: ApiKeyId, request_id: &str) -> Result<()> {
        let mut run = match once::begin(&self.core, ctx, DELETE, request_id, &id).await? {
            Once::Replay(()) => return Ok(()),
            Once::Run(run) => run,
        };
        if !api_keys::api_key_delete(&mut run.tx, id).await? {
            return Err(Error::not_found());
        }
        self.core.revoke(&mut run.tx, &[Subject::ApiKey(id.uuid())]).await?;
        self.core
            .event(
                &mut run.tx,
                ctx,
                "auth.api_key.delete.v1",
                &format!("key:{id}"),
                json!({}),
            )
            .await?;
        run.commit(()).await
    }
}

fn denied() -> Error {
    Error::new(Reason::PermissionDenied, "Only a signed-in admin can make API keys.")
}
