//! SIGTERM and Ctrl-C of what runs until it is stopped.
use std::process;

/// As a shell counts a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Done at the first signal; the second ends the process.
pub(super) async fn stopped() {
    next_signal().await;
    tracing::info!("stopping once what runs is done; another signal ends it");
    tokio::spawn(async {
        next_signal().await;
        process::exit(INTERRUPTED);
    });
}

#[cfg(unix)]
async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).expect("the runtime has its signal driver on");
    let (mut terminate, mut interrupt) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    tokio::signal::ctrl_c()
        .await
        .expect("the runtime has its signal driver on");
}
