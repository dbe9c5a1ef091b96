//! Places where a test makes the process die.

/// Aborts where `NPEDIT_ABORT_AT` names this place; `NAME:3` only the third time. In builds without debug assertions it does
/// nothing.
pub(super) fn reach(name: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Ok(wanted) = std::env::var("NPEDIT_ABORT_AT") else {
        return;
    };
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    let (place, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if place == name && TIMES.fetch_add(1, SeqCst) + 1 == nth.parse().unwrap_or(1) {
        eprintln!("aborting at the failure point {name}");
        std::process::abort();
    }
}
