//! `npedit score`: what a judge makes of one edit, on this machine.
mod table;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{
    args::{JudgeArgs, SettingsArgs, start_quietly},
    error::{CliError, Unusable},
    input::{STREAM, check_instruction, read_image},
    progress::DownloadBar,
};
use crate::{
    app::{BUILT_IN, JudgeFiles, Loader},
    config::Config,
    http::{Images, JudgeBody, ScoredItem},
    pipelines::{
        image::ImageLimits,
        judge::{Judge, ScoreInput},
        questions::{EditDescription, EditType},
    },
};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  npedit score photo.jpg winter.png \"make it winter\" --judge hf:OpenGVLab/InternVL3-1B-hf
  npedit score photo.jpg out.png \"remove the hat\" --type remove --object \"the hat\"
  npedit score photo.jpg out.png \"make it winter\" | jq .overall")]
pub(super) struct ScoreArgs {
    /// The image that was edited: a PNG, JPEG or WebP file; - reads stdin
    #[arg(value_name = "REF")]
    reference: PathBuf,
    /// What came out; it may have another size
    edited: PathBuf,
    /// What was to be changed
    instruction: String,
    /// Kind of change: add, remove, replace, shape, action, style, text, color, material, background or other
    #[arg(long = "type", value_name = "TYPE", default_value_t)]
    edit_type: EditType,
    /// What was added, removed or changed
    #[arg(long)]
    object: Option<String>,
    /// Print JSON, as POST /v1/score answers it; without it a terminal gets a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed {
    judge: JudgeBody,
    #[serde(flatten)]
    item: ScoredItem,
}

/// Refuses what can be refused first, then loads, judges and prints.
pub(super) fn run(args: &ScoreArgs) -> Result<(), CliError> {
    let config = start_quietly(&args.judge.add_to(args.settings.given()))?;
    let (input, images) = read(args, &config)?;
    let judge = load(&config)?;
    let score = judge.score(&input)?;
    let printed = Printed {
        judge: judge.identity().into(),
        item: ScoredItem::new(&score, images),
    };
    let mut stdout = io::stdout().lock();
    if args.json || !stdout.is_terminal() {
        let json = serde_json::to_string_pretty(&printed).expect("numbers and texts are JSON");
        return writeln!(stdout, "{json}").map_err(CliError::Stdout);
    }
    for warning in &printed.item.warnings {
        eprintln!("warning: {}", warning.message);
    }
    writeln!(stdout, "{}", table::render(&score)).map_err(CliError::Stdout)
}

fn read(args: &ScoreArgs, config: &Config) -> Result<(ScoreInput, Images), Unusable> {
    check_instruction(&args.instruction, config.edit.instruction_max_bytes)?;
    if args
        .object
        .as_ref()
        .is_some_and(|object| object.trim().is_empty())
    {
        return Err(Unusable::NoObject);
    }
    if [&args.reference, &args.edited].map(|path| path == Path::new(STREAM)) == [true, true] {
        return Err(Unusable::TwoFromStdin);
    }
    let limits = ImageLimits::from(&config.images);
    let reference = read_image(&args.reference, &limits)?;
    let edited = read_image(&args.edited, &limits)?;
    let images = Images::new(&reference, &edited);
    let input = ScoreInput {
        reference: reference.rgb,
        edited: edited.rgb,
        edit: EditDescription {
            instruction: args.instruction.clone(),
            edit_type: args.edit_type,
            object: args.object.clone().unwrap_or_default(),
        },
        questions: Vec::new(),
    };
    Ok((input, images))
}

/// The judge that the settings name.
pub(super) fn load(config: &Config) -> Result<Judge, CliError> {
    let files = JudgeFiles::read(&config.judge)?;
    let bar = DownloadBar::new();
    let judge = Loader::new(config, &bar)?.judge(&files)?;
    bar.finish();
    let judge = judge.ok_or(CliError::NoJudge)?;
    if config.model.reference.is_none() && config.judge.reference.is_none() {
        eprintln!("warning: {BUILT_IN}");
    }
    Ok(judge)
}
