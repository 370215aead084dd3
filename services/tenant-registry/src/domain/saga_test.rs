//! The saga machine under random replies.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Tried,
    Done,
    Stumbled,
    Failed,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![3 => Just(Event::Tried), 3 => Just(Event::Done), 2 => Just(Event::Stumbled), 1 => Just(Event::Failed)];
    proptest::collection::vec(event, 0..60)
}

fn verbs() -> impl Strategy<Value = Verb> {
    proptest::sample::select(Verb::ALL)
}

proptest! {
    #[test]
    fn whatever_happens_a_saga_reaches_its_goal_or_undoes_all_of_it(verb in verbs(), events in events()) {
        let mut saga = Saga::start(verb);
        let mut finished: Vec<Step> = Vec::new();
        for event in events {
            let before = saga.clone();
            match event {
                Event::Tried => saga.tried(),
                Event::Done => {
                    finished.extend(saga.pending());
                    saga.advance();
                }
                Event::Stumbled => saga.stumbled("away"),
                Event::Failed => {
                    saga.failed("BROKEN", "it is broken");
                }
            }
            if before.is_done() {
                prop_assert_eq!(saga.phase, Phase::Done);
                prop_assert_eq!(saga.pending(), None);
            }
            if before.phase == Phase::Compensating {
                prop_assert_ne!(saga.phase, Phase::Forward, "there is no way back from undoing");
            }
            if before.phase == Phase::Forward && saga.phase == Phase::Compensating {
                prop_assert_eq!(verb, Verb::Create);
                let failed = before.pending().expect("a running saga has a step");
                let undo = verb.undo(failed);
                // What was done, and what failed half-way, is undone in reverse order, and the row goes last.
                prop_assert_eq!(undo.last(), Some(&Step::RemoveTenant));
                let made = verb.steps().iter().take_while(|step| **step != failed).chain([&failed]);
                let mut expected: Vec<Step> = made.filter_map(|step| match step {
                    Step::ProvisionData => Some(Step::DropData),
                    Step::CreateRealm => Some(Step::DropRealm),
                    _ => None,
                }).collect();
                expected.reverse();
                expected.push(Step::RemoveTenant);
                prop_assert_eq!(undo, expected.as_slice());
            }
            let progress = saga.progress();
            prop_assert!(progress.done <= progress.total);
            prop_assert!(saga.patience() >= Duration::from_secs(5) && saga.patience() <= Duration::from_secs(60));
        }
        // From anywhere, replies alone bring it to its end.
        while let Some(step) = saga.pending() {
            finished.push(step);
            saga.advance();
        }
        if saga.succeeded() {
            prop_assert_eq!(finished.as_slice(), verb.steps());
        } else {
            let failure = saga.failure.clone().expect("not reached means a failure");
            prop_assert!(finished.ends_with(verb.undo(failure.step)));
        }
    }

    #[test]
    fn a_step_starts_without_attempts_and_errors_of_the_one_before(verb in verbs(), tries in 0_u32..20) {
        let mut saga = Saga::start(verb);
        for _ in 0..tries {
            saga.tried();
        }
        saga.stumbled("away");
        let step = saga.pending();
        saga.advance();
        if saga.pending().is_some() {
            prop_assert_ne!(saga.pending(), step);
            prop_assert_eq!((saga.attempt, saga.last_error.as_str()), (0, ""));
        }
    }
}

#[test]
fn patience_grows_from_five_seconds_to_a_minute() {
    let mut saga = Saga::start(Verb::Create);
    let mut seconds = Vec::new();
    for _ in 0..6 {
        saga.tried();
        seconds.push(saga.patience().as_secs());
    }
    assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
}

#[test]
fn texts_round_trip() {
    assert!(Verb::ALL.iter().all(|verb| Verb::parse(verb.as_str()) == Some(*verb)));
    assert!(Step::ALL.iter().all(|step| Step::parse(step.as_str()) == Some(*step)));
    assert!(
        Phase::ALL
            .iter()
            .all(|phase| Phase::parse(phase.as_str()) == Some(*phase))
    );
}

#[test]
fn a_fault_point_names_verb_step_and_moment() {
    let saga = Saga::start(Verb::Create);
    assert_eq!(
        saga.fault_point(Moment::BeforeSend).as_deref(),
        Some("registry.create_tenant.provision_data.before_send")
    );
    assert_eq!(Saga::start(Verb::Resume).fault_point(Moment::AfterReply), None);
}
