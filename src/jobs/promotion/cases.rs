//! What is edited to compare.
use std::path::Path;

use crate::{
    pipelines::{
        image::{ImageError, ImageLimits, OutputFormat, SourceImage, decode, encode},
        questions::EditDescription,
    },
    training::instruction_set::{
        BadPictures, InstructionSet, InstructionSetError, PictureError, read_picture,
    },
    world::{Edit, EditMix, SceneRng, View},
};

/// One edit to make and to judge.
#[derive(Clone, Debug)]
pub struct Case {
    pub image: SourceImage,
    pub edit: EditDescription,
    /// Type of the edit, as results are grouped by.
    pub group: String,
}

/// A picture that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error(transparent)]
    Rows(#[from] InstructionSetError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// No set that is trained on has it.
const SEED: u64 = 0x5EED;
/// Pixels of a scene.
const SIDE: u32 = 64;

/// The rows of the file `rows`, `most` of them at most.
///
/// # Errors
/// Rows or pictures that cannot be read.
pub fn held_out(rows: &Path, limits: &ImageLimits, most: usize) -> Result<Vec<Case>, CaseError> {
    if std::fs::metadata(rows).is_ok_and(|file| file.len() == 0) {
        return Ok(Vec::new());
    }
    let set = InstructionSet::read(rows, limits, BadPictures::Refuse)?;
    let rows = set.rows.iter().take(most).map(|row| {
        Ok(Case {
            image: read_picture(&row.image, limits)?,
            edit: row.description(),
            group: row.edit_type.to_string(),
        })
    });
    rows.collect()
}

/// `count` edits of the types that the tiny world's editor knows; the same for every adapter.
///
/// # Errors
/// Never but by a defect.
pub fn regression(count: usize, limits: &ImageLimits) -> Result<Vec<Case>, CaseError> {
    let cases = (0..count as u64).map(|index| {
        let edit = Edit::draw(&EditMix::trained(), &mut SceneRng::new(SEED, index));
        let picture = edit.before.render(&View::square(SIDE));
        let group = edit.edit_type().question_name().to_owned();
        Ok(Case {
            image: decode(&encode(&picture, &OutputFormat::Png)?, limits)?,
            edit: EditDescription {
                edit_type: group.parse().unwrap_or_default(),
                instruction: edit.instruction,
                object: edit.object,
            },
            group,
        })
    });
    cases.collect()
}
