//! Fault points for the fault tests: a process can be told to die, or to fail for good, at a named point. Only with
//! `dev = true`; in production every point is a no-op and the admin port does not offer to arm one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tenantry_kernel::{Error, Reason};

/// What an armed point does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Die at once, as under kill -9: no destructor, no flush.
    Abort,
    /// Fail permanently.
    Error,
}

/// Arms a point: the body of `POST /faults` on the admin port.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Name of the point.
    pub point: String,
    /// What happens there.
    pub action: Action,
    /// How often; then the point is harmless again.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

/// By point: what happens there, and how often still.
type Armed = HashMap<String, (Action, u32)>;

/// The armed points of this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Mutex<Armed>>>);

impl Faults {
    /// Points can be armed only if `dev`.
    #[must_use]
    pub fn new(dev: bool) -> Self {
        Self(dev.then(Arc::default))
    }
    /// Whether points can be armed here.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.0.is_some()
    }
    /// Arms a point.
    pub fn arm(&self, arm: Arm) {
        if let Some(points) = &self.0 {
            points
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(arm.point, (arm.action, arm.times));
        }
    }
    /// Passes, dies or fails, as armed.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` where the point is armed with `error`.
    #[expect(clippy::unused_async, reason = "a point may learn to wait; callers already await")]
    pub async fn hit(&self, point: &str) -> Result<(), Error> {
        match self.take(point) {
            None => Ok(()),
            Some(Action::Abort) => {
                tracing::warn!(point, "fault point: aborting");
                std::process::abort()
            }
            Some(Action::Error) => Err(Error::new(
                Reason::FailedPrecondition,
                format!("fault point {point} is armed"),
            )),
        }
    }

    fn take(&self, point: &str) -> Option<Action> {
        let mut points = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let (action, times) = points.get_mut(point)?;
        let action = *action;
        *times -= 1;
        if *times == 0 {
            points.remove(point);
        }
        Some(action)
    }
}
