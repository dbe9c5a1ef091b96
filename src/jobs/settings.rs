//! What bounds jobs, and when their adapters are good enough.
use std::time::Duration;

use super::{
    CaptureSettings, Recipes,
    datasets::{ArchiveLimits, SetLimits},
    promotion::GateSettings,
};
use crate::config::Config;

#[derive(Clone, Debug)]
pub struct JobSettings {
    pub set_limits: SetLimits,
    pub recipes: Recipes,
    pub lease: Duration,
    pub checkpoint_interval: Duration,
    /// Where a request names none.
    pub holdout: f64,
    pub max_held_out: usize,
    pub regression_edits: usize,
    pub gate: GateSettings,
    pub capture: CaptureSettings,
    /// A stream of a job's events ends after this long without one.
    pub events_idle: Duration,
}

impl From<&Config> for JobSettings {
    fn from(config: &Config) -> Self {
        let finetune = &config.finetune;
        Self {
            set_limits: SetLimits {
                archive: ArchiveLimits {
                    max_entries: finetune.max_entries,
                    // an image is at most so large, and a table of rows is let through beside it
                    max_file_bytes: (config.images.max_bytes as u64).max(1 << 26),
                    max_total_bytes: finetune.max_set_bytes,
                    max_ratio: finetune.max_ratio,
                },
                images: (&config.images).into(),
                max_rows: finetune.max_rows,
            },
            recipes: Recipes {
                own: finetune.recipes_dir.clone(),
            },
            lease: finetune.lease,
            checkpoint_interval: finetune.checkpoint_interval,
            holdout: finetune.holdout,
            max_held_out: finetune.max_held_out,
            regression_edits: finetune.regression_edits,
            gate: GateSettings {
                margin: finetune.margin,
                type_margin: finetune.type_margin,
            },
            capture: CaptureSettings {
                low_scores: config.capture.low_scores,
                below: config.capture.below,
                max_bytes: config.capture.max_bytes,
                max_age: config.capture.max_age,
            },
            events_idle: finetune.events_idle,
        }
    }
}
