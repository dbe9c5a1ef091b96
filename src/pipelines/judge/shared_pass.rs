//! Scores of edits that wait at the same time: those that are alike share a pass.
use candle_core::Tensor;

use super::{Judge, JudgeError, Looked, Pair, Pairs, Score, ScoreInput};
use crate::pipelines::questions::Question;

/// An edit that can be asked about.
struct Asked {
    /// Place among the inputs.
    place: usize,
    questions: Vec<Question>,
    pair: Pair,
}

impl Judge {
    /// Scores edits, one answer each, in order. Those with pictures of one size and as many questions share a pass, where the
    /// judge's family can and on the CPU: on a GPU a row of a larger batch has other last bits.
    pub fn score_together(
        &self,
        looked: &mut Looked,
        inputs: &[&ScoreInput],
    ) -> Vec<Result<Score, JudgeError>> {
        let mut scores: Vec<_> = inputs.iter().map(|_| None).collect();
        if self.model.looks_at_several() && self.model.compute().device.is_cpu() {
            self.share_passes(inputs, &mut scores);
        }
        // what shares no pass is asked alone, and says itself what is wrong with it
        let scores = scores.into_iter().zip(inputs);
        let scores = scores.map(|(score, input)| match score {
            Some(score) => score,
            None => self.score_after(looked, input),
        });
        scores.collect()
    }

    /// Fills in what a pass of several answers.
    fn share_passes(
        &self,
        inputs: &[&ScoreInput],
        scores: &mut [Option<Result<Score, JudgeError>>],
    ) {
        // 1 ask          what cannot be asked about is left for itself
        let mut groups: Vec<Vec<Asked>> = Vec::new();
        for (place, input) in inputs.iter().enumerate() {
            let Ok(asked) = self.askable(place, input) else {
                continue;
            };
            match groups.iter_mut().find(|group| alike(&group[0], &asked)) {
                Some(group) => group.push(asked),
                None => groups.push(vec![asked]),
            }
        }
        // 2 read         a pass for each group
        for group in groups {
            let Ok(Some(states)) = self.pass(&group) else {
                continue;
            };
            // 3 score        states -> probabilities of each edit
            let mut from = 0;
            for Asked {
                place, questions, ..
            } in group
            {
                let count = questions.len();
                let own = states.narrow(0, from, count).map_err(JudgeError::from);
                let score = own.and_then(|own| self.scored(inputs[place], questions, &own));
                scores[place] = Some(score);
                from += count;
            }
        }
    }

    fn askable(&self, place: usize, input: &ScoreInput) -> Result<Asked, JudgeError> {
        let (questions, pair) = self.asked_of(input)?;
        self.check_sizes(&pair)?;
        for question in &questions {
            self.prompt(question)?;
        }
        Ok(Asked {
            place,
            questions,
            pair,
        })
    }

    /// States of all questions, edit by edit `[B * Q, D]`; `None` where they do not fit into one pass.
    fn pass(&self, group: &[Asked]) -> Result<Option<Tensor>, JudgeError> {
        if group.len() < 2 {
            return Ok(None);
        }
        let stack = |of: fn(&Pair) -> &Tensor| {
            let pictures: Vec<_> = group.iter().map(|asked| of(&asked.pair)).collect();
            Tensor::stack(&pictures, 0)
        };
        let pairs = Pairs {
            references: stack(|pair| &pair.reference.pixels)?,
            edited: stack(|pair| &pair.edited.pixels)?,
        };
        let questions: Vec<_> = group.iter().map(|asked| asked.questions.clone()).collect();
        self.states_together(&pairs, &questions)
    }
}

/// Whether two edits may share a pass, as far as pictures and the number of questions go.
fn alike(one: &Asked, other: &Asked) -> bool {
    let sizes = |asked: &Asked| {
        let pictures = [&asked.pair.reference, &asked.pair.edited];
        pictures.map(|picture| picture.pixels.dims().to_vec())
    };
    let ([reference, edited], others) = (sizes(one), sizes(other));
    reference == edited
        && [reference, edited] == others
        && one.questions.len() == other.questions.len()
}
