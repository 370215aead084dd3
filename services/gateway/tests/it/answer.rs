//! What came back over HTTP/1.1.

/// An answer over HTTP/1.1.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            line.split_once(": ")
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    }
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
    pub(crate) fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
    /// The body and head without what differs between two requests by nature.
    pub(crate) fn masked(&self) -> String {
        let id = self.header("x-request-id").unwrap_or_default().to_owned();
        let head: Vec<&str> = self
            .head
            .lines()
            .filter(|line| !line.to_ascii_lowercase().starts_with("date:"))
            .collect();
        format!("{}\n{}", head.join("\n"), self.body).replace(&id, "ID")
    }
}

/// The body of a chunked answer.
pub(crate) fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or_default();
        let (Some(chunk), Some(rest)) = (rest.get(..size), rest.get(size + 2..)) else {
            break;
        };
        out.push_str(chunk);
        body = rest;
        if size == 0 {
            break;
        }
    }
    out
}
