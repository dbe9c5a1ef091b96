//! `npedit edit`: one image, one instruction, on this machine.
mod output;
mod plan;

use std::{ops::ControlFlow, path::PathBuf};

use clap::Args;

use super::{
    args::{ModelArgs, SettingsArgs, start_quietly},
    error::CliError,
    progress::{DownloadBar, EditBar},
};
use crate::{
    app::{AdapterChoice, BUILT_IN, Loader},
    config::Config,
    pipelines::{edit::EditPipeline, request::EditInput},
};
use plan::Plan;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  npedit edit photo.jpg \"make it winter\" -o winter.png --seed 7
  npedit edit photo.jpg \"make it winter\" -o winter.jpg --quality 95 --n 3    writes winter-1.jpg to winter-3.jpg
  npedit edit - \"make it winter\" -o - --format png < photo.jpg > winter.png")]
pub(super) struct EditArgs {
    /// PNG, JPEG or WebP file; - reads stdin
    #[arg(value_name = "IN")]
    image: PathBuf,
    /// What to change
    instruction: String,
    /// Where the result goes; its extension names the format; - writes to stdout
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Denoising steps; the bundle's own number where not given
    #[arg(long)]
    steps: Option<usize>,
    /// Same seed, same image; of --n images each takes the next seed
    #[arg(long, conflicts_with = "latents")]
    seed: Option<u64>,
    /// Number of images
    #[arg(long, conflicts_with = "latents")]
    n: Option<usize>,
    /// Size of the result: WIDTHxHEIGHT, or auto for that of the input
    #[arg(long, default_value = "auto")]
    size: String,
    /// png, jpeg or webp, instead of what the extension says
    #[arg(long)]
    format: Option<String>,
    /// JPEG quality, 1 to 100
    #[arg(long)]
    quality: Option<u32>,
    /// Noise to start from and to add at each step, instead of a seed
    #[arg(long, value_name = "FILE.safetensors")]
    latents: Option<PathBuf>,
    /// Write the noise that was used
    #[arg(long, value_name = "FILE.safetensors")]
    save_latents: Option<PathBuf>,
    /// Adapter of the generator: a .safetensors file, or a directory that diffusers or PEFT wrote
    #[arg(long, value_name = "PATH")]
    adapter: Option<PathBuf>,
    /// How strongly the adapter acts; 1 is as it was trained
    #[arg(
        long,
        value_name = "FACTOR",
        requires = "adapter",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    adapter_scale: f64,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Refuses what can be refused first, then loads, edits and writes.
pub(super) fn run(args: &EditArgs) -> Result<(), CliError> {
    let config = start_quietly(&args.model.add_to(args.settings.given()))?;
    let plan = Plan::check(args, &config)?;
    let pipeline = load(&config, args.adapter())?;
    let input = EditInput {
        noise: plan.noise(&pipeline.bundle.device)?,
        steps: plan.steps.unwrap_or(pipeline.bundle.settings.default_steps),
        image: plan.image,
        instruction: args.instruction.clone(),
        size: plan.size,
        preprocess: plan.preprocess,
    };
    let bar = EditBar::new();
    let output = pipeline.run(&input, &mut |progress| {
        bar.show(progress);
        ControlFlow::Continue(())
    })?;
    bar.finish();
    for warning in &output.warnings {
        eprintln!("warning: {warning}");
    }
    plan.outputs.write(&output)
}

impl EditArgs {
    fn adapter(&self) -> Option<AdapterChoice> {
        self.adapter.clone().map(|path| AdapterChoice {
            path,
            scale: self.adapter_scale,
        })
    }
}

fn load(config: &Config, adapter: Option<AdapterChoice>) -> Result<EditPipeline, CliError> {
    let bar = DownloadBar::new();
    let loader = Loader::new(config, &bar)?;
    let pipeline = match adapter {
        None => loader.editor()?,
        Some(choice) => loader.adapted_editor(&choice)?,
    };
    bar.finish();
    if config.model.reference.is_none() {
        eprintln!("warning: {BUILT_IN}");
    }
    Ok(pipeline)
}
