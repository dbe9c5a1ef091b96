//! `npedit train`: a recipe, run on this machine, from its last checkpoint where there is one.
mod bar;
mod interrupt;

use std::{ops::ControlFlow, path::PathBuf};

use clap::Args;

use self::{bar::TrainBar, interrupt::Interrupt};
use super::{
    args::{DeviceArgs, SettingsArgs, start_quietly},
    error::CliError,
    progress::DownloadBar,
};
use crate::{
    app::{BUILT_IN, JudgeFiles, Loader},
    config::Config,
    pipelines::image::ImageLimits,
    training::{
        instruction_set::{BadPictures, InstructionSet},
        recipe::{Loaded, Recipe},
        run::{self, Ended, Event, Observer, RunDirectory, Sets, Written},
    },
};

/// Stack of the training thread: without recomputation a graph is as deep as all blocks of all steps.
const STACK_BYTES: usize = 256 << 20;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  npedit train my.toml                      writes to runs/my; the same command goes on where it was stopped
  npedit train my.toml --out runs/second --skip-bad

configs/recipes/default.toml explains every key of a recipe.")]
pub(super) struct TrainArgs {
    /// What to train, and how
    recipe: PathBuf,
    /// Where checkpoints, metrics, pictures and the result go [default: runs/NAME-OF-THE-RECIPE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave rows out whose image does not decode, instead of refusing the set
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn run(args: &TrainArgs) -> Result<(), CliError> {
    let config = start_quietly(&args.device.add_to(args.settings.given()))?;
    let out = args.out.clone();
    let directory = RunDirectory::new(out.unwrap_or_else(|| default_out(&args.recipe)));
    let bad = match args.skip_bad {
        true => BadPictures::Skip,
        false => BadPictures::Refuse,
    };
    let loaded = Recipe::read(&args.recipe)?;
    tell(follow(&loaded, bad, config, &directory)?, &directory)
}

/// Refuses what can be refused first, then loads and trains.
pub(super) fn follow(
    loaded: &Loaded,
    bad: BadPictures,
    mut config: Config,
    directory: &RunDirectory,
) -> Result<Ended, CliError> {
    let recipe = &loaded.recipe;
    let judge_files = JudgeFiles::read(&config.judge)?;
    let sets = sets(recipe, bad, &config)?;
    override_models(&mut config, recipe);
    let bar = DownloadBar::new();
    let models = Loader::new(&config, &bar)?.training(recipe, &judge_files)?;
    bar.finish();
    if config.model.reference.is_none() {
        eprintln!("warning: {BUILT_IN}");
    }
    watched(recipe.steps, |watcher| {
        Ok(run::run(loaded, (&models, &sets), directory, watcher)?)
    })
}

/// Trains on a thread with room for deep graphs, under a bar of so many steps.
pub(super) fn watched<T: Send>(
    steps: u64,
    train: impl FnOnce(&mut dyn Observer) -> Result<T, CliError> + Send,
) -> Result<T, CliError> {
    let mut watcher = Watcher {
        bar: TrainBar::new(steps),
        interrupt: Interrupt::listen(),
    };
    let ended = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, || train(&mut watcher));
        let joined = thread.map_err(CliError::Runtime)?.join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    watcher.bar.finish();
    ended
}

/// What the recipe names counts more than the settings.
fn override_models(config: &mut Config, recipe: &Recipe) {
    let model = &recipe.model;
    if model.reference.is_some() {
        config.model.reference.clone_from(&model.reference);
        config.model.generator.clone_from(&model.generator);
    }
    if model.generator.is_some() {
        config.model.generator.clone_from(&model.generator);
    }
    if model.judge.is_some() {
        config.judge.reference.clone_from(&model.judge);
    }
}

fn sets(recipe: &Recipe, bad: BadPictures, config: &Config) -> Result<Sets, CliError> {
    let limits = ImageLimits {
        max_pixels: config.images.max_pixels,
        max_side_px: config.images.max_side_px,
        max_bytes: config.images.max_bytes,
    };
    let read = |path: &PathBuf| {
        let set = InstructionSet::read(path, &limits, bad)?;
        for row in &set.skipped {
            eprintln!("warning: {}: left out {row}", path.display());
        }
        Ok::<_, CliError>(set)
    };
    Ok(Sets {
        rows: read(&recipe.data.rows)?,
        replay: recipe.data.replay.as_ref().map(read).transpose()?,
        limits,
    })
}

fn default_out(recipe: &std::path::Path) -> PathBuf {
    PathBuf::from("runs").join(recipe.file_stem().unwrap_or("recipe".as_ref()))
}

fn tell(ended: Ended, directory: &RunDirectory) -> Result<(), CliError> {
    match ended {
        Ended::Finished { written, report } => {
            match written {
                Written::Adapter {
                    id,
                    diffusers,
                    peft,
                } => {
                    println!("adapter {id}");
                    println!("  diffusers {}", diffusers.display());
                    println!("  peft      {}", peft.display());
                }
                Written::Weights(path) => println!("generator {}", path.display()),
            }
            println!("metrics   {}", directory.metrics().display());
            println!("report    {}", report.display());
            Ok(())
        }
        Ended::Stopped { step, checkpoint } => Err(CliError::Stopped { step, checkpoint }),
    }
}

/// Shows the run, and ends it where the user asks for that.
struct Watcher {
    bar: TrainBar,
    interrupt: Interrupt,
}

impl Observer for Watcher {
    fn hear(&mut self, event: &Event) {
        self.bar.show(event);
    }

    fn go_on(&mut self) -> ControlFlow<()> {
        self.interrupt.go_on()
    }
}
