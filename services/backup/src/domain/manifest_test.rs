use super::*;
use proptest::prelude::*;
use tenantry_crypto::DataKey;

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&DataKey::new([n; 32])).expect("a seed")
}

fn trusted() -> VerifyingKeys {
    VerifyingKeys::new([key(1).public().as_str()]).expect("a key")
}

fn tenant(n: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(n))
}

fn manifest() -> Manifest {
    let (owner, snapshot) = (tenant(1), Uuid::from_u128(2));
    let segment = |part: u32| SegmentEntry {
        key: segment::segment_key(owner, snapshot, "tickets", part, Uuid::from_u128(5)),
        object_type: "tickets".into(),
        part,
        bytes: 10,
        sha256: "00".into(),
        rows: 3,
        frames: 1,
        raw_bytes: 20,
    };
    let entry = |object_type: &str, rows| TypeEntry {
        object_type: object_type.into(),
        definition: String::new(),
        columns: vec!["id".into()],
        rows,
    };
    Manifest {
        version: VERSION,
        tenant: owner,
        snapshot,
        snapshot_time: DateTime::from_timestamp(1_800_000_000, 123_456_000).expect("valid"),
        create_time: DateTime::from_timestamp(1_800_000_001, 0).expect("valid"),
        data_format: 1,
        key_version: 1,
        types: vec![entry("tickets", 6), entry("people", 0)],
        segments: vec![segment(0), segment(1)],
        totals: Totals {
            types: 2,
            rows: 6,
            raw_bytes: 40,
            bytes: 20,
        },
    }
}

fn open(bytes: &[u8]) -> Result<Manifest, Refused> {
    Manifest::open(bytes, &trusted(), tenant(1), Uuid::from_u128(2))
}

#[test]
fn a_manifest_comes_back_and_only_for_its_tenant_and_snapshot() {
    let bytes = manifest().seal(&key(1));
    assert_eq!(open(&bytes), Ok(manifest()));
    for (owner, snapshot) in [(tenant(9), 2), (tenant(1), 9)] {
        assert_eq!(
            Manifest::open(&bytes, &trusted(), owner, Uuid::from_u128(snapshot)),
            Err(Refused::Foreign)
        );
    }
    let other = Refused::Untrusted(key(2).public());
    assert_eq!(open(&manifest().seal(&key(2))), Err(other), "another key");
}

#[test]
fn every_changed_character_is_noticed() {
    let bytes = manifest().seal(&key(1));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        // White space between fields is not signed and means nothing.
        assert!(
            open(&changed).map_or(true, |same| same == manifest()),
            "byte {at}: {:?}",
            open(&changed)
        );
    }
    let mut relabelled = manifest();
    relabelled.tenant = tenant(9);
    let text = String::from_utf8(bytes).expect("JSON");
    let moved = text.replace(&tenant(1).to_string(), &tenant(9).to_string());
    assert_eq!(
        Manifest::open(moved.as_bytes(), &trusted(), tenant(9), Uuid::from_u128(2)),
        Err(Refused::Signature),
        "relabelled for another tenant"
    );
}

#[test]
fn a_signed_manifest_that_contradicts_itself_is_refused() {
    let breaks: [fn(&mut Manifest); 7] = [
        |m| m.totals.rows += 1,
        |m| m.types[0].rows = 5,
        |m| m.segments[1].part = 2,
        |m| m.segments[1].key = "v1/elsewhere".into(),
        |m| m.segments[1].object_type = "unknown".into(),
        |m| m.types[1].object_type = "tickets".into(),
        |m| m.types[1].object_type = "../x".into(),
    ];
    for (n, change) in breaks.into_iter().enumerate() {
        let mut wrong = manifest();
        change(&mut wrong);
        assert!(
            matches!(open(&wrong.seal(&key(1))), Err(Refused::Inconsistent(_))),
            "{n}"
        );
    }
    let mut newer = manifest();
    newer.version = 2;
    assert_eq!(open(&newer.seal(&key(1))), Err(Refused::Malformed));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(open(&bytes).is_err());
    }
    #[test]
    fn a_mangled_manifest_never_panics(at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = manifest().seal(&key(1));
        let at = at.index(bytes.len());
        bytes.splice(at..(at + with.len()).min(bytes.len()), with);
        drop(open(&bytes));
    }
}
