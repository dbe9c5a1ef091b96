//! How long a request's stages took, and when it was.
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{Edited, Scored, Stage};

/// Wall time of each stage of an edit, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimingsMs {
    /// Reading the request and decoding the image.
    pub read: f64,
    /// Waiting for the device.
    pub queue: f64,
    pub preprocess: f64,
    pub text: f64,
    pub encode: f64,
    pub denoise: f64,
    pub decode: f64,
    pub postprocess: f64,
    /// Judging the images; 0 where nobody asked.
    pub judge: f64,
    /// Writing the image files.
    pub write: f64,
    pub total: f64,
}

/// Wall time of each stage of a score, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreTimingsMs {
    /// Reading the request and decoding the images.
    pub read: f64,
    /// Waiting for the device.
    pub queue: f64,
    pub judge: f64,
    pub total: f64,
}

/// When the request came, and when its images were decoded.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub received: Instant,
    pub read: Duration,
}

impl TimingsMs {
    pub fn new(edited: &Edited, clock: Clock) -> Self {
        let stage = |stage| ms(edited.stages.of(stage));
        Self {
            read: ms(clock.read),
            queue: ms(edited.queued),
            preprocess: stage(Stage::Preprocess),
            text: stage(Stage::Text),
            encode: stage(Stage::Encode),
            denoise: stage(Stage::Denoise),
            decode: stage(Stage::Decode),
            postprocess: stage(Stage::Postprocess),
            judge: ms(edited.judging),
            write: ms(edited.encoding),
            total: ms(clock.received.elapsed()),
        }
    }
}

impl ScoreTimingsMs {
    pub fn new(scored: &Scored, clock: Clock) -> Self {
        Self {
            read: ms(clock.read),
            queue: ms(scored.queued),
            judge: ms(scored.judging),
            total: ms(clock.received.elapsed()),
        }
    }
}

/// Rounded to microseconds.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// Seconds since 1970, UTC.
pub fn now_secs() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs()
}
