//! Logs, on stderr: stdout belongs to results. And what Prometheus reads.
pub mod metrics;
pub mod traces;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Installs the process-wide log. Call once, first.
///
/// # Panics
/// When called twice, or with directives that `Config` would have refused.
pub fn init(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).expect("Config has validated the directives");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    if writes_json(log.format, io::stderr().is_terminal()) {
        builder.json().flatten_event(true).init();
    } else {
        builder
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .init();
    }
}

fn writes_json(format: LogFormat, on_terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !on_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auto_looks_at_the_terminal() {
        assert!(writes_json(LogFormat::Auto, false) && !writes_json(LogFormat::Auto, true));
        assert!(writes_json(LogFormat::Json, true) && !writes_json(LogFormat::Text, false));
    }
}
