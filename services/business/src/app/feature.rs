//! What the tenant's plan includes.

use tenantry_kernel::{Ctx, Error, Reason, Result};

/// Making object types and adding fields to them; types that are there can go on being used, and their texts changed.
pub const CUSTOM_TYPES: &str = "custom_types";
/// Uploading and importing CSV files; an import that was started before the plan changed ends.
pub const IMPORT: &str = "import";
/// The change stream.
pub const WATCH: &str = "watch";

/// Passes where the tenant's plan has the feature.
///
/// # Errors
/// `FEATURE_NOT_IN_PLAN` naming feature and plan.
pub fn require(ctx: &Ctx, feature: &'static str) -> Result<()> {
    let route = ctx.route()?;
    if route.features.contains(feature) {
        return Ok(());
    }
    let text = format!(
        "The plan {} does not include {feature}. Ask the operator for a plan that does.",
        route.plan
    );
    Err(Error::new(Reason::FeatureNotInPlan, text)
        .meta("feature", feature)
        .meta("plan", &route.plan))
}
