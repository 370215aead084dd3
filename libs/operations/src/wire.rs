//! Operations as callers see them: `google.longrunning.Operation`.

use crate::State;
use prost::Message;
use prost_types::Any;
use tenantry_api::{google::rpc, parse_name};
use tenantry_kernel::{Error, RequestId, Result};
use uuid::Uuid;

/// The id in `operations/{service}-{id}`. One of another service is not there.
///
/// # Errors
/// `INVALID_ARGUMENT` for another shape, `NOT_FOUND` for another service's.
pub fn id(service: &str, name: &str) -> Result<Uuid> {
    let shape = || Error::invalid_field("name", format!("must be operations/{service}-{{id}}"));
    let ids = parse_name("operations/*", name).ok_or_else(shape)?;
    let own = ids[0].strip_prefix(service).and_then(|rest| rest.strip_prefix('-'));
    own.and_then(|id| id.parse().ok()).ok_or_else(Error::not_found)
}

/// A message with its full name.
pub fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

/// How far it is, 0 to 100. What is not known to be anything is 0 until it succeeds.
#[must_use]
pub fn percent(state: State, done: i64, total: i64) -> i32 {
    match (state, total) {
        (State::Succeeded, _) => 100,
        (_, 1..) => i32::try_from(done.clamp(0, total).saturating_mul(100) / total).unwrap_or(0),
        _ => 0,
    }
}

/// Why it failed, in the shape of a failed call (AIP-193).
#[must_use]
pub fn failure(error: &Error, request_id: &RequestId) -> rpc::Status {
    let status = tenantry_server::status_of(error, request_id);
    rpc::Status::decode(status.details()).unwrap_or_else(|_| rpc::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kernel::Kind;

    #[test]
    fn a_name_is_of_one_service() {
        let one = Uuid::from_u128(7);
        assert_eq!(id("backup", &format!("operations/backup-{one}")).expect("ours"), one);
        for strange in [format!("operations/business-{one}"), "operations/backup-7".to_owned()] {
            assert_eq!(id("backup", &strange).expect_err("not ours").kind(), Kind::NotFound);
        }
        assert_eq!(
            id("backup", "snapshots/7").expect_err("no operation").kind(),
            Kind::InvalidArgument
        );
    }

    #[test]
    fn percents_stay_within_their_bounds() {
        assert_eq!(percent(State::Running, 0, 0), 0);
        assert_eq!(percent(State::Running, 50, 200), 25);
        assert_eq!(percent(State::Failed, 300, 200), 100);
        assert_eq!(percent(State::Running, i64::MAX, i64::MAX), 1);
        assert_eq!(percent(State::Succeeded, 0, 0), 100);
    }
}
