//! What every handler can reach.
use std::{
    ops::Deref,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    body::BodyLimits,
    edit::{Defaults, FormLimits},
};
use crate::{config::Config, engine::Engine};

/// A cheap handle.
#[derive(Clone, Debug)]
pub struct HttpState(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub engine: Engine,
    pub body_limits: BodyLimits,
    pub form_limits: FormLimits,
    pub defaults: Defaults,
    /// Seconds since 1970.
    pub started: u64,
}

impl HttpState {
    pub fn new(engine: Engine, config: &Config) -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self(Arc::new(Shared {
            engine,
            body_limits: BodyLimits::new(
                config.server.max_body_bytes,
                config.server.request_timeout,
            ),
            form_limits: FormLimits {
                max_n: config.edit.max_n as u64,
                max_steps: config.edit.max_steps as u64,
                instruction_max_bytes: config.edit.instruction_max_bytes,
                images: (&config.images).into(),
            },
            defaults: (&config.edit).into(),
            started: since_1970.as_secs(),
        }))
    }
}

impl Deref for HttpState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
