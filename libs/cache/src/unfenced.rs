//! Keys whose fence did not reach Redis: Redis may still hold a value that a commit of this process made old.

use crate::stored::LONGEST;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

const MAX: usize = 50_000;

#[derive(Default)]
pub(crate) struct Unfenced(Mutex<State>);

#[derive(Default)]
struct State {
    /// Full key -> the version that must win, and when everything stored before has expired.
    keys: HashMap<String, (i64, Instant)>,
    /// Set when `keys` was full: until then nothing is read at all.
    blind_until: Option<Instant>,
    repairing: bool,
}

impl Unfenced {
    /// Remembers a key. True where the caller must start the repair task.
    pub(crate) fn add(&self, full: String, next_version: i64) -> bool {
        let until = Instant::now() + LONGEST;
        let mut state = self.lock();
        if state.keys.len() >= MAX && !state.keys.contains_key(&full) {
            state.blind_until = Some(until);
        } else {
            let entry = state.keys.entry(full).or_insert((next_version, until));
            *entry = (entry.0.max(next_version), until);
        }
        !std::mem::replace(&mut state.repairing, true)
    }
    pub(crate) fn blocks_read(&self, full: &str) -> bool {
        let state = self.lock();
        let now = Instant::now();
        state.blind_until.is_some_and(|until| now < until)
            || state.keys.get(full).is_some_and(|(_, until)| now < *until)
    }
    pub(crate) fn blocks_store(&self, full: &str, row_version: i64) -> bool {
        self.lock()
            .keys
            .get(full)
            .is_some_and(|(next, until)| row_version < *next && Instant::now() < *until)
    }
    /// Redis holds at least `row_version` now.
    pub(crate) fn settle(&self, full: &str, row_version: i64) {
        let mut state = self.lock();
        if state.keys.get(full).is_some_and(|(next, _)| *next <= row_version) {
            state.keys.remove(full);
        }
    }
    /// What is still open; expired entries are dropped.
    pub(crate) fn open(&self) -> Vec<(String, i64)> {
        let mut state = self.lock();
        let now = Instant::now();
        state.keys.retain(|_, (_, until)| now < *until);
        state
            .keys
            .iter()
            .map(|(full, (next, _))| (full.clone(), *next))
            .collect()
    }
    /// Ends the repair, atomically with the check, so that a later `add` starts a new one.
    pub(crate) fn finish_if_empty(&self) -> bool {
        let mut state = self.lock();
        if state.keys.is_empty() {
            state.repairing = false;
        }
        !state.repairing
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_its_fence_is_not_read_and_takes_no_older_value() {
        let unfenced = Unfenced::default();
        assert!(unfenced.add("k".into(), 5), "the first starts the repair");
        assert!(!unfenced.add("k".into(), 4), "and only the first");
        assert!(unfenced.blocks_read("k") && !unfenced.blocks_read("other"));
        assert!(unfenced.blocks_store("k", 4) && !unfenced.blocks_store("k", 5));
        unfenced.settle("k", 4);
        assert!(unfenced.blocks_read("k"), "an older version does not settle it");
        assert!(!unfenced.finish_if_empty());
        unfenced.settle("k", 5);
        assert!(!unfenced.blocks_read("k") && unfenced.finish_if_empty());
        assert!(unfenced.add("k".into(), 6), "a new repair can start");
    }

    #[test]
    fn when_too_many_keys_are_open_nothing_is_read() {
        let unfenced = Unfenced::default();
        for n in 0..=MAX {
            unfenced.add(n.to_string(), 1);
        }
        assert!(unfenced.blocks_read("never seen"));
    }
}
