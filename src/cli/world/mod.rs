//! `npedit world`: the scenes that the tiny bundle is made for.
mod build;
mod controls;
mod lettering;
mod sample;
mod sets;
mod sheet;

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

use super::{
    args::{DeviceArgs, SettingsArgs},
    error::CliError,
};

#[derive(Debug, Args)]
pub(super) struct WorldCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write scenes with instructions, and a sheet that shows them beside what they should become
    Sample(SampleArgs),
    /// Train the tiny bundle from nothing but scenes; goes on where it was stopped
    Build(BuildArgs),
    /// Try the oracle on edits of which it is known whether they are good
    Controls(ControlsArgs),
}

#[derive(Debug, Args)]
struct SampleArgs {
    /// Directory that does not exist yet, or is empty
    dir: PathBuf,
    /// How many scenes
    #[arg(long, default_value_t = 24, value_parser = value_parser!(u64).range(1..=100_000))]
    count: u64,
    /// Same seed, same scenes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Pixels a side
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(16..=512))]
    size: u32,
}

#[derive(Debug, Args)]
struct BuildArgs {
    /// Where recipes, scenes, runs and the bundle lie
    dir: PathBuf,
    /// How many scenes teacher and editor see
    #[arg(long, default_value_t = 12_000, value_parser = value_parser!(u64).range(64..=100_000))]
    scenes: u64,
    /// Of the scenes and of the weights before training
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Args)]
struct ControlsArgs {
    /// How many fresh scenes
    #[arg(long, default_value_t = 2000, value_parser = value_parser!(u64).range(1..=1_000_000))]
    scenes: u64,
    /// Same seed, same scenes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON; without it a terminal gets a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &WorldCommand) -> Result<(), CliError> {
    match &command.action {
        Action::Sample(args) => sample::run(args),
        Action::Build(args) => build::run(args),
        Action::Controls(args) => controls::run(args),
    }
}
