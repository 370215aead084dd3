//! What helps, for somebody in front of a page: the catalogue under `/errors/` speaks to programs, of etags and headers.
//! And what is wrong with a form, in the words of the form.

use super::trouble::Trouble;
use crate::domain::catalogue;
use tenantry_kernel::Reason;

/// What to do about it on a page.
pub(super) fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::InvalidArgument | Reason::UnknownField => {
            "Nothing was saved. Correct what is named here and send the form again."
        }
        Reason::InvalidFilter => "Correct the filter, or clear it.",
        Reason::InvalidPageToken => "Begin the list again at its first page.",
        Reason::RequestTooLarge => "Send less at once; a file may be imported in parts.",
        Reason::MethodNotAllowed => "Open the page by a link.",
        Reason::SignInThrottled => "Wait some minutes and try again.",
        Reason::MalformedRequest => "Go back, load the page again and fill in the form once more.",
        Reason::UnsupportedMediaType => "Choose a file of the kind that the page asks for, and send it again.",
        Reason::CredentialsMissing | Reason::CredentialsInvalid => "Sign in again.",
        Reason::OriginMismatch => "Open the page at your organisation's own address and send its form.",
        Reason::AlreadyExists => "Choose another name.",
        Reason::UniqueViolation => "Choose another value, or change the record that has it.",
        Reason::ReferenceNotFound => "Choose something that is there, or make it first.",
        Reason::StillReferenced => "Change or delete what still refers to it first.",
        Reason::FailedPrecondition => "Look at its present state: somebody else may have been faster.",
        Reason::EtagMismatch => "Somebody changed this meanwhile; nothing of yours was saved. Check it and save again.",
        Reason::IdempotencyKeyReused => {
            "The form was sent before with other texts. Open it again and send it once more."
        }
        Reason::IdempotencyInProgress => "It is being worked on. Wait a moment and look whether it is done.",
        Reason::Conflict => "Somebody changed something at the same time. Send it again.",
        Reason::RateLimited | Reason::Overloaded => "Wait a moment and try again.",
        Reason::DeadlineExceeded => "Look whether it took effect before you do it again.",
        Reason::Unavailable => "Try again in a moment.",
        Reason::Unimplemented => "This installation does not offer it.",
        Reason::SnapshotNotReady => "Wait until it is ready, or choose another snapshot.",
        Reason::PermissionDenied => "Ask an admin of your organisation for it.",
        other => catalogue::entry(other).remedy,
    }
}

/// What happened, as a heading, where the reason's own name is none for people.
pub(super) fn title(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::InvalidArgument | Reason::UnknownField => "Something is not accepted",
        Reason::InvalidFilter => "The filter cannot be read",
        Reason::ImportInvalid => "The file cannot be imported",
        Reason::EtagMismatch => "Somebody changed this meanwhile",
        Reason::AlreadyExists => "The name is taken",
        Reason::UniqueViolation => "Another record has this value",
        Reason::ReferenceNotFound => "What it refers to is not there",
        Reason::StillReferenced => "It is still in use",
        Reason::FailedPrecondition => "That is not possible now",
        Reason::MalformedRequest => "The form could not be read",
        _ => return None,
    })
}

/// What is wrong with one input.
pub(super) struct Named {
    /// What people know it by.
    pub(super) label: String,
    /// The id of the input; empty where it has none.
    pub(super) input: String,
    /// What is wrong and what is accepted.
    pub(super) text: String,
}

impl Trouble {
    /// Says it in the form's words: `words` turns a service's path and text into those of an input, where it has one.
    pub(super) fn named(mut self, words: impl Fn(&str, &str) -> Option<Named>) -> Self {
        let named = self.violations.iter().map(|(path, text)| words(path, text));
        let (mut violations, mut inputs) = (Vec::new(), Vec::new());
        for (named, (path, text)) in named.zip(&self.violations) {
            let Named { label, input, text } = named.unwrap_or_else(|| Named {
                label: path.clone(),
                input: String::new(),
                text: text.clone(),
            });
            violations.push((label, text));
            inputs.push(input);
        }
        // The service's sentence is about its own names: what is listed says the same of the form's.
        self.is_listed |= !inputs.is_empty() && inputs.iter().all(|input| !input.is_empty());
        self.violations = violations;
        self.inputs = inputs;
        self
    }

    /// What is wrong with an input; empty if nothing is.
    pub(super) fn at(&self, input: &str) -> &str {
        let at = self.inputs.iter().position(|one| one == input);
        at.and_then(|at| self.violations.get(at))
            .map_or("", |(_, text)| text.as_str())
    }

    /// The input a violation is about; empty if that is not known.
    pub(super) fn input(&self, at: &usize) -> &str {
        self.inputs.get(*at).map_or("", String::as_str)
    }
}

/// What is wrong with an input of a form that may not have been refused at all.
pub(super) fn wrong<'a>(trouble: Option<&'a Trouble>, input: &str) -> &'a str {
    trouble.map_or("", |trouble| trouble.at(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_never_speaks_of_what_only_programs_have() {
        for reason in Reason::ALL {
            let text = format!("{} {}", remedy(*reason), title(*reason).unwrap_or_default());
            assert!(remedy(*reason).ends_with('.'), "{reason}: {text}");
            for word in [
                "etag",
                "idempotency",
                "header",
                "Retry-After",
                "openapi",
                "gRPC",
                "Idempotency-Key",
            ] {
                assert!(!text.contains(word), "{reason}: {text}");
            }
        }
    }

    #[test]
    fn a_violation_gets_the_words_of_its_form() {
        let mut trouble = Trouble::saying("x");
        trouble.violations = vec![("a.b".into(), "is bad".into()), ("c".into(), "is worse".into())];
        let trouble = trouble.named(|path, text| {
            (path == "a.b").then(|| Named {
                label: "Name".into(),
                input: "name".into(),
                text: text.into(),
            })
        });
        assert_eq!(trouble.violations[0], ("Name".to_owned(), "is bad".to_owned()));
        assert_eq!(trouble.violations[1], ("c".to_owned(), "is worse".to_owned()));
        assert_eq!(
            (trouble.at("name"), trouble.at("id"), trouble.input(&1)),
            ("is bad", "", "")
        );
        assert!(
            !trouble.is_listed,
            "one of them says nothing to people: the sentence stays"
        );
    }
}
