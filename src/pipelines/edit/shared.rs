//! What edits share: texts and references that earlier ones have encoded.
use candle_core::Tensor;

use crate::{
    nn::Lanes,
    pipelines::{byte_lru::ByteLru, error::EditError, text::TextTokens},
};

/// Pictures of one batch where nobody says otherwise: bounds the memory of a request for many.
const MAX_BATCH: usize = 4;

/// Encoded texts and references, each kept within its own byte budget, how many pictures are denoised together at most, and on
/// how many threads beside each other.
#[derive(Debug)]
pub struct Shared {
    texts: ByteLru<String, TextTokens>,
    references: ByteLru<Reference, Tensor>,
    pub(super) max_batch: usize,
    pub(super) lanes: Lanes,
}

/// A picture as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    /// Of the bytes as they were sent.
    pub sha256: String,
    pub size: (u32, u32),
}

impl Default for Shared {
    /// Nothing is kept.
    fn default() -> Self {
        Self::new(0, 0, MAX_BATCH)
    }
}

impl Shared {
    /// Budgets in bytes, 0 keeps nothing; `max_batch` at least 1.
    pub fn new(text_bytes: usize, reference_bytes: usize, max_batch: usize) -> Self {
        Self {
            texts: ByteLru::new(text_bytes),
            references: ByteLru::new(reference_bytes),
            max_batch: max_batch.max(1),
            lanes: Lanes::default(),
        }
    }

    /// The same, on as many `lanes`.
    #[must_use]
    pub fn on(self, lanes: Lanes) -> Self {
        Self { lanes, ..self }
    }

    /// The encoded text, and whether it was known.
    pub(super) fn text(
        &mut self,
        instruction: &str,
        encode: impl FnOnce() -> Result<TextTokens, EditError>,
    ) -> Result<(TextTokens, bool), EditError> {
        let key = instruction.to_owned();
        if let Some(known) = self.texts.get(&key) {
            return Ok((known, true));
        }
        let text = encode()?;
        let bytes = key.len() + size(&text.features);
        self.texts.insert(key, text.clone(), bytes);
        Ok((text, false))
    }

    /// Whether [`Self::latents`] needs no pixels.
    pub(super) fn knows(&mut self, reference: &Reference) -> bool {
        self.references.get(reference).is_some()
    }

    /// The latents of a reference: those that are kept, else of its `pixels`.
    pub(super) fn latents(
        &mut self,
        reference: Reference,
        pixels: Option<Tensor>,
        encode: impl FnOnce(&Tensor) -> Result<Tensor, EditError>,
    ) -> Result<Tensor, EditError> {
        let Some(pixels) = pixels else {
            let known = self.references.get(&reference);
            return Ok(known.expect("nothing is dropped between the two looks of one edit"));
        };
        let latents = encode(&pixels)?;
        let bytes = reference.sha256.len() + size(&latents);
        self.references.insert(reference, latents.clone(), bytes);
        Ok(latents)
    }
}

fn size(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}
