//! Says from pixels alone whether an edit was carried out and the rest kept.
//!
//! It is told what was asked, draws what should have come out (where the instruction leaves a choice, what best explains
//! the picture) and compares: the region of the edit and the rest as wholes, every field of the picture, every object on
//! its own pixels, and the background's pattern. It is for evaluation only, never a training signal.
mod backdrop;
mod case;
mod fit;
mod front;
mod limits;
mod parts;
mod settle;
mod sight;
mod stage;
mod whole;

use image::RgbImage;

use self::case::Case;
use super::{Edit, View};

/// Something that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Where something was to change, the picture is not the true one.
    Region,
    /// Elsewhere it is not.
    Rest,
    /// One field of it is not.
    Field,
    /// An object has another colour, or has faded.
    Colour,
    /// An object has another shape.
    Shape,
    /// An object's outline is blurred or out of place.
    Outline,
    /// No object of the size asked for is where it should be.
    Absent,
    /// Something is left of a removed object.
    Ghost,
    /// The background looks more like another.
    Background,
    /// The background's pattern is blurred, or another.
    Pattern,
    /// There is colour where there should be none.
    Coloured,
}

/// What the oracle finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why the instruction does not count as carried out.
    pub not_done: Vec<Fault>,
    /// Why the rest does not count as kept.
    pub not_kept: Vec<Fault>,
}

impl Verdict {
    pub fn done(&self) -> bool {
        self.not_done.is_empty()
    }

    pub fn kept(&self) -> bool {
        self.not_kept.is_empty()
    }

    pub fn success(&self) -> bool {
        self.done() && self.kept()
    }
}

/// A picture of another size than the oracle's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the picture has {found:?} pixels, the view {expected:?}; render and judge with the same view"
)]
pub struct OtherSize {
    /// Width and height.
    pub found: (u32, u32),
    /// Width and height.
    pub expected: (u32, u32),
}

/// Judges pictures of one view.
#[derive(Clone, Debug)]
pub struct Oracle {
    view: View,
}

impl Oracle {
    /// Of pictures whose `before` was drawn for `view`.
    pub fn new(view: View) -> Self {
        Self { view }
    }

    /// Judges `picture`, RGB8 `[H, W, 3]`, as an attempt at `edit`.
    ///
    /// # Errors
    /// [`OtherSize`] where the picture is not of the view's size.
    pub fn judge(&self, edit: &Edit, picture: &RgbImage) -> Result<Verdict, OtherSize> {
        let expected = (self.view.width_px, self.view.height_px);
        if picture.dimensions() != expected {
            let found = picture.dimensions();
            return Err(OtherSize { found, expected });
        }
        Ok(Case::open(edit, &self.view, picture).verdict())
    }
}

#[cfg(test)]
mod tests;
