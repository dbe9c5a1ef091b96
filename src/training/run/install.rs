//! Trained weights into the bundle that they were trained for.
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use candle_core::{DType, Tensor};

use super::{RunError, RunResult};
use crate::{
    models::{
        files::Files,
        vae::{self, AutoencoderKl},
        weights::Weights,
        zimage::GENERATOR_PREFIX,
    },
    pipelines::bundle::{Placement, Role},
    training::{
        recipe::{Component, ComponentRecipe},
        stages::autoencoder::pictures,
    },
    world::View,
};

/// Scenes whose latents are measured.
const MEASURED: usize = 256;
/// No training run comes so far.
const UNSEEN: u64 = 1 << 40;

/// Puts the weights of a part into `bundle`; an autoencoder's config learns the size of its latents.
///
/// # Errors
/// Files that cannot be read or written.
pub fn install_component(
    recipe: &ComponentRecipe,
    weights: &Path,
    bundle: &Path,
    placement: &Placement,
) -> RunResult<()> {
    let [folder, name] = recipe.component.place();
    let place = bundle.join(folder).join(name);
    copy(weights, &place)?;
    match recipe.component {
        Component::TextEncoder | Component::Judge => Ok(()),
        Component::Autoencoder => measure(recipe, bundle, placement),
    }
}

/// Puts a run's transformer into `bundle`, as the editor, or as teacher and where the editor starts.
///
/// # Errors
/// Files that cannot be read or written.
pub fn install_transformer(weights: &Path, bundle: &Path, role: Role) -> RunResult<()> {
    const NAME: &str = "diffusion_pytorch_model.safetensors";
    let prefix = format!("{GENERATOR_PREFIX}.");
    let tensors = candle_core::safetensors::load(weights, &candle_core::Device::Cpu)?;
    let bare = |name: String| name.strip_prefix(&prefix).unwrap_or(&name).to_owned();
    let tensors = tensors.into_iter();
    let tensors: HashMap<String, Tensor> = tensors.map(|(name, t)| (bare(name), t)).collect();
    let folders: &[&str] = match role {
        Role::Generator => &["transformer"],
        Role::Teacher => &["teacher", "transformer"],
    };
    for folder in folders {
        let folder = bundle.join(folder);
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        let (part, place) = (folder.join("part"), folder.join(NAME));
        candle_core::safetensors::save(&tensors, &part)?;
        fs::rename(&part, &place).map_err(|source| failed(&place, source))?;
    }
    Ok(())
}

/// Scale and shift under which the latents of scenes have mean 0 and variance 1.
fn measure(recipe: &ComponentRecipe, bundle: &Path, placement: &Placement) -> RunResult<()> {
    let files = Files::Directory(bundle.to_owned());
    let config = vae::Config {
        scaling_factor: 1.0,
        shift_factor: None,
        ..vae::Config::read(&files)?
    };
    let [folder, _] = recipe.component.place();
    let weights = Weights::safetensors(&files, folder)?;
    let vae = AutoencoderKl::load(&config, weights, &placement.compute(DType::F32))?;
    let scenes = (recipe.course.seed, &View::square(recipe.side));
    let pictures = pictures(scenes, UNSEEN, MEASURED, &placement.device)?;
    let latents = vae.encode_mean(&pictures)?.to_dtype(DType::F64)?;
    let mean: f64 = latents.mean_all()?.to_scalar()?;
    let variance: f64 = (latents - mean)?.sqr()?.mean_all()?.to_scalar()?;
    let path = bundle.join(folder).join("config.json");
    let text = fs::read(&path).map_err(|source| failed(&path, source))?;
    let mut json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| failed(&path, error.into()))?;
    json["scaling_factor"] = (1.0 / variance.sqrt()).into();
    json["shift_factor"] = mean.into();
    let text = format!("{json:#}\n");
    let part = path.with_extension("part");
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
    written.map_err(|source| failed(&path, source))
}

fn copy(from: &Path, to: &Path) -> RunResult<()> {
    let part: PathBuf = to.with_extension("part");
    let copied = fs::copy(from, &part).and_then(|_| fs::rename(&part, to));
    copied.map_err(|source| failed(to, source))
}

fn failed(path: &Path, source: io::Error) -> RunError {
    RunError::Write {
        path: path.to_owned(),
        source,
    }
}
