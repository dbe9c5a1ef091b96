//! The models of a training run, found and loaded.
use candle_core::DType;

use super::{AdapterChoice, AppError, JudgeFiles, Loader, adapter::Beside};
use crate::{
    models::lpips::Lpips,
    nn::{Activations, Collected},
    pipelines::bundle::EditBundle,
    training::{
        recipe::{Recipe, StageChoice},
        run::Models,
        tuning::Memory,
    },
};

impl Loader<'_> {
    /// Loads what `recipe` trains and asks. Blocks: not for async tasks.
    ///
    /// # Errors
    /// A reference that cannot be resolved, or files that do not load.
    pub fn training(&self, recipe: &Recipe, files: &JudgeFiles) -> Result<Models, AppError> {
        let (source, placement) = (self.bundle()?, self.placement());
        let choice = recipe
            .model
            .adapter
            .clone()
            .map(|path| AdapterChoice { path, scale: 1.0 });
        let beside = choice.as_ref().map(|choice| Beside::read(choice, &source));
        let beside = beside.transpose()?;
        let refused = |source_error, name: &str| AppError::Bundle {
            name: name.to_owned(),
            source: source_error,
        };
        let bundle = EditBundle::load(&source, &placement);
        let mut bundle = bundle.map_err(|error| refused(error, &source.name))?;
        let teacher = source.teacher(&bundle.generator, &placement);
        let teacher = teacher.map_err(|error| refused(error.into(), &source.name))?;
        if let Some(beside) = &beside {
            bundle = beside.put(bundle, &source.name)?;
        }
        let activations = match recipe.memory {
            Memory::Keep => Activations::Keep,
            // frozen models have no parameters to collect gradients of
            Memory::Recompute => Activations::Recompute(Collected::default()),
        };
        bundle.vae = bundle.vae.with_activations(activations.clone());
        let judge = match recipe.stage {
            StageChoice::NpEdit | StageChoice::FlowGrpo => self.judge(files)?,
            StageChoice::WarmUp | StageChoice::Supervised | StageChoice::TextToImage => None,
        };
        let lpips = match (&recipe.model.lpips, recipe.losses.weights.lpips) {
            (Some(path), weight) if weight > 0.0 && recipe.stage == StageChoice::NpEdit => {
                let lpips = Lpips::load(path, &placement.compute(DType::F32));
                let lpips = lpips.map_err(|source| AppError::Lpips {
                    path: path.clone(),
                    source,
                })?;
                Some(lpips.with_activations(activations.clone()))
            }
            _ => None,
        };
        Ok(Models {
            lpips,
            source,
            placement,
            bundle,
            adapter: beside.map(|beside| beside.adapter),
            teacher,
            judge: judge.map(|judge| judge.with_activations(activations)),
        })
    }
}
