//! What the device thread owns.
use std::sync::Arc;

use crate::{
    models::zimage::LoraWeights,
    pipelines::{
        edit::{EditPipeline, Shared},
        judge::Judge,
        velocity::Generator,
    },
};

use super::{
    AdapterBase, AppliedAdapter, BundleIdentity, EditDescription, EditError, EditOutput, EditTask,
    EngineError, JudgeError, JudgeIdentity, Looked, STEPS, Sampler, Score, ScoreInput, Sigmas,
    SigmasError, Stage,
};

/// Edits and scores, on the thread that made it.
pub trait Models: 'static {
    /// What is loaded.
    fn profile(&self) -> Profile;

    /// Edits with the same adapter or none, each as if it were alone; their observers may break off between steps. One output a
    /// task, in order.
    fn edit(
        &mut self,
        adapter: Option<&AppliedAdapter>,
        tasks: Vec<EditTask>,
    ) -> Vec<Result<EditOutput, EditError>>;

    /// Whether the judge can be asked about an edit, before the edit is made. Called only where the profile has a judge.
    ///
    /// # Errors
    /// See [`JudgeError::Prompt`].
    fn check(&self, edit: &EditDescription) -> Result<(), JudgeError>;

    /// One score an edit, in order, each as if it were alone, after those that `looked` remembers. Called only where the profile
    /// has a judge.
    fn score(
        &mut self,
        looked: &mut Looked,
        inputs: &[&ScoreInput],
    ) -> Vec<Result<Score, JudgeError>>;
}

/// The models of a service.
pub struct Resident {
    pub editor: EditPipeline,
    /// What edits share.
    pub shared: Shared,
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
#[derive(Clone, Debug)]
pub struct Profile {
    pub identity: BundleIdentity,
    /// What an adapter must fit.
    pub adapter_base: Arc<AdapterBase>,
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

    /// The generator with the adapter's branches beside it; the bundle's own is not touched.
    fn generator(&self, adapter: Option<&AppliedAdapter>) -> Result<Generator, String> {
        let generator = &self.editor.bundle.generator;
        let Some(AppliedAdapter { adapter, scale }) = adapter else {
            return Ok(generator.clone());
        };
        // Both were checked when the adapter was asked for.
        let branches = adapter.branches(*scale);
        let branches = branches.map_err(|error| error.to_string())?;
        let adapted = generator.0.with_lora(&LoraWeights::new(branches));
        Ok(Generator(adapted.map_err(|error| error.to_string())?))
    }
}

impl Models for Resident {
    fn profile(&self) -> Profile {
        let bundle = &self.editor.bundle;
        let (generator, source) = (&bundle.generator.0, bundle.source.clone());
        Profile {
            identity: bundle.identity.clone(),
            adapter_base: Arc::new(AdapterBase::new(
                generator.linear_shapes(),
                generator.compute().clone(),
                move || source.generator_sha256(),
            )),
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
        adapter: Option<&AppliedAdapter>,
        tasks: Vec<EditTask>,
    ) -> Vec<Result<EditOutput, EditError>> {
        match self.generator(adapter) {
            Ok(generator) => self
                .editor
                .run_together(&generator, &mut self.shared, tasks),
            Err(misfit) => tasks.iter().map(|_| Err(failed(&misfit))).collect(),
        }
    }

    fn check(&self, edit: &EditDescription) -> Result<(), JudgeError> {
        self.judge().check(edit)
    }

    fn score(
        &mut self,
        looked: &mut Looked,
        inputs: &[&ScoreInput],
    ) -> Vec<Result<Score, JudgeError>> {
        self.judge().score_together(looked, inputs)
    }
}

/// The same failure for every edit of a batch.
fn failed(cause: &str) -> EditError {
    EditError::Model {
        stage: Stage::Denoise,
        source: candle_core::Error::Msg(cause.to_owned()),
    }
}
