//! A report: what is sent, and what a receiver takes it for.

use crate::BUCKETS;
use chrono::{DateTime, Utc};
use prost::Message as _;
use tenantry_api::events::{MeterReport, TenantDelta};
use tenantry_kernel::TenantId;
use uuid::Uuid;

/// CloudEvents type of a report.
pub const KIND: &str = "tenantry.meter.report.v1";
/// Tenants in one report.
pub const MOST_TENANTS: usize = 500;
/// Largest count of anything in one delta: a sum of many must still fit a bigint.
const MOST: u64 = 1 << 48;

/// Counts of one tenant since the report before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The tenant.
    pub tenant: TenantId,
    /// Requests answered, refused ones included.
    pub requests: u64,
    /// Of them, those that count against the quota.
    pub admitted: u64,
    /// Server errors.
    pub errors: u64,
    /// Refused for a limit or quota.
    pub limited: u64,
    /// Requests by bucket.
    pub latency: [u64; BUCKETS],
    /// Rows returned or changed.
    pub rows: u64,
    /// Bytes of request bodies.
    pub request_bytes: u64,
    /// Bytes of response bodies.
    pub response_bytes: u64,
}

/// One report. (instance, sequence) is counted once, however often it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Random id of the process.
    pub instance: Uuid,
    /// 1, 2, 3, ..
    pub sequence: u64,
    /// `gateway` or `business`.
    pub service: String,
    /// When counting began.
    pub start: DateTime<Utc>,
    /// When it ended; the counts belong to the minute of this time.
    pub end: DateTime<Utc>,
    /// By tenant; none twice.
    pub deltas: Vec<Delta>,
}

/// Why bytes are no report. Nothing of such a report is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl Report {
    /// The wire form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let report = MeterReport {
            instance: self.instance.to_string(),
            sequence: self.sequence,
            service: self.service.clone(),
            start_time: Some(stamp(self.start)),
            end_time: Some(stamp(self.end)),
            deltas: self.deltas.iter().map(wire).collect(),
        };
        report.encode_to_vec()
    }

    /// Reads and checks: whole or not at all.
    ///
    /// # Errors
    /// Says what is wrong, for the dead letter.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        let report = MeterReport::decode(bytes).map_err(|_| Invalid("the body is no MeterReport"))?;
        let (start, end) = (time(report.start_time.as_ref()), time(report.end_time.as_ref()));
        let (Some(start), Some(end)) = (start, end) else {
            return Err(Invalid("start_time or end_time is no time"));
        };
        if start > end {
            return Err(Invalid("start_time is after end_time"));
        }
        if report.sequence == 0 || i64::try_from(report.sequence).is_err() {
            return Err(Invalid("sequence is not 1, 2, 3, .."));
        }
        if report.deltas.len() > MOST_TENANTS {
            return Err(Invalid("more than 500 tenants"));
        }
        let mut deltas = report.deltas.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        deltas.sort_by_key(|delta| delta.tenant);
        if deltas.windows(2).any(|pair| pair[0].tenant == pair[1].tenant) {
            return Err(Invalid("a tenant stands there twice"));
        }
        Ok(Self {
            instance: report.instance.parse().map_err(|_| Invalid("instance is not a UUID"))?,
            sequence: report.sequence,
            service: report.service,
            start,
            end,
            deltas,
        })
    }
}

fn wire(delta: &Delta) -> TenantDelta {
    TenantDelta {
        tenant_id: delta.tenant.to_string(),
        requests: delta.requests,
        errors: delta.errors,
        limited: delta.limited,
        latency: delta.latency.to_vec(),
        rows: delta.rows,
        request_bytes: delta.request_bytes,
        response_bytes: delta.response_bytes,
        admitted: delta.admitted,
    }
}

fn read(delta: &TenantDelta) -> Result<Delta, Invalid> {
    let counts = [
        delta.requests,
        delta.admitted,
        delta.errors,
        delta.limited,
        delta.rows,
        delta.request_bytes,
        delta.response_bytes,
    ];
    if counts.iter().chain(&delta.latency).any(|count| *count > MOST) {
        return Err(Invalid("a count is out of range"));
    }
    // The canonical form only: other spellings of one id would be other texts to whoever compares texts.
    let tenant: TenantId = delta
        .tenant_id
        .parse()
        .map_err(|_| Invalid("tenant_id is not a UUID"))?;
    if tenant.to_string() != delta.tenant_id {
        return Err(Invalid("tenant_id is not in canonical form"));
    }
    let latency = match delta.latency.as_slice() {
        [] => [0; BUCKETS],
        all => all
            .try_into()
            .map_err(|_| Invalid("latency has another number of buckets"))?,
    };
    if latency.iter().sum::<u64>() != delta.requests {
        return Err(Invalid("latency and requests disagree"));
    }
    if delta.admitted > delta.requests {
        return Err(Invalid("more admitted than requests"));
    }
    Ok(Delta {
        tenant,
        requests: delta.requests,
        admitted: delta.admitted,
        errors: delta.errors,
        limited: delta.limited,
        latency,
        rows: delta.rows,
        request_bytes: delta.request_bytes,
        response_bytes: delta.response_bytes,
    })
}

