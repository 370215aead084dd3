//! The busiest tenants in constant space (Space-Saving, Metwally et al. 2005): the only way a tenant becomes a metric
//! label. Whoever has more than the error bound is certainly among them.

use std::collections::HashMap;
use tenantry_kernel::TenantId;

/// Counts of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Server errors.
    pub errors: u64,
    /// Refused for a limit.
    pub limited: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.limited += other.limited;
    }
    fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            errors: self.errors.saturating_sub(other.errors),
            limited: self.limited.saturating_sub(other.limited),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// What rank is decided by: seen here plus what it may have had before.
    weight: u64,
    /// Certainly this tenant's.
    seen: Counts,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct TopK {
    capacity: usize,
    slots: HashMap<TenantId, Slot>,
    total: Counts,
}

/// What can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// Tenants with what is certainly theirs.
    pub tenants: Vec<(TenantId, Counts)>,
    /// Everything else.
    pub other: Counts,
    /// At most so many requests of each tenant are in `other`.
    pub error_bound: u64,
}

impl TopK {
    /// Keeps `capacity` tenants.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            slots: HashMap::new(),
            total: Counts::default(),
        }
    }
    /// Adds what a tenant used.
    pub fn add(&mut self, tenant: TenantId, counts: Counts) {
        self.total.add(counts);
        if let Some(slot) = self.slots.get_mut(&tenant) {
            slot.weight += counts.requests;
            slot.seen.add(counts);
            return;
        }
        if counts.requests == 0 {
            return;
        }
        let inherited = if self.slots.len() < self.capacity {
            0
        } else {
            self.evict()
        };
        let slot = Slot {
            weight: inherited + counts.requests,
            seen: counts,
        };
        self.slots.insert(tenant, slot);
    }
    /// Forgets the lightest and returns its weight: its successor may have had as much unseen.
    fn evict(&mut self) -> u64 {
        let least = self.slots.iter().min_by_key(|(tenant, slot)| (slot.weight, **tenant));
        let Some((tenant, weight)) = least.map(|(tenant, slot)| (*tenant, slot.weight)) else {
            return 0;
        };
        self.slots.remove(&tenant);
        weight
    }
    /// The present ranking, heaviest first. Its counts sum up to all that was added.
    #[must_use]
    pub fn ranking(&self) -> Ranking {
        let mut tenants: Vec<_> = self.slots.iter().map(|(tenant, slot)| (*tenant, slot.seen)).collect();
        tenants.sort_by_key(|(tenant, seen)| (std::cmp::Reverse(seen.requests), *tenant));
        let known = tenants.iter().fold(Counts::default(), |mut sum, (_, seen)| {
            sum.add(*seen);
            sum
        });
        let full = self.slots.len() >= self.capacity;
        let least = self.slots.values().map(|slot| slot.weight).min().unwrap_or(0);
        Ranking {
            tenants,
            other: self.total.minus(known),
            error_bound: if full { least } else { 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn tenant(n: u64) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(u128::from(n)))
    }
    fn requests(n: u64) -> Counts {
        Counts {
            requests: n,
            ..Counts::default()
        }
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_nothing_is_lost(stream in prop::collection::vec((0..60_u64, 1..50_u64), 0..600)) {
            let mut top = TopK::new(10);
            let mut truth: HashMap<TenantId, u64> = HashMap::new();
            for (id, count) in &stream {
                top.add(tenant(*id), requests(*count));
                *truth.entry(tenant(*id)).or_default() += count;
            }
            let (ranking, total) = (top.ranking(), stream.iter().map(|(_, count)| count).sum::<u64>());
            prop_assert!(ranking.tenants.len() <= 10);
            let shown: u64 = ranking.tenants.iter().map(|(_, seen)| seen.requests).sum();
            prop_assert_eq!(shown + ranking.other.requests, total);
            prop_assert!(ranking.error_bound <= total / 10);
            for (id, seen) in &ranking.tenants {
                prop_assert!(seen.requests <= truth[id] && truth[id] <= seen.requests + ranking.error_bound);
            }
            for (id, count) in &truth {
                prop_assert!(*count <= ranking.error_bound || ranking.tenants.iter().any(|(shown, _)| shown == id));
            }
        }
    }

    #[test]
    fn a_busy_tenant_stays_in_a_crowd_of_ten_thousand() {
        let mut top = TopK::new(100);
        for n in 0..10_000 {
            top.add(tenant(n + 1), requests(1));
            if n % 10 == 0 {
                top.add(tenant(0), requests(5));
            }
        }
        let ranking = top.ranking();
        assert_eq!(ranking.tenants.len(), 100);
        assert_eq!(ranking.tenants[0].0, tenant(0));
        assert!(ranking.error_bound <= 15_000 / 100);
    }
}
