//! The judge of the world, from scratch: pairs of pictures that the world draws, its answers, and what it is to know on the way.
mod hints;
mod labelled;
mod layout;
mod pair;
mod pictures;
mod vocabulary;

use std::{collections::BTreeMap, sync::Arc};

use candle_core::{DType, Tensor};

use self::{
    hints::Hint,
    layout::{Prompts, Questions},
    pictures::Drawn,
    vocabulary::Vocabulary,
};
pub use self::{
    labelled::Labelled,
    pair::{Asked, Pair, QUESTIONS},
    pictures::Degradation,
    vocabulary::Matter,
};
use super::{Outcome, Stage, Step};
use crate::{
    models::vlm::VisionLanguageModel,
    nn::{Choice, choice_losses},
    training::{
        checkpoint::State,
        draws::Purpose,
        error::TrainingResult,
        optimiser::{Parameters, gradients_of},
        terms::Terms,
    },
    world::SceneRng,
};

/// Sizes of the pictures of a step, in pixels: one step in four shows another than the world's own.
const SIZES: [(u32, u32); 8] = [
    (64, 64),
    (64, 64),
    (64, 64),
    (64, 64),
    (64, 64),
    (64, 64),
    (96, 64),
    (64, 96),
];

/// The stage between two steps.
#[derive(Debug)]
pub struct Judging {
    model: VisionLanguageModel,
    parameters: Parameters,
    prompts: Prompts,
    vocabulary: Vocabulary,
    /// Fields a side of a picture, one a token.
    fields: usize,
    /// Pairs of one step.
    batch: usize,
    degradations: Vec<Degradation>,
    labelled: Option<Arc<LabelledEdits>>,
}

/// What somebody labelled, and how much of it is seen.
#[derive(Clone, Debug)]
pub struct LabelledEdits {
    /// At least one.
    pub edits: Vec<Labelled>,
    /// Edits of one step.
    pub batch: usize,
}

/// A batch on its way through the model.
struct Batch {
    hints: Vec<Vec<Hint>>,
    row: usize,
    /// Hidden states after each layer, `[B, N, D]`.
    states: Vec<Tensor>,
}

/// What is to be known after one layer.
struct Known {
    /// Each with the number of its pair.
    hints: Vec<(usize, Hint)>,
    /// Of each hint, `[hints]`.
    losses: Tensor,
}

impl Judging {
    /// A judge all of whose weights are `parameters`, `batch` pairs a step.
    ///
    /// # Errors
    /// A judge that is not made for the world.
    pub fn new(
        model: VisionLanguageModel,
        parameters: Parameters,
        (batch, degradations): (usize, Vec<Degradation>),
    ) -> TrainingResult<Self> {
        let (width, height) = SIZES[0];
        let shape = (1, 3, height as usize, width as usize);
        let compute = model.compute();
        let blank = Tensor::zeros(shape, compute.dtype, &compute.device)?;
        let picture_tokens = model.look_at_all(&blank)?.dim(1)?;
        Ok(Self {
            prompts: Prompts::of(&model, picture_tokens)?,
            vocabulary: Vocabulary::of(&model)?,
            fields: picture_tokens.isqrt(),
            model,
            parameters,
            batch,
            degradations,
            labelled: None,
        })
    }

    /// The stage with labelled edits beside those that the world draws.
    #[must_use]
    pub fn with_labelled(self, labelled: LabelledEdits) -> Self {
        Self {
            labelled: Some(Arc::new(labelled)),
            ..self
        }
    }

