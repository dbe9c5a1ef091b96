//! `npedit world pack`: a built bundle at half the bytes, with a card that says how it was made and what it can do.
use std::{fs, io, path::Path};

use super::{
    PackArgs, card, judge,
    trials::{Trials, judged, view},
};
use crate::{
    app::{JudgeFiles, Loader},
    cli::{
        args::start_quietly,
        error::{CliError, Unusable},
        output_file::write_whole,
        progress::DownloadBar,
    },
    models::files::Files,
    training::run::halve,
};

pub(super) fn run(args: &PackArgs) -> Result<(), CliError> {
    let mut config = start_quietly(&args.device.add_to(args.settings.given()))?;
    // 1 files       weights at half the bytes, everything else as it is
    let built = args.dir.join("bundle");
    let bundle = Files::Directory(built.clone());
    let names = bundle.list()?;
    for name in &names {
        let to = args.out.join(name);
        let folder = to.parent().unwrap_or(&args.out);
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        if name.ends_with(".safetensors") {
            halve(&built.join(name), &to)?;
        } else {
            let bytes = fs::read(built.join(name)).map_err(|source| failed(&built, source))?;
            write_whole(&to, &bytes)?;
        }
    }
    // 2 quality     of what was written, on scenes that no part has seen
    config.model.reference = Some(args.out.display().to_string());
    let bar = DownloadBar::new();
    let loader = Loader::new(&config, &bar)?;
    let judge = loader
        .judge(&JudgeFiles::read(&config.judge)?)?
        .ok_or(CliError::NoJudge)?;
    let editor = loader.editor()?;
    bar.finish();
    let trials = Trials {
        scenes: args.scenes,
        seed: args.seed,
        steps: editor.bundle.settings.default_steps,
    };
    let edits = trials.edits();
    let outputs = trials.edited(&editor, &edits, "edits")?;
    let measured = card::Measured {
        trials,
        editor: judged(&edits, &outputs, Some(&judge))?,
        judge: judge::ask(&judge, (args.scenes.div_ceil(4), args.seed), &view())?,
    };
    // 3 card
    let text = card::text(&args.dir, &args.out, &measured)?;
    write_whole(&args.out.join("README.md"), text.as_bytes())?;
    println!("{}", args.out.display());
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> Unusable {
    Unusable::Output {
        path: path.to_owned(),
        source,
    }
}
