//! The caller's sessions.

use super::{
    Core, once,
    once::Once,
    pages::{self, Page},
};
use crate::{
    domain::{Session, Subject, User},
    store::{sessions, users},
};
use serde_json::json;
use std::sync::Arc;
use tenantry_kernel::{Ctx, Error, PrincipalKind, Reason, Result, Role, SessionId, UserId};

const LIST: &str = "tenantry.auth.v1.SessionService/ListSessions";
const REVOKE: &str = "tenantry.auth.v1.SessionService/RevokeSession";
const REVOKE_OTHERS: &str = "tenantry.auth.v1.SessionService/RevokeOtherSessions";

/// See the module.
#[derive(Clone)]
pub struct Sessions {
    core: Arc<Core>,
}

/// Who is calling, for "who am I".
#[derive(Debug)]
pub struct Current {
    /// Absent for API keys.
    pub session: Option<Session>,
    /// The member, or the creator of the key.
    pub user: User,
}

impl Sessions {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
    /// The caller.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID` where the session ended a moment ago.
    pub async fn current(&self, ctx: &Ctx) -> Result<Current> {
        let (session, user) = match ctx.principal().kind {
            PrincipalKind::User { user, session } => (Some(session), user),
            PrincipalKind::ApiKey { creator, .. } => (None, creator),
            PrincipalKind::Service { .. } | PrincipalKind::Anonymous => return Err(Error::not_found()),
        };
        let mut tx = self.core.store.begin(ctx).await?;
        let user = users::user_fetch(&mut tx, user)
            .await?
            .ok_or_else(super::exchange::invalid)?;
        let session = match session {
            Some(id) => Some(
                sessions::session_proof(&mut tx, id)
                    .await?
                    .ok_or_else(super::exchange::invalid)?
                    .session,
            ),
            None => None,
        };
        tx.commit().await?;
        Ok(Current { session, user })
    }
    /// The caller's live sessions.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, size: i32, token: &str) -> Result<Page<Session>> {
        let user = ctx.principal().user().ok_or_else(Error::not_found)?;
        let request = pages::request(&self.core, ctx, LIST, size, token).await?;
        let before = request.after().and_then(|text| text.parse().ok());
        let mut tx = self.core.store.begin(ctx).await?;
        let items = sessions::session_list(&mut tx, user, before, self.core.now(), request.limit()).await?;
        tx.commit().await?;
        request
            .page(&self.core, ctx, items, |session| session.id.to_string())
            .await
    }
    /// Ends one session of the caller's, or any member's for an admin.
    ///
    /// # Errors
    /// `NOT_FOUND` also for somebody else's session where the caller is no admin.
    pub async fn revoke(&self, ctx: &Ctx, id: SessionId, key: &str) -> Result<()> {
        let mut run = match once::begin(&self.core, ctx, REVOKE, key, &id).await? {
            Once::Replay(()) => return Ok(()),
            Once::Run(run) => run,
        };
        let proof = sessions::session_proof(&mut run.tx, id)
            .await?
            .ok_or_else(Error::not_found)?;
        let own = ctx.principal().user() == Some(proof.session.user);
        let admin = ctx.principal().role.is_some_and(|role| role >= Role::Admin);
        if !own && !admin {
            return Err(Error::not_found());
        }
        // Ending an owner's session is no takeover, and an admin must be able to stop a stolen one.
        if sessions::session_revoke(&mut run.tx, id, self.core.now()).await? {
            self.core.revoke(&mut run.tx, &[Subject::Session(id.uuid())]).await?;
            self.core
                .event(
                    &mut run.tx,
                    ctx,
                    "auth.session.revoke.v1",
                    &format!("session:{id}"),
                    json!({}),
                )
                .await?;
        }
        run.commit(()).await
    }
    /// Ends all sessions of the caller but this one; how many.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for an API key.
    pub async fn revoke_others(&self, ctx: &Ctx, key: &str) -> Result<i32> {
        let (user, session) = caller(ctx)?;
        let mut run = match once::begin(&self.core, ctx, REVOKE_OTHERS, key, &"").await? {
            Once::Replay(count) => return Ok(count),
            Once::Run(run) => run,
        };
        let ended = sessions::session_revoke_all(&mut run.tx, user, Some(session), self.core.now()).await?;
        let subjects: Vec<Subject> = ended.iter().map(|id| Subject::Session(id.uuid())).collect();
        self.core.revoke(&mut run.tx, &subjects).await?;
        let count = i32::try_from(ended.len()).unwrap_or(i32::MAX);
        self.core
            .event(
                &mut run.tx,
                ctx,
                "auth.session.revoke_others.v1",
                &format!("user:{user}"),
                json!({ "count": count }),
            )
            .await?;
        run.commit(count).await
    }
}

fn caller(ctx: &Ctx) -> Result<(UserId, SessionId)> {
    match ctx.principal().kind {
        PrincipalKind::User { user, session } => Ok((user, session)),
        _ => Err(Error::new(
            Reason::PermissionDenied,
            "Only a signed-in member has sessions.",
        )),
    }
}
