//! What Prometheus reads: process-wide, written with the macros of the crate `metrics`.
use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of every time, in seconds.
const SECONDS: [f64; 14] = [
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0,
];
/// Upper bounds of the buckets of a count.
const COUNTS: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Starts to collect, at the first call.
pub fn collect() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_pictures".into()), &COUNTS)
            })
            .expect("the buckets are not empty");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Another recorder, of a program that npedit is a library of, keeps its place.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

/// All of it, in Prometheus' text format 0.0.4.
pub fn render() -> String {
    let handle = collect();
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    handle.run_upkeep();
    handle.render()
}

fn describe() {
    for (name, help) in [
        (
            "http_request_seconds",
            "From the head of a request to the head of its answer, by route.",
        ),
        (
            "edit_queue_seconds",
            "Wait of an edit or score for the device.",
        ),
        ("edit_stage_seconds", "Time of an edit's stage."),
        (
            "edit_step_seconds",
            "Time of one denoising step of an edit's batch.",
        ),
        ("adapter_load_seconds", "Reading and placing an adapter."),
    ] {
        describe_histogram!(name, Unit::Seconds, help);
    }
    describe_histogram!(
        "edit_batch_pictures",
        "Pictures that shared a denoising batch."
    );
    for (name, help) in [
        (
            "http_requests_total",
            "Answers, by method, route and status.",
        ),
        (
            "edit_rejected_total",
            "Requests that the engine refused or gave up, by reason.",
        ),
        (
            "edit_cache_total",
            "Encodings that were looked up, by kind and whether they were known.",
        ),
    ] {
        describe_counter!(name, help);
    }
    for (name, help) in [
        (
            "edit_inflight",
            "Requests with a place: read, waiting or running.",
        ),
        (
            "edit_queue_capacity",
            "Places for requests that wait, and one for the running one.",
        ),
        ("adapter_resident", "Loaded adapters."),
        ("adapter_resident_bytes", "Memory of loaded adapters."),
        ("judge_score", "The newest score, by its kind."),
        ("model_info", "What is loaded; always 1."),
        ("ready", "1 where edits are served, else 0."),
        (
            "process_resident_memory_bytes",
            "Memory that the process holds.",
        ),
    ] {
        describe_gauge!(name, help);
    }
}

/// Resident memory of this process; known on Linux alone.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_buckets_and_everything_its_help() {
        collect();
        metrics::histogram!("edit_queue_seconds").record(0.02);
        let text = render();
        assert!(
            text.contains("edit_queue_seconds_bucket{le=\"0.03\"}"),
            "{text}"
        );
        assert!(text.contains("# HELP edit_queue_seconds"), "{text}");
    }
}
