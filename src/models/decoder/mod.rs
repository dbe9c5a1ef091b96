//! The causal language model of Qwen2 and Qwen3 (transformers `models/qwen2`, `models/qwen3`, `models/qwen3_vl`),
//! differentiable, read once from left to right: the judges' half that answers, and the text encoder.
mod block;
mod branches;
mod config;
mod rotations;

use candle_core::{Result, Tensor};

pub use branches::Branches;
pub use config::Config;
pub use rotations::{Position, Rotations};

use self::block::Block;
use super::{error::LoadResult, weights::Scope};
use crate::nn::{Activations, Linear, RmsNorm};

/// The token embeddings of some texts, one after the other; several rows of them where the texts are of the same lengths.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// `[B, N, D]`
    pub embeddings: Tensor,
    /// `N` of them.
    pub positions: Vec<Position>,
    /// Added to the hidden states after the first layers, one tensor `[B, N, D]` a layer (Qwen3-VL's deepstack).
    pub additions: Vec<Tensor>,
    /// Which tokens belong to which text.
    pub branches: Branches,
}

/// Embeddings and layers, without the final norm and what follows it. Cheap to clone: the weights are shared.
#[derive(Clone, Debug)]
pub struct Layers {
    config: Config,
    embeddings: Tensor,
    blocks: Vec<Block>,
}

impl Layers {
    /// `body` holds `embed_tokens` and `layers`.
    ///
    /// # Errors
    /// Weights that are not those of the config.
    pub fn load(config: &Config, body: &Scope) -> LoadResult<Self> {
        config.validate()?;
        let shape = [config.vocab_size, config.hidden_size];
        let blocks =
            (0..config.num_hidden_layers).map(|i| Block::load(config, &body.at("layers").at(i)));
        Ok(Self {
            config: config.clone(),
            embeddings: body.at("embed_tokens").tensor("weight", &shape)?,
            blocks: blocks.collect::<LoadResult<_>>()?,
        })
    }

    /// Embeddings of tokens. `[L, D]`
    ///
    /// # Errors
    /// An id beyond the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.embeddings
            .index_select(&Tensor::new(ids, self.embeddings.device())?, 0)
    }

    /// Rotations of the positions of a row of tokens.
    ///
    /// # Errors
    /// The device refuses.
    pub fn rotations(&self, positions: &[Position]) -> Result<Rotations> {
        Rotations::new(&self.config, positions, self.embeddings.device())
    }

    /// What the last layer makes of some texts of one length L. `[texts, L, D]`
    ///
    /// # Errors
    /// An id beyond the vocabulary, or texts of several lengths.
    pub fn read_texts(&self, texts: &[&[u32]]) -> Result<Tensor> {
        let tokens = texts.first().map_or(0, |ids| ids.len());
        let positions: Vec<_> = (0..tokens as u32).map(|at| [at; 3]).collect();
        let rotations = self.rotations(&positions)?;
        let branches = Branches::one(tokens);
        let embedded = self.embed(&texts.concat())?;
        let embedded = embedded.reshape((texts.len(), tokens, embedded.dim(1)?))?;
        let mut blocks = self.blocks.iter();
        blocks.try_fold(embedded, |x, block| {
            block.forward(&x, &rotations, &branches)
        })
    }
}

/// A frozen or trainable decoder. Cheap to clone: the weights are shared.
#[derive(Clone, Debug)]
pub struct Decoder {
    layers: Layers,
    norm: RmsNorm,
    /// `[V, D]`
    head: Tensor,
}

impl Decoder {
    /// `body` holds `embed_tokens`, `layers` and `norm`, `head` holds `lm_head`, which a tied model does not have.
    ///
    /// # Errors
    /// Weights that are not those of the config.
    pub fn load(config: &Config, body: &Scope, head: &Scope) -> LoadResult<Self> {
        let layers = Layers::load(config, body)?;
        let head = head.at("lm_head");
        Ok(Self {
            norm: body.rms_norm("norm", config.hidden_size, config.rms_norm_eps)?,
            head: if config.tie_word_embeddings && !head.has("weight") {
                layers.embeddings.clone()
            } else {
                head.tensor("weight", &[config.vocab_size, config.hidden_size])?
            },
            layers,
        })
    }

