//! The kinds of edit, and how often each is drawn.
use super::rng::SceneRng;

/// What kind of change is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EditType {
    Color,
    Shape,
    Remove,
    Add,
    Background,
    /// Held out of the editor's training; its caption says it all.
    Style,
    /// Held out of the editor's training; no caption says it, since captions name no sizes.
    Enlarge,
}

impl EditType {
    pub const ALL: [Self; 7] = [
        Self::Color,
        Self::Shape,
        Self::Remove,
        Self::Add,
        Self::Background,
        Self::Style,
        Self::Enlarge,
    ];

    /// Those that the shipped editor is trained on.
    pub const TRAINED: [Self; 5] = [
        Self::Color,
        Self::Shape,
        Self::Remove,
        Self::Add,
        Self::Background,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Color => "color",
            Self::Shape => "shape",
            Self::Remove => "remove",
            Self::Add => "add",
            Self::Background => "background",
            Self::Style => "style",
            Self::Enlarge => "enlarge",
        }
    }

    /// What the judge's questions call it: they know no enlarging.
    pub fn question_name(self) -> &'static str {
        match self {
            Self::Enlarge => "other",
            known => known.name(),
        }
    }
}

/// How often each edit type is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditMix(Vec<(EditType, u32)>);

/// A mix that no edit can be drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every edit type has the weight 0; give at least one a weight above it")]
pub struct EmptyMix;

impl EditMix {
    /// Draws each type in proportion to its weight.
    ///
    /// # Errors
    /// [`EmptyMix`] where the weights sum to 0.
    pub fn new(weights: &[(EditType, u32)]) -> Result<Self, EmptyMix> {
        if weights.iter().all(|(_, weight)| *weight == 0) {
            return Err(EmptyMix);
        }
        Ok(Self(weights.to_vec()))
    }

    /// All types alike.
    pub fn all() -> Self {
        Self(EditType::ALL.map(|kind| (kind, 1)).to_vec())
    }

    /// The trained types alike.
    pub fn trained() -> Self {
        Self(EditType::TRAINED.map(|kind| (kind, 1)).to_vec())
    }

    pub(super) fn draw(&self, rng: &mut SceneRng) -> EditType {
        let sum: u32 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.below(sum as usize) as u32;
        for &(kind, weight) in &self.0 {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        unreachable!("what is drawn lies below the sum of the weights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_drawn_by_weight() {
        let mix = EditMix::new(&[
            (EditType::Add, 3),
            (EditType::Shape, 0),
            (EditType::Style, 1),
        ]);
        let mix = mix.unwrap();
        let mut rng = SceneRng::new(0, 0);
        let drawn: Vec<EditType> = (0..4000).map(|_| mix.draw(&mut rng)).collect();
        let count = |kind| drawn.iter().filter(|drawn| **drawn == kind).count();
        assert!((2900..3100).contains(&count(EditType::Add)));
        assert_eq!(count(EditType::Add) + count(EditType::Style), 4000);
        assert_eq!(EditMix::new(&[(EditType::Add, 0)]), Err(EmptyMix));
    }
}
