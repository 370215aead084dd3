//! Signing in with a password. An unknown address, a wrong password, a member who was not yet activated and one who is
//! locked get one answer after the same work.

use super::{
    Core, access,
    hasher::{Checked, Hasher},
};
use crate::{
    domain::{Email, Session, SessionKind, Subject, Throttle, User, UserState, password, session, throttle},
    store::{credentials, refresh_tokens, sessions, throttles, users},
};
use chrono::Duration;
use serde_json::json;
use std::sync::Arc;
use tenantry_crypto::{Jwk, OpaqueToken, Prefix, token::sha256};
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Error, PrincipalKind, Reason, Result, SessionId};
use zeroize::Zeroizing;

/// What to sign in with.
pub struct SignIn {
    /// As typed.
    pub email: String,
    /// As typed.
    pub password: Zeroizing<String>,
    /// What to make.
    pub kind: SessionKind,
    /// What the client calls itself.
    pub user_agent: String,
}

/// What was made.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// For [`SessionKind::Tokens`].
    pub tokens: Option<TokenPair>,
    /// For [`SessionKind::Browser`].
    pub session_token: Option<String>,
    /// Life of the access token or the session.
    pub expires_in: Duration,
}

/// An access token and what renews it.
#[derive(Debug)]
pub struct TokenPair {
    /// JWT.
    pub access: String,
    /// Opaque, works once.
    pub refresh: String,
}

/// See the module.
#[derive(Clone)]
pub struct Login {
    core: Arc<Core>,
    hasher: Arc<Hasher>,
}

/// How an account is named in the memory of failures: also where there is no such member.
#[must_use]
pub fn account(email: &Email) -> [u8; 32] {
    sha256(email.as_str().as_bytes())
}