    pub fn config(&self) -> &Config {
        &self.layers.config
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers.blocks.len()
    }

    /// Embeddings of tokens. `[L, D]`
    ///
    /// # Errors
    /// An id beyond the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.layers.embed(ids)
    }

    /// Rotations of the positions of a row of tokens.
    ///
    /// # Errors
    /// The device refuses.
    pub fn rotations(&self, positions: &[Position]) -> Result<Rotations> {
        self.layers.rotations(positions)
    }

    /// One layer over every token of one text. `[1, N, D]` to the same.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn layer(&self, index: usize, x: &Tensor, rotations: &Rotations) -> Result<Tensor> {
        self.layers.blocks[index].forward(x, rotations, &Branches::one(x.dim(1)?))
    }

    /// The final norm. `[.., D]` to the same.
    ///
    /// # Errors
    /// Another width.
    pub fn normalise(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(x)
    }

    /// The hidden states of all tokens after each of the first `layers` layers, `[B, N, D]` each, without the final norm.
    ///
    /// # Errors
    /// Shapes that do not fit each other.
    pub fn states(&self, sequence: &Sequence, layers: usize) -> Result<Vec<Tensor>> {
        let rotations = self.rotations(&sequence.positions)?;
        let mut x = sequence.embeddings.clone();
        let blocks = self.layers.blocks.iter().take(layers).enumerate();
        let after = blocks.map(|(index, block)| {
            x = block.forward(&x, &rotations, &sequence.branches)?;
            if let Some(addition) = sequence.additions.get(index) {
                x = (&x + addition)?;
            }
            Ok(x.clone())
        });
        after.collect()
    }

    /// The state of each text's last token after all layers and the final norm, `[texts, D]`, of one row; the layers are the
    /// segments of `activations`.
    ///
    /// # Errors
    /// Shapes that do not fit each other.
    pub fn read(&self, sequence: &Sequence, activations: &Activations) -> Result<Tensor> {
        let rotations = self.rotations(&sequence.positions)?;
        let mut x = sequence.embeddings.clone();
        let Some((final_block, earlier)) = self.layers.blocks.split_last() else {
            candle_core::bail!("a decoder has at least one layer")
        };
        for (index, block) in earlier.iter().enumerate() {
            let (block, rotations, branches) =
                (block.clone(), rotations.clone(), sequence.branches.clone());
            x = activations.segment([&x], move |[x]| block.forward(x, &rotations, &branches))?;
            if let Some(addition) = sequence.additions.get(index) {
                x = (x + addition)?;
            }
        }
        // only the last tokens' states leave the last layer: nothing else needs its queries and its feed-forward
        let states = final_block.forward_last(&x, &rotations, &sequence.branches)?;
        self.normalise(&states.squeeze(0)?)
    }

    /// The states of some tokens after all layers and the final norm, `[places, D]`; a place counts through all rows.
    ///
    /// # Errors
    /// Shapes that do not fit each other.
    pub fn read_at(&self, sequence: &Sequence, places: &[u32]) -> Result<Tensor> {
        let Some(last) = self.states(sequence, self.layers())?.pop() else {
            candle_core::bail!("a decoder has at least one layer")
        };
        let rows = last.flatten_to(1)?;
        self.normalise(&rows.index_select(&Tensor::new(places, rows.device())?, 0)?)
    }

    /// Logits of the whole vocabulary. `[.., D]` to `[.., V]`
    ///
    /// # Errors
    /// Another width.
    pub fn logits(&self, states: &Tensor) -> Result<Tensor> {
        Linear::new(self.head.clone(), None).forward(states)
    }

    /// Logits of some tokens. `[B, D]` to `[B, tokens]`
    ///
    /// # Errors
    /// Another width, or an id beyond the vocabulary.
    pub fn logits_of(&self, states: &Tensor, ids: &[u32]) -> Result<Tensor> {
        let rows = self
            .head
            .index_select(&Tensor::new(ids, self.head.device())?, 0)?;
        Linear::new(rows, None).forward(states)
    }
}
