//! What the vision tower made of the pictures: each is looked at once.
use std::collections::HashMap;

use image::RgbImage;

use super::Which;
use crate::models::vlm::{ImageTokens, Shown};

/// What a judge saw of a reference, for other edits of the same one. For one judge alone.
#[derive(Debug, Default)]
pub struct Looked {
    reference: RgbImage,
    tokens: HashMap<Shown, ImageTokens>,
}

impl Looked {
    /// What is known of `reference`; of another one nothing.
    pub(super) fn at(&mut self, reference: &RgbImage) -> Seen {
        if self.reference != *reference {
            *self = Self {
                reference: reference.clone(),
                tokens: HashMap::new(),
            };
        }
        Seen {
            reference: self.tokens.clone(),
            edited: HashMap::new(),
        }
    }

    pub(super) fn keep(&mut self, seen: Seen) {
        self.tokens = seen.reference;
    }
}

/// The pictures of one pair as far as they were looked at.
#[derive(Default)]
pub(super) struct Seen {
    pub reference: HashMap<Shown, ImageTokens>,
    pub edited: HashMap<Shown, ImageTokens>,
}

impl Seen {
    pub(super) fn of(&mut self, which: Which) -> &mut HashMap<Shown, ImageTokens> {
        match which {
            Which::Reference => &mut self.reference,
            Which::Edited => &mut self.edited,
        }
    }
}
