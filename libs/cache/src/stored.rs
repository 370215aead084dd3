//! What lies in Redis: a plain header (tag and row version as 20 digits, so that Lua compares text, not floats), then
//! the sealed value.

use crate::link::Link;
use deadpool_redis::redis::{self, Script};
use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
    time::Duration,
};

/// The longest a value can live in Redis.
pub(crate) const LONGEST: Duration = Duration::from_secs(66);
const HEADER: usize = 21;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// A sealed value follows.
    Value,
    /// A writer is about to commit this version.
    Fence,
    /// This version deleted the row, or its value is not cached.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) tag: Tag,
    pub(crate) row_version: i64,
}

impl Header {
    /// Negative versions do not occur; they are stored as 0, which everything beats.
    pub(crate) fn bytes(self) -> [u8; HEADER] {
        let tag = match self.tag {
            Tag::Value => b'V',
            Tag::Fence => b'F',
            Tag::Gone => b'G',
        };
        let mut out = [tag; HEADER];
        let mut rest = self.row_version.max(0);
        for digit in out[1..].iter_mut().rev() {
            *digit = b"0123456789"[usize::try_from(rest % 10).expect("0 to 9")];
            rest /= 10;
        }
        out
    }
    pub(crate) fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_at_checked(HEADER)?;
        let tag = match head[0] {
            b'V' => Tag::Value,
            b'F' => Tag::Fence,
            b'G' => Tag::Gone,
            _ => return None,
        };
        let row_version = std::str::from_utf8(&head[1..]).ok()?.parse().ok()?;
        Some((Self { tag, row_version }, rest))
    }
}

/// 60 s +- 10 %, so that values stored together do not expire together. The hasher's random seed is jitter enough.
pub(crate) fn lifetime() -> Duration {
    let jitter = RandomState::new().hash_one(0_u8) % 12_000;
    Duration::from_millis(54_000 + jitter)
}

/// Refuses a smaller version. At equal versions a fence does not remove the committed value that made it needless, and
/// fences only ever extend each other.
static STORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local old = redis.call('GETRANGE', KEYS[1], 0, 20)
if #old == 21 then
  local old_tag, old_version = string.sub(old, 1, 1), string.sub(old, 2)
  local tag, version = string.sub(ARGV[1], 1, 1), string.sub(ARGV[1], 2)
  if old_version > version or (old_version == version and tag == 'F' and old_tag ~= 'F') then
    if tag == 'F' and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) and old_tag == 'F' then
      redis.call('PEXPIRE', KEYS[1], ARGV[3])
    end
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1
",
    )
});

/// `Some(true)` stored, `Some(false)` something newer is there, `None` Redis did not answer.
pub(crate) async fn store(link: &Link, full: &str, header: Header, payload: &[u8], ttl: Duration) -> Option<bool> {
    let ttl = u64::try_from(ttl.as_millis()).expect("seconds fit");
    let run = async |mut connection| {
        let mut call = STORE.key(full);
        call.arg(&header.bytes()[..]).arg(payload).arg(ttl);
        call.invoke_async::<i64>(&mut connection).await
    };
    link.run(run).await.map(|stored| stored == 1)
}

/// The raw bytes; `Err` where Redis did not answer.
pub(crate) async fn read(link: &Link, full: &str) -> Result<Option<Vec<u8>>, ()> {
    let run = async |mut connection| {
        redis::cmd("GET")
            .arg(full)
            .query_async::<Option<Vec<u8>>>(&mut connection)
            .await
    };
    link.run(run).await.ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_order_as_text() {
        let versions = [0, 1, 9, 10, 99_999, 1 << 53, (1 << 53) + 1, i64::MAX];
        for pair in versions.windows(2) {
            let bytes = |row_version| {
                Header {
                    tag: Tag::Value,
                    row_version,
                }
                .bytes()
            };
            assert!(bytes(pair[0])[1..] < bytes(pair[1])[1..], "{pair:?}");
        }
        for tag in [Tag::Value, Tag::Fence, Tag::Gone] {
            let header = Header { tag, row_version: 42 };
            let stored = [header.bytes().as_slice(), b"rest"].concat();
            assert_eq!(Header::split(&stored), Some((header, b"rest".as_slice())));
        }
        for bad in [
            b"V0000000000000000000".as_slice(),
            b"X00000000000000000001",
            b"V0000000000000000000x",
            b"",
        ] {
            assert_eq!(Header::split(bad), None);
        }
    }

    #[test]
    fn lifetimes_stay_in_their_bounds() {
        for _ in 0..100 {
            assert!((Duration::from_secs(54)..LONGEST).contains(&lifetime()));
        }
    }
}
