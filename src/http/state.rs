//! What every handler can reach.
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    body::BodyLimits,
    edit::{Defaults, FormLimits},
    results::Results,
    score::ScoreLimits,
    timings::now_secs,
};
use crate::{
    access::Access, config::Config, engine::Engine, fetch::Fetcher, jobs::Jobs,
    telemetry::metrics::collect,
};

/// Images of the largest size that one request for scores may hold; smaller ones may be more.
const IMAGES_AT_ONCE: u64 = 4;

/// A cheap handle.
#[derive(Clone, Debug)]
pub struct HttpState(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub engine: Engine,
    pub jobs: Jobs,
    pub access: Access,
    pub fetcher: Fetcher,
    /// Whether nobody but this machine reaches the service.
    pub is_local: bool,
    /// Pages that may call from a browser; see `server.cors_origins`.
    pub cors_origins: Vec<String>,
    pub body_limits: BodyLimits,
    pub form_limits: FormLimits,
    pub score_limits: ScoreLimits,
    pub defaults: Defaults,
    /// Seconds since 1970.
    pub started: u64,
    /// For clients that come back.
    pub results: Results,
    draining: AtomicBool,
}

impl Shared {
    /// Whether the server is about to stop.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl HttpState {
    pub fn new(
        engine: Engine,
        jobs: Jobs,
        access: Access,
        fetcher: Fetcher,
        config: &Config,
    ) -> Self {
        collect();
        Self(Arc::new(Shared {
            engine,
            jobs,
            access,
            fetcher,
            is_local: config.server.host.to_canonical().is_loopback(),
            cors_origins: config.server.cors_origins.clone(),
            body_limits: BodyLimits::new(
                config.server.max_body_bytes,
                config.server.request_timeout,
            ),
            form_limits: FormLimits {
                max_n: config.edit.max_n as u64,
                max_steps: config.edit.max_steps as u64,
                max_best_of: config.judge.max_best_of as u64,
                instruction_max_bytes: config.edit.instruction_max_bytes,
                images: (&config.images).into(),
            },
            score_limits: ScoreLimits {
                max_items: config.judge.max_items,
                max_questions: config.judge.max_questions,
                question_max_bytes: config.judge.question_max_bytes,
                instruction_max_bytes: config.edit.instruction_max_bytes,
                max_pixels_together: config.images.max_pixels.saturating_mul(IMAGES_AT_ONCE),
            },
            defaults: (&config.edit).into(),
            started: now_secs(),
            results: Results::new(config.results.ttl, config.results.max_bytes),
            draining: AtomicBool::new(false),
        }))
    }

    /// Says from now on that the server is not ready; requests are served as before.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

impl Deref for HttpState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