fn stamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    std::time::SystemTime::from(time).into()
}

fn time(stamp: Option<&prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    let stamp = stamp?;
    DateTime::from_timestamp(stamp.seconds, u32::try_from(stamp.nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delta(id: u128, counts: [u64; 7]) -> Delta {
        let mut latency = [0; BUCKETS];
        latency[3] = counts[0];
        Delta {
            tenant: TenantId::from_uuid(Uuid::from_u128(id)),
            requests: counts[0],
            admitted: counts[1].min(counts[0]),
            errors: counts[2],
            limited: counts[3],
            latency,
            rows: counts[4],
            request_bytes: counts[5],
            response_bytes: counts[6],
        }
    }

    fn reports() -> impl Strategy<Value = Report> {
        let deltas = prop::collection::btree_map(any::<u128>(), prop::array::uniform7(0..MOST), 0..20);
        (
            any::<u128>(),
            1..i64::MAX as u64,
            deltas,
            0..4_000_000_000_i64,
            0..1_000_i64,
        )
            .prop_map(|(instance, sequence, deltas, start, length)| Report {
                instance: Uuid::from_u128(instance),
                sequence,
                service: "gateway".to_owned(),
                start: DateTime::from_timestamp(start, 5).expect("in range"),
                end: DateTime::from_timestamp(start + length, 7).expect("in range"),
                deltas: deltas.into_iter().map(|(id, counts)| delta(id, counts)).collect(),
            })
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(report in reports()) {
            prop_assert_eq!(Report::decode(&report.encode()), Ok(report));
        }
        #[test]
        fn any_bytes_are_read_or_refused_but_never_harmful(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(report) = Report::decode(&bytes) {
                prop_assert!(report.sequence > 0 && report.deltas.len() <= MOST_TENANTS);
            }
        }
        #[test]
        fn a_changed_byte_is_another_report_or_none(report in reports(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = report.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Report::decode(&bytes) {
                prop_assert!(other.deltas.iter().all(|d| d.requests <= MOST && d.admitted <= d.requests));
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let good = Report {
            instance: Uuid::from_u128(1),
            sequence: 1,
            service: "gateway".to_owned(),
            start: DateTime::UNIX_EPOCH,
            end: DateTime::UNIX_EPOCH,
            deltas: vec![delta(1, [1; 7])],
        };
        let refused = |change: fn(&mut MeterReport)| {
            let mut wire = MeterReport::decode(good.encode().as_slice()).expect("decodes");
            change(&mut wire);
            Report::decode(&wire.encode_to_vec()).expect_err("refused").0
        };
        assert_eq!(refused(|r| r.sequence = 0), "sequence is not 1, 2, 3, ..");
        assert_eq!(refused(|r| r.instance = "x".into()), "instance is not a UUID");
        assert_eq!(refused(|r| r.end_time = None), "start_time or end_time is no time");
        assert_eq!(
            refused(|r| r.start_time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 })),
            "start_time is after end_time"
        );
        assert_eq!(
            refused(|r| {
                let id = |n| Uuid::from_u128(n).to_string();
                let of = |n| TenantDelta {
                    tenant_id: id(n),
                    ..r.deltas[0].clone()
                };
                r.deltas = (1..=MOST_TENANTS as u128 + 1).map(of).collect();
            }),
            "more than 500 tenants"
        );
        assert_eq!(
            refused(|r| r.deltas.push(r.deltas[0].clone())),
            "a tenant stands there twice"
        );
        assert_eq!(refused(|r| r.deltas[0].requests = 7), "latency and requests disagree");
        assert_eq!(refused(|r| r.deltas[0].admitted = 7), "more admitted than requests");
        assert_eq!(refused(|r| r.deltas[0].rows = u64::MAX), "a count is out of range");
        for id in ["other", "", "a\nb", "00000000000000000000000000000001", "{x}"] {
            let mut wire = MeterReport::decode(good.encode().as_slice()).expect("decodes");
            wire.deltas[0].tenant_id = id.to_owned();
            assert!(Report::decode(&wire.encode_to_vec()).is_err(), "{id:?}");
        }
    }
}
