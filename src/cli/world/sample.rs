//! `npedit world sample`: an instruction set of fresh scenes.
use std::{fs, io::Cursor, path::Path};

use image::{ImageFormat, RgbImage};
use serde_json::json;

use super::{SampleArgs, sheet};
use crate::{
    cli::{
        error::{CliError, Unusable},
        output_file::write_whole,
    },
    world::{Edit, EditMix, SceneRng, View},
};

/// Rows of the instruction set.
const LIST: &str = "instructions.jsonl";
/// Before and after, with the instruction.
const SHEET: &str = "sheet.png";
/// The sheet shows no more than can be looked at.
const MAX_SHOWN: usize = 64;

pub(super) fn run(args: &SampleArgs) -> Result<(), CliError> {
    make_empty(&args.dir)?;
    let view = View::square(args.size);
    let edits: Vec<Edit> = (0..args.count)
        .map(|index| Edit::draw(&EditMix::all(), &mut SceneRng::new(args.seed, index)))
        .collect();
    let mut list = String::new();
    for (number, edit) in edits.iter().enumerate() {
        let image = format!("{number:05}.png");
        write_whole(&args.dir.join(&image), &png(&edit.before.render(&view)))?;
        // What it should become is shown on the sheet alone: no editor may be trained on it.
        let row = json!({
            "image": image,
            "instruction": edit.instruction,
            "edit_type": edit.edit_type().question_name(),
            "edited_caption": edit.edited_caption,
            "source_caption": edit.source_caption,
            "object": edit.object,
        });
        list += &format!("{row}\n");
    }
    write_whole(&args.dir.join(LIST), list.as_bytes())?;
    let shown = &edits[..edits.len().min(MAX_SHOWN)];
    write_whole(&args.dir.join(SHEET), &png(&sheet::draw(shown, &view)))?;
    eprintln!(
        "{}: {} scenes, {LIST} with their instructions, and {SHEET} to look at",
        args.dir.display(),
        args.count
    );
    Ok(())
}

pub(super) fn make_empty(dir: &Path) -> Result<(), Unusable> {
    let failed = |source| Unusable::Output {
        path: dir.to_owned(),
        source,
    };
    fs::create_dir_all(dir).map_err(failed)?;
    match fs::read_dir(dir).map_err(failed)?.next() {
        Some(_) => Err(Unusable::NotEmpty {
            path: dir.to_owned(),
        }),
        None => Ok(()),
    }
}

pub(super) fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let written = picture.write_to(&mut bytes, ImageFormat::Png);
    written.expect("RGB8 in memory is a PNG");
    bytes.into_inner()
}
