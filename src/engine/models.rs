//! What the device thread owns.
use crate::pipelines::{edit::EditPipeline, judge::Judge};

use super::{
    BundleIdentity, EditDescription, EditError, EditInput, EditOutput, EngineError, JudgeError,
    JudgeIdentity, Looked, Observer, STEPS, Sampler, Score, ScoreInput, Sigmas, SigmasError,
};

/// Edits and scores, on the thread that made it.
pub trait Models: 'static {
    /// What is loaded.
    fn profile(&self) -> Profile;

    /// One edit; the observer may break off between steps.
    ///
    /// # Errors
    /// See [`EditError`].
    fn edit(&mut self, input: &EditInput, observer: &mut Observer)
    -> Result<EditOutput, EditError>;

    /// Whether the judge can be asked about an edit, before the edit is made. Called only where the profile has a judge.
    ///
    /// # Errors
    /// See [`JudgeError::Prompt`].
    fn check(&self, edit: &EditDescription) -> Result<(), JudgeError>;

    /// One score, after those that `looked` remembers. Called only where the profile has a judge.
    ///
    /// # Errors
    /// See [`JudgeError`].
    fn score(&mut self, looked: &mut Looked, input: &ScoreInput) -> Result<Score, JudgeError>;
}

/// The models of a service.
pub struct Resident {
    pub editor: EditPipeline,
    pub judge: Option<Judge>,
}

/// What a loaded judge is.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeProfile {
    pub identity: JudgeIdentity,
    /// Precision, by its usual name.
    pub dtype: String,
}

/// What the loaded models are and do by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub identity: BundleIdentity,
    pub sampler: Sampler,
    pub default_steps: usize,
    /// Square pixels that an edit works at.
    pub target_area_px: u64,
    /// The noise levels of 1, 2, .. steps, one list for every count of [`STEPS`].
    pub schedules: Vec<Sigmas>,
    pub judge: Option<JudgeProfile>,
}

impl Profile {
    /// The judge.
    ///
    /// # Errors
    /// [`EngineError::NoJudge`].
    pub fn judge(&self) -> Result<&JudgeProfile, EngineError> {
        self.judge.as_ref().ok_or(EngineError::NoJudge)
    }

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

impl Resident {
    fn judge(&self) -> &Judge {
        let judge = self.judge.as_ref();
        judge.expect("the engine asks only where the profile has a judge")
    }
}

impl Models for Resident {
    fn profile(&self) -> Profile {
        let bundle = &self.editor.bundle;
        Profile {
            identity: bundle.identity.clone(),
            sampler: bundle.sampler(),
            default_steps: bundle.settings.default_steps,
            target_area_px: bundle.settings.target_area_px,
            schedules: STEPS.map_while(|steps| bundle.sigmas(steps).ok()).collect(),
            judge: self.judge.as_ref().map(|judge| JudgeProfile {
                identity: judge.identity().clone(),
                dtype: judge.model().compute().dtype.as_str().to_owned(),
            }),
        }
    }

    fn edit(
        &mut self,
        input: &EditInput,
        observer: &mut Observer,
    ) -> Result<EditOutput, EditError> {
        self.editor.run(input, observer)
    }

    fn check(&self, edit: &EditDescription) -> Result<(), JudgeError> {
        self.judge().check(edit)
    }

    fn score(&mut self, looked: &mut Looked, input: &ScoreInput) -> Result<Score, JudgeError> {
        self.judge().score_after(looked, input)
    }
}
