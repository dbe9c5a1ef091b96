//! `npedit judge-check`: how far a judge can be trusted, on edits that people labelled.
mod ask;
mod fitted;
mod folder;
mod groups;
mod plot;
mod report;
mod row;
mod table;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;

pub(super) use self::{fitted::NotFitted, folder::FolderError};
use self::{folder::LabelledFolder, plot::Diagrams, report::Report};
use super::{
    args::{JudgeArgs, SettingsArgs, start_quietly},
    error::{CliError, Unusable},
    output_file::{check_free, write_whole},
    score,
};
use crate::pipelines::{
    image::ImageLimits,
    judge::{Calibration, Judge},
};

#[derive(Debug, Args)]
#[command(after_help = "\
DIR holds pictures and pairs.jsonl (or metadata.jsonl), one edit a line:
  {\"reference\": \"a.png\", \"edited\": \"b.png\", \"instruction\": \"remove the hat\", \"edit_type\": \"remove\",
   \"object\": \"the hat\", \"question\": \"edit\", \"expected\": \"yes\"}
question is edit (was it carried out? the default) or preservation (is the rest as it was?).
expected is what a person says about that: yes for a good edit, whichever answer the judge's own question hopes for.
edit_type, object and question may be left out.

Examples:
  npedit judge-check labelled --judge hf:OpenGVLab/InternVL3-1B-hf --plot reliability.svg
  npedit judge-check labelled --model mybundle --fit-temperature calibration.toml
  npedit judge-check labelled --model mybundle | jq .verdict")]
pub(super) struct JudgeCheckArgs {
    /// Folder of labelled edits
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Draw reliability diagrams
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Fit a temperature to each question, for judge.calibration_file; a calibration in the settings is not applied
    #[arg(long, value_name = "FILE.toml")]
    fit_temperature: Option<PathBuf>,
    /// Print JSON; without it a terminal gets a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Refuses what can be refused first, then loads, asks, prints and writes.
pub(super) fn run(args: &JudgeCheckArgs) -> Result<(), CliError> {
    let mut config = start_quietly(&args.judge.add_to(args.settings.given()))?;
    let folder = LabelledFolder::read(&args.dir, &config)?;
    check_outputs(args, &folder)?;
    if args.fit_temperature.is_some() {
        fitted::check(&folder.rows)?;
        // What is fitted replaces what was: an old calibration, even of another judge, is in nobody's way.
        config.judge.calibration_file = None;
    }
    let judge = score::load(&config)?;
    ask::check(&judge, &folder)?;
    let limits = ImageLimits::from(&config.images);
    let answers = ask::ask(&judge, &args.dir, folder.rows, &limits)?;
    let groups = groups::groups(&answers);
    // A fit that fails is no reason to keep the numbers back.
    let (fitted, refused) = match &args.fit_temperature {
        None => (Vec::new(), None),
        Some(_) => match fitted::fit(&answers) {
            Ok(fitted) => (fitted, None),
            Err(refused) => (Vec::new(), Some(refused)),
        },
    };
    if let Some(path) = &args.plot {
        let diagrams = Diagrams {
            judge: &judge.identity().name,
            groups: &groups,
            fitted: (!fitted.is_empty()).then(|| fitted::temperatures(&fitted)),
        };
        write_whole(path, diagrams.svg().as_bytes())?;
        eprintln!("{}: the reliability diagrams", path.display());
    }
    if let Some(path) = args.fit_temperature.as_ref().filter(|_| refused.is_none()) {
        write_calibration(path, &judge, &fitted)?;
    }
    let text = if args.json || !io::stdout().is_terminal() {
        let report = Report::new(judge.identity().into(), &answers, &groups, fitted);
        serde_json::to_string_pretty(&report).expect("numbers and texts are JSON")
    } else {
        table::render(&report::overall(&answers), &groups, &fitted)
    };
    writeln!(io::stdout(), "{text}").map_err(CliError::Stdout)?;
    refused.map_or(Ok(()), |refused| Err(refused.into()))
}

fn check_outputs(args: &JudgeCheckArgs, folder: &LabelledFolder) -> Result<(), Unusable> {
    let pictures = folder
        .rows
        .iter()
        .flat_map(|row| [&row.reference, &row.edited]);
    let mut taken: Vec<PathBuf> = pictures.map(|name| args.dir.join(name)).collect();
    taken.push(folder.list.clone());
    for output in args.plot.iter().chain(&args.fit_temperature) {
        let inputs: Vec<&Path> = taken.iter().map(PathBuf::as_path).collect();
        check_free(output, &inputs)?;
        taken.push(output.clone());
    }
    Ok(())
}

fn write_calibration(
    path: &Path,
    judge: &Judge,
    fitted: &[fitted::Fitted],
) -> Result<(), CliError> {
    let calibration = Calibration {
        judge_sha256: judge.identity().sha256.clone(),
        temperatures: fitted::temperatures(fitted),
    };
    let toml = toml::to_string(&calibration).expect("texts and numbers are TOML");
    write_whole(path, toml.as_bytes())?;
    eprintln!(
        "{}: the temperatures; name the file in judge.calibration_file",
        path.display()
    );
    Ok(())
}
