//! What the pages of the console share: who looks, at which organisation, in which brand; how a page asks a service, says
//! that something went wrong, and reads a form.
//!
//! A page shows what the role is for; whether something is allowed is decided by the service that is asked, always.

pub(super) use super::trouble::Trouble;
use super::{form, look};
use crate::{
    app::visitor::{Place, Visitor},
    domain::{table::Site, template::Bindings, text},
    edge::{Edge, respond},
};
use askama::Template;
use http::{Request, Response, StatusCode};
use std::sync::Arc;
use tenantry_api::auth::{Role, User};
use tenantry_kernel::{Error, Reason, TenantId, TenantRoute, ThemeMode};
use tonic::{Status, body::Body};

/// How a page ends: with a response, or with a service's refusal, which becomes a page that says so.
pub(super) type Outcome = Result<Response<Body>, Status>;

/// One request to a page of somebody who is signed in.
pub(super) struct Console {
    pub(super) edge: Arc<Edge>,
    pub(super) visitor: Visitor,
    pub(super) route: Arc<TenantRoute>,
    /// Who looks.
    pub(super) user: User,
    /// The own session's name; empty for an API key.
    pub(super) session: String,
    /// What the path's variables stand for.
    pub(super) bindings: Bindings,
    pub(super) query: Vec<(String, String)>,
    pub(super) path: String,
}

impl Console {
    /// Calls a unary method as the visitor.
    pub(super) async fn ask<Q, A>(&self, method: &str, question: &Q) -> Result<A, Status>
    where
        Q: prost::Message,
        A: prost::Message + Default,
    {
        self.edge.ask(&self.visitor, method, question).await
    }

    /// A variable of the path.
    pub(super) fn binding(&self, name: &str) -> &str {
        form::field(&self.bindings, name)
    }

    /// A parameter of the query; empty if it is not there.
    pub(super) fn parameter(&self, name: &str) -> &str {
        form::field(&self.query, name)
    }

    /// Whether the visitor's role holds what `least` holds.
    pub(super) fn is_at_least(&self, least: Role) -> bool {
        self.user.role >= i32::from(least)
    }

    /// Whether the visitor's role may call the method, as far as its own policy says so.
    pub(super) fn may_call(&self, method: &str) -> bool {
        let method = self.edge.methods.get(method);
        method.is_some_and(|method| self.user.role >= method.least_role)
    }

    /// Whether the organisation's plan includes the feature.
    pub(super) fn has_feature(&self, name: &str) -> bool {
        self.route.features.contains(name)
    }

    /// The refusal of a service, before a form is filled in for nothing.
    pub(super) fn needs_feature(&self, name: &str) -> Result<(), Status> {
        if self.has_feature(name) {
            return Ok(());
        }
        let text = format!(
            "The plan {} does not include {name}. Ask the operator for a plan that does.",
            self.route.plan
        );
        Err(self.status(&Error::new(Reason::FeatureNotInPlan, text)))
    }

    /// Whether this is the operators' own host.
    pub(super) fn is_operator(&self) -> bool {
        self.route.tenant == TenantId::PLATFORM
    }

    /// A value for the hidden `request_id` of a form, so that a double submit has one effect.
    pub(super) fn fresh_id(&self) -> String {
        self.edge.ids.new_v7().to_string()
    }

    /// Header, navigation and footer.
    pub(super) fn chrome(&self) -> Chrome {
        let look::Dress { brand, support } = look::Dress::of(Some(&self.route));
        let name = if self.user.display_name.is_empty() {
            &self.user.email
        } else {
            &self.user.display_name
        };
        let site = if self.is_operator() {
            Site::Operator
        } else {
            Site::Tenant
        };
        let nav = super::router::AREAS
            .iter()
            .filter(|area| (area.site == Site::Any || area.site == site) && self.is_at_least(area.least));
        Chrome {
            brand: brand.to_owned(),
            support: support.to_owned(),
            name: name.clone(),
            role: role_label(self.user.role()),
            tenant: self.route.display_name.clone(),
            slug: self.route.slug.clone(),
            request_id: self.visitor.request_id.to_string(),
            notice: super::router::notice(self.parameter("done")),
            color_scheme: match self.route.brand.theme_mode {
                ThemeMode::Auto => "light dark",
                ThemeMode::Light => "light",
                ThemeMode::Dark => "dark",
            },
            nav: nav.map(|area| area.link(&self.path)).collect(),
            path: self.path.clone(),
        }
    }

    /// A page of the console.
    pub(super) fn page(&self, page: &impl Template) -> Outcome {
        Ok(look::html(StatusCode::OK, page))
    }

    /// A form again, with what was wrong.
    pub(super) fn again(&self, trouble: &Trouble, page: &impl Template) -> Outcome {
        Ok(look::html(look::code(trouble.status), page))
    }

    /// An error of the gateway as a service would send it.
    pub(super) fn status(&self, error: &Error) -> Status {
        tenantry_server::status_of(error, &self.visitor.request_id)
    }

    /// After a form: to a page of ours, with a notice.
    pub(super) fn done(&self, path: &str, notice: &str) -> Outcome {
        let joint = if path.contains('?') { '&' } else { '?' };
        Ok(respond::see_other(&format!("{path}{joint}done={notice}")))
    }

