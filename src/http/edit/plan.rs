//! From the fields of a request, or a receipt, to everything that decides the answer.
use uuid::Uuid;

use super::{
    form::{EditForm, MAX_SEED},
    judging::Judged,
    receipt::{Choices, Facts, Receipt},
};
use crate::{
    config::{self, FormatChoice, PreprocessChoice},
    engine::{
        AppliedAdapter, EditRequest, Edited, EngineError, Judging, OutputFormat, OutputSize,
        PreprocessRule, Profile, SourceImage,
    },
    http::problem::{Code, FieldError, JudgedFields, Problem},
};

/// What fills the fields that a request leaves out.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Of the output, where neither the request nor `Accept` names one.
    pub output_format: &'static str,
    /// Of JPEG.
    pub quality: u32,
    pub preprocess: PreprocessRule,
}

impl From<&config::Edit> for Defaults {
    fn from(edit: &config::Edit) -> Self {
        Self {
            output_format: match edit.output_format {
                FormatChoice::Png => "png",
                FormatChoice::Jpeg => "jpeg",
                FormatChoice::Webp => "webp",
            },
            quality: edit.output_quality.into(),
            preprocess: match edit.preprocess {
                PreprocessChoice::Area => PreprocessRule::Area,
                PreprocessChoice::Reference => PreprocessRule::Reference,
            },
        }
    }
}

/// An edit with every choice made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub request: EditRequest,
    pub outcome: Outcome,
}

/// What makes an answer of what the engine gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    receipt: Receipt,
    pub judged: Option<Judged>,
}

impl Plan {
    /// Makes every choice: those of the form, else the defaults; a receipt makes them all.
    pub fn new(
        form: EditForm,
        image: SourceImage,
        adapter: Option<AppliedAdapter>,
        (profile, defaults): (&Profile, &Defaults),
    ) -> Result<Self, Problem> {
        let facts = Facts::here(profile, adapter.as_ref(), &image.sha256);
        let choices = match &form.receipt {
            Some(receipt) => {
                agree(&form, &receipt.choices, image.rgb.dimensions())?;
                receipt.check(&facts, profile)?;
                receipt.choices.clone()
            }
            None => choose(&form, profile, image.rgb.dimensions(), defaults)?,
        };
        let candidates = best_of(&form).unwrap_or(choices.n);
        let judging = form.judged.as_ref().map_or(Judging::Unjudged, |judged| {
            judged.judging(&choices.instruction)
        });
        let (width, height) = choices.size;
        let request = EditRequest {
            image,
            instruction: choices.instruction.clone(),
            adapter,
            seeds: (0..candidates).map(|i| choices.seed + i).collect(),
            steps: choices.steps as usize,
            size: OutputSize::Exact { width, height },
            preprocess: choices.preprocess,
            output: choices.output,
            judging,
            watch: None,
            mask: None,
        };
        Ok(Self {
            request,
            outcome: Outcome {
                receipt: Receipt { facts, choices },
                judged: form.judged,
            },
        })
    }
}

impl Outcome {
    /// The receipt of what was answered: of several candidates, that of the chosen one.
    pub fn receipt(&self, edited: &Edited) -> Receipt {
        let mut receipt = self.receipt.clone();
        if let Some(first) = edited.images.first() {
            receipt.choices.seed = first.seed;
        }
        receipt
    }

    /// Name of the format of the answered files.
    pub fn output_format(&self) -> &'static str {
        self.receipt.choices.output.name()
    }

    /// The engine's error, at the fields that it is about.
    pub fn problem(&self, error: EngineError) -> Problem {
        Problem::of_judged(error, |_| {
            let instruction = &self.receipt.choices.instruction;
            let judging = self
                .judged
                .as_ref()
                .map(|judged| judged.judging(instruction));
            let edit = judging.as_ref().and_then(Judging::edit).cloned();
            JudgedFields::new("", ["image", "size"], &edit.unwrap_or_default())
        })
    }
}

fn best_of(form: &EditForm) -> Option<u64> {
    form.judged.as_ref()?.best_of
}

fn choose(
    form: &EditForm,
    profile: &Profile,
    source_size: (u32, u32),
    defaults: &Defaults,
) -> Result<Choices, Problem> {
    let instruction = form.instruction.clone();
    let instruction =
        instruction.ok_or_else(|| refusal("instruction", "is missing; say what to change"))?;
    let n = form.n.unwrap_or(1);
    let seed = form.seed.unwrap_or_else(drawn_seed);
    let images = best_of(form).unwrap_or(n);
    if seed > MAX_SEED + 1 - images {
        let message = format!(
            "must be at most {} for {images} images; send a smaller seed",
            MAX_SEED + 1 - images
        );
        return Err(refusal("seed", message));
    }
    let steps = form.steps.unwrap_or(profile.default_steps as u64);
    let sigmas = profile.sigmas(steps as usize);
    Ok(Choices {
        instruction,
        seed,
        n,
        size: form.size.unwrap_or(OutputSize::Auto).resolve(source_size),
        steps,
        sigmas: sigmas
            .map_err(|error| refusal("steps", error.to_string()))?
            .clone(),
        preprocess: defaults.preprocess,
        output: output(form, defaults)?,
    })
}

fn output(form: &EditForm, defaults: &Defaults) -> Result<OutputFormat, Problem> {
    let quality = form.quality.unwrap_or(defaults.quality);
    let output = match form.output_format {
        // Its own quality was only a stand-in where the request named none.
        Some(OutputFormat::Jpeg { .. }) => OutputFormat::parse("jpeg", Some(quality)),
        Some(lossless) => OutputFormat::parse(lossless.name(), form.quality),
        None if defaults.output_format == "jpeg" => OutputFormat::parse("jpeg", Some(quality)),
        None => OutputFormat::parse(defaults.output_format, form.quality),
    };
    output.map_err(|error| refusal("quality", error.to_string()))
}

/// Refuses fields that say something else than the receipt beside them.
fn agree(form: &EditForm, receipt: &Choices, source_size: (u32, u32)) -> Result<(), Problem> {
    let quality = match receipt.output {
        OutputFormat::Jpeg { quality } => Some(u32::from(quality)),
        OutputFormat::Png | OutputFormat::Webp => None,
    };
    let size = form.size.map(|size| size.resolve(source_size));
    let format = form.output_format.map(OutputFormat::name);
    let differs = [
        (
            "instruction",
            form.instruction
                .as_ref()
                .is_some_and(|text| *text != receipt.instruction),
        ),
        ("n", form.n.is_some_and(|n| n != receipt.n)),
        (
            "steps",
            form.steps.is_some_and(|steps| steps != receipt.steps),
        ),
        ("seed", form.seed.is_some_and(|seed| seed != receipt.seed)),
        ("size", size.is_some_and(|size| size != receipt.size)),
        (
            "output_format",
            format.is_some_and(|name| name != receipt.output.name()),
        ),
        ("quality", form.quality.is_some() && form.quality != quality),
    ];
    let errors: Vec<FieldError> = differs
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| {
            FieldError::new(format!("/{name}"), "contradicts the receipt; leave it out")
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::fields(Code::InvalidRequest, errors))
    }
}

fn refusal(name: &str, message: impl Into<String>) -> Problem {
    Problem::fields(
        Code::InvalidRequest,
        vec![FieldError::new(format!("/{name}"), message)],
    )
}

/// A seed that nobody chose: short enough to be copied by hand.
fn drawn_seed() -> u64 {
    // The low half of a version 7 id is random.
    Uuid::now_v7().as_u128() as u64 & u64::from(u32::MAX)
}
