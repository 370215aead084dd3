//! Resource names (AIP-122): `objectTypes/tickets/records/0192...`.

/// The ids of a parsed name, in order.
pub type Segments<'a> = Vec<&'a str>;

/// Matches `name` against a pattern such as `objectTypes/*/records/*` and returns what stands for each `*`.
/// Ids are 1 to 253 characters of `[A-Za-z0-9._-]`; anything else is no match.
#[must_use]
pub fn parse_name<'a>(pattern: &str, name: &'a str) -> Option<Segments<'a>> {
    let mut ids = Vec::new();
    let mut parts = name.split('/');
    for expected in pattern.split('/') {
        let part = parts.next()?;
        if expected == "*" {
            if !is_id(part) {
                return None;
            }
            ids.push(part);
        } else if part != expected {
            return None;
        }
    }
    parts.next().is_none().then_some(ids)
}

/// Fills the `*`s of a pattern.
#[must_use]
pub fn name_of(pattern: &str, ids: &[&str]) -> String {
    let mut ids = ids.iter();
    let parts: Vec<&str> = pattern
        .split('/')
        .map(|part| {
            if part == "*" {
                ids.next().copied().unwrap_or("")
            } else {
                part
            }
        })
        .collect();
    parts.join("/")
}

fn is_id(part: &str) -> bool {
    (1..=253).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_strangers_do_not_match() {
        let pattern = "objectTypes/*/records/*";
        let name = name_of(pattern, &["tickets", "1"]);
        assert_eq!(parse_name(pattern, &name), Some(vec!["tickets", "1"]));
        for bad in [
            "objectTypes/tickets",
            "objectTypes//records/1",
            "objectTypes/a/records/1/x",
            "objectTypes/a b/records/1",
            "x/a/records/1",
        ] {
            assert_eq!(parse_name(pattern, bad), None, "{bad}");
        }
    }
}
