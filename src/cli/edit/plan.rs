//! Everything about an edit that is known, and refused, before a model is loaded.
use candle_core::Device;
use uuid::Uuid;

use super::{EditArgs, output::Outputs};
use crate::{
    cli::{
        error::{CliError, Unusable},
        input::{check_instruction, read_image},
    },
    config::{Config, PreprocessChoice},
    pipelines::{
        image::{ImageLimits, OutputSize, SourceImage},
        noise::NoiseDraw,
        request::{NoiseSource, PreprocessRule},
    },
};

/// A request that can be run.
pub(super) struct Plan {
    pub image: SourceImage,
    /// `None` leaves the number to the bundle.
    pub steps: Option<usize>,
    pub size: OutputSize,
    pub preprocess: PreprocessRule,
    pub outputs: Outputs,
    noise: PlannedNoise,
}

enum PlannedNoise {
    Seeds(Vec<u64>),
    File(std::path::PathBuf),
}

impl Plan {
    pub fn check(args: &EditArgs, config: &Config) -> Result<Self, CliError> {
        let limits = ImageLimits::from(&config.images);
        check_instruction(&args.instruction, config.edit.instruction_max_bytes)?;
        if let Some(steps) = args
            .steps
            .filter(|steps| !(1..=config.edit.max_steps).contains(steps))
        {
            return Err(Unusable::Steps {
                steps,
                max: config.edit.max_steps,
            }
            .into());
        }
        let size = OutputSize::parse(&args.size, &limits).map_err(Unusable::Option)?;
        let (noise, count) = plan_noise(args, config.edit.max_n)?;
        let outputs = Outputs::plan(args, count, &config.edit)?;
        Ok(Self {
            image: read_image(&args.image, &limits)?,
            steps: args.steps,
            size,
            preprocess: match config.edit.preprocess {
                PreprocessChoice::Area => PreprocessRule::Area,
                PreprocessChoice::Reference => PreprocessRule::Reference,
            },
            outputs,
            noise,
        })
    }

    /// The noise on the device that computes.
    pub fn noise(&self, device: &Device) -> Result<NoiseSource, CliError> {
        Ok(match &self.noise {
            PlannedNoise::Seeds(seeds) => NoiseSource::Seeds(seeds.clone()),
            PlannedNoise::File(path) => NoiseSource::Given(NoiseDraw::load(path, device)?),
        })
    }
}

/// The noise, and how many images come out of it.
fn plan_noise(args: &EditArgs, max: usize) -> Result<(PlannedNoise, usize), CliError> {
    let count = match &args.latents {
        Some(path) => NoiseSource::Given(NoiseDraw::load(path, &Device::Cpu)?).count(),
        None => args.n.unwrap_or(1),
    };
    if !(1..=max).contains(&count) {
        return Err(Unusable::Count { count, max }.into());
    }
    if let Some(path) = &args.latents {
        return Ok((PlannedNoise::File(path.clone()), count));
    }
    let first = args.seed.unwrap_or_else(drawn_seed);
    let last = first
        .checked_add(count as u64 - 1)
        .ok_or(Unusable::LargeSeed { seed: first })?;
    Ok((PlannedNoise::Seeds((first..=last).collect()), count))
}

/// A seed that nobody chose: short enough to be copied by hand.
fn drawn_seed() -> u64 {
    // The low half of a version 7 id is random.
    Uuid::now_v7().as_u128() as u64 & u64::from(u32::MAX)
}
