//! TokenService: for our own services only.

use super::convert;
use crate::{
    app::{
        exchange::Exchange,
        feed::{Batch, Feed},
        minter,
        services::Services,
    },
    domain::{Revocation, Subject},
};
use std::sync::Arc;
use tenantry_api::auth::{self as proto, token_service_server::TokenService};
use tenantry_kernel::{Error, TenantId};
use tenantry_server::{context, status, unary};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, codegen::BoxStream};

const STREAM: usize = 64;

/// See the module.
pub struct TokenRpc {
    /// Credentials to tokens.
    pub exchange: Exchange,
    /// Tokens and contexts for services.
    pub services: Services,
    /// Public keys.
    pub minter: Arc<minter::Minter>,
    /// Revocations.
    pub feed: Arc<Feed>,
    /// Ends streams at shutdown.
    pub stop: CancellationToken,
}

pub(super) fn tenant(text: &str) -> Result<Option<TenantId>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| Error::invalid_field("tenant_id", "must be a UUID"))
}

#[tonic::async_trait]
impl TokenService for TokenRpc {
    async fn exchange_credential(
        &self,
        request: Request<proto::ExchangeCredentialRequest>,
    ) -> Result<Response<proto::ExchangeCredentialResponse>, Status> {
        unary(request, async |ctx, message: proto::ExchangeCredentialRequest| {
            let (audience, tenant) = (self.minter.audience(&message.audience)?, tenant(&message.tenant_id)?);
            let done = self
                .exchange
                .exchange(&ctx, &message.credential, audience, tenant)
                .await?;
            Ok(proto::ExchangeCredentialResponse {
                transaction_token: done.token,
                expire_time: Some(convert::timestamp(done.expire_time)),
                tenant_id: done.tenant.to_string(),
                subject: done.subject,
                session_id: done.session.map(|id| id.to_string()).unwrap_or_default(),
                user_id: done.user.to_string(),
            })
        })
        .await
    }

    async fn issue_service_token(
        &self,
        request: Request<proto::IssueServiceTokenRequest>,
    ) -> Result<Response<proto::IssueServiceTokenResponse>, Status> {
        unary(request, async |ctx, message: proto::IssueServiceTokenRequest| {
            let (audience, tenant) = (self.minter.audience(&message.audience)?, tenant(&message.tenant_id)?);
            let (transaction_token, end) = self.services.token(&ctx, audience, tenant)?;
            Ok(proto::IssueServiceTokenResponse {
                transaction_token,
                expire_time: Some(convert::timestamp(end)),
            })
        })
        .await
    }

    async fn issue_database_context(
        &self,
        request: Request<proto::IssueDatabaseContextRequest>,
    ) -> Result<Response<proto::IssueDatabaseContextResponse>, Status> {
        unary(request, async |ctx, message: proto::IssueDatabaseContextRequest| {
            let tenant = tenant(&message.tenant_id)?.ok_or_else(|| Error::invalid_field("tenant_id", "is required"))?;
            let (context, end) = self.services.database_context(&ctx, tenant, &message.purpose).await?;
            Ok(proto::IssueDatabaseContextResponse {
                database_context: context.expose().to_owned(),
                expire_time: Some(convert::timestamp(end)),
            })
        })
        .await
    }

    async fn get_verification_keys(
        &self,
        request: Request<proto::GetVerificationKeysRequest>,
    ) -> Result<Response<proto::GetVerificationKeysResponse>, Status> {
        unary(request, async |_, _| {
            let keys = self.minter.jwks()?;
            Ok(proto::GetVerificationKeysResponse {
                keys: keys.into_iter().map(convert::jwk).collect(),
            })
        })
        .await
    }

    async fn watch_revocations(
        &self,
        request: Request<proto::WatchRevocationsRequest>,
    ) -> Result<Response<BoxStream<proto::WatchRevocationsResponse>>, Status> {
        let ctx = context(&request)?;
        let (snapshot, batches) = self.feed.follow().map_err(|error| status(&ctx, error))?;
        let (sender, receiver) = mpsc::channel(STREAM);
        tokio::spawn(forward(snapshot, batches, sender, self.stop.clone()));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

type Out = Result<proto::WatchRevocationsResponse, Status>;

/// Snapshot, then batches until the follower leaves. One that is too slow is cut off: it comes back for a snapshot.
async fn forward(
    snapshot: Vec<Revocation>,
    mut batches: broadcast::Receiver<Batch>,
    sender: mpsc::Sender<Out>,
    stop: CancellationToken,
) {
    let first = proto::WatchRevocationsResponse {
        revocations: snapshot.iter().map(revocation).collect(),
        snapshot_complete: true,
    };
    if sender.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        let batch = tokio::select! {
            batch = batches.recv() => batch,
            () = sender.closed() => return,
            () = stop.cancelled() => return,
        };
        let Ok(batch) = batch else { return };
        let next = proto::WatchRevocationsResponse {
            revocations: batch.iter().map(revocation).collect(),
            snapshot_complete: false,
        };
        if sender.send(Ok(next)).await.is_err() {
            return;
        }
    }
}

fn revocation(revocation: &Revocation) -> proto::Revocation {
    let (kind, id) = match revocation.subject {
        Subject::Tenant => (proto::RevocationKind::Tenant, None),
        Subject::User(id) => (proto::RevocationKind::User, Some(id)),
        Subject::Session(id) => (proto::RevocationKind::Session, Some(id)),
        Subject::ApiKey(id) => (proto::RevocationKind::ApiKey, Some(id)),
    };
    proto::Revocation {
        tenant_id: revocation.tenant.to_string(),
        kind: kind.into(),
        id: id.map(|id| id.to_string()).unwrap_or_default(),
        not_before: Some(convert::timestamp(revocation.not_before)),
    }
}
