//! Rotation of refresh tokens in one transaction under the lock of their session (auth design, A5).

use super::{
    Core, access,
    login::{TokenPair, issue_refresh},
};
use crate::{
    domain::{Rotation, Session, Subject, User, UserState, refresh, session},
    store::{
        refresh_tokens::{self, RefreshToken},
        sessions, users,
    },
};
use serde_json::json;
use std::sync::Arc;
use tenantry_crypto::{OpaqueToken, Parsed, Prefix};
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Error, Reason, Result};

/// See the module.
#[derive(Clone)]
pub struct Refresh {
    core: Arc<Core>,
}

/// What was decided and must be committed before it is told.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is made, once a call")]
enum Verdict {
    Issue(User, Session, String),
    Reused,
}

impl Refresh {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
    /// Swaps a refresh token for a new pair.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID` for one that is expired, foreign or invented; `REFRESH_TOKEN_REUSED` for one that was
    /// used before: the session is over then.
    pub async fn refresh(&self, ctx: &Ctx, token: &str) -> Result<TokenPair> {
        let tenant = ctx.tenant()?;
        let parsed =
            OpaqueToken::parse(token).filter(|parsed| parsed.prefix == Prefix::Refresh && parsed.tenant == tenant);
        let parsed = parsed.ok_or_else(invalid)?;
        let signer = self.core.keyring.signer(tenant).await?;
        let mut tx = self.core.store.begin(ctx).await?;
        let verdict = self.rotate(ctx, &mut tx, &parsed).await?;
        // Also where the session was ended: that must last.
        tx.commit().await?;
        match verdict {
            Verdict::Issue(user, session, refresh) => Ok(TokenPair {
                access: access::issue(&self.core, &signer, tenant, &user, session.id, session.create_time)?,
                refresh,
            }),
            Verdict::Reused => {
                let text = "The refresh token was used before, so the session was ended for safety. Sign in again.";
                Err(Error::new(Reason::RefreshTokenReused, text))
            }
        }
    }

    async fn rotate(&self, ctx: &Ctx, tx: &mut Tx, parsed: &Parsed) -> Result<Verdict> {
        let now = self.core.now();
        let family = refresh_tokens::refresh_session(tx, parsed.id)
            .await?
            .ok_or_else(invalid)?;
        let session = sessions::session_lock(tx, family).await?.ok_or_else(invalid)?;
        let token = refresh_tokens::refresh_fetch(tx, parsed.id)
            .await?
            .filter(|token| parsed.matches(&token.token_hash));
        let token = token.ok_or_else(invalid)?;
        let user = users::user_fetch(tx, session.user)
            .await?
            .filter(|user| user.state == UserState::Active)
            .ok_or_else(invalid)?;
        if !session::is_live(session.expire_time, session.last_used_time, self.core.idle(), now) {
            return Err(invalid());
        }
        match refresh::decide(
            token.state,
            token.expire_time,
            token.consume_time,
            token.successor_state,
            now,
        ) {
            Rotation::Expired => Err(invalid()),
            Rotation::Kill => self.kill(ctx, tx, &session).await.map(|()| Verdict::Reused),
            Rotation::Rotate => self.issue(tx, user, session, &token).await,
            Rotation::Reissue => {
                if let Some(lost) = token.successor {
                    refresh_tokens::refresh_revoke(tx, lost).await?;
                }
                self.issue(tx, user, session, &token).await
            }
        }
    }

    async fn issue(&self, tx: &mut Tx, user: User, session: Session, used: &RefreshToken) -> Result<Verdict> {
        let (successor, text) = issue_refresh(&self.core, tx, &session).await?;
        refresh_tokens::refresh_consume(tx, used.id, successor, self.core.now()).await?;
        sessions::session_touch(tx, session.id, self.core.now()).await?;
        Ok(Verdict::Issue(user, session, text))
    }

    async fn kill(&self, ctx: &Ctx, tx: &mut Tx, session: &Session) -> Result<()> {
        sessions::session_revoke(tx, session.id, self.core.now()).await?;
        self.core.revoke(tx, &[Subject::Session(session.id.uuid())]).await?;
        self.core
            .event(
                tx,
                ctx,
                "auth.refresh_token.reuse.v1",
                &format!("session:{}", session.id),
                json!({ "user": session.user }),
            )
            .await
    }
}

fn invalid() -> Error {
    Error::new(
        Reason::CredentialsInvalid,
        "The refresh token is not valid. Sign in again.",
    )
}
