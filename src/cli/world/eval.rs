//! `npedit world eval`: editors against the oracle, on scenes that none of them was trained on.
use std::{
    collections::BTreeMap,
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use image::RgbImage;

use super::{EvalArgs, eval_report, sample, sheet};
use crate::{
    app::{AdapterChoice, JudgeFiles, Loader},
    cli::{
        args::start_quietly,
        error::{CliError, Unusable},
        output_file::write_whole,
        progress::DownloadBar,
    },
    config::Config,
    pipelines::{
        edit::{EditPipeline, unobserved},
        image::{OutputSize, SourceFormat, SourceImage},
        judge::{Judge, ScoreInput},
        questions::EditDescription,
        request::{EditInput, NoiseSource, PreprocessRule},
    },
    world::{Controls, Edit, EditMix, EditType, Oracle, SceneRng, Tally, View},
};

/// Scenes are edited at the size that the tiny bundle ships.
const SIDE_PX: u32 = 64;
/// Triples on the picture.
const SHOWN: usize = 40;
/// Scenes for evaluation start here: training sets count from 0.
const UNSEEN: u64 = 1 << 40;

/// What a method makes of the edits of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub tally: Tally,
    /// Sums of the judge's probabilities that the edit was carried out, and that the rest was kept.
    pub judged: [f64; 2],
}

/// By method, then by type.
pub(super) type Methods = BTreeMap<String, BTreeMap<EditType, Found>>;

pub(super) fn run(args: &EvalArgs) -> Result<(), CliError> {
    let config = start_quietly(&args.model.add_to(args.settings.given()))?;
    let bar = DownloadBar::new();
    let judge = Loader::new(&config, &bar)?.judge(&JudgeFiles::read(&config.judge)?)?;
    let view = View::square(SIDE_PX);
    let edits = edits(args);
    // 1 copy        the reference as it is
    let mut methods = Methods::new();
    let copies: Vec<RgbImage> = edits.iter().map(|edit| edit.before.render(&view)).collect();
    let found = judged(&edits, &copies, &view, judge.as_ref())?;
    methods.insert("identity_copy".into(), found);
    // 2 editors     the bundle's own, with the adapter where one is named, then the others
    let mut editors = vec![("npedit".to_owned(), None)];
    editors.extend(baselines(&args.baselines)?);
    for (name, generator) in editors {
        let pipeline = load(&config, args, generator)?;
        let outputs = edited(&pipeline, &edits, usize::from(args.steps), &name)?;
        if name == "npedit"
            && let Some(path) = &args.sheet
        {
            let shown = edits.len().min(SHOWN);
            let picture = sheet::outputs(&edits[..shown], &outputs[..shown], &view);
            write_whole(path, &sample::png(&picture))?;
        }
        let found = judged(&edits, &outputs, &view, judge.as_ref())?;
        methods.insert(name, found);
    }
    bar.finish();
    // 3 controls    how far the oracle can be trusted
    let controls = Controls::run(args.scenes, args.seed, &view);
    let text = if args.json || !io::stdout().is_terminal() {
        eval_report::json(args, &methods, &controls)
    } else {
        eval_report::table(&methods)
    };
    writeln!(io::stdout(), "{text}").map_err(CliError::Stdout)
}

/// Edits of the trained types, and a fifth as many of each held-out one, in turn.
fn edits(args: &EvalArgs) -> Vec<Edit> {
    let draw = |mix: EditMix, count: u64, stream: u64| {
        let indices = 0..count;
        indices.map(move |index| {
            let place = UNSEEN + stream * UNSEEN + index;
            Edit::draw(&mix, &mut SceneRng::new(args.seed, place))
        })
    };
    let mut edits: Vec<Edit> = draw(EditMix::trained(), args.scenes, 0).collect();
    for (stream, kind) in [(1, EditType::Style), (2, EditType::Enlarge)] {
        let alone = EditMix::new(&[(kind, 1)]).expect("its weight is not 0");
        edits.extend(draw(alone, args.scenes.div_ceil(5), stream));
    }
    edits
}

/// Name and generator of every baseline in `dir`, in order; none where there is no such directory.
fn baselines(dir: &Path) -> Result<Vec<(String, Option<PathBuf>)>, CliError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let failed = |source| Unusable::Input {
        path: dir.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in entries.map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let weights = path.extension().is_some_and(|end| end == "safetensors");
        if let Some(name) = path.file_stem().filter(|_| weights) {
            found.push((name.to_string_lossy().into_owned(), Some(path)));
        }
    }
    found.sort();
    Ok(found)
}

fn load(
    config: &Config,
    args: &EvalArgs,
    generator: Option<PathBuf>,
) -> Result<EditPipeline, CliError> {
    let mut config = config.clone();
    let bar = DownloadBar::new();
    if let Some(path) = generator {
        config.model.generator = Some(path.to_string_lossy().into_owned());
        return Ok(Loader::new(&config, &bar)?.editor()?);
    }
    let loader = Loader::new(&config, &bar)?;
    Ok(match &args.adapter {
        None => loader.editor()?,
        Some(path) => loader.adapted_editor(&AdapterChoice {
            path: path.clone(),
            scale: 1.0,
        })?,
    })
}

/// What an editor makes of every edit, each with its place as seed.
fn edited(
    pipeline: &EditPipeline,
    edits: &[Edit],
    steps: usize,
    name: &str,
) -> Result<Vec<RgbImage>, CliError> {
    let bar = indicatif::ProgressBar::new(edits.len() as u64).with_message(name.to_owned());
    let one = |(place, edit): (usize, &Edit)| {
        let input = EditInput {
            image: SourceImage {
                rgb: edit.before.render(&View::square(SIDE_PX)),
                sha256: String::new(),
                format: SourceFormat::Png,
                warnings: Vec::new(),
            },
            instruction: edit.instruction.clone(),
            noise: NoiseSource::Seeds(vec![place as u64]),
            steps,
            size: OutputSize::Auto,
            preprocess: PreprocessRule::Area,
        };
        let mut output = pipeline.run(&input, &mut unobserved)?;
        bar.inc(1);
        Ok(output.images.swap_remove(0).rgb)
    };
    edits.iter().enumerate().map(one).collect()
}

fn judged(
    edits: &[Edit],
    outputs: &[RgbImage],
    view: &View,
    judge: Option<&Judge>,
) -> Result<BTreeMap<EditType, Found>, CliError> {
    let oracle = Oracle::new(*view);
    let mut found: BTreeMap<EditType, Found> = BTreeMap::new();
    for (edit, output) in edits.iter().zip(outputs) {
        let of_type = found.entry(edit.edit_type()).or_default();
        let verdict = oracle.judge(edit, output);
        of_type
            .tally
            .add(&verdict.expect("an editor answers at its input's size"));
        if let Some(judge) = judge {
            let score = judge.score(&ScoreInput {
                reference: edit.before.render(view),
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
