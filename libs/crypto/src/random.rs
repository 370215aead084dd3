//! The one place that asks for randomness.

/// Fills `bytes` from the thread's cryptographically secure generator (seeded and re-seeded by the system).
#[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
pub(crate) fn fill(bytes: &mut [u8]) {
    rand::Rng::fill_bytes(&mut rand::rng(), bytes);
}

/// `N` random bytes.
pub(crate) fn array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}
