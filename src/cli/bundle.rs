//! `npedit bundle`: makes bundles.
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::error::CliError;
use crate::models::random::{self, Preset};

#[derive(Debug, Args)]
pub(super) struct BundleCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a bundle with random weights, for tests and benchmarks: its results are noise
    Random(RandomArgs),
}

#[derive(Debug, Args)]
struct RandomArgs {
    /// Directory that does not exist yet, or is empty
    dir: PathBuf,
    /// How large
    #[arg(long, value_enum, default_value_t = Size::Tiny)]
    preset: Size,
    /// Same seed, same weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Size {
    /// About a megabyte
    Tiny,
    /// About 150 million parameters
    Small,
    /// The sizes of Z-Image with a judge of 2B, about 24 GB
    Zimage,
    /// For the scenes of `npedit world`, to be trained
    World,
}

pub(super) fn run(command: &BundleCommand) -> Result<(), CliError> {
    let Action::Random(args) = &command.action;
    let preset = match args.preset {
        Size::Tiny => Preset::Tiny,
        Size::Small => Preset::Small,
        Size::Zimage => Preset::Zimage,
        Size::World => Preset::World,
    };
    random::write(&args.dir, preset, args.seed)?;
    eprintln!(
        "{}: an untrained bundle; use it with --model",
        args.dir.display()
    );
    Ok(())
}
