//! What went wrong, for people: what, why, what helps, and what to quote when asking somebody about it.

use super::{
    console::{Chrome, Console},
    look, remedies,
};
use crate::domain::problem;
use askama::Template;
use chrono::DateTime;
use http::Response;
use tenantry_kernel::{Error, Reason};
use tonic::{Status, body::Body};

/// What went wrong, why, and what helps.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) status: u16,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) remedy: &'static str,
    pub(super) reason: String,
    pub(super) request_id: String,
    /// The operation that failed, at another time than this request's; empty where this request failed.
    pub(super) operation: String,
    /// When what is used up may be used again; empty where time does not help.
    until: String,
    pub(super) violations: Vec<(String, String)>,
    /// Beside each violation the id of the input it is about, where that is known.
    pub(super) inputs: Vec<String>,
    /// The violations say all that the detail says.
    pub(super) is_listed: bool,
}

impl Trouble {
    /// Of a page that could not be shown at all.
    fn heading(&self) -> String {
        let fixed = match (Reason::parse(&self.reason), self.status) {
            (Some(Reason::QuotaExceeded), _) if !self.until.is_empty() => {
                return format!("Plan used up until {} UTC", self.until);
            }
            (Some(Reason::QuotaExceeded), _) => "The plan allows no more",
            (Some(Reason::FeatureNotInPlan), _) => "Not in your plan",
            (_, 403) => "Not allowed",
            (_, 404) => "Not found",
            (_, 429) => "Too much at once",
            (_, 501 | 503 | 504) => "Not available right now",
            _ => "That did not work",
        };
        fixed.to_owned()
    }

    /// The same about an operation: what to quote is its name, not this request's.
    pub(super) fn of_operation(mut self, name: &str) -> Self {
        name.clone_into(&mut self.operation);
        self
    }
}

/// What helps, unless the text says it already.
pub(super) fn helps(reason: Option<Reason>, text: &str) -> &'static str {
    let remedy = reason.map_or("", remedies::remedy);
    if text.contains(remedy) { "" } else { remedy }
}

impl Console {
    /// A refusal as a part of a page.
    pub(super) fn trouble(&self, status: &Status) -> Trouble {
        let trouble = self.told(status);
        let _ = self.visitor.trail.reason.set(trouble.reason.clone());
        trouble
    }

    /// What went wrong at another time: this request did not fail.
    pub(super) fn told(&self, status: &Status) -> Trouble {
        let problem = problem::of_status(status, &self.visitor.request_id);
        let reason = Reason::parse(&problem.reason);
        let until = problem.metadata.get("reset_time");
        let until = until.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        Trouble {
            status: problem.status,
            is_listed: repeats(&problem),
            title: reason.and_then(remedies::title).map_or(problem.title, str::to_owned),
            inputs: Vec::new(),
            remedy: helps(reason, &problem.detail),
            detail: problem.detail,
            reason: problem.reason,
            request_id: problem.request_id,
            operation: String::new(),
            until: until.map_or_else(String::new, |at| at.to_utc().format("%Y-%m-%d %H:%M").to_string()),
            violations: problem
                .violations
                .into_iter()
                .map(|one| (one.field, one.description))
                .collect(),
        }
    }

    /// What went wrong before a service was asked.
    pub(super) fn wrong(&self, field: &str, text: &str) -> Trouble {
        self.trouble(&self.status(&Error::invalid_field(field, text)))
    }

    /// A whole page that says what went wrong. Missing and foreign are one neutral text.
    pub(super) fn failed(&self, status: &Status, retry: bool) -> Response<Body> {
        let mut trouble = self.trouble(status);
        if trouble.status == 404 {
            "There is nothing at this address.".clone_into(&mut trouble.detail);
        }
        let page = StatePage {
            chrome: self.chrome(),
            heading: trouble.heading(),
            // What is not there or not allowed is so the next time, too.
            retry: if retry && !matches!(trouble.status, 403 | 404) {
                &self.path
            } else {
                ""
            },
            trouble: &trouble,
        };
        look::html(look::code(trouble.status), &page)
    }
}

/// Services put the first violation into the sentence too, for clients that show nothing else.
fn repeats(problem: &problem::Problem) -> bool {
    let said = problem.detail.trim_end_matches('.');
    let mut violations = problem.violations.iter();
    violations.any(|one| said.ends_with(one.description.trim_end_matches('.')))
}

#[derive(Template)]
#[template(path = "state.html")]
struct StatePage<'a> {
    chrome: Chrome,
    heading: String,
    retry: &'a str,
    trouble: &'a Trouble,
}

#[cfg(test)]
impl Trouble {
    /// For tests of templates.
    pub(super) fn saying(text: &str) -> Self {
        Self {
            status: 400,
            title: text.to_owned(),
            detail: text.to_owned(),
            remedy: "",
            reason: text.to_owned(),
            request_id: text.to_owned(),
            operation: String::new(),
            until: String::new(),
            violations: vec![(text.to_owned(), text.to_owned())],
            inputs: Vec::new(),
            is_listed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_says_what_helps_and_a_used_up_plan_is_not_too_much_at_once() {
        let heading = |reason: &str, status, until: &str| {
            let trouble = Trouble {
                status,
                reason: reason.to_owned(),
                until: until.to_owned(),
                ..Trouble::saying("")
            };
            trouble.heading()
        };
        let used_up = heading("QUOTA_EXCEEDED", 429, "2026-12-01 00:00");
        assert_eq!(used_up, "Plan used up until 2026-12-01 00:00 UTC");
        assert_eq!(heading("QUOTA_EXCEEDED", 429, ""), "The plan allows no more");
        assert_eq!(heading("RATE_LIMITED", 429, ""), "Too much at once");
        assert_eq!(heading("FEATURE_NOT_IN_PLAN", 403, ""), "Not in your plan");
        assert_eq!(heading("NO_SUCH_REASON", 404, ""), "Not found");
    }
}
