//! Frozen conditioning of a row: encoded texts and references, kept between steps as far as memory allows.
use std::{
    collections::HashMap,
    hash::Hash,
    path::{Path, PathBuf},
};

use candle_core::Tensor;

use super::{
    error::TrainingResult,
    instruction_set::{PictureError, read_picture},
};
use crate::{
    models::qwen3::Thinking,
    pipelines::{
        bundle::EditBundle,
        image::{ImageLimits, model_size, resize_lanczos, to_pixels},
    },
};

/// A picture as the models take it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// `[1, 3, H, W]` in [-1, 1]
    pub pixels: Tensor,
    /// `[1, C, h, w]`
    pub latents: Tensor,
}

/// Encodes what rows name, each once as long as it fits.
pub struct Conditioner<'a> {
    bundle: &'a EditBundle,
    limits: ImageLimits,
    texts: Kept<String, Tensor>,
    pictures: Kept<(PathBuf, Option<(u32, u32)>), Encoded>,
}

impl<'a> Conditioner<'a> {
    /// `budget_bytes` is for texts and pictures each.
    pub fn new(bundle: &'a EditBundle, limits: ImageLimits, budget_bytes: usize) -> Self {
        Self {
            bundle,
            limits,
            texts: Kept::new(budget_bytes),
            pictures: Kept::new(budget_bytes),
        }
    }

    pub fn bundle(&self) -> &'a EditBundle {
        self.bundle
    }

    /// `[1, L, D]`
    ///
    /// # Errors
    /// A text that the tokenizer refuses.
    pub fn text(&mut self, text: &str) -> TrainingResult<Tensor> {
        let key = text.to_owned();
        if let Some(features) = self.texts.get(&key) {
            return Ok(features);
        }
        let features = self
            .bundle
            .text
            .encode(text, Thinking::EmptyBlock)?
            .features;
        self.texts.keep(key, &features, bytes(&features));
        Ok(features)
    }

    /// # Errors
    /// The file changed since the set was read, and is no picture any more.
    pub fn picture(&mut self, path: &Path) -> TrainingResult<Encoded> {
        self.sized(path, None)
    }

    /// The picture at the size of `like`, whatever its own is.
    ///
    /// # Errors
    /// See [`Self::picture`].
    pub fn picture_like(&mut self, path: &Path, like: &Encoded) -> TrainingResult<Encoded> {
        let (_, _, height, width) = like.pixels.dims4()?;
        self.sized(path, Some((width as u32, height as u32)))
    }

    fn sized(&mut self, path: &Path, size: Option<(u32, u32)>) -> TrainingResult<Encoded> {
        let key = (path.to_owned(), size);
        if let Some(encoded) = self.pictures.get(&key) {
            return Ok(encoded);
        }
        let rgb = read_picture(path, &self.limits)?.rgb;
        let refused = |source| PictureError::Image {
            path: path.into(),
            source,
        };
        let size = match size {
            Some(size) => size,
            None => {
                model_size(rgb.width(), rgb.height(), &self.bundle.preprocess()).map_err(refused)?
            }
        };
        let pixels = to_pixels(&resize_lanczos(&rgb, size), &self.bundle.device)?;
        let latents = self.bundle.vae.encode_mean(&pixels)?;
        let encoded = Encoded { pixels, latents };
        let bytes = bytes(&encoded.pixels) + bytes(&encoded.latents);
        self.pictures.keep(key, &encoded, bytes);
        Ok(encoded)
    }
}

fn bytes(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

/// Values under a budget; when it is spent all go, since a step's rows come back no sooner than an epoch later.
struct Kept<K, V> {
    values: HashMap<K, V>,
    bytes: usize,
    budget: usize,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    fn new(budget: usize) -> Self {
        Self {
            values: HashMap::new(),
            bytes: 0,
            budget,
        }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.values.get(key).cloned()
    }

    fn keep(&mut self, key: K, value: &V, bytes: usize) {
        if self.bytes + bytes > self.budget {
            self.values.clear();
            self.bytes = 0;
        }
        if bytes <= self.budget {
            self.values.insert(key, value.clone());
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let mut kept = Kept::new(10);
        kept.keep("a", &1, 6);
        kept.keep("b", &2, 6);
        assert_eq!((kept.get(&"a"), kept.get(&"b")), (None, Some(2)));
        kept.keep("c", &3, 11);
        assert_eq!(kept.get(&"c"), None);
        assert!(kept.bytes <= kept.budget);
    }
}
