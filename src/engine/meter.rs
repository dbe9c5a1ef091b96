//! What the engine tells Prometheus.
use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::{EditError, Edited, EngineError, Score, Stage, worker::Done};
use crate::telemetry::traces;

/// An edit that has ended.
pub(super) fn edited(result: &Result<Edited, EngineError>) {
    let Some(edited) = counted(result) else {
        return;
    };
    queued(edited.queued);
    let mut spans = vec![("queue", edited.queued)];
    for (stage, time) in edited.stages.iter() {
        staged(name(stage), time);
        spans.push((name(stage), time));
    }
    staged("write", edited.encoding);
    spans.extend([("judge", edited.judging), ("write", edited.encoding)]);
    traces::stages(&spans);
    let steps = edited.sigmas.steps().max(1) as u32;
    histogram!("edit_step_seconds").record(edited.stages.of(Stage::Denoise) / steps);
    histogram!("edit_batch_pictures").record(edited.reuse.batch as f64);
    for (kind, known) in [
        ("text", edited.reuse.text),
        ("reference", edited.reuse.reference),
    ] {
        let result = if known { "hit" } else { "miss" };
        counter!("edit_cache_total", "kind" => kind, "result" => result).increment(1);
    }
    if !edited.candidates.is_empty() {
        staged("judge", edited.judging);
    }
    for candidate in &edited.candidates {
        judged(&candidate.score);
    }
}

/// Scores that have ended.
pub(super) fn scored(result: &Result<Done<Vec<Score>>, EngineError>) {
    let Some(done) = counted(result) else {
        return;
    };
    queued(done.queued);
    staged("judge", done.took);
    traces::stages(&[("queue", done.queued), ("judge", done.took)]);
    done.output.iter().for_each(judged);
}

fn queued(time: Duration) {
    histogram!("edit_queue_seconds").record(time);
}

fn staged(stage: &'static str, time: Duration) {
    histogram!("edit_stage_seconds", "stage" => stage).record(time);
}

fn judged(score: &Score) {
    for (kind, value) in [
        ("edit_success", score.edit_success),
        ("preservation", score.preservation),
        ("overall", score.overall),
    ] {
        gauge!("judge_score", "kind" => kind).set(value);
    }
}

/// The value, or the reason why there is none counted.
fn counted<T>(result: &Result<T, EngineError>) -> Option<&T> {
    let reason = match result {
        Ok(value) => return Some(value),
        Err(error) => match error {
            EngineError::Overloaded { .. } => "queue_full",
            EngineError::NotReady { .. } | EngineError::Stopped => "not_ready",
            EngineError::DeadlineExceeded { .. } => "deadline",
            EngineError::ClientLeft | EngineError::Edit(EditError::Cancelled { .. }) => {
                "client_left"
            }
            EngineError::Image(_)
            | EngineError::Edit(_)
            | EngineError::NoJudge
            | EngineError::Judge { .. }
            | EngineError::Adapter(_)
            | EngineError::AdapterTooLarge { .. } => "unusable",
            EngineError::Base(_) | EngineError::Panicked { .. } => "failed",
        },
    };
    counter!("edit_rejected_total", "reason" => reason).increment(1);
    None
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Preprocess => "preprocess",
        Stage::Text => "text",
        Stage::Encode => "encode",
        Stage::Denoise => "denoise",
        Stage::Decode => "decode",
        Stage::Postprocess => "postprocess",
    }
}
