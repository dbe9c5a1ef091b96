//! Ctrl-C and SIGTERM: the first one ends the run after its step, a second one at once.
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::signal;

const TOLD: &str = "stopping after this step, with a checkpoint; once more stops at once";
/// Of a process that a signal ended, as shells count.
const INTERRUPTED: i32 = 130;

/// Whether somebody asked to stop.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens in a thread of its own; without one, signals end the process as ever.
    pub(super) fn listen() -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let shared = asked.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            std::thread::spawn(move || {
                runtime.block_on(async {
                    signalled().await;
                    shared.store(true, Ordering::Relaxed);
                    eprintln!("{TOLD}");
                    signalled().await;
                    std::process::exit(INTERRUPTED);
                });
            });
        }
        Self(asked)
    }

    pub(super) fn go_on(&self) -> ControlFlow<()> {
        match self.0.load(Ordering::Relaxed) {
            false => ControlFlow::Continue(()),
            true => ControlFlow::Break(()),
        }
    }
}

async fn signalled() {
    #[cfg(unix)]
    {
        let terminate = signal::unix::signal(signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = signal::ctrl_c().await;
}
