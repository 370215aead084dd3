//! An HTTP server of a few lines: one request a connection, an answer by a closure, everything that was asked kept.

use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// `GET`
    pub(crate) method: String,
    /// `/v1/users`
    pub(crate) path: String,
    /// `pageSize=50&pageToken=`
    pub(crate) query: String,
    /// Lower case, one a line.
    pub(crate) headers: String,
    /// Without chunks.
    pub(crate) body: String,
}

impl Asked {
    /// `GET /v1/users`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
    /// A value of the query, as it was sent.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// What is said to it.
pub(crate) enum Answer {
    /// A whole answer.
    Json(u16, Value),
    /// Lines, then the end of the stream.
    Lines(Vec<Value>),
    /// Lines, then silence until the client goes away.
    Silent(Vec<Value>),
    /// The connection is closed, as by a server that is going down.
    Gone,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    more: Condvar,
}

/// The server.
pub(crate) struct Stub {
    /// Where it is.
    pub(crate) url: String,
    seen: Arc<Seen>,
}

impl Stub {
    /// Starts it. `answer` gets the request and how many came before.
    pub(crate) fn new(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(answer, true)
    }
    /// The same, but it answers without reading a body.
    pub(crate) fn hasty(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(answer, false)
    }

    fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static, reads_bodies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, answer) = (Arc::new(Seen::default()), Arc::new(answer));
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                thread::spawn(move || {
                    // A client that goes away in the middle is what some tests are about.
                    drop(serve(&connection, &seen, &*answer, reads_bodies));
                });
            }
        });
        Self { url, seen }
    }
    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().expect("no panic").clone()
    }
    /// `GET /v1/users` of each.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, count: usize) {
        let asked = self.seen.asked.lock().expect("no panic");
        drop(
            self.seen
                .more
                .wait_while(asked, |asked| asked.len() < count)
                .expect("no panic"),
        );
    }
}

fn serve(
    mut connection: &TcpStream,
    seen: &Seen,
    answer: &dyn Fn(&Asked, usize) -> Answer,
    reads_bodies: bool,
) -> io::Result<()> {
    let asked = read(connection, reads_bodies)?;
    let before = {
        let mut all = seen.asked.lock().expect("no panic");
        all.push(asked.clone());
        seen.more.notify_all();
        all.len() - 1
    };
    match answer(&asked, before) {
        Answer::Json(status, body) => {
            let (body, length) = (body.to_string(), body.to_string().len());
            write!(
                connection,
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        }
        Answer::Lines(lines) => stream(connection, &lines),
        Answer::Silent(lines) => {
            stream(connection, &lines)?;
            connection.read_to_end(&mut Vec::new()).map(drop)
        }
        Answer::Gone => Ok(()),
    }
}

fn stream(mut connection: &TcpStream, lines: &[Value]) -> io::Result<()> {
    write!(connection, "HTTP/1.1 200 X\r\nconnection: close\r\n\r\n")?;
    lines.iter().try_for_each(|line| writeln!(connection, "{line}"))
}

fn read(connection: &TcpStream, with_body: bool) -> io::Result<Asked> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut asked = Asked::default();
    let mut words = line.split_whitespace();
    words.next().unwrap_or_default().clone_into(&mut asked.method);
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (asked.path, asked.query) = (path.to_owned(), query.to_owned());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        asked.headers.push_str(&line.to_lowercase());
    }
    if !with_body {
        return Ok(asked);
    }
    let length = asked
        .headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = Vec::new();
    if let Some(length) = length.and_then(|text| text.trim().parse().ok()) {
        reader.take(length).read_to_end(&mut body)?;
    } else if asked.headers.contains("transfer-encoding: chunked") {
        while chunk(&mut reader, &mut body)? {}
    }
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Ok(asked)
}

/// Reads one chunk; whether there are more.
fn chunk(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let size = u64::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
    reader.take(size).read_to_end(body)?;
    reader.read_line(&mut line)?;
    Ok(size > 0)
}
