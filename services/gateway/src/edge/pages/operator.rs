//! Addresses that show something else to operators than to a tenant.

use super::{
    backups,
    console::{Console, Outcome},
    fleet, home, tenants, usage,
};

/// Home: operators see the tenants.
pub(super) async fn front(console: &Console) -> Outcome {
    if console.is_operator() {
        tenants::list(console).await
    } else {
        home::show(console).await
    }
}

/// Usage: operators see the busiest tenants.
pub(super) async fn usage(console: &Console) -> Outcome {
    if console.is_operator() {
        fleet::usage(console).await
    } else {
        usage::show(console).await
    }
}

/// Backups: operators see whose are missing or old.
pub(super) async fn backups(console: &Console) -> Outcome {
    if console.is_operator() {
        fleet::backups(console).await
    } else {
        backups::list(console).await
    }
}