impl Login {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>, hasher: Arc<Hasher>) -> Self {
        Self { core, hasher }
    }

    /// Checks the password and opens a session.
    ///
    /// # Errors
    /// `SIGN_IN_FAILED`, `SIGN_IN_THROTTLED`, `OVERLOADED`, `INVALID_ARGUMENT` for empty or oversized input.
    pub async fn sign_in(&self, ctx: &Ctx, request: SignIn) -> Result<SignedIn> {
        check_size(&request)?;
        let tenant = ctx.tenant()?;
        let email = Email::typed(&request.email);
        let account = account(&email);
        // Before queueing: guesses at a blocked account must not fill the queue.
        self.refuse_throttled(self.throttle(ctx, &account).await?)?;
        let turn = self.hasher.turn(tenant, ctx.deadline()).await?;
        // And when it is our turn: failures of those before us count, so a burst is no way around the delay.
        let (throttle, found) = self.look_up(ctx, &email, &account).await?;
        self.refuse_throttled(throttle)?;
        let (user, stored) = found.map_or((None, None), |(user, secret)| (Some(user), secret));
        // Held until the outcome is recorded.
        let (checked, _turn) = turn.check(request.password, stored.clone()).await?;
        match (user, stored, checked.matches) {
            (Some(user), Some(stored), true) if user.state == UserState::Active => {
                let user_agent = session::clean_user_agent(&request.user_agent);
                let opened = Opening {
                    kind: request.kind,
                    user_agent,
                    had_failures: throttle.is_some(),
                };
                self.open(ctx, &user, &stored, checked, opened).await
            }
            (user, ..) => self.fail(ctx, &account, user).await,
        }
    }

    async fn throttle(&self, ctx: &Ctx, account: &[u8]) -> Result<Option<Throttle>> {
        let mut tx = self.core.store.begin(ctx).await?;
        let throttle = throttles::throttle_fetch(&mut tx, account, false).await?;
        tx.commit().await?;
        Ok(throttle)
    }

    async fn look_up(
        &self,
        ctx: &Ctx,
        email: &Email,
        account: &[u8],
    ) -> Result<(Option<Throttle>, Option<(User, Option<String>)>)> {
        let mut tx = self.core.store.begin(ctx).await?;
        let throttle = throttles::throttle_fetch(&mut tx, account, false).await?;
        let found = users::user_with_password(&mut tx, email).await?;
        tx.commit().await?;
        Ok((throttle, found))
    }

    fn refuse_throttled(&self, throttle: Option<Throttle>) -> Result<()> {
        match throttle.and_then(|throttle| throttle.wait(self.core.now())) {
            Some(wait) => Err(throttle::throttled(wait)),
            None => Ok(()),
        }
    }

    async fn fail(&self, ctx: &Ctx, account: &[u8], user: Option<User>) -> Result<SignedIn> {
        let mut tx = self.core.store.begin(ctx).await?;
        let before = throttles::throttle_fetch(&mut tx, account, true).await?;
        let after = Throttle::failed(before, self.core.now());
        throttles::throttle_put(&mut tx, account, &after).await?;
        let subject = user.map(|user| format!("user:{}", user.id)).unwrap_or_default();
        self.core
            .event(
                &mut tx,
                ctx,
                "auth.sign_in.fail.v1",
                &subject,
                json!({ "failures": after.failures }),
            )
            .await?;
        tx.commit().await?;
        Err(failed())
    }

    async fn open(&self, ctx: &Ctx, seen: &User, stored: &str, checked: Checked, opening: Opening) -> Result<SignedIn> {
        let core = &self.core;
        let tenant = ctx.tenant()?;
        let signer = core.keyring.signer(tenant).await?;
        let now = core.now();
        let mut tx = core.store.begin(ctx).await?;
        // Under the member's lock: whoever disables them or changes the password comes before us, and we see it, or
        // after us, and ends the session that we open.
        let user = users::user_lock(&mut tx, seen.id).await.map_err(|_| failed())?;
        let current = users::user_with_password(&mut tx, &user.email)
            .await?
            .and_then(|(_, secret)| secret);
        if user.state != UserState::Active || current.as_deref() != Some(stored) {
            return Err(failed());
        }
        if opening.had_failures {
            throttles::throttle_clear(&mut tx, &account(&user.email)).await?;
        }
        if let Some(rehashed) = &checked.rehashed {
            credentials::password_rehash(&mut tx, user.id, stored, rehashed).await?;
        }
        let days = if opening.kind == SessionKind::Browser {
            core.sessions.browser_days
        } else {
            core.sessions.tokens_days
        };
        let session = Session {
            id: SessionId::from_uuid(core.id()),
            user: user.id,
            user_agent: opening.user_agent,
            create_time: now,
            last_used_time: now,
            expire_time: now + Duration::days(i64::from(days)),
        };
        let (text, hash) = OpaqueToken::generate(Prefix::Session, tenant, session.id.uuid());
        let browser = opening.kind == SessionKind::Browser;
        sessions::session_insert(&mut tx, &session, opening.kind, browser.then_some(hash.as_slice())).await?;
        self.evict(&mut tx, &user).await?;
        let refresh = if browser {
            None
        } else {
            Some(issue_refresh(core, &mut tx, &session).await?.1)
        };
        let detail = json!({ "kind": opening.kind.as_str() });
        core.event(
            &mut tx,
            ctx,
            "auth.sign_in.succeed.v1",
            &format!("user:{}", user.id),
            detail,
        )
        .await?;
        tx.commit().await?;
        let tokens = match refresh {
            Some(refresh) => Some(TokenPair {
                access: access::issue(core, &signer, tenant, &user, session.id, now)?,
                refresh,
            }),
            None => None,
        };
        let expires_in = if browser {
            session.expire_time - now
        } else {
            Duration::seconds(access::LIFETIME_SECONDS)
        };
        Ok(SignedIn {
            user,
            tokens,
            session_token: browser.then_some(text),
            expires_in,
        })
    }

    async fn evict(&self, tx: &mut Tx, user: &User) -> Result<()> {
        let gone = sessions::session_evict(tx, user.id, session::MAX_PER_USER, self.core.now()).await?;
        let subjects: Vec<Subject> = gone.into_iter().map(|id| Subject::Session(id.uuid())).collect();
        self.core.revoke(tx, &subjects).await
    }

    /// Ends the caller's session.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for an API key: it has no session.
    pub async fn sign_out(&self, ctx: &Ctx) -> Result<()> {
        let PrincipalKind::User { session, .. } = ctx.principal().kind else {
            return Err(Error::new(
                Reason::PermissionDenied,
                "Only a session can be signed out. Delete an API key instead.",
            ));
        };
        let mut tx = self.core.store.begin(ctx).await?;
        if sessions::session_revoke(&mut tx, session, self.core.now()).await? {
            self.core.revoke(&mut tx, &[Subject::Session(session.uuid())]).await?;
            self.core
                .event(
                    &mut tx,
                    ctx,
                    "auth.sign_out.v1",
                    &format!("session:{session}"),
                    json!({}),
                )
                .await?;
        }
        tx.commit().await
    }

    /// Public keys of the tenant's access tokens.
    ///
    /// # Errors
    /// `NOT_FOUND` for a tenant without a realm.
    pub async fn jwks(&self, ctx: &Ctx) -> Result<Vec<Jwk>> {
        Ok(self.core.keyring.signer(ctx.tenant()?).await?.jwks.clone())
    }
}

struct Opening {
    kind: SessionKind,
    user_agent: String,
    had_failures: bool,
}

fn check_size(request: &SignIn) -> Result<()> {
    if request.email.trim().is_empty() || request.email.len() > 320 {
        return Err(Error::invalid_field("email", "is required, at most 254 characters"));
    }
    if request.password.is_empty() || request.password.len() > password::MAX {
        return Err(Error::invalid_field("password", "is required, at most 1024 bytes"));
    }
    Ok(())
}

fn failed() -> Error {
    Error::new(Reason::SignInFailed, "E-mail or password is wrong.")
}

/// A refresh token for a session: its id and text. It ends with the session, or when it is idle for too long.
pub(super) async fn issue_refresh(core: &Core, tx: &mut Tx, session: &Session) -> Result<(uuid::Uuid, String)> {
    let (id, now) = (core.id(), core.now());
    let (text, hash) = OpaqueToken::generate(Prefix::Refresh, tx.tenant(), id);
    let expire = session.expire_time.min(now + core.idle());
    refresh_tokens::refresh_insert(tx, id, session.id, &hash, now, expire).await?;
    Ok((id, text))
}
