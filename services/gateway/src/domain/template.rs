//! Path templates of `google.api.http`: `/v1/{parent=objectTypes/*}/records:batchCreate`.
//!
//! Matching is by decoded segment. A segment that hides a slash, a NUL or another control character behind `%`
//! matches nothing: two parts of the system must not see two different names.

use super::text::percent_decode;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One,
    Rest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    field: String,
    first: usize,
    end: usize,
}

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    verb: Option<String>,
}

/// Field path and value of each variable of a match.
pub type Bindings = Vec<(String, String)>;

/// A request path, split and decoded once for all templates.
#[derive(Clone, Debug)]
pub struct Path {
    segments: Vec<String>,
    verb: Option<String>,
}

impl Path {
    /// Splits a raw path. `None` where a segment is empty, is `.` or `..`, or does not decode to plain text.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        let rest = raw.strip_prefix('/')?;
        if rest.is_empty() {
            return Some(Self {
                segments: Vec::new(),
                verb: None,
            });
        }
        let mut parts: Vec<&str> = rest.split('/').collect();
        // A verb follows the last ':' of the last segment, before decoding: an id can carry "%3A", never a verb.
        let last = parts.pop()?;
        let (last, verb) = match last.rsplit_once(':') {
            Some((last, verb)) => (last, Some(verb.to_owned())),
            None => (last, None),
        };
        parts.push(last);
        let segments = parts.into_iter().map(segment).collect::<Option<Vec<_>>>()?;
        Some(Self { segments, verb })
    }

    /// The path without its first `n` segments, behind a `v1` of its own.
    #[must_use]
    pub fn tail(&self, n: usize) -> Self {
        let segments = std::iter::once("v1".to_owned())
            .chain(self.segments.iter().skip(n).cloned())
            .collect();
        Self {
            segments,
            verb: self.verb.clone(),
        }
    }

    /// Decoded segments.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }
}

fn segment(raw: &str) -> Option<String> {
    let text = percent_decode(raw, false)?;
    let plain = !text.is_empty()
        && text != "."
        && text != ".."
        && !text.chars().any(|c| c == '/' || c == '\\' || c.is_control());
    plain.then_some(text)
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// Says what is wrong; a test compiles every template of the descriptors.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |what: &str| Err(format!("{text}: {what}"));
        let Some(mut rest) = text.strip_prefix('/') else {
            return bad("must start with '/'");
        };
        let (mut segments, mut variables, mut verb) = (Vec::new(), Vec::new(), None);
        if rest.is_empty() {
            return Ok(Self {
                text: text.to_owned(),
                segments,
                variables,
                verb,
            });
        }
        loop {
            if let Some(inner) = rest.strip_prefix('{') {
                let Some((variable, after)) = inner.split_once('}') else {
                    return bad("'{' without '}'");
                };
                let (field, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
                if field.is_empty() || !field.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b)) {
                    return bad("bad field path");
                }
                let first = segments.len();
                segments.extend(pattern.split('/').map(part));
                variables.push(Variable {
                    field: field.to_owned(),
                    first,
                    end: segments.len(),
                });
                rest = after;
            } else {
                let end = rest.find(['/', ':']).unwrap_or(rest.len());
                if end == 0 {
                    return bad("empty segment");
                }
                segments.push(part(&rest[..end]));
                rest = &rest[end..];
            }
            if let Some(after) = rest.strip_prefix('/') {
                rest = after;
            } else if let Some(after) = rest.strip_prefix(':') {
                verb = Some(after.to_owned());
                break;
            } else if rest.is_empty() {
                break;
            } else {
                return bad("text behind '}'");
            }
        }
        let rests = segments.iter().filter(|segment| **segment == Segment::Rest).count();
        if rests > 1 || (rests == 1 && segments.last() != Some(&Segment::Rest)) {
            return bad("'**' only at the end");
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
            variables,
            verb,
        })
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many literal segments: of two templates that match, the one with more of them wins.
    #[must_use]
    pub fn literals(&self) -> usize {
        self.segments
            .iter()
            .filter(|segment| matches!(segment, Segment::Literal(_)))
            .count()
    }

    /// Matches a path and returns what stands for each variable.
    #[must_use]
    pub fn matches(&self, path: &Path) -> Option<Bindings> {
        if self.verb != path.verb {
            return None;
        }
        let open = self.segments.last() == Some(&Segment::Rest);
        let fixed = if open {
            self.segments.len() - 1
        } else {
            self.segments.len()
        };
        if path.segments.len() < fixed || (!open && path.segments.len() != fixed) {
            return None;
        }
        let same = self
            .segments
            .iter()
            .zip(&path.segments)
            .all(|(pattern, actual)| match pattern {
                Segment::Literal(literal) => literal == actual,
                Segment::One | Segment::Rest => true,
            });
        same.then(|| {
            self.variables
                .iter()
                .map(|variable| bind(variable, path, self.segments.len()))
                .collect()
        })
    }

    /// The template with every variable spelt as plain `{names}` (OpenAPI), and for each name the field it belongs to.
    #[must_use]
    pub fn expand(&self) -> (String, Vec<(String, String)>) {
        let (mut out, mut names) = (String::new(), Vec::<(String, String)>::new());
        for (index, pattern) in self.segments.iter().enumerate() {
            out.push('/');
            match pattern {
                Segment::Literal(literal) => out.push_str(literal),
                Segment::One | Segment::Rest => {
                    let variable = self
                        .variables
                        .iter()
                        .find(|variable| (variable.first..variable.end).contains(&index));
                    let field = variable.map(|variable| variable.field.clone()).unwrap_or_default();
                    let before = index.checked_sub(1).and_then(|at| self.segments.get(at));
                    let name = match before {
                        Some(Segment::Literal(collection)) => {
                            collection.strip_suffix('s').unwrap_or(collection).to_owned()
                        }
                        _ => field.clone(),
                    };
                    out.push_str(&format!("{{{name}}}"));
                    names.push((name, field));
                }
            }
        }
        if out.is_empty() {
            out.push('/');
        }
        if let Some(verb) = &self.verb {
            out.push(':');
            out.push_str(verb);
        }
        (out, names)
    }

    /// Field paths that the path sets.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| variable.field.as_str())
    }
}

