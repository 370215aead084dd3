//! Between wire and domain.

use crate::domain::{ApiKey, Session, User, UserState};
use chrono::{DateTime, Duration, Utc};
use prost_types::Timestamp;
use std::time::SystemTime;
use tenantry_api::{auth as proto, name_of, parse_name};
use tenantry_crypto::Jwk;
use tenantry_kernel::{Error, Result, Role};
use uuid::Uuid;

pub(super) fn timestamp(at: DateTime<Utc>) -> Timestamp {
    SystemTime::from(at).into()
}

pub(super) fn duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: span.num_seconds(),
        nanos: 0,
    }
}

pub(super) fn moment(field: &str, at: Timestamp) -> Result<DateTime<Utc>> {
    let nanos = u32::try_from(at.nanos).ok();
    nanos
        .and_then(|nanos| DateTime::from_timestamp(at.seconds, nanos))
        .ok_or_else(|| Error::invalid_field(field, "is no time"))
}

/// The id in `users/{id}`; a name of another form is a thing that does not exist.
pub(super) fn id_of<T: From<Parsed>>(collection: &str, name: &str) -> Result<T> {
    let ids = parse_name(&format!("{collection}/*"), name).ok_or_else(Error::not_found)?;
    let id = ids
        .first()
        .and_then(|id| Uuid::try_parse(id).ok())
        .ok_or_else(Error::not_found)?;
    Ok(T::from(Parsed(id)))
}

/// A raw id on its way into a typed one.
pub(super) struct Parsed(Uuid);

macro_rules! from_parsed {
    ($($id:ident),*) => { $(impl From<Parsed> for tenantry_kernel::$id {
        fn from(parsed: Parsed) -> Self {
            Self::from_uuid(parsed.0)
        }
    })* };
}
from_parsed!(UserId, SessionId, ApiKeyId);

pub(super) fn role_in(field: &str, role: i32) -> Result<Role> {
    optional_role(field, role)?
        .ok_or_else(|| Error::invalid_field(field, "is required: viewer, member, admin or owner"))
}

pub(super) fn optional_role(field: &str, role: i32) -> Result<Option<Role>> {
    match proto::Role::try_from(role) {
        Ok(proto::Role::Unspecified) => Ok(None),
        Ok(proto::Role::Viewer) => Ok(Some(Role::Viewer)),
        Ok(proto::Role::Member) => Ok(Some(Role::Member)),
        Ok(proto::Role::Admin) => Ok(Some(Role::Admin)),
        Ok(proto::Role::Owner) => Ok(Some(Role::Owner)),
        Err(_) => Err(Error::invalid_field(field, "must be viewer, member, admin or owner")),
    }
}

pub(super) fn user(user: User) -> proto::User {
    let etag = user.etag();
    proto::User {
        name: name_of("users/*", &[&user.id.to_string()]),
        email: user.email.as_str().to_owned(),
        display_name: user.display_name,
        role: match user.role {
            Role::Viewer => proto::Role::Viewer,
            Role::Member => proto::Role::Member,
            Role::Admin => proto::Role::Admin,
            Role::Owner => proto::Role::Owner,
        }
        .into(),
        state: match user.state {
            UserState::Invited => proto::UserState::Invited,
            UserState::Active => proto::UserState::Active,
            UserState::Disabled => proto::UserState::Disabled,
        }
        .into(),
        etag,
        create_time: Some(timestamp(user.create_time)),
        update_time: Some(timestamp(user.update_time)),
    }
}

pub(super) fn session(session: Session) -> proto::Session {
    proto::Session {
        name: name_of("sessions/*", &[&session.id.to_string()]),
        user: name_of("users/*", &[&session.user.to_string()]),
        user_agent: session.user_agent,
        create_time: Some(timestamp(session.create_time)),
        last_used_time: Some(timestamp(session.last_used_time)),
        expire_time: Some(timestamp(session.expire_time)),
    }
}

pub(super) fn api_key(key: ApiKey) -> proto::ApiKey {
    proto::ApiKey {
        name: name_of("apiKeys/*", &[&key.id.to_string()]),
        display_name: key.display_name,
        scopes: key.scopes,
        creator: name_of("users/*", &[&key.creator.to_string()]),
        expire_time: Some(timestamp(key.expire_time)),
        create_time: Some(timestamp(key.create_time)),
        last_used_time: key.last_used_time.map(timestamp),
    }
}

pub(super) fn jwk(key: Jwk) -> proto::Jwk {
    proto::Jwk {
        kty: key.kty,
        crv: key.crv,
        x: key.x,
        y: key.y,
        kid: key.kid,
        r#use: key.use_,
        alg: key.alg,
    }
}
