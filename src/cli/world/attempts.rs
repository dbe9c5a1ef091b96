//! `npedit world attempts`: what an editor makes of fresh edits, labelled by how near it comes to the true drawings.
use std::{fs, path::Path};

use rayon::prelude::*;
use serde_json::json;

use super::{
    AttemptsArgs,
    sample::{make_empty, png},
    trials::{Trials, view},
};
use crate::{
    app::Loader,
    cli::{
        args::start_quietly,
        error::{CliError, Unusable},
        output_file::write_whole,
        progress::DownloadBar,
    },
    config::Config,
    world::{Change, Edit, EditMix, EditType, Looks, SceneRng},
};

/// The list of a folder of labelled edits, as `npedit judge-check` reads it.
const LIST: &str = "pairs.jsonl";
/// Edits for attempts start here: neither training sets nor evaluations come so far.
const ATTEMPTED: u64 = 1 << 44;
/// Instructions beside an edit's own that are asked about its pictures, so that these alone never give the answer.
const OTHERS: usize = 2;

/// Which edits are attempted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub scenes: u64,
    pub seed: u64,
    /// Denoising steps at most: as many edits are made in one as in two, and so on, since what training sees lies in between.
    pub steps: u8,
}

pub(super) fn run(args: &AttemptsArgs) -> Result<(), CliError> {
    let config = start_quietly(&args.model.add_to(args.settings.given()))?;
    let plan = Plan {
        scenes: args.scenes,
        seed: args.seed,
        steps: args.steps,
    };
    make_empty(&args.dir)?;
    write(&args.dir.join(LIST), &config, plan)
}

/// `list` with its pictures beside it, by the editor that `config` names. The list is written last, so that what was stopped
/// is known and made again.
pub(super) fn write(list: &Path, config: &Config, plan: Plan) -> Result<(), CliError> {
    let dir = list.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|source| Unusable::Output {
        path: dir.to_owned(),
        source,
    })?;
    let pipeline = Loader::new(config, &DownloadBar::new())?.editor()?;
    let draw = |index: u64| {
        let mut rng = SceneRng::new(plan.seed, ATTEMPTED + index);
        (Edit::draw(&EditMix::trained(), &mut rng), rng)
    };
    let mut lines = String::new();
    for steps in 1..=plan.steps {
        // 1 attempts    one part of the edits in so many steps
        let indices = (u64::from(steps) - 1..plan.scenes).step_by(usize::from(plan.steps));
        let (edits, rngs): (Vec<Edit>, Vec<SceneRng>) = indices.clone().map(draw).unzip();
        let trials = Trials {
            scenes: plan.scenes,
            seed: plan.seed,
            steps: usize::from(steps),
        };
        let outputs = trials.edited(&pipeline, &edits, &format!("in {steps} steps"))?;
        // 2 labels      of the edit's own instruction and of others
        let of_these: Vec<_> = indices.zip(edits).zip(rngs).zip(outputs).collect();
        let labelled = of_these
            .into_par_iter()
            .map(|(((at, edit), mut rng), output)| {
                let [before, after] = ["before", "after"].map(|name| format!("{at:05}-{name}.png"));
                write_whole(&dir.join(&before), &png(&edit.before.render(&view())))?;
                write_whole(&dir.join(&after), &png(&output))?;
                Ok(rows(&edit, &output, &mut rng, [&before, &after]))
            });
        lines += &labelled.collect::<Result<Vec<_>, CliError>>()?.concat();
    }
    write_whole(list, lines.as_bytes())?;
    eprintln!("{}: {} labels", list.display(), lines.lines().count());
    Ok(())
}

/// A line for each question about `output` whose answer is plain.
fn rows(
    edit: &Edit,
    output: &image::RgbImage,
    rng: &mut SceneRng,
    [reference, edited]: [&str; 2],
) -> String {
    let mut asked = vec![edit.clone()];
    asked.extend((0..OTHERS).map(|_| other(edit, rng)));
    let mut lines = String::new();
    for asked in asked {
        let looks = Looks::of(output, &asked.before, asked.change, &view());
        for (question, answer) in [("edit", looks.done), ("preservation", looks.kept)] {
            let Some(answer) = answer else { continue };
            let line = json!({
                "reference": reference,
                "edited": edited,
                "instruction": asked.instruction,
                "edit_type": asked.edit_type().question_name(),
                "object": asked.object,
                "question": question,
                "expected": if answer { "yes" } else { "no" },
            });
            lines += &format!("{line}\n");
        }
    }
    lines
}

/// Another edit of the same scene, every type as often as the others.
fn other(edit: &Edit, rng: &mut SceneRng) -> Edit {
    let by_type = EditType::ALL.map(|kind| Change::possible(kind, &edit.before));
    let possible: Vec<Vec<Change>> = by_type
        .into_iter()
        .map(|changes| {
            changes
                .into_iter()
                .filter(|change| *change != edit.change)
                .collect()
        })
        .filter(|changes: &Vec<Change>| !changes.is_empty())
        .collect();
    let of_type = &possible[rng.below(possible.len())];
    let change = rng.choose(of_type);
    Edit::new(edit.before.clone(), change, rng)
}
