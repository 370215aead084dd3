//! Failures: one text for people on stderr, one stable exit code for scripts.

use serde_json::Value;
use std::fmt;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// It failed for a reason without a code of its own.
    Failed,
    /// The command line is wrong (clap uses the same code).
    Usage,
    /// What was named is not there.
    NotFound,
    /// Not signed in, or not allowed.
    Denied,
    /// The state of the thing forbids it: taken, changed meanwhile, still referred to.
    Conflict,
    /// A limit of the plan or of the rate.
    Quota,
    /// It took too long; whether it took effect is not known.
    Timeout,
    /// A person or the system has stopped it.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Conflict => 5,
            Self::Quota => 6,
            Self::Timeout => 124,
            Self::Interrupted => 130,
        }
    }

    /// By HTTP status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            404 | 410 => Self::NotFound,
            401 | 403 => Self::Denied,
            409 | 412 => Self::Conflict,
            429 => Self::Quota,
            408 | 504 => Self::Timeout,
            _ => Self::Failed,
        }
    }

    /// By gRPC code, as operations carry it.
    #[must_use]
    pub const fn of_code(code: i64) -> Self {
        match code {
            5 => Self::NotFound,
            7 | 16 => Self::Denied,
            6 | 9 | 10 => Self::Conflict,
            8 => Self::Quota,
            4 => Self::Timeout,
            _ => Self::Failed,
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    reason: String,
    details: Vec<String>,
    request_id: String,
    scope: Box<str>,
    passing: bool,
}

impl Failure {
    /// With a message for people.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            reason: String::new(),
            details: Vec::new(),
            request_id: String::new(),
            scope: Box::default(),
            passing: false,
        }
    }
    /// The reader of stdout went away (`| head`): it has what it wanted, and nobody is to be told of it.
    #[must_use]
    pub fn reader_gone() -> Self {
        Self::new(Exit::Ok, "nobody reads this any more")
    }
    /// Without a code of its own.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }
    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
    /// From an answer with an error status; the body is problem+json where the gateway wrote it.
    #[must_use]
    pub fn from_response(status: u16, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        Self::of_problem(status, &problem)
    }
    /// From a problem document that ended a stream.
    #[must_use]
    pub fn from_problem(problem: &Value) -> Self {
        let status = problem["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        Self::of_problem(status.unwrap_or(500), problem)
    }

    fn of_problem(status: u16, problem: &Value) -> Self {
        let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        let message = match (text("detail"), text("title")) {
            (detail, _) if !detail.is_empty() => detail,
            (_, title) if !title.is_empty() => title,
            _ => format!("The server answered with status {status}."),
        };
        let mut failure = Self::new(Exit::of_status(status), message);
        failure.reason = text("reason");
        failure.request_id = text("request_id");
        failure.details = violations(&problem["violations"]);
        failure.scope = problem["metadata"]["scope"].as_str().unwrap_or_default().into();
        failure.passing = status >= 500 || matches!(status, 408 | 429);
        failure
    }
    /// From `google.rpc.Status`, the error of an operation.
    #[must_use]
    pub fn from_status(status: &Value) -> Self {
        let message = status["message"].as_str().unwrap_or("The operation failed.").to_owned();
        let mut failure = Self::new(Exit::of_code(status["code"].as_i64().unwrap_or(2)), message);
        for detail in status["details"].as_array().into_iter().flatten() {
            if let Some(reason) = detail["reason"].as_str() {
                reason.clone_into(&mut failure.reason);
            }
            failure.details.extend(violations(&detail["fieldViolations"]));
        }
        failure
    }
    /// Says which scope an API key would need for this.
    #[must_use]
    pub fn of_api_key(mut self) -> Self {
        if !self.scope.is_empty() {
            self.details
                .push(format!("an API key needs the scope {} for this", self.scope));
        }
        self
    }
    /// Whether the same may succeed a little later: the server is away or has too much to do.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.passing
    }
    /// Says what was being done.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }
    /// What is wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
    /// `ErrorInfo.reason`, empty where the server gave none.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

fn violations(list: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let description = one["description"].as_str()?;
        Some(
            one["field"]
                .as_str()
                .map_or_else(|| description.to_owned(), |field| format!("{field}: {description}")),
        )
    };
    list.as_array().into_iter().flatten().filter_map(line).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        writeln!(f)?;
        for detail in self
            .details
            .iter()
            .filter(|detail| !self.message.contains(detail.as_str()))
        {
            writeln!(f, "  {detail}")?;
        }
        if !self.request_id.is_empty() {
            writeln!(f, "  request id: {}", self.request_id)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::other(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::other(format!("not the JSON that was expected: {error}"))
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            let text = "The server did not answer in time. Whether the request took effect is unknown.";
            let mut failure = Self::new(Exit::Timeout, text);
            failure.passing = true;
            return failure;
        }
        let at = error
            .url()
            .map_or_else(|| "the server".to_owned(), |url| url.origin().ascii_serialization());
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let mut failure = Self::other(format!("cannot reach {at}: {cause}. Is it running? Check --server."));
        failure.passing = true;
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_a_message_with_its_reason_and_code() {
        let body = br#"{"title":"Conflict","detail":"The name is taken.","reason":"ALREADY_EXISTS","request_id":"r1",
            "violations":[{"field":"tenant.slug","description":"is taken"}]}"#;
        let failure = Failure::from_response(409, body);
        assert_eq!(failure.exit().code(), 5);
        let text = failure.to_string();
        assert_eq!(
            text,
            "error: The name is taken. (ALREADY_EXISTS)\n  tenant.slug: is taken\n  request id: r1\n"
        );
    }

    #[test]
    fn an_api_key_is_told_of_the_scope_it_lacks() {
        let body = br#"{"detail":"You need the permission types.create.","metadata":{"scope":"types.write"}}"#;
        let failure = Failure::from_response(403, body);
        assert!(!failure.to_string().contains("scope"));
        assert_eq!(
            failure.of_api_key().to_string(),
            "error: You need the permission types.create.\n  an API key needs the scope types.write for this\n"
        );
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let passing = |status| Failure::from_response(status, b"{}").is_passing();
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(passing));
        assert!(![400, 401, 403, 404, 409].into_iter().any(passing));
    }

    #[test]
    fn an_answer_that_is_no_problem_still_says_something() {
        let failure = Failure::from_response(502, b"<html>");
        assert_eq!(
            (failure.exit().code(), failure.to_string()),
            (1, "error: The server answered with status 502.\n".to_owned())
        );
    }
}
