//! The instruction sets that `npedit world build` trains teacher and editor on.
use std::{fs, io, path::Path};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::sample::png;
use crate::{
    cli::{
        error::{CliError, Unusable},
        output_file::write_whole,
    },
    world::{Edit, EditMix, EditType, Scene, SceneRng, Telling, View},
};

/// Written last: with it, every set is whole.
const LAST: &str = "pairs.jsonl";
/// Pixels of a scene.
const SIDE: u32 = 64;

/// What is drawn for one set.
struct Set {
    file: &'static str,
    mix: EditMix,
    row: fn(&Edit, &mut SceneRng) -> Row,
}

/// A line of a set, and the pictures that it names.
struct Row {
    line: Value,
    /// By key of the line.
    pictures: Vec<(&'static str, Scene)>,
}

/// Writes every set with `count` rows to `dir`, unless they are there already.
pub(super) fn write(dir: &Path, count: u64, seed: u64) -> Result<(), CliError> {
    if dir.join(LAST).exists() {
        return Ok(());
    }
    for (number, set) in sets().into_iter().enumerate() {
        let name = set.file.trim_end_matches(".jsonl");
        fs::create_dir_all(dir.join(name)).map_err(|source| failed(dir, source))?;
        let row = |index: u64| {
            let mut rng = SceneRng::new(seed.wrapping_add(1000 * number as u64), index);
            let edit = Edit::draw(&set.mix, &mut rng);
            let Row { mut line, pictures } = (set.row)(&edit, &mut rng);
            for (key, scene) in pictures {
                let path = format!("{name}/{index:05}-{key}.png");
                let picture = png(&scene.render(&View::square(SIDE)));
                fs::write(dir.join(&path), picture).map_err(|source| failed(dir, source))?;
                line[key] = path.into();
            }
            Ok(format!("{line}\n"))
        };
        let lines = (0..count).into_par_iter().map(row);
        let lines: Vec<String> = lines.collect::<Result<_, CliError>>()?;
        write_whole(&dir.join(set.file), lines.concat().as_bytes())?;
    }
    Ok(())
}

fn failed(dir: &Path, source: io::Error) -> Unusable {
    Unusable::Output {
        path: dir.to_owned(),
        source,
    }
}

fn sets() -> [Set; 5] {
    let alone = |kind| EditMix::new(&[(kind, 1)]).expect("its weight is not 0");
    // one picture in five is grey
    let styled = EditType::ALL.map(|kind| (kind, if kind == EditType::Style { 4 } else { 1 }));
    [
        Set {
            file: "captions.jsonl",
            mix: EditMix::new(&styled).expect("its weights are not 0"),
            row: captioned,
        },
        Set {
            file: "edits.jsonl",
            mix: EditMix::trained(),
            row: asked,
        },
        Set {
            file: "style.jsonl",
            mix: alone(EditType::Style),
            row: asked,
        },
        Set {
            file: "enlarge.jsonl",
            mix: alone(EditType::Enlarge),
            row: asked,
        },
        Set {
            file: LAST,
            mix: EditMix::trained(),
            row: shown,
        },
    ]
}

/// A picture with its caption, for a teacher: it may have come out of an edit, but never stands beside what was edited.
fn captioned(edit: &Edit, rng: &mut SceneRng) -> Row {
    let scene = match rng.chance(0.5) {
        true => &edit.before,
        false => &edit.after,
    };
    let caption = scene.caption(&Telling::draw(rng));
    Row {
        line: json!({"instruction": caption, "source_caption": caption}),
        pictures: vec![("image", scene.clone())],
    }
}

/// A photo with an instruction, without what should come out.
fn asked(edit: &Edit, _: &mut SceneRng) -> Row {
    Row {
        line: json!({
            "instruction": edit.instruction,
            "edit_type": edit.edit_type().question_name(),
            "edited_caption": edit.edited_caption,
            "source_caption": edit.source_caption,
            "object": edit.object,
        }),
        pictures: vec![("image", edit.before.clone())],
    }
}

/// As [`asked`], with what should come out: for the supervised baseline alone.
fn shown(edit: &Edit, rng: &mut SceneRng) -> Row {
    let mut row = asked(edit, rng);
    row.pictures.push(("edited", edit.after.clone()));
    row
}
