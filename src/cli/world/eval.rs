//! `npedit world eval`: editors against the oracle, on scenes that none of them was trained on.
use std::{
    collections::BTreeMap,
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use image::RgbImage;

use super::{
    EvalArgs, eval_report, sample, sheet,
    trials::{ByType, judged, view},
};
use crate::{
    app::{AdapterChoice, JudgeFiles, Loader},
    cli::{
        args::start_quietly,
        error::{CliError, Unusable},
        output_file::write_whole,
        progress::DownloadBar,
    },
    config::Config,
    pipelines::edit::EditPipeline,
    world::Controls,
};

/// Triples on the picture.
const SHOWN: usize = 40;

/// By method, then by type.
pub(super) type Methods = BTreeMap<String, ByType>;

pub(super) fn run(args: &EvalArgs) -> Result<(), CliError> {
    let config = start_quietly(&args.model.add_to(args.settings.given()))?;
    let bar = DownloadBar::new();
    let judge = Loader::new(&config, &bar)?.judge(&JudgeFiles::read(&config.judge)?)?;
    let trials = args.trials();
    let edits = trials.edits();
    // 1 copy        the reference as it is
    let mut methods = Methods::new();
    let copies: Vec<RgbImage> = edits
        .iter()
        .map(|edit| edit.before.render(&view()))
        .collect();
    let found = judged(&edits, &copies, judge.as_ref())?;
    methods.insert("identity_copy".into(), found);
    // 2 editors     the bundle's own, with the adapter where one is named, then the others
    let mut editors = vec![("npedit".to_owned(), None)];
    editors.extend(baselines(&args.baselines)?);
    for (name, generator) in editors {
        let pipeline = load(&config, args, generator)?;
        if name == "npedit" {
            let targets = edits.iter().map(|edit| edit.after.render(&view()));
            let ceiling = targets.map(|target| pipeline.reconstruct(&target));
            let ceiling = ceiling.collect::<Result<Vec<_>, _>>()?;
            let found = judged(&edits, &ceiling, judge.as_ref())?;
            methods.insert("target_through_autoencoder".into(), found);
        }
        let outputs = trials.edited(&pipeline, &edits, &name)?;
        if name == "npedit"
            && let Some(path) = &args.sheet
        {
            let shown = edits.len().min(SHOWN);
            let picture = sheet::outputs(&edits[..shown], &outputs[..shown], &view());
            write_whole(path, &sample::png(&picture))?;
        }
        let found = judged(&edits, &outputs, judge.as_ref())?;
        methods.insert(name, found);
    }
    bar.finish();
    // 3 controls    how far the oracle can be trusted
    let controls = Controls::run(args.scenes, args.seed, &view());
    let text = if args.json || !io::stdout().is_terminal() {
        eval_report::json(args, &methods, &controls)
    } else {
        eval_report::table(&methods)
    };
    writeln!(io::stdout(), "{text}").map_err(CliError::Stdout)
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
