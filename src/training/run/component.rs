//! The run of a part of the tiny bundle, in order: recipe -> stage -> resume -> steps -> weights.
use std::{collections::HashMap, fs, path::PathBuf};

use candle_core::{DType, Tensor, Var};

use super::{
    Observer, RunDirectory, RunError, RunResult,
    directory::Identity,
    steps::{self, Gone},
};
use crate::{
    models::{
        files::Files,
        folder::Folder,
        qwen3::{self, ChatTokenizer, LanguageModel},
        vae::{self, AutoencoderKl},
        vlm::VisionLanguageModel,
        weights::Weights,
    },
    nn::Compute,
    pipelines::bundle::Placement,
    training::{
        error::TrainingResult,
        optimiser::Parameters,
        recipe::{Component, ComponentRecipe},
        stages::{
            Stage,
            autoencoder::Autoencoding,
            judging::{Degradation, Judging, Labelled, LabelledEdits},
            language_modelling::LanguageModelling,
        },
        trainer::Trainer,
    },
    world::View,
};

/// How such a run ended.
#[derive(Debug)]
pub enum ComponentEnded {
    /// The part's weights, with the names that its directory of a bundle has.
    Finished(PathBuf),
    Stopped {
        step: u64,
        checkpoint: PathBuf,
    },
}

/// Trains a part of the bundle in `files`, from the weights that it has there, or goes on where `directory` has checkpoints.
///
/// # Errors
/// See [`RunError`].
pub fn component(
    recipe: &ComponentRecipe,
    (files, placement): (&Files, &Placement),
    directory: &RunDirectory,
    observer: &mut dyn Observer,
) -> RunResult<ComponentEnded> {
    // 1 claim       the directory is this run's, or new
    let _alone = directory.lock()?;
    directory.claim(&Identity::of_component(recipe, files)?)?;
    // 2 stage       weights -> parameters
    let stage = stage(recipe, files, &placement.compute(DType::F32))?;
    let mut trainer = Trainer::new(recipe.course.clone(), stage)?;
    // 3 resume      newest whole checkpoint -> trainer
    steps::resume(&mut trainer, directory, observer)?;
    // 4 steps
    let every = recipe.checkpoint_every;
    let gone = steps::go(&mut trainer, every, directory, observer, &mut |_, _| Ok(()))?;
    if let Gone::Stopped { step, checkpoint } = gone {
        return Ok(ComponentEnded::Stopped { step, checkpoint });
    }
    // 5 weights
    let [_, name] = recipe.component.place();
    let path = directory.path().join(name);
    let part = path.with_extension("part");
    let named: HashMap<String, Tensor> = trainer.result().into_iter().collect();
    candle_core::safetensors::save(&named, &part)?;
    fs::rename(&part, &path).map_err(|source| RunError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(ComponentEnded::Finished(path))
}

fn stage(
    recipe: &ComponentRecipe,
    files: &Files,
    compute: &Compute,
) -> TrainingResult<Box<dyn Stage>> {
    let [folder, _] = recipe.component.place();
    let (parameters, weights) = tracked(Weights::safetensors(files, folder)?, compute)?;
    let (batch, seed) = (recipe.batch, recipe.course.seed);
    Ok(match recipe.component {
        Component::Autoencoder => {
            let config = vae::Config {
                scaling_factor: 1.0,
                shift_factor: None,
                ..vae::Config::read(files)?
            };
            Box::new(Autoencoding {
                vae: AutoencoderKl::load(&config, weights, compute)?,
                parameters,
                batch,
                view: View::square(recipe.side),
                loss: recipe.autoencoder,
                seed,
            })
        }
        Component::TextEncoder => Box::new(LanguageModelling {
            model: LanguageModel::load(&qwen3::Config::read(files)?, weights, compute)?,
            tokenizer: ChatTokenizer::load(files)?,
            parameters,
            batch,
            seed,
        }),
        Component::Judge => {
            let folder = Folder::below(files.clone(), folder);
            let model = VisionLanguageModel::build(&folder, weights, compute)?;
            let seen = Degradation::ALL.to_vec();
            let mut judging = Judging::new(model, parameters, (batch, seen))?;
            if let Some(choice) = &recipe.labelled {
                judging = judging.with_labelled(LabelledEdits {
                    edits: Labelled::read(&choice.list)?,
                    batch: choice.size,
                });
            }
            Box::new(judging)
        }
    })
}

/// Every weight as a parameter, in single precision.
fn tracked(weights: Weights, compute: &Compute) -> TrainingResult<(Parameters, Weights)> {
    let mut parameters = Parameters::new();
    for (name, tensor) in weights.into_tensors("", compute)? {
        parameters.insert(name, Var::from_tensor(&tensor)?);
    }
    let tensors = parameters.iter();
    let tensors = tensors.map(|(name, var)| (name.clone(), var.as_tensor().clone()));
    let tensors: Vec<_> = tensors.collect();
    Ok((parameters, Weights::tensors("the trained weights", tensors)))
}