    /// Asks before something that cannot be taken back.
    pub(super) fn confirm(&self, question: &Question<'_>, trouble: Option<Trouble>) -> Outcome {
        let status = trouble
            .as_ref()
            .map_or(StatusCode::OK, |trouble| look::code(trouble.status));
        let page = ConfirmPage {
            chrome: self.chrome(),
            trouble,
            title: question.title,
            text: question.text,
            action: &self.path,
            request_id: &self.fresh_id(),
            hidden: question.hidden,
            word: question.word,
            button: question.button,
            back: question.back,
        };
        Ok(look::html(status, &page))
    }

    /// Shows a secret in the answer to the form itself: a redirect would have to carry it in an address.
    pub(super) fn secret(&self, title: &str, text: &str, label: &str, secret: &str, back: &str) -> Outcome {
        let page = SecretPage {
            chrome: self.chrome(),
            title,
            text,
            label,
            secret,
            back,
        };
        self.page(&page)
    }
}

/// The tenant's route as the visitor's place holds it.
pub(super) fn route(visitor: &Visitor) -> Option<Arc<TenantRoute>> {
    match &visitor.place {
        Place::Tenant(route) => Some(route.clone()),
        Place::Api => None,
    }
}

/// A question on a page of its own, so that it works without script.
pub(super) struct Question<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    /// What must be typed; empty for nothing. The handler of the form compares it.
    pub(super) word: &'a str,
    pub(super) button: &'a str,
    pub(super) back: &'a str,
    /// More hidden fields.
    pub(super) hidden: &'a [(&'a str, &'a str)],
}

/// Header, navigation and footer of a page.
pub(super) struct Chrome {
    pub(super) brand: String,
    pub(super) support: String,
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) tenant: String,
    pub(super) slug: String,
    pub(super) request_id: String,
    pub(super) notice: &'static str,
    pub(super) color_scheme: &'static str,
    pub(super) nav: Vec<Link>,
    pub(super) path: String,
}

impl Chrome {
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }
    pub(super) fn style_href(&self) -> &'static str {
        super::assets::style_href()
    }
    pub(super) fn script_href(&self) -> &'static str {
        super::assets::script_href()
    }
}

#[cfg(test)]
impl Chrome {
    /// For tests of templates: `text` wherever somebody typed something.
    pub(super) fn saying(text: &str) -> Self {
        Self {
            brand: text.to_owned(),
            support: String::new(),
            name: text.to_owned(),
            role: "owner",
            tenant: text.to_owned(),
            slug: "acme".to_owned(),
            request_id: "r-1".to_owned(),
            notice: "",
            color_scheme: "light dark",
            nav: Vec::new(),
            path: "/".to_owned(),
        }
    }
}

/// One entry of the navigation.
pub(super) struct Link {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    pub(super) current: bool,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    title: &'a str,
    text: &'a str,
    action: &'a str,
    request_id: &'a str,
    hidden: &'a [(&'a str, &'a str)],
    word: &'a str,
    button: &'a str,
    back: &'a str,
}

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage<'a> {
    chrome: Chrome,
    title: &'a str,
    text: &'a str,
    label: &'a str,
    secret: &'a str,
    back: &'a str,
}

/// A form as it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    /// Reads one that a page of this very host sent.
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Error> {
        form::read_up_to(request, form::MAX_RECORD).await.map(Self)
    }
    /// A field's text; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        form::field(&self.0, name)
    }
    /// A field's text without spaces around it.
    pub(super) fn trimmed(&self, name: &str) -> &str {
        self.text(name).trim()
    }
    /// Whether the field was sent at all: a check box, the pressed button.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
    /// Every value of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
    /// The hidden id that makes a double submit one.
    pub(super) fn request_id(&self) -> String {
        self.text("request_id").to_owned()
    }
}

/// A role for people.
pub(super) fn role_label(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
        Role::Viewer | Role::Unspecified => "viewer",
    }
}

/// The id behind the last slash of a resource name.
pub(super) fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// An address with parameters, those that are empty left out.
pub(super) fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(&format!("{name}={}", text::percent_encode(value)));
    }
    out
}

/// A time for people, in UTC.
pub(super) fn time(at: Option<prost_types::Timestamp>) -> String {
    moment(at).map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M").to_string())
}

/// A time for machines (`datetime` of a `time` element).
pub(super) fn machine_time(at: Option<prost_types::Timestamp>) -> String {
    moment(at).map_or_else(String::new, |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// As chrono has it; `None` where there is none or it is out of range.
pub(super) fn moment(at: Option<prost_types::Timestamp>) -> Option<chrono::DateTime<chrono::Utc>> {
    let at = at?;
    chrono::DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// Digits in groups of three.
pub(super) fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if value < 0 { format!("-{out}") } else { out }
}

/// Bytes for people.
pub(super) fn bytes(value: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = value.max(0) as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value} B")
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_are_for_people_and_browsers() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(-1000), "-1\u{202f}000");
        assert_eq!(
            (bytes(12), bytes(2048), bytes(3 << 30)),
            ("12 B".into(), "2.0 KiB".into(), "3.0 GiB".into())
        );
        assert_eq!(address("/a", &[("x", "1 & 2"), ("y", "")]), "/a?x=1%20%26%202");
        let at = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
        assert_eq!(
            (time(at), machine_time(at)),
            ("1970-01-01 00:00".into(), "1970-01-01T00:00:00Z".into())
        );
        assert_eq!(time(None), "");
    }
}
