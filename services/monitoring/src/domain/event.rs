//! Events that services publish.

use chrono::{DateTime, Utc};
use tenantry_kernel::TenantId;
use uuid::Uuid;

/// Longest type and subject.
const LONGEST: usize = 300;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Id of its message.
    pub id: Uuid,
    /// Type.
    pub kind: String,
    /// The service.
    pub source: String,
    /// What it is about.
    pub subject: String,
    /// Whose.
    pub tenant: Option<TenantId>,
    /// When.
    pub time: DateTime<Utc>,
}

impl Event {
    /// Whether its texts are what an event's may be.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        if !self.kind.starts_with(&format!("tenantry.{}.", self.source)) {
            return Err("the type is not one of its publisher's");
        }
        let fits = |text: &str| text.len() <= LONGEST && !text.chars().any(char::is_control);
        if fits(&self.kind) && fits(&self.subject) {
            Ok(())
        } else {
            Err("type or subject is too long or has control characters")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_tells_only_of_itself() {
        let event = |kind: &str, subject: &str| Event {
            id: Uuid::nil(),
            kind: kind.to_owned(),
            source: "business".to_owned(),
            subject: subject.to_owned(),
            tenant: None,
            time: DateTime::UNIX_EPOCH,
        };
        assert!(event("tenantry.business.import.finished", "imports/1").check().is_ok());
        for bad in [
            event("tenantry.registry.tenant.purged", "tenants/1"),
            event("tenantry.business.x", "a\nb"),
            event("tenantry.business.x", &"x".repeat(301)),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
