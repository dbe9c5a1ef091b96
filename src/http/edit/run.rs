//! From a form to what the engine makes of it.
use std::{sync::Arc, time::Instant};

use super::{
    adapter::AdapterChoice,
    answer::EditAnswer,
    form::EditForm,
    plan::{Outcome, Plan},
};
use crate::{
    access::{Caller, Viewer},
    engine::{EditRequest, Edited, Engine, Permit, Previews, Profile, Progress, Watch},
    http::{HttpState, fetched::fetched, problem::Problem, timings::Clock},
    jobs::Captures,
};
use tokio::sync::mpsc;

/// An edit that the engine can be asked for.
pub struct Prepared {
    permit: Permit,
    pub plan: Plan,
    profile: Arc<Profile>,
    clock: Clock,
    /// Where a low score is kept, and for whom.
    captures: (Captures, Viewer),
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
            captures: (state.jobs.captures.clone(), caller.viewer.clone()),
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
        let capture = capture(self.captures, &request);
        let edited = engine.edit(self.permit, request).await;
        let edited = edited.map_err(|error| outcome.problem(error))?;
        capture(&edited);
        Ok(Finished {
            edited,
            profile: self.profile,
            outcome,
            clock: self.clock,
        })
    }
}

/// What looks at a judged edit afterwards, and keeps it where its best image scored low.
fn capture(
    (captures, viewer): (Captures, Viewer),
    request: &EditRequest,
) -> impl FnOnce(&Edited) + use<> {
    let judged = request.judging.edit().filter(|_| captures.is_on());
    let kept = judged.map(|edit| (edit.clone(), request.image.rgb.clone()));
    move |edited| {
        let scores = edited.candidates.iter();
        let best = scores
            .map(|candidate| candidate.score.overall)
            .reduce(f64::max);
        if let (Some((edit, picture)), Some(best)) = (kept, best) {
            captures.hear(viewer, (picture, &edit), best);
        }
    }
}

impl Finished {
    pub fn answer(&self) -> EditAnswer {
        EditAnswer::new(&self.edited, &self.profile, &self.outcome, self.clock)
    }
}
