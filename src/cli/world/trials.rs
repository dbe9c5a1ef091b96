//! Edits that no editor was trained on, and what oracle and judge make of the answers.
use std::collections::BTreeMap;

use image::RgbImage;

use crate::{
    cli::error::CliError,
    pipelines::{
        edit::{EditPipeline, unobserved},
        image::{OutputSize, SourceFormat, SourceImage},
        judge::{Judge, ScoreInput},
        questions::EditDescription,
        request::{EditInput, NoiseSource, PreprocessRule},
    },
    world::{Edit, EditMix, EditType, Oracle, SceneRng, Tally, View},
};

/// Scenes are edited at the size that the tiny bundle ships.
const SIDE_PX: u32 = 64;
/// Scenes for evaluation start here: training sets count from 0.
const UNSEEN: u64 = 1 << 40;

/// Which edits are tried, and in how many denoising steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trials {
    /// Of the trained types; a fifth as many of each held-out one follow.
    pub scenes: u64,
    pub seed: u64,
    pub steps: usize,
}

/// What a method makes of the edits of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub tally: Tally,
    /// Sums of the judge's probabilities that the edit was carried out, and that the rest was kept.
    pub judged: [f64; 2],
}

/// By type of edit.
pub(super) type ByType = BTreeMap<EditType, Found>;

/// How scenes are drawn.
pub(super) fn view() -> View {
    View::square(SIDE_PX)
}

impl Trials {
    /// Edits of the trained types, and a fifth as many of each held-out one, in turn.
    pub fn edits(&self) -> Vec<Edit> {
        let draw = |mix: EditMix, count: u64, stream: u64| {
            let indices = 0..count;
            indices.map(move |index| {
                let place = UNSEEN + stream * UNSEEN + index;
                Edit::draw(&mix, &mut SceneRng::new(self.seed, place))
            })
        };
        let mut edits: Vec<Edit> = draw(EditMix::trained(), self.scenes, 0).collect();
        for (stream, kind) in [(1, EditType::Style), (2, EditType::Enlarge)] {
            let alone = EditMix::new(&[(kind, 1)]).expect("its weight is not 0");
            edits.extend(draw(alone, self.scenes.div_ceil(5), stream));
        }
        edits
    }

    /// What an editor makes of every edit, each with its place as seed.
    pub fn edited(
        &self,
        pipeline: &EditPipeline,
        edits: &[Edit],
        name: &str,
    ) -> Result<Vec<RgbImage>, CliError> {
        let bar = indicatif::ProgressBar::new(edits.len() as u64).with_message(name.to_owned());
        let one = |(place, edit): (usize, &Edit)| {
            let input = EditInput {
                image: SourceImage {
                    rgb: edit.before.render(&view()),
                    sha256: String::new(),
                    format: SourceFormat::Png,
                    warnings: Vec::new(),
                },
                instruction: edit.instruction.clone(),
                noise: NoiseSource::Seeds(vec![place as u64]),
                steps: self.steps,
                size: OutputSize::Auto,
                preprocess: PreprocessRule::Area,
            };
            let mut output = pipeline.run(&input, &mut unobserved)?;
            bar.inc(1);
            Ok(output.images.swap_remove(0).rgb)
        };
        edits.iter().enumerate().map(one).collect()
    }
}

/// What oracle and judge say of `outputs`; without a judge its sums stay 0.
pub(super) fn judged(
    edits: &[Edit],
    outputs: &[RgbImage],
    judge: Option<&Judge>,
) -> Result<ByType, CliError> {
    let oracle = Oracle::new(view());
    let mut found: ByType = ByType::new();
    for (edit, output) in edits.iter().zip(outputs) {
        let of_type = found.entry(edit.edit_type()).or_default();
        let verdict = oracle.judge(edit, output);
        of_type
            .tally
            .add(&verdict.expect("an editor answers at its input's size"));
        if let Some(judge) = judge {
            let score = judge.score(&ScoreInput {
                reference: edit.before.render(&view()),
                edited: output.clone(),
                edit: described(edit),
                questions: Vec::new(),
            })?;
            of_type.judged[0] += score.edit_success;
            of_type.judged[1] += score.preservation;
        }
    }
    Ok(found)
}

fn described(edit: &Edit) -> EditDescription {
    let name = edit.edit_type().question_name();
    EditDescription {
        instruction: edit.instruction.clone(),
        edit_type: name.parse().expect("the questions know every type"),
        object: edit.object.clone(),
    }
}
