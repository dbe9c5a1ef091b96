//! Frozen conditioning of a row: encoded texts and references, kept between steps as far as memory allows.
use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap},
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
    pictures: Kept<PictureKey, Encoded>,
}

/// A file, and its size in pixels where that is not the model's.
type PictureKey = (PathBuf, Option<(u32, u32)>);

/// Numbers of several pictures that are encoded together at most.
const MAX_VALUES: usize = 3 << 18;

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

    /// Encodes together what is not kept yet of `pictures` and `texts`, as far as it fits.
    ///
    /// # Errors
    /// See [`Self::text`] and [`Self::picture`].
    pub fn prepare<'p>(
        &mut self,
        pictures: impl IntoIterator<Item = &'p Path>,
        texts: impl IntoIterator<Item = &'p str>,
    ) -> TrainingResult<()> {
        if self.texts.budget == 0 {
            return Ok(());
        }
        let texts: BTreeSet<&str> = texts.into_iter().collect();
        let new: Vec<&str> = texts
            .into_iter()
            .filter(|text| !self.texts.has(*text))
            .collect();
        let encoder = &self.bundle.text;
        let tokens = encoder.encode_all(&new, Thinking::EmptyBlock)?;
        for (text, tokens) in new.into_iter().zip(tokens) {
            let size = bytes(&tokens.features);
            self.texts.keep(text.to_owned(), &tokens.features, size);
        }
        let pictures: BTreeSet<&Path> = pictures.into_iter().collect();
        let mut of_size: BTreeMap<Vec<usize>, Vec<(PathBuf, Tensor)>> = BTreeMap::new();
        for path in pictures {
            let key = (path.to_owned(), None);
            if !self.pictures.has(&key) {
                let pixels = self.pixels(path, None)?;
                let alike = of_size.entry(pixels.dims().to_vec()).or_default();
                alike.push((key.0, pixels));
            }
        }
        for (dims, alike) in of_size {
            let pixels: usize = dims.iter().product();
            for some in alike.chunks((MAX_VALUES / pixels.max(1)).max(1)) {
                let all: Vec<&Tensor> = some.iter().map(|(_, pixels)| pixels).collect();
                let latents = self.bundle.vae.encode_mean(&Tensor::cat(&all, 0)?)?;
                for (row, (path, pixels)) in some.iter().enumerate() {
                    // its own memory: the others' is not kept for it
                    let latents = latents.narrow(0, row, 1)?.force_contiguous()?;
                    self.keep((path.clone(), None), pixels.clone(), latents);
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, key: PictureKey, pixels: Tensor, latents: Tensor) -> Encoded {
        let encoded = Encoded { pixels, latents };
        let bytes = bytes(&encoded.pixels) + bytes(&encoded.latents);
        self.pictures.keep(key, &encoded, bytes);
        encoded
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
        let pixels = self.pixels(path, size)?;
        let latents = self.bundle.vae.encode_mean(&pixels)?;
        Ok(self.keep(key, pixels, latents))
    }

    /// `[1, 3, H, W]` in [-1, 1], at the model's size unless another is wanted.
    fn pixels(&self, path: &Path, size: Option<(u32, u32)>) -> TrainingResult<Tensor> {
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
        Ok(to_pixels(&resize_lanczos(&rgb, size), &self.bundle.device)?)
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

    fn has<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.values.contains_key(key)
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
