//! What is left to do when a person presses Ctrl-C or the system ends the process: take half a file away, say how what
//! goes on can be found again. Without anything to do, a signal ends the process as ever.

use crate::{Exit, Failure, output};
use std::{
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Todo {
    /// Take this file away.
    Remove(PathBuf),
    /// Tell the person.
    Say(String),
}

struct State {
    listening: bool,
    todo: Vec<(u64, Todo)>,
}

static STATE: Mutex<State> = Mutex::new(State {
    listening: false,
    todo: Vec::new(),
});
static NEXT: AtomicU64 = AtomicU64::new(0);

/// As long as it lives, a signal does what it was made for.
#[derive(Debug)]
pub(crate) struct Armed(u64);

impl Drop for Armed {
    fn drop(&mut self) {
        state().todo.retain(|(id, _)| *id != self.0);
    }
}

/// From now on a signal does this before the process ends.
///
/// # Errors
/// Where signals cannot be listened for.
pub(crate) fn arm(todo: Todo) -> Result<Armed, Failure> {
    let mut state = state();
    if !state.listening {
        listen()?;
        state.listening = true;
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    state.todo.push((id, todo));
    Ok(Armed(id))
}

fn state() -> MutexGuard<'static, State> {
    // A list that is only pushed to and filtered is whole after a panic too.
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread of its own, because the others may wait for a pipe that nobody reads.
fn listen() -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let run = move || runtime.block_on(end(&mut interrupt, &mut terminate));
    thread::Builder::new().name("interrupt".to_owned()).spawn(run)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "main may be blocked and cannot return; what destructors would do has been done"
)]
async fn end(interrupt: &mut Signal, terminate: &mut Signal) {
    let came = tokio::select! { came = interrupt.recv() => came, came = terminate.recv() => came };
    if came.is_some() {
        clean(&mut state().todo);
        std::process::exit(i32::from(Exit::Interrupted.code()));
    }
}

fn clean(todo: &mut Vec<(u64, Todo)>) {
    for (_, todo) in todo.drain(..) {
        match todo {
            // There is nobody left to handle it.
            Todo::Remove(path) => drop(fs::remove_file(path)),
            Todo::Say(text) => {
                if io::stderr().is_terminal() {
                    output::say(""); // off the line of the bar
                }
                output::say(&text);
            }
        }
    }
}
