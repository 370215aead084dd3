//! How long a call may take: `grpc-timeout` within bounds, a default without it. Streams that the server sends have no
//! end of their own; an upload gets longer because a person's line is slow.

use std::time::Duration;
use tenantry_api::Method;

/// Without a wish.
pub const DEFAULT: Duration = Duration::from_secs(10);
/// The longest unary call.
pub const MAX: Duration = Duration::from_secs(60);
/// The longest upload.
pub const UPLOAD: Duration = Duration::from_secs(600);

/// The time a call gets; `None` = as long as the stream lives.
#[must_use]
pub fn of(method: &Method, wish: Option<Duration>) -> Option<Duration> {
    if method.server_streaming {
        return wish;
    }
    if method.client_streaming {
        return Some(wish.unwrap_or(UPLOAD).min(UPLOAD));
    }
    // A method that waits on purpose says in its own `timeout` field how long.
    let waits = method.descriptor.input().get_field_by_name("timeout").is_some();
    Some(wish.unwrap_or(if waits { MAX } else { DEFAULT }).min(MAX))
}

/// Whether the caller wants to wait shorter than it need: what ends by that is the caller's own doing, not a failure.
#[must_use]
pub fn is_impatient(method: &Method, wish: Option<Duration>) -> bool {
    wish.is_some_and(|wish| of(method, None).is_none_or(|usual| wish < usual))
}

/// Reads `grpc-timeout`: at most eight digits and a unit. Anything else is no wish.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// Writes `grpc-timeout`.
#[must_use]
pub fn format(time: Duration) -> String {
    match time.as_millis() {
        millis @ 0..=99_999_999 => format!("{millis}m"),
        millis => format!("{}S", (millis / 1000).min(99_999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_api::Methods;

    #[test]
    fn timeouts_are_bounded_by_the_kind_of_method() {
        let methods = Methods::load();
        let time = |path: &str, wish| of(methods.get(path).expect("a method"), wish);
        let long = Some(Duration::from_secs(100_000));
        assert_eq!(
            time("/tenantry.business.v1.RecordService/GetRecord", None),
            Some(DEFAULT)
        );
        assert_eq!(time("/tenantry.business.v1.RecordService/GetRecord", long), Some(MAX));
        assert_eq!(
            time("/tenantry.business.v1.OperationService/WaitOperation", None),
            Some(MAX)
        );
        assert_eq!(
            time("/tenantry.business.v1.ImportService/UploadImport", long),
            Some(UPLOAD)
        );
        assert_eq!(time("/tenantry.business.v1.RecordService/WatchRecords", None), None);
        assert_eq!(time("/tenantry.business.v1.RecordService/WatchRecords", long), long);
        let impatient = |path: &str, wish| is_impatient(methods.get(path).expect("a method"), wish);
        let (get, watch) = (
            "/tenantry.business.v1.RecordService/GetRecord",
            "/tenantry.business.v1.RecordService/WatchRecords",
        );
        assert!(impatient(get, Some(Duration::from_nanos(1))) && impatient(watch, long));
        assert!(!impatient(get, None) && !impatient(get, Some(DEFAULT)) && !impatient(watch, None));
    }

    #[test]
    fn odd_timeouts_neither_count_nor_overflow() {
        for bad in [
            "",
            "S",
            "1",
            "999999999S",
            "-1S",
            "1 S",
            "1é",
            "18446744073709551616S",
            "0x1S",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for time in [Duration::ZERO, Duration::from_millis(1500), Duration::from_secs(60)] {
            assert_eq!(parse(&format(time)), Some(time));
        }
        assert_eq!(parse(&format(Duration::MAX)), Some(Duration::from_secs(99_999_999)));
    }
}