    /// The probability of Yes to both questions about every instruction of `pairs`, seen as `size` px pictures.
    ///
    /// # Errors
    /// Text that the judge does not take, or a device that refuses.
    pub fn ask(
        &mut self,
        (pairs, seeds): (&[Pair], &[u64]),
        size: (u32, u32),
    ) -> TrainingResult<Vec<[[f64; 2]; QUESTIONS]>> {
        let batch = self.read((pairs, seeds), size)?;
        let losses = self.losses(&batch)?;
        let mut all = vec![[[0.0; 2]; QUESTIONS]; pairs.len()];
        let mut next = vec![[0; 2]; pairs.len()];
        for Known { hints, losses } in losses {
            let losses = losses.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            for ((pair, hint), loss) in hints.iter().zip(losses) {
                let which = match hint.matter {
                    Matter::Done => 0,
                    Matter::Kept => 1,
                    _ => continue,
                };
                let right = (-loss).exp();
                let question = &mut next[*pair][which];
                all[*pair][*question][which] = if hint.right == 0 { right } else { 1.0 - right };
                *question += 1;
            }
        }
        Ok(all)
    }

    /// Pairs that the world draws.
    fn read(
        &mut self,
        (pairs, seeds): (&[Pair], &[u64]),
        size: (u32, u32),
    ) -> TrainingResult<Batch> {
        let drawn = pictures::draw(pairs, seeds, (size, self.fields), &self.degradations);
        let pixels = pictures::pixels(drawn.iter(), &self.model.compute().device)?;
        let asked = pairs.iter().flat_map(|pair| &pair.asked);
        let asked = asked.map(|asked| asked.instruction.as_str());
        let (states, questions) = self.states(&pixels, asked)?;
        let hints = pairs.iter().zip(&drawn).enumerate();
        let hints = hints.map(|(at, (pair, drawn))| {
            let answers = self.prompts.all_answers(&questions, at);
            hints::hints(pair, drawn, (&self.prompts.shared, &answers))
        });
        Ok(Batch {
            hints: hints.collect(),
            row: self.prompts.row(&questions),
            states,
        })
    }

    /// Edits that somebody labelled, one a seed, in other light.
    fn read_labelled(&mut self, edits: &[Labelled], seeds: &[u64]) -> TrainingResult<Batch> {
        let drawn: Vec<(Labelled, Drawn)> = seeds
            .iter()
            .map(|seed| {
                let mut rng = SceneRng::new(*seed, 2);
                let labelled = &edits[rng.below(edits.len())];
                (labelled.clone(), pictures::relit(labelled, &mut rng))
            })
            .collect();
        let pixels = pictures::pixels(
            drawn.iter().map(|(_, drawn)| drawn),
            &self.model.compute().device,
        )?;
        let asked = drawn.iter().flat_map(|(labelled, _)| &labelled.asked);
        let asked = asked.map(|labels| labels.instruction.as_str());
        let (states, questions) = self.states(&pixels, asked)?;
        let hints = drawn
            .iter()
            .enumerate()
            .map(|(at, (labelled, _))| labelled.hints(&self.prompts.all_answers(&questions, at)));
        Ok(Batch {
            hints: hints.collect(),
            row: self.prompts.row(&questions),
            states,
        })
    }

