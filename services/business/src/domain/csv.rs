//! Reading a CSV file row by row: header, width, UTF-8, line numbers. Never more than one row in memory.

use super::import::{MAX_COLUMNS, RowError};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::{collections::HashSet, io::Read};

/// One row behind the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line in the file where it begins; the header is line 1.
    pub line: u64,
    /// One for each column.
    pub cells: Vec<String>,
}

/// A file that is being read.
pub struct Rows<R> {
    reader: Reader<Lines<R>>,
    headers: Vec<String>,
    record: ByteRecord,
}

impl<R: Read> Rows<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// No header, empty, repeated or too many names, not UTF-8.
    pub fn open(input: R) -> Result<Self, RowError> {
        // Ragged rows are reported with their line instead of ending the file.
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(Lines::new(input));
        let mut record = ByteRecord::new();
        let there = reader
            .read_byte_record(&mut record)
            .map_err(|error| wrong(1, "", error.to_string()))?;
        if reader.get_ref().ends_inside_quotes() {
            return Err(wrong(1, "", OPEN_QUOTE));
        }
        if !there {
            return Err(wrong(1, "", "the file is empty; its first line must name the columns"));
        }
        if record.len() > MAX_COLUMNS {
            return Err(wrong(
                1,
                "",
                format!("there are {} columns; at most {MAX_COLUMNS} are accepted", record.len()),
            ));
        }
        let mut headers = Vec::with_capacity(record.len());
        let mut seen = HashSet::new();
        for (i, cell) in record.iter().enumerate() {
            let header = std::str::from_utf8(cell)
                .map_err(|_| wrong(1, "", "the header is not UTF-8; save the file as UTF-8"))?
                .trim()
                .to_owned();
            if header.is_empty() || header.chars().count() > 200 || header.contains('\0') {
                return Err(wrong(
                    1,
                    "",
                    format!("column {} needs a name of 1 to 200 characters in the first line", i + 1),
                ));
            }
            if !seen.insert(header.clone()) {
                return Err(wrong(1, &header, "the first line names this column twice"));
            }
            headers.push(header);
        }
        Ok(Self {
            reader,
            headers,
            record,
        })
    }
    /// Names of the columns.
    #[must_use]
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    fn read(&mut self) -> Option<Result<Row, RowError>> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Err(error) => Some(Err(wrong(self.reader.position().line(), "", error.to_string()))),
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                // With CRLF the reader counts a line when it meets the LF, which is after it has noted the position.
                let line = if self.reader.get_ref().crlf == Some(true) {
                    line + 1
                } else {
                    line
                };
                // Only the last row needs the end of the file to be complete, so it is the one that is open.
                if self.reader.get_ref().ends_inside_quotes() {
                    return Some(Err(wrong(line, "", OPEN_QUOTE)));
                }
                Some(row(&self.headers, &self.record, line))
            }
        }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.read()
    }
}

fn row(headers: &[String], record: &ByteRecord, line: u64) -> Result<Row, RowError> {
    if record.len() != headers.len() {
        return Err(wrong(
            line,
            "",
            format!(
                "has {} values; the first line names {} columns",
                record.len(),
                headers.len()
            ),
        ));
    }
    let mut cells = Vec::with_capacity(record.len());
    for (header, cell) in headers.iter().zip(record) {
        let text =
            std::str::from_utf8(cell).map_err(|_| wrong(line, header, "is not UTF-8; save the file as UTF-8"))?;
        if text.contains('\0') {
            return Err(wrong(line, header, "contains a NUL character"));
        }
        cells.push(text.to_owned());
    }
    Ok(Row { line, cells })
}

fn wrong(line: u64, column: &str, message: impl Into<String>) -> RowError {
    RowError {
        line,
        column: column.to_owned(),
        message: message.into(),
    }
}

const OPEN_QUOTE: &str = "a quoted value begins here and never ends; close the quotation mark";

/// Where a byte of the file is, for quotes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quotation mark that ends the value, unless another one follows.
    QuoteInQuoted,
}

