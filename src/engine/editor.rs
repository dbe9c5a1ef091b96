//! What the device thread owns.
use crate::pipelines::edit::EditPipeline;

use super::{
    BundleIdentity, EditError, EditInput, EditOutput, Observer, STEPS, Sampler, Sigmas, SigmasError,
};

/// Turns an input into images, on the thread that made it.
pub trait Editor: 'static {
    /// What is loaded.
    fn profile(&self) -> Profile;

    /// One edit; the observer may break off between steps.
    ///
    /// # Errors
    /// See [`EditError`].
    fn edit(&mut self, input: &EditInput, observer: &mut Observer)
    -> Result<EditOutput, EditError>;
}

/// What a loaded editor is and does by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub identity: BundleIdentity,
    pub sampler: Sampler,
    pub default_steps: usize,
    /// Square pixels that an edit works at.
    pub target_area_px: u64,
    /// The noise levels of 1, 2, .. steps, one list for every count of [`STEPS`].
    pub schedules: Vec<Sigmas>,
}

impl Profile {
    /// The noise levels that a request for so many steps runs through.
    ///
    /// # Errors
    /// A count outside [`STEPS`].
    pub fn sigmas(&self, steps: usize) -> Result<&Sigmas, SigmasError> {
        let index = steps.wrapping_sub(*STEPS.start());
        self.schedules
            .get(index)
            .ok_or(SigmasError::Steps { steps })
    }
}

impl Editor for EditPipeline {
    fn profile(&self) -> Profile {
        let bundle = &self.bundle;
        Profile {
            identity: bundle.identity.clone(),
            sampler: bundle.sampler(),
            default_steps: bundle.settings.default_steps,
            target_area_px: bundle.settings.target_area_px,
            schedules: STEPS.map_while(|steps| bundle.sigmas(steps).ok()).collect(),
        }
    }

    fn edit(
        &mut self,
        input: &EditInput,
        observer: &mut Observer,
    ) -> Result<EditOutput, EditError> {
        self.run(input, observer)
    }
}
