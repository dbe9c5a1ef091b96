//! The words that a judge of the world says at its hidden places, as choices between tokens.
use super::layout::SLOTS;
use crate::{
    models::vlm::VisionLanguageModel,
    training::error::{TrainingError, TrainingResult},
    world::{Colour, Shape, Size, Texture},
};

/// Bins of an object's height in the picture.
pub(super) const PLACES: usize = 12;
/// Letters that stand for the bins: as capitals they occur in no text of the world.
const FIRST_PLACE: u32 = b'A' as u32;
/// Where the bins begin and end, in heights of the picture.
const REACH: [f32; 2] = [0.2, 0.8];
/// What stands in an empty half.
const NOTHING: &str = "nothing";

/// One choice that is trained; its name is that of its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matter {
    Done,
    Kept,
    Shape,
    Colour,
    Size,
    Place,
    Texture,
    Ground,
    Style,
    /// Whether a slot of the second picture shows something else than that of the first.
    Changed,
    Moved,
    Damaged,
    /// Whether a field of the second picture differs from the first's.
    Field,
    /// What a question is about.
    Meant,
    /// What stands there in the second picture.
    MeantShape,
    MeantColour,
    MeantSize,
    MeantTexture,
    MeantGround,
    MeantStyle,
}

impl Matter {
    pub const ALL: [Self; 20] = [
        Self::Done,
        Self::Kept,
        Self::Shape,
        Self::Colour,
        Self::Size,
        Self::Place,
        Self::Texture,
        Self::Ground,
        Self::Style,
        Self::Changed,
        Self::Moved,
        Self::Damaged,
        Self::Field,
        Self::Meant,
        Self::MeantShape,
        Self::MeantColour,
        Self::MeantSize,
        Self::MeantTexture,
        Self::MeantGround,
        Self::MeantStyle,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Kept => "kept",
            Self::Shape => "shape",
            Self::Colour => "color",
            Self::Size => "size",
            Self::Place => "place",
            Self::Texture => "texture",
            Self::Ground => "ground",
            Self::Style => "style",
            Self::Changed => "changed",
            Self::Moved => "moved",
            Self::Damaged => "damaged",
            Self::Field => "field",
            Self::Meant => "meant",
            Self::MeantShape => "meant_shape",
            Self::MeantColour => "meant_color",
            Self::MeantSize => "meant_size",
            Self::MeantTexture => "meant_texture",
            Self::MeantGround => "meant_ground",
            Self::MeantStyle => "meant_style",
        }
    }

    /// The name of its term where somebody labelled the answer.
    pub fn labelled_name(self) -> &'static str {
        match self {
            Self::Done => "labelled_done",
            Self::Kept => "labelled_kept",
            drawn => drawn.name(),
        }
    }

    /// The layer after which it is to be known; `layers` is that of the answers.
    pub fn layer(self, layers: usize) -> usize {
        match self {
            Self::Done | Self::Kept => layers,
            Self::Shape
            | Self::Colour
            | Self::Size
            | Self::Place
            | Self::Texture
            | Self::Ground
            | Self::Style
            | Self::Field => 1,
            Self::Changed | Self::Moved | Self::Damaged => 2,
            Self::Meant => 3,
            Self::MeantShape
            | Self::MeantColour
            | Self::MeantSize
            | Self::MeantTexture
            | Self::MeantGround
            | Self::MeantStyle => 4,
        }
    }

    /// Its share of the loss.
    pub fn weight(self) -> f64 {
        match self {
            Self::Done => 2.0,
            Self::Kept => 1.0,
            Self::Moved => 0.9,
            _ => 0.3,
        }
    }
}

/// The candidates of every matter.
#[derive(Debug)]
pub(super) struct Vocabulary(Vec<Vec<u32>>);

impl Vocabulary {
    /// # Errors
    /// The model's tokenizer lacks one of the words.
    pub fn of(model: &VisionLanguageModel) -> TrainingResult<Self> {
        let tokenizer = model.chat().tokenizer();
        let id = |word: &&str| {
            let missing = || TrainingError::NotOfTheWorld {
                word: (*word).to_owned(),
            };
            tokenizer.token_to_id(word).ok_or_else(missing)
        };
        let ids = |words: &[&str]| words.iter().map(id).collect::<TrainingResult<Vec<_>>>();
        let some = |words: &[&str]| ids(&[words, &[NOTHING]].concat());
        let colours = Colour::ALL.map(Colour::word);
        let shapes = Shape::ALL.map(Shape::word);
        let textures = Texture::ALL.map(Texture::word);
        let sizes = Size::ALL.map(|size| match size {
            Size::Small => "small",
            Size::Large => "large",
        });
        let of = |matter: Matter| match matter {
            Matter::Done | Matter::Kept => ids(&["Yes", "No"]),
            Matter::Shape | Matter::MeantShape => some(&shapes),
            Matter::Colour | Matter::MeantColour => some(&colours),
            Matter::Size | Matter::MeantSize => some(&sizes),
            Matter::Place => Ok((FIRST_PLACE..).take(PLACES).collect()),
            Matter::Texture | Matter::MeantTexture => ids(&textures),
            Matter::Ground | Matter::MeantGround => ids(&colours),
            Matter::Style | Matter::MeantStyle => ids(&["color", "greyscale"]),
            Matter::Changed | Matter::Field => ids(&["same", "changed"]),
            Matter::Moved => ids(&["still", "moved"]),
            Matter::Damaged => ids(&["clean", "corrupt"]),
            Matter::Meant => ids(&SLOTS),
        };
        Ok(Self(
            Matter::ALL
                .into_iter()
                .map(of)
                .collect::<TrainingResult<_>>()?,
        ))
    }

    pub fn candidates(&self, matter: Matter) -> &[u32] {
        &self.0[matter as usize]
    }
}

/// The bin of a height in the picture.
pub(super) fn place(height: f32) -> usize {
    let share = (height - REACH[0]) / (REACH[1] - REACH[0]);
    ((share * PLACES as f32).max(0.0) as usize).min(PLACES - 1)
}
