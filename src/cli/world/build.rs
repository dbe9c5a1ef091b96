//! `npedit world build`: the tiny bundle, part by part, from nothing but scenes.
use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{BuildArgs, attempts, sets};
use crate::{
    app::Loader,
    cli::{
        args::start_quietly,
        error::{CliError, Unusable},
        output_file::write_whole,
        progress::DownloadBar,
        train,
    },
    config::Config,
    models::{
        files::Files,
        random::{self, Preset},
    },
    pipelines::bundle::{Placement, Role},
    training::{
        instruction_set::BadPictures,
        recipe::{ComponentRecipe, Recipe, StageChoice},
        run::{
            self, ComponentEnded, Ended, RunDirectory, Written, install_component,
            install_transformer,
        },
    },
};

#[derive(rust_embed::Embed)]
#[folder = "configs/recipes/tiny"]
struct Recipes;

/// Explains the keys, trains nothing.
const MANUAL: &str = "default.toml";
/// Denoising steps at most of the attempts that a judge learns from.
const STEPS: u8 = 4;
/// Written when a part's weights are in the bundle.
const DONE: &str = "installed";

pub(super) fn run(args: &BuildArgs) -> Result<(), CliError> {
    let config = start_quietly(&args.device.add_to(args.settings.given()))?;
    let bar = DownloadBar::new();
    let placement = Loader::new(&config, &bar)?.placement();
    // 1 recipes     the shipped ones, unless the directory has its own
    let recipes = recipes(&args.dir)?;
    // 2 bundle      random weights of the world's sizes
    let bundle = args.dir.join("bundle");
    if !bundle.exists() {
        random::write(&bundle, Preset::World, args.seed)?;
    }
    // 3 scenes      photos, instructions and captions
    sets::write(&args.dir.join("scenes"), args.scenes, args.seed)?;
    // 4 parts       each trained, then put into the bundle
    for recipe in recipes {
        let name = recipe.file_stem().unwrap_or_default();
        let out = args.dir.join("runs").join(name);
        if out.join(DONE).exists() {
            continue;
        }
        eprintln!("{}", name.display());
        let directory = RunDirectory::new(out.clone());
        if is_component(&recipe)? {
            component(&recipe, &bundle, (&config, &placement), &directory)?;
        } else {
            transformer(&recipe, &bundle, config.clone(), &directory)?;
        }
        write_whole(&out.join(DONE), b"")?;
    }
    println!("{}", bundle.display());
    Ok(())
}

/// The recipes of `dir` in order; an empty directory gets those in the binary.
fn recipes(dir: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |source| Unusable::Output {
        path: dir.to_owned(),
        source,
    };
    fs::create_dir_all(dir).map_err(failed)?;
    let found = || -> Result<Vec<PathBuf>, Unusable> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    };
    if found()?.is_empty() {
        for name in Recipes::iter().filter(|name| name != MANUAL) {
            if let Some(file) = Recipes::get(&name) {
                write_whole(&dir.join(name.as_ref()), &file.data)?;
            }
        }
    }
    Ok(found()?)
}

/// Whether a recipe is of a part that learns from scenes alone; the others are ordinary training recipes.
fn is_component(recipe: &Path) -> Result<bool, CliError> {
    let text = fs::read_to_string(recipe).map_err(|source| Unusable::Input {
        path: recipe.to_owned(),
        source,
    })?;
    let starts = |line: &str| line.trim_start().starts_with("component");
    Ok(text.lines().any(starts))
}

fn component(
    path: &Path,
    bundle: &Path,
    (config, placement): (&Config, &Placement),
    directory: &RunDirectory,
) -> Result<(), CliError> {
    let recipe = &ComponentRecipe::read(path)?;
    let files = Files::Directory(bundle.to_owned());
    if let Some(labelled) = &recipe.labelled
        && !labelled.list.exists()
    {
        let mut config = config.clone();
        config.model.reference = Some(bundle.display().to_string());
        let plan = attempts::Plan {
            scenes: labelled.attempts,
            seed: recipe.course.seed,
            steps: STEPS,
        };
        attempts::write(&labelled.list, &config, plan)?;
    }
    let ended = train::watched(recipe.course.steps, |watcher| {
        Ok(run::component(
            recipe,
            (&files, placement),
            directory,
            watcher,
        )?)
    })?;
    match ended {
        ComponentEnded::Finished(weights) => {
            Ok(install_component(recipe, &weights, bundle, placement)?)
        }
        ComponentEnded::Stopped { step, checkpoint } => Err(CliError::Stopped { step, checkpoint }),
    }
}

fn transformer(
    path: &Path,
    bundle: &Path,
    config: Config,
    directory: &RunDirectory,
) -> Result<(), CliError> {
    let loaded = Recipe::read(path)?;
    let role = match loaded.recipe.stage {
        StageChoice::TextToImage => Role::Teacher,
        _ => Role::Generator,
    };
    match train::follow(&loaded, BadPictures::Refuse, config, directory)? {
        Ended::Finished {
            written: Written::Weights(weights),
            ..
        } => Ok(install_transformer(&weights, bundle, role)?),
        // a recipe of the directory's own may train an adapter, which stays where it is
        Ended::Finished { .. } => Ok(()),
        Ended::Stopped { step, checkpoint } => Err(CliError::Stopped { step, checkpoint }),
    }
}