/// Notes whether the first line ends in CRLF, and whether the file ends inside quotes (the reader would take all that
/// follows an open quotation mark for one value).
struct Lines<R> {
    inner: R,
    crlf: Option<bool>,
    place: Place,
    ended: bool,
}

impl<R> Lines<R> {
    const fn new(inner: R) -> Self {
        Self {
            inner,
            crlf: None,
            place: Place::FieldStart,
            ended: false,
        }
    }
    fn ends_inside_quotes(&self) -> bool {
        self.ended && self.place == Place::Quoted
    }
    fn follow(&mut self, bytes: &[u8]) {
        // A byte order mark is not part of the first value.
        for byte in bytes.iter().filter(|byte| !matches!(byte, 0xef | 0xbb | 0xbf)) {
            self.place = match (self.place, byte) {
                (Place::FieldStart, b'"') | (Place::QuoteInQuoted, b'"') => Place::Quoted,
                (Place::Quoted, b'"') => Place::QuoteInQuoted,
                (Place::Quoted, _) => Place::Quoted,
                (_, b',' | b'\n' | b'\r') => Place::FieldStart,
                _ => Place::Plain,
            };
        }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if self.crlf.is_none()
            && let Some(end) = buffer[..count].iter().position(|b| *b == b'\n')
        {
            self.crlf = Some(end > 0 && buffer[end - 1] == b'\r');
        }
        self.ended = count == 0 && !buffer.is_empty();
        self.follow(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(text: &str) -> Vec<u64> {
        let rows = Rows::open(text.as_bytes()).expect("header");
        rows.map(|row| row.map_or_else(|error| error.line, |row| row.line))
            .collect()
    }

    #[test]
    fn line_numbers_are_those_of_an_editor() {
        assert_eq!(lines("a,b\n1,2\n3,4\n"), [2, 3]);
        assert_eq!(lines("a,b\r\n1,2\r\n3,4\r\n"), [2, 3]);
        assert_eq!(lines("a,b\n\"x\ny\",2\n3,4"), [2, 4]);
        assert_eq!(lines("a,b\n1\n3,4\n1,2,3\n"), [2, 3, 4]);
    }

    #[test]
    fn broken_files_are_refused_with_line_and_column() {
        for bad in ["", "a,,b\n", "a,a\n", &vec!["x"; 201].join(",")] {
            assert_eq!(
                Rows::open(bad.as_bytes()).err().map(|error| error.line),
                Some(1),
                "{bad}"
            );
        }
        let error = Rows::open(b"a,b\n1,2\n1,\xff\n".as_slice())
            .expect("header")
            .filter_map(Result::err)
            .next()
            .expect("not UTF-8");
        assert_eq!((error.line, error.column.as_str()), (3, "b"));
        assert_eq!(
            Rows::open("\u{feff}a,b\n1,2\n".as_bytes())
                .expect("with a mark")
                .headers(),
            ["a", "b"]
        );
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_is_found_and_others_are_not() {
        for (bad, line) in [("a,b\n1,\"2\n3,4\n", 2), ("a,b\n1,2\n3,\"x\"\"", 3), ("\"a,b\n1,2", 1)] {
            let error = match Rows::open(bad.as_bytes()) {
                Err(error) => Some(error),
                Ok(rows) => rows.filter_map(Result::err).next(),
            };
            assert_eq!(
                error.map(|error| (error.line, error.message)),
                Some((line, OPEN_QUOTE.to_owned())),
                "{bad}"
            );
        }
        for good in [
            "a,b\n\"1\n2\",3\n",
            "a,b\n5\",6\"7\n",
            "a,b\n\"say \"\"hi\"\"\",2",
            "\u{feff}\"a\",b\n1,2",
        ] {
            let rows = Rows::open(good.as_bytes()).expect("a header");
            assert!(rows.map(|row| row.map(|_| ())).all(|row| row.is_ok()), "{good}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            if let Ok(rows) = Rows::open(bytes.as_slice()) {
                let _ = rows.count();
            }
        }
    }
}
