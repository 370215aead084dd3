//! Rows of the registry's tenant methods about branding. Each side has published twice, see `fixture::Side`.

use crate::{fixture::Side, rows::Kind};
use serde_json::{Value, json};

/// The kind of a method of BrandingService.
pub(crate) fn branding_kind(name: &str) -> Option<Kind> {
    let known = [
        "GetBranding",
        "UpdateBranding",
        "GetBrandingDraft",
        "UpdateBrandingDraft",
        "PublishBranding",
        "DiscardBrandingDraft",
        "ListBrandingRevisions",
        // Revisions are counted in each tenant: a stranger gets its own one of that number.
        "RollbackBranding",
    ];
    known.contains(&name).then_some(Kind::Own)
}

/// A rightful request of side `a`.
pub(crate) fn branding(name: &str, a: &Side) -> Value {
    match name {
        "GetBranding" | "GetBrandingDraft" | "PublishBranding" | "DiscardBrandingDraft" => json!({}),
        "UpdateBranding" | "UpdateBrandingDraft" => {
            json!({"branding": {"displayName": a.fresh("brand")}, "updateMask": "displayName"})
        }
        "ListBrandingRevisions" => json!({"pageSize": 1}),
        "RollbackBranding" => json!({"revision": "1"}),
        other => panic!("no row for {other}"),
    }
}
