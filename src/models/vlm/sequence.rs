//! Text and pictures in one batch of token embeddings.
use candle_core::{Result, Tensor, bail};

use super::{chat::Prompt, tower::ImageTokens};
use crate::models::decoder::{Decoder, Position, Sequence};

/// A prompt with the pictures that its placeholders stand for, in order.
#[derive(Clone, Debug)]
pub struct Illustrated {
    pub prompt: Prompt,
    pub images: Vec<ImageTokens>,
}

/// A stretch of a prompt.
enum Run<'a> {
    Text(&'a [u32]),
    Image(&'a ImageTokens),
}

impl Illustrated {
    fn runs(&self, image_token: u32) -> Result<Vec<Run<'_>>> {
        let texts: Vec<_> = self
            .prompt
            .ids
            .split(|id| *id == image_token)
            .map(Run::Text)
            .collect();
        if texts.len() != self.images.len() + 1 {
            bail!(
                "{} pictures for {} placeholders; the chat template must place every picture once",
                self.images.len(),
                texts.len() - 1
            )
        }
        let mut images = self.images.iter().map(Run::Image);
        let runs = texts
            .into_iter()
            .flat_map(|text| [Some(text), images.next()]);
        Ok(runs.flatten().collect())
    }

    /// Tokens with those of the pictures.
    ///
    /// # Errors
    /// Features that are not `[n, D]`.
    pub fn len(&self) -> Result<usize> {
        let images = self.images.iter().map(|image| image.features.dim(0));
        let images: usize = images.sum::<Result<usize>>()?;
        Ok(self.prompt.ids.len() - self.images.len() + images)
    }

    /// Ids with each placeholder as often as its picture has tokens, as the published processors build them.
    ///
    /// # Errors
    /// As many pictures as placeholders are needed.
    pub fn expanded(&self, image_token: u32) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for run in self.runs(image_token)? {
            match run {
                Run::Text(text) => ids.extend_from_slice(text),
                Run::Image(image) => {
                    ids.resize(ids.len() + image.features.dim(0)?, image_token);
                }
            }
        }
        Ok(ids)
    }

    /// Text counts one by one; a picture takes its own positions, and the text after it goes on behind its extent.
    fn positions(&self, image_token: u32) -> Result<Vec<Position>> {
        let mut positions = Vec::new();
        let mut next = 0;
        for run in self.runs(image_token)? {
            match run {
                Run::Text(text) => {
                    positions.extend((next..).map(|at| [at; 3]).take(text.len()));
                    next += text.len() as u32;
                }
                Run::Image(image) => {
                    let moved = image.positions.iter().map(|own| own.map(|at| next + at));
                    positions.extend(moved);
                    next += image.extent;
                }
            }
        }
        Ok(positions)
    }

    /// `[1, length, D]`: text by `text`, pictures by `image`, zeros behind the end.
    fn laid_out(
        &self,
        image_token: u32,
        length: usize,
        text: impl Fn(&[u32]) -> Result<Tensor>,
        image: impl Fn(&ImageTokens) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut parts = Vec::new();
        for run in self.runs(image_token)? {
            match run {
                Run::Text([]) => {}
                Run::Text(ids) => parts.push(text(ids)?),
                Run::Image(tokens) => parts.push(image(tokens)?),
            }
        }
        let laid = Tensor::cat(&parts, 0)?;
        let (used, width) = laid.dims2()?;
        let laid = match length - used {
            0 => laid,
            rest => {
                let padding = Tensor::zeros((rest, width), laid.dtype(), laid.device())?;
                Tensor::cat(&[&laid, &padding], 0)?
            }
        };
        laid.unsqueeze(0)
    }
}

/// Right-padded to the longest.
pub(super) fn sequence(
    decoder: &Decoder,
    items: &[Illustrated],
    image_token: u32,
) -> Result<Sequence> {
    let lengths: Vec<usize> = items.iter().map(Illustrated::len).collect::<Result<_>>()?;
    let length = lengths.iter().copied().max().unwrap_or(0);
    let batch = |rows: Vec<Tensor>| Tensor::cat(&rows, 0);
    let embeddings = items.iter().map(|item| {
        let features = |image: &ImageTokens| Ok(image.features.clone());
        item.laid_out(image_token, length, |ids| decoder.embed(ids), features)
    });
    let depths = items.iter().flat_map(|item| &item.images);
    let depth = depths.map(|image| image.additions.len()).max().unwrap_or(0);
    let additions = (0..depth).map(|layer| {
        let rows = items.iter().map(|item| {
            let nothing = |ids: &[u32]| decoder.embed(ids)?.zeros_like();
            let addition = |image: &ImageTokens| Ok(image.additions[layer].clone());
            item.laid_out(image_token, length, nothing, addition)
        });
        batch(rows.collect::<Result<_>>()?)
    });
    let positions = items.iter().map(|item| {
        let mut positions = item.positions(image_token)?;
        positions.resize(length, [0; 3]);
        Ok(positions)
    });
    Ok(Sequence {
        embeddings: batch(embeddings.collect::<Result<_>>()?)?,
        additions: additions.collect::<Result<_>>()?,
        positions: positions.collect::<Result<_>>()?,
        last: lengths.iter().map(|length| length - 1).collect(),
    })
}
