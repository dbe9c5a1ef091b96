//! The built-in sets, drawn from the tiny world.
use super::{
    DatasetError, Item, Sent, SentRow, SetLimits, archive::ArchiveLimits, checked::Checked, rows,
};
use crate::{
    pipelines::{
        edit_type,
        image::{ImageLimits, OutputFormat, encode},
    },
    world::{Edit, EditMix, EditType, SceneRng, View},
};

/// Edits that the built-in editor was never trained on.
pub const DEMO: &str = "demo";
/// Edits that it was trained on, to be replayed while it learns others.
pub const DEMO_REPLAY: &str = "demo-replay";
/// Pixels of a scene.
const SIDE: u32 = 64;

/// A set that is drawn when it is first asked for, the same on every machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct BuiltIn {
    pub id: &'static str,
    pub name: &'static str,
    /// No set that `npedit world build` draws has it.
    seed: u64,
    rows: u64,
    mix: fn() -> Result<EditMix, DatasetError>,
}

const ALL: [BuiltIn; 2] = [
    BuiltIn {
        id: "set-demo",
        name: DEMO,
        seed: 0xDE40,
        rows: 96,
        mix: || EditMix::new(&[(EditType::Enlarge, 1)]).map_err(|_| DatasetError::Defect),
    },
    BuiltIn {
        id: "set-demo-replay",
        name: DEMO_REPLAY,
        seed: 0xDE41,
        rows: 240,
        mix: || Ok(EditMix::trained()),
    },
];

impl BuiltIn {
    /// By id or name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = ALL.into_iter();
        all.find(|set| set.name == name || set.id == name)
    }

    pub fn draw(self) -> Result<Checked, DatasetError> {
        let mix = (self.mix)()?;
        let items = (0..self.rows).map(|index| {
            let edit = Edit::draw(&mix, &mut SceneRng::new(self.seed, index));
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
        checked(items.collect::<Result<Vec<_>, DatasetError>>()?)
    }
}

fn checked(items: Vec<Item>) -> Result<Checked, DatasetError> {
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
    let usable = rows::read(Sent::Items(items), &limits)?;
    Ok(Checked::new(usable, None))
}
