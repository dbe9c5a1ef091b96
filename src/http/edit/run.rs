//! From a form to what the engine makes of it.
use std::{sync::Arc, time::Instant};

use super::{
    adapter::AdapterChoice,
    answer::EditAnswer,
    form::EditForm,
    plan::{Outcome, Plan},
};
use crate::{
    access::Caller,
    engine::{Edited, Engine, Permit, Previews, Profile, Progress, Watch},
    http::{HttpState, fetched::fetched, problem::Problem, timings::Clock},
};
use tokio::sync::mpsc;

/// An edit that the engine can be asked for.
pub struct Prepared {
    permit: Permit,
    pub plan: Plan,
    profile: Arc<Profile>,
    clock: Clock,
}

/// An edit that is done, with everything that its answer says.
pub struct Finished {
    pub edited: Edited,
    pub profile: Arc<Profile>,
    pub outcome: Outcome,
    pub clock: Clock,
}

impl Prepared {
    /// Loads the adapter, decodes the image and makes every choice. `received` is when the request came.
    ///
    /// # Errors
    /// An adapter or an image that cannot be used, or fields that contradict each other.
    pub async fn new(
        state: &HttpState,
        caller: &Caller,
        mut form: EditForm,
        (permit, received): (Permit, Instant),
    ) -> Result<Self, Problem> {
        let profile = state.engine.profile()?;
        if form.judged.is_some() {
            profile.judge()?;
        }
        let adapter = AdapterChoice::load(&form, &state.engine, (&permit, caller)).await?;
        let bytes = fetched(state, std::mem::take(&mut form.image), "/image").await?;
        let image = state.engine.read_image(&permit, bytes).await?;
        let clock = Clock {
            received,
            read: received.elapsed(),
        };
        let plan = Plan::new(form, image, adapter, (&profile, &state.defaults))?;
        Ok(Self {
            permit,
            plan,
            profile,
            clock,
        })
    }

    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Hears of everything that happens to the edit.
    pub fn watched(&mut self, previews: Previews) -> mpsc::UnboundedReceiver<Progress> {
        let (events, progress) = mpsc::unbounded_channel();
        self.plan.request.watch = Some(Watch { events, previews });
        progress
    }

    /// # Errors
    /// Those of [`Engine::edit`], at the fields that they are about.
    pub async fn edit(self, engine: &Engine) -> Result<Finished, Problem> {
        let Plan { request, outcome } = self.plan;
        let edited = engine.edit(self.permit, request).await;
        Ok(Finished {
            edited: edited.map_err(|error| outcome.problem(error))?,
            profile: self.profile,
            outcome,
            clock: self.clock,
        })
    }
}

impl Finished {
    pub fn answer(&self) -> EditAnswer {
        EditAnswer::new(&self.edited, &self.profile, &self.outcome, self.clock)
    }
}
