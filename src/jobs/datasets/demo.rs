//! The built-in set: edits of the tiny world that its editor was never trained on.
use super::{
    DatasetError, Item, Sent, SentRow, SetLimits,
    archive::ArchiveLimits,
    rows::{self, Checked},
};
use crate::{
    pipelines::{
        edit_type,
        image::{ImageLimits, OutputFormat, encode},
    },
    world::{Edit, EditMix, EditType, SceneRng, View},
};

/// What the built-in set is called.
pub const DEMO: &str = "demo";
pub(super) const ID: &str = "set-demo";
const ROWS: u64 = 96;
/// No set that `npedit world build` draws has it.
const SEED: u64 = 0xDE40;
/// Pixels of a scene.
const SIDE: u32 = 64;

/// Draws the set; the same on every machine.
pub(super) fn draw() -> Result<Checked, DatasetError> {
    let mix = EditMix::new(&[(EditType::Enlarge, 1)]).map_err(|_| DatasetError::Defect)?;
    let items = (0..ROWS).map(|index| {
        let edit = Edit::draw(&mix, &mut SceneRng::new(SEED, index));
        let picture = edit.before.render(&View::square(SIDE));
        let image = encode(&picture, &OutputFormat::Png).map_err(|_| DatasetError::Defect)?;
        let named = edit.edit_type().question_name().parse();
        let row = SentRow {
            edit_type: Some(named.unwrap_or(edit_type::EditType::Other)),
            instruction: edit.instruction,
            edited_caption: Some(edit.edited_caption),
            source_caption: Some(edit.source_caption),
            object: Some(edit.object),
            image: String::new(),
        };
        Ok(Item { row, image })
    });
    let items = items.collect::<Result<Vec<_>, DatasetError>>()?;
    let limits = SetLimits {
        archive: ArchiveLimits {
            max_entries: 0,
            max_file_bytes: 0,
            max_total_bytes: 0,
            max_ratio: 0,
        },
        images: ImageLimits {
            max_pixels: u64::from(SIDE * SIDE),
            max_side_px: SIDE,
            max_bytes: usize::MAX,
        },
        max_rows: items.len(),
    };
    rows::read(Sent::Items(items), &limits)
}
