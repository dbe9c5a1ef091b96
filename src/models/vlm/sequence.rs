//! Text and pictures in one batch of token embeddings.
use candle_core::{Result, Tensor, bail};

use super::{chat::Prompt, tower::ImageTokens};
use crate::models::decoder::{Branches, Decoder, Position, Sequence};

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
    #[allow(clippy::len_without_is_empty, reason = "a prompt is never empty")]
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

    /// `[n, D]` of the tokens from `from` on: text by `text`, pictures by `image`; no picture lies across `from`.
    fn laid_out(
        &self,
        image_token: u32,
        from: usize,
        text: impl Fn(&[u32]) -> Result<Tensor>,
        image: impl Fn(&ImageTokens) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut parts = Vec::new();
        let mut at = 0;
        for run in self.runs(image_token)? {
            let start = at;
            at += run.len()?;
            match run {
                _ if at <= from => {}
                Run::Text([]) => {}
                Run::Text(ids) => parts.push(text(&ids[from.saturating_sub(start)..])?),
                Run::Image(tokens) => parts.push(image(tokens)?),
            }
        }
        Tensor::cat(&parts, 0)
    }

    /// Tokens that both start with; at least one of each is its own.
    fn shared(&self, other: &Self, image_token: u32) -> Result<usize> {
        let mut shared = 0;
        for (a, b) in self.runs(image_token)?.iter().zip(other.runs(image_token)?) {
            let same = match (a, &b) {
                (Run::Text(a), Run::Text(b)) => {
                    a.iter().zip(*b).take_while(|(a, b)| a == b).count()
                }
                (Run::Image(a), Run::Image(b)) if a.features.id() == b.features.id() => {
                    a.features.dim(0)?
                }
                _ => 0,
            };
            shared += same;
            if same < a.len()? || same < b.len()? {
                break;
            }
        }
        Ok(shared.min(self.len()? - 1).min(other.len()? - 1))
    }
}

impl Run<'_> {
    fn len(&self) -> Result<usize> {
        match self {
            Self::Text(ids) => Ok(ids.len()),
            Self::Image(tokens) => tokens.features.dim(0),
        }
    }
}

/// One row of tokens: what all items start with, then the rest of each.
pub(super) fn sequence(
    decoder: &Decoder,
    items: &[Illustrated],
    image_token: u32,
) -> Result<Sequence> {
    let Some((first, others)) = items.split_first() else {
        bail!("a sequence of no items; ask at least one question")
    };
    let mut shared = match others {
        [] => 0,
        _ => first.len()?,
    };
    for other in others {
        shared = shared.min(first.shared(other, image_token)?);
    }
    let starts = |item: usize| if item == 0 { 0 } else { shared };
    let lay_out = |text: &dyn Fn(&[u32]) -> Result<Tensor>,
                   image: &dyn Fn(&ImageTokens) -> Result<Tensor>| {
        let rows = items.iter().enumerate();
        let rows = rows.map(|(at, item)| item.laid_out(image_token, starts(at), text, image));
        Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)?.unsqueeze(0)
    };
    let features = |image: &ImageTokens| Ok(image.features.clone());
    let embeddings = lay_out(&|ids| decoder.embed(ids), &features)?;
    let depths = items.iter().flat_map(|item| &item.images);
    let depth = depths.map(|image| image.additions.len()).max().unwrap_or(0);
    let additions = (0..depth).map(|layer| {
        let nothing = |ids: &[u32]| decoder.embed(ids)?.zeros_like();
        lay_out(&nothing, &|image| Ok(image.additions[layer].clone()))
    });
    let additions = additions.collect::<Result<_>>()?;
    let mut positions = Vec::new();
    let mut own = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let all = item.positions(image_token)?;
        own.push(all.len() - shared);
        positions.extend_from_slice(&all[starts(at)..]);
    }
    Ok(Sequence {
        embeddings,
        positions,
        additions,
        branches: Branches::new(shared, &own),
    })
}
