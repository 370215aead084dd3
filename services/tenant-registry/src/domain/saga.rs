//! The saga machine (decision 18): which step of which verb comes next, when a reply counts, and how a failed
//! onboarding is undone in reverse order. Pure: no clock, no I/O; the driver in `app/saga.rs` performs the steps.

use serde::{Deserialize, Serialize};
use std::time::Duration;

macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The column and wire text.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
            /// Parses the column text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> { Self::ALL.iter().copied().find(|value| value.as_str() == text) }
        }
    };
}

texts! {
    /// What is being done to a tenant.
    Verb {
        /// Onboarding.
        Create = "create_tenant",
        /// Lock.
        Suspend = "suspend_tenant",
        /// Unlock.
        Resume = "resume_tenant",
        /// Soft delete.
        Delete = "delete_tenant",
        /// Bring back.
        Undelete = "undelete_tenant",
        /// Destroy.
        Purge = "purge_tenant",
    }
}
texts! {
    /// One step.
    Step {
        /// Business makes the schema.
        ProvisionData = "provision_data",
        /// Auth makes keys and the first owner.
        CreateRealm = "create_realm",
        /// The route opens.
        Activate = "activate",
        /// Auth ends every session.
        RevokeTenant = "revoke_tenant",
        /// Auth destroys keys, users, sessions.
        DropRealm = "drop_realm",
        /// Business drops the schema.
        DropData = "drop_data",
        /// The tenant's row goes; the slug is free.
        RemoveTenant = "remove_tenant",
    }
}
texts! {
    /// Which way it goes.
    Phase {
        /// Towards the goal.
        Forward = "forward",
        /// Undoing.
        Compensating = "compensating",
        /// Over.
        Done = "done",
    }
}

/// Who performs a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The registry itself, in the transaction that reaches the step.
    Local,
    /// Another service, by command and reply.
    Service(&'static str),
}

/// When a fault point of a step is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before its command is stored (or, for a local step, before its effect).
    BeforeSend,
    /// Its reply is here, nothing of it stored yet.
    AfterReply,
}

/// Why a step failed for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable reason.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The step that failed.
    pub step: Step,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps behind it.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
}

impl Verb {
    /// The steps towards the goal.
    #[must_use]
    pub const fn steps(self) -> &'static [Step] {
        match self {
            Self::Create => &[Step::ProvisionData, Step::CreateRealm, Step::Activate],
            Self::Suspend | Self::Delete => &[Step::RevokeTenant],
            // The row already says ACTIVE when the operation is stored: nobody else has anything to do.
            Self::Resume | Self::Undelete => &[],
            // Keys go first: what is left after a crash is unreadable (data plane, section 5).
            Self::Purge => &[Step::RevokeTenant, Step::DropRealm, Step::DropData, Step::RemoveTenant],
        }
    }
    /// The steps that undo everything up to and including `failed`, which may have left something behind.
    /// Only onboarding is undone: lifting a lock or stopping half-way through a purge would be worse than trying on.
    fn undo(self, failed: Step) -> &'static [Step] {
        const ALL: &[Step] = &[Step::DropRealm, Step::DropData, Step::RemoveTenant];
        match (self, failed) {
            (Self::Create, Step::ProvisionData) => &[Step::DropData, Step::RemoveTenant],
            (Self::Create, Step::CreateRealm | Step::Activate) => ALL,
            _ => &[],
        }
    }
}

impl Step {
    /// Who performs it.
    #[must_use]
    pub const fn place(self) -> Place {
        match self {
            Self::ProvisionData | Self::DropData => Place::Service("business"),
            Self::CreateRealm | Self::DropRealm | Self::RevokeTenant => Place::Service("auth"),
            Self::Activate | Self::RemoveTenant => Place::Local,
        }
    }
}

/// The state of one saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saga {
    /// What is being done.
    pub verb: Verb,
    /// Which way it goes.
    pub phase: Phase,
    /// The current step; the last one when it is over; `None` for a verb without steps.
    pub step: Option<Step>,
    /// How often the current step was tried.
    pub attempt: u32,
    /// The last error of the current step.
    pub last_error: String,
    /// Why it is undone.
    pub failure: Option<Failure>,
}

impl Saga {
    /// A new saga at its first step.
    #[must_use]
    pub fn start(verb: Verb) -> Self {
        let step = verb.steps().first().copied();
        let phase = if step.is_some() { Phase::Forward } else { Phase::Done };
        Self {
            verb,
            phase,
            step,
            attempt: 0,
            last_error: String::new(),
            failure: None,
        }
    }
    /// Whether it is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }
    /// Whether it is over and reached its goal.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.is_done() && self.failure.is_none()
    }
    /// The step to perform now.
    #[must_use]
    pub fn pending(&self) -> Option<Step> {
        if self.is_done() { None } else { self.step }
    }
    /// The current step is tried (again).
    pub fn tried(&mut self) {
        self.attempt = self.attempt.saturating_add(1);
    }
    /// The current step is done.
    pub fn advance(&mut self) {
        let Some(step) = self.pending() else { return };
        let list = self.list();
        let next = list
            .iter()
            .position(|own| *own == step)
            .and_then(|at| list.get(at + 1))
            .copied();
        self.last_error.clear();
        match next {
            Some(next) => self.enter(next),
            None => self.phase = Phase::Done,
        }
    }
    /// The current step failed and another try may help.
    pub fn stumbled(&mut self, error: impl Into<String>) {
        if !self.is_done() {
            self.last_error = error.into();
        }
    }
    /// The current step failed and no retry can help: onboarding turns round, everything else tries on.
    /// Returns whether it turned round.
    pub fn failed(&mut self, reason: &str, message: &str) -> bool {
        let Some(step) = self.pending() else { return false };
        self.last_error = format!("{reason}: {message}");
        let undo = self.verb.undo(step);
        let Some(first) = undo.first().filter(|_| self.phase == Phase::Forward) else {
            return false;
        };
        self.failure = Some(Failure {
            reason: reason.to_owned(),
            message: message.to_owned(),
            step,
        });
        self.phase = Phase::Compensating;
        self.enter(*first);
        true
    }
    /// How long to wait for the reply to the current try: 5 s, 10 s, 20 s .. one minute.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs((5_u64 << self.attempt.saturating_sub(1).min(10)).min(60))
    }
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let total = self.list().len();
        let done = if self.is_done() {
            total
        } else {
            self.step
                .and_then(|step| self.list().iter().position(|own| *own == step))
                .unwrap_or(0)
        };
        Progress { done, total }
    }
    /// The fault point of the current step.
    #[must_use]
    pub fn fault_point(&self, moment: Moment) -> Option<String> {
        let moment = match moment {
            Moment::BeforeSend => "before_send",
            Moment::AfterReply => "after_reply",
        };
        Some(format!(
            "registry.{}.{}.{moment}",
            self.verb.as_str(),
            self.pending()?.as_str()
        ))
    }

    fn list(&self) -> &'static [Step] {
        self.failure
            .as_ref()
            .map_or(self.verb.steps(), |failure| self.verb.undo(failure.step))
    }
    fn enter(&mut self, step: Step) {
        self.step = Some(step);
        self.attempt = 0;
    }
}

#[cfg(test)]
#[path = "saga_test.rs"]
mod tests;
