//! A whole run, in order: sets -> models -> resume -> steps -> result.
mod build;
mod component;
mod directory;
mod error;
mod grid;
mod halve;
mod install;
mod result;
mod samples;
mod steps;

use std::{collections::BTreeMap, ops::ControlFlow, path::PathBuf};

pub use self::{
    build::{generator, trainer},
    component::{ComponentEnded, component},
    directory::RunDirectory,
    error::{RunError, RunResult},
    grid::Grid,
    halve::halve,
    install::{install_component, install_transformer},
    result::Written,
};
use self::{directory::Identity, samples::Samples, steps::Gone};
use super::{
    instruction_set::InstructionSet,
    recipe::{Loaded, Recipe},
    report::{self, Finished},
    trainer::{StepReport, Trainer},
};
use crate::{
    adapters::Adapter,
    models::{lpips::Lpips, zimage::Transformer},
    pipelines::{
        bundle::{BundleSource, EditBundle, Placement},
        image::ImageLimits,
        judge::Judge,
    },
};

/// The models of a run, loaded.
pub struct Models {
    pub source: BundleSource,
    pub placement: Placement,
    /// With the generator as it is before the run, its adapter beside it.
    pub bundle: EditBundle,
    /// Whose branches the run goes on from.
    pub adapter: Option<Adapter>,
    pub teacher: Transformer,
    pub judge: Option<Judge>,
    /// Where the recipe's losses count it.
    pub lpips: Option<Lpips>,
}

/// The rows of a run.
pub struct Sets {
    pub rows: InstructionSet,
    pub replay: Option<InstructionSet>,
    pub limits: ImageLimits,
}

/// A sign of life.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run goes on after this many steps; checkpoints newer than that were damaged.
    Resumed {
        step: u64,
        damaged: Vec<String>,
    },
    Step(&'a StepReport),
    Checkpoint(&'a PathBuf),
    Samples(&'a PathBuf),
}

/// Hears of a run, and may end it.
pub trait Observer {
    fn hear(&mut self, event: &Event);

    /// Asked after every step: breaking off writes a checkpoint first.
    fn go_on(&mut self) -> ControlFlow<()>;

    /// Asked before every pass of a step, and may wait; breaking off drops the step
    /// ([`super::error::TrainingError::Interrupted`]).
    fn turn(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Whether a checkpoint is wanted after this step, beside the recipe's.
    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    /// Whether pictures are wanted after this step, beside the recipe's.
    fn wants_samples(&mut self) -> bool {
        false
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// All steps are done.
    Finished { written: Written, report: PathBuf },
    /// Somebody broke off; the checkpoint holds everything.
    Stopped { step: u64, checkpoint: PathBuf },
}

/// Runs a recipe, or goes on with it where `directory` has its checkpoints.
///
/// # Errors
/// See [`RunError`].
pub fn run(
    Loaded { recipe, layers }: &Loaded,
    (models, sets): (&Models, &Sets),
    directory: &RunDirectory,
    observer: &mut dyn Observer,
) -> RunResult<Ended> {
    // 1 check       what the stage needs is there
    build::check(recipe, models, sets)?;
    // 2 claim       the directory is this run's, or new
    let _alone = directory.lock()?;
    directory.claim(&Identity::of(recipe, models, sets))?;
    // 3 build       models, rows, recipe -> trainer
    let generator = generator(recipe, models)?;
    let mut trainer = trainer(recipe, models, sets, generator.clone())?;
    // 4 resume      newest whole checkpoint -> trainer
    steps::resume(&mut trainer, directory, observer)?;
    // 5 steps
    let samples = Samples::new(recipe, models, sets, &generator)?;
    let every = recipe.samples.every;
    let mut show = |trainer: &Trainer, observer: &mut dyn Observer| {
        let due = every.is_some_and(|every| trainer.done().is_multiple_of(every));
        if observer.wants_samples() || due {
            observer.hear(&Event::Samples(&samples.draw(trainer, directory)?));
        }
        Ok(())
    };
    let gone = steps::go(
        &mut trainer,
        recipe.checkpoint_every,
        directory,
        observer,
        &mut show,
    )?;
    if let Gone::Stopped { step, checkpoint } = gone {
        return Ok(Ended::Stopped { step, checkpoint });
    }
    // 6 result      adapter or weights, last samples, report
    observer.hear(&Event::Samples(&samples.draw(&trainer, directory)?));
    let written = result::write(recipe, models, &trainer, directory)?;
    let finished = Finished {
        settings: layers,
        names: names(recipe, models),
        result: written.facts(directory.path()),
        grid: &samples.grid(),
        instructions: samples.instructions(),
    };
    let report = report::write(directory, &finished);
    let report = report.map_err(|(path, source)| RunError::Write { path, source })?;
    Ok(Ended::Finished { written, report })
}

/// What people call the things that a run's identity has hashes of.
fn names(recipe: &Recipe, models: &Models) -> BTreeMap<&'static str, String> {
    let data = &recipe.data;
    let path = |path: &PathBuf| path.display().to_string();
    let judge = models.judge.as_ref();
    let names = [
        ("base", Some(models.bundle.identity.name.clone())),
        ("judge", judge.map(|judge| judge.identity().name.clone())),
        ("lpips", recipe.model.lpips.as_ref().map(path)),
        ("rows", Some(path(&data.rows))),
        ("replay", data.replay.as_ref().map(path)),
    ];
    let names = names.into_iter();
    names
        .filter_map(|(what, name)| Some((what, name?)))
        .collect()
}
