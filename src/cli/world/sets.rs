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
/// Photos with instructions, whatever they show.
const EDITS: &str = "edits.jsonl";
/// Those of them from which an editor learns which object is meant.
const CHOICES: &str = "choices.jsonl";
/// One in this many of the edits of a lone object stays among them.
const LONE: usize = 5;
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
            Ok((format!("{line}\n"), is_of_a_lone_object(&edit)))
        };
        let rows = (0..count).into_par_iter().map(row);
        let rows: Vec<(String, bool)> = rows.collect::<Result<_, CliError>>()?;
        if set.file == EDITS {
            write_whole(&dir.join(CHOICES), choices(&rows).as_bytes())?;
        }
        let lines: String = rows.into_iter().map(|(line, _)| line).collect();
        write_whole(&dir.join(set.file), lines.as_bytes())?;
    }
    Ok(())
}

/// Whether the edit changes an object and there is no other that could be meant.
fn is_of_a_lone_object(edit: &Edit) -> bool {
    let of_one = [EditType::Color, EditType::Shape, EditType::Remove];
    edit.before.objects.len() == 1 && of_one.contains(&edit.edit_type())
}

/// The rows where two objects stand, or none is changed, and a few of the others.
fn choices(rows: &[(String, bool)]) -> String {
    let mut lone = 0;
    let kept = rows.iter().filter(|(_, is_lone)| {
        lone += usize::from(*is_lone);
        !is_lone || lone % LONE == 0
    });
    kept.map(|(line, _)| line.as_str()).collect()
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
            file: EDITS,
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