    /// States after every layer for `pixels`, all pictures before and then all after, and [`QUESTIONS`] instructions a pair.
    fn states<'q>(
        &mut self,
        pixels: &Tensor,
        instructions: impl Iterator<Item = &'q str>,
    ) -> TrainingResult<(Vec<Tensor>, Questions)> {
        // 1 look         pixels    -> image tokens
        let pictures = self.model.look_at_all(pixels)?;
        // 2 sequence     questions -> a row of tokens a pair
        let questions = self.prompts.questions(&self.model, instructions)?;
        let sequence = self.prompts.sequence(&self.model, &questions, &pictures)?;
        // 3 read         tokens    -> states after every layer
        let decoder = self.model.decoder();
        let states = decoder.states(&sequence, decoder.layers())?;
        Ok((states, questions))
    }

    /// The loss of a batch: every matter by its weight, whatever the number of its hints. `None` where there are none.
    fn weighed(
        &self,
        batch: &Batch,
        name: fn(Matter) -> &'static str,
        terms: &mut Terms,
    ) -> TrainingResult<Option<Tensor>> {
        let losses = self.losses(batch)?;
        let mut counts: BTreeMap<Matter, usize> = BTreeMap::new();
        for (_, hint) in losses.iter().flat_map(|known| &known.hints) {
            *counts.entry(hint.matter).or_default() += 1;
        }
        let mut total: Option<Tensor> = None;
        for Known { hints, losses } in &losses {
            let weights: Vec<f32> = hints
                .iter()
                .map(|(_, hint)| (hint.matter.weight() / counts[&hint.matter] as f64) as f32)
                .collect();
            let weights = Tensor::new(weights, losses.device())?;
            let sum = (losses * weights)?.sum_all()?;
            total = Some(match total {
                Some(total) => (total + sum)?,
                None => sum,
            });
            let values = losses.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            for ((_, hint), loss) in hints.iter().zip(values) {
                terms.add(name(hint.matter), (-loss).exp());
            }
        }
        Ok(total)
    }

    /// The loss of every hint, layer by layer.
    fn losses(&self, batch: &Batch) -> TrainingResult<Vec<Known>> {
        let decoder = self.model.decoder();
        let mut all = Vec::new();
        for (index, states) in batch.states.iter().enumerate() {
            let of_pairs = batch.hints.iter().enumerate();
            let found: Vec<(usize, Hint)> = of_pairs
                .flat_map(|(pair, hints)| hints.iter().map(move |hint| (pair, *hint)))
                .filter(|(_, hint)| hint.matter.layer(decoder.layers()) == index + 1)
                .collect();
            if found.is_empty() {
                continue;
            }
            let place = |(pair, hint): &(usize, Hint)| (pair * batch.row + hint.token) as u32;
            let mut places: Vec<u32> = found.iter().map(place).collect();
            places.sort_unstable();
            places.dedup();
            let width = states.dim(2)?;
            let rows = states.reshape(((), width))?;
            let rows = rows.index_select(&Tensor::new(places.as_slice(), rows.device())?, 0)?;
            let logits = decoder.logits(&decoder.normalise(&rows)?)?;
            let choices: Vec<Choice> = found
                .iter()
                .map(|item| Choice {
                    row: places.partition_point(|at| *at < place(item)),
                    candidates: self.vocabulary.candidates(item.1.matter),
                    right: item.1.right,
                })
                .collect();
            let losses = choice_losses(&logits, &choices)?;
            all.push(Known {
                hints: found,
                losses,
            });
        }
        Ok(all)
    }
}

impl Stage for Judging {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn rows_per_step(&self) -> u64 {
        self.batch as u64
    }

    fn step(&mut self, step: &mut Step) -> TrainingResult<Outcome> {
        step.turn()?;
        let seeds = step.draws.seeds(Purpose::Scenes, self.batch + 1);
        let size = SIZES[SceneRng::new(seeds[self.batch], 0).below(SIZES.len())];
        let seeds = &seeds[..self.batch];
        let pairs: Vec<Pair> = seeds
            .iter()
            .map(|seed| Pair::draw(&mut SceneRng::new(*seed, 0)))
            .collect();
        let mut terms = Terms::default();
        let batch = self.read((&pairs, seeds), size)?;
        let mut total = self.weighed(&batch, Matter::name, &mut terms)?;
        if let Some(labelled) = self.labelled.clone() {
            step.turn()?;
            let seeds = step.draws.seeds(Purpose::Labelled, labelled.batch);
            let batch = self.read_labelled(&labelled.edits, &seeds)?;
            let labelled = self.weighed(&batch, Matter::labelled_name, &mut terms)?;
            total = match (total, labelled) {
                (Some(drawn), Some(labelled)) => Some((drawn + labelled)?),
                (drawn, labelled) => drawn.or(labelled),
            };
        }
        let nothing = || candle_core::Error::Msg("a step of no pairs; draw at least one".into());
        let total = total.ok_or_else(nothing)?;
        let mut grads = total.backward()?;
        Ok(Outcome {
            gradients: gradients_of(&self.parameters, &mut grads),
            loss: total.to_dtype(DType::F64)?.to_scalar::<f64>()?,
            terms,
        })
    }

    fn save(&self, _: &mut State) {}

    fn restore(&mut self, _: &State) -> TrainingResult<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
