//! `npedit world`: the scenes that the tiny bundle is made for.
mod attempts;
mod build;
mod card;
mod controls;
mod eval;
mod eval_report;
mod judge;
mod lettering;
mod pack;
mod sample;
mod sets;
mod sheet;
mod trials;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, value_parser};

use self::trials::Trials;
use super::{
    args::{DeviceArgs, ModelArgs, SettingsArgs},
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
    /// Halve a built bundle's bytes, and describe it in a model card
    Pack(PackArgs),
    /// Write what an editor makes of fresh edits, labelled, for a judge to learn from
    Attempts(AttemptsArgs),
    /// Try editors on scenes that none of them was trained on
    Eval(EvalArgs),
    /// Try the oracle on edits of which it is known whether they are good
    Controls(ControlsArgs),
    /// Ask a judge about edits of which it is known whether they are good
    JudgeCheck(JudgeArgs),
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
struct PackArgs {
    /// Where `npedit world build` left its runs and its bundle
    dir: PathBuf,
    /// Where the bundle goes; files of the same names are replaced
    out: PathBuf,
    /// On how many edits its quality is measured
    #[arg(long, default_value_t = 500, value_parser = value_parser!(u64).range(1..=100_000))]
    scenes: u64,
    /// Of the edits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Args)]
struct AttemptsArgs {
    /// Directory that does not exist yet, or is empty: pictures and pairs.jsonl, as `npedit judge-check` reads them
    dir: PathBuf,
    /// How many edits
    #[arg(long, default_value_t = 5000, value_parser = value_parser!(u64).range(1..=100_000))]
    scenes: u64,
    /// Same seed, same edits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Denoising steps at most: as many edits are made in one as in two, and so on
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u8).range(1..=8))]
    steps: u8,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Args)]
struct EvalArgs {
    /// How many edits of the trained types; a fifth as many of each held-out one follow
    #[arg(long, default_value_t = 500, value_parser = value_parser!(u64).range(1..=100_000))]
    scenes: u64,
    /// Same seed, same scenes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Denoising steps
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u8).range(1..=8))]
    steps: u8,
    /// Directory of other generators, one file a method: NAME.safetensors
    #[arg(long, value_name = "DIR", default_value = "assets/tiny-baselines")]
    baselines: PathBuf,
    /// Adapter of the bundle's own generator
    #[arg(long, value_name = "PATH")]
    adapter: Option<PathBuf>,
    /// Write a picture of the first 40 edits: reference, truth, result
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    /// Print JSON; without it a terminal gets a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
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

#[derive(Debug, Args)]
struct JudgeArgs {
    /// The judge's directory, in Hugging Face layout
    dir: PathBuf,
    /// How many fresh scenes, each with up to 13 attempts
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..=100_000))]
    scenes: u64,
    /// Same seed, same scenes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How the pictures are drawn
    #[arg(long, value_enum, default_value_t = Seen::Square)]
    view: Seen,
    /// Print JSON; without it a terminal gets a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Seen {
    /// 64 x 64 pixels, as the world draws
    Square,
    /// 96 x 64 pixels
    Wide,
    /// Everything off its place
    Shifted,
}

impl EvalArgs {
    fn trials(&self) -> Trials {
        Trials {
            scenes: self.scenes,
            seed: self.seed,
            steps: usize::from(self.steps),
        }
    }
}

pub(super) fn run(command: &WorldCommand) -> Result<(), CliError> {
    match &command.action {
        Action::Sample(args) => sample::run(args),
        Action::Build(args) => build::run(args),
        Action::Pack(args) => pack::run(args),
        Action::Attempts(args) => attempts::run(args),
        Action::Eval(args) => eval::run(args),
        Action::Controls(args) => controls::run(args),
        Action::JudgeCheck(args) => judge::run(args),
    }
}
