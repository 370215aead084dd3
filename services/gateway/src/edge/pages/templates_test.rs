//! What people typed is text on every page, never markup; and nothing on them is what the content security policy would
//! block.

use super::{branding, fleet, imports, lifecycle, operations, plans, records, sagas, tenants, types};

/// Ends every context it could stand in.
pub(super) const EVIL: &str = "</title><script>alert(1)</script>\"' onload=x style=y";

fn check(name: &str, html: &str) {
    assert!(
        html.contains("<!doctype html>") && html.contains("<main"),
        "{name}: {html}"
    );
    assert!(
        !html.contains("<script>") && !html.contains("</title><"),
        "{name}: {html}"
    );
    // Whatever could end an attribute or begin a tag has become a reference.
    assert!(!html.contains("\"' onload"), "{name}: {html}");
    let tags = html
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(tag, _)| tag);
    for tag in tags {
        let values_removed: String = tag.split('"').step_by(2).collect();
        for word in values_removed.split_whitespace() {
            assert!(!word.starts_with("on") && !word.starts_with("style"), "{name}: <{tag}>");
        }
    }
    assert!(html.contains("r-1"), "{name}: no request id");
}

#[test]
fn what_was_typed_is_text_on_every_page() {
    let pages = [
        ("branding", branding::sample(EVIL)),
        ("tenants", tenants::sample_list(EVIL)),
        ("tenant", tenants::sample(EVIL)),
        ("lifecycle", lifecycle::sample(EVIL)),
        ("saga", sagas::sample(EVIL)),
        ("plan", plans::sample(EVIL)),
        ("events", fleet::sample_events(EVIL)),
        ("alerts", fleet::sample_alerts(EVIL)),
        ("records", records::sample::grid(EVIL)),
        ("record to change", records::sample::record(EVIL, true)),
        ("record to read", records::sample::record(EVIL, false)),
        ("type", types::sample(EVIL)),
        ("import", imports::sample(EVIL)),
        ("operations", operations::sample_list(EVIL)),
    ];
    for (name, page) in pages {
        check(name, &page);
    }
}

#[test]
fn an_alert_links_to_web_pages_only() {
    let page = fleet::sample_alerts("javascript:alert(1)");
    assert!(!page.contains("href=\"javascript"), "{page}");
}

/// The pages above are those that show what was typed today; a template may show more tomorrow.
#[test]
fn no_template_turns_escaping_off() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the templates") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text").replace(' ', "");
        for off in ["|safe", "|escape(", "|e(", "filtersafe", "filterescape"] {
            assert!(!text.contains(off), "{} has {off}", path.display());
        }
        seen += 1;
    }
    assert!(seen > 40, "only {seen} templates");
}