fn part(text: &str) -> Segment {
    match text {
        "*" => Segment::One,
        "**" => Segment::Rest,
        literal => Segment::Literal(literal.to_owned()),
    }
}

fn bind(variable: &Variable, path: &Path, segments: usize) -> (String, String) {
    let end = if variable.end == segments {
        path.segments.len()
    } else {
        variable.end
    };
    (variable.field.clone(), path.segments[variable.first..end].join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        Template::parse(template)
            .expect("a template")
            .matches(&Path::parse(path)?)
    }
    fn bound(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(
            pairs
                .iter()
                .map(|(field, value)| ((*field).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn variables_span_segments_and_verbs_are_exact() {
        assert_eq!(
            matched("/v1/{name=objectTypes/*/records/*}", "/v1/objectTypes/t/records/1"),
            bound(&[("name", "objectTypes/t/records/1")])
        );
        assert_eq!(
            matched(
                "/v1/{record.name=objectTypes/*/records/*}",
                "/v1/objectTypes/t/records/1"
            ),
            bound(&[("record.name", "objectTypes/t/records/1")])
        );
        assert_eq!(
            matched(
                "/v1/{parent=objectTypes/*}/records:batchCreate",
                "/v1/objectTypes/t/records:batchCreate"
            ),
            bound(&[("parent", "objectTypes/t")])
        );
        assert_eq!(
            matched("/v1/{name=users/*}:disable", "/v1/users/7:disable"),
            bound(&[("name", "users/7")])
        );
        assert_eq!(matched("/v1/auth:signIn", "/v1/auth:signIn"), bound(&[]));
        assert_eq!(
            matched("/v1/files/{path=**}", "/v1/files/a/b"),
            bound(&[("path", "a/b")])
        );
        assert_eq!(matched("/", "/"), bound(&[]));
        for other in [
            "/v1/users/7",
            "/v1/users/7:enable",
            "/v1/users/7/8:disable",
            "/v1/users:disable",
            "/v1/users/:disable",
            "/v1/users/7:disable/",
        ] {
            assert_eq!(matched("/v1/{name=users/*}:disable", other), None, "{other}");
        }
        assert_eq!(
            matched("/v1/{name=users/*}", "/v1/users/7:disable"),
            None,
            "an unknown verb is not part of an id"
        );
    }

    #[test]
    fn escapes_cannot_smuggle_segments() {
        assert_eq!(
            matched("/v1/{name=users/*}", "/v1/users/a%20b"),
            bound(&[("name", "users/a b")])
        );
        for path in [
            "/v1/users/a%2Fb",
            "/v1/users/a%5cb",
            "/v1/users/%00",
            "/v1/users/%0a",
            "/v1/users/%",
            "/v1/users/%ff",
            "/v1//users/7",
            "/v1/users/..",
            "/v1/users/%2e%2e",
        ] {
            assert!(Path::parse(path).is_none(), "{path}");
        }
    }

    #[test]
    fn broken_templates_are_refused() {
        for text in [
            "v1",
            "/v1/{name",
            "/v1/{}",
            "/v1/{a b}",
            "/v1//x",
            "/v1/{a=**}/x",
            "/v1/{a}b",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn open_api_paths_name_ids_by_their_collection() {
        let (path, names) = Template::parse("/v1/{name=objectTypes/*/records/*}:x")
            .expect("a template")
            .expand();
        assert_eq!(path, "/v1/objectTypes/{objectType}/records/{record}:x");
        assert_eq!(
            names,
            [
                ("objectType".to_owned(), "name".to_owned()),
                ("record".to_owned(), "name".to_owned())
            ]
        );
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "\\PC{0,60}", escapes in "(/|%[0-9a-fA-F]{2}|:|[a-z]){0,30}") {
            for text in [path, format!("/v1/{escapes}")] {
                if let Some(path) = Path::parse(&text) {
                    for template in ["/v1/{name=users/*}", "/v1/{a=**}", "/v1/{name=a/*/b/*}:go", "/"] {
                        let _ = Template::parse(template).expect("a template").matches(&path);
                    }
                }
            }
        }
    }
}
