//! Where the tokens of a question about a pair stand.
use std::collections::HashMap;

use candle_core::Tensor;

use super::pair::QUESTIONS;
use crate::{
    models::{
        decoder::{Branches, Sequence},
        vlm::VisionLanguageModel,
    },
    pipelines::judge::JudgeError,
    training::error::{TrainingError, TrainingResult},
};

/// Words after each picture at which a question looks things up, in order.
pub(super) const SLOTS: [&str; 4] = ["left", "right", "background", "image"];
/// What ends the question whether the edit was done, and goes on to whether the rest is kept.
const DONE: &str = "done";
const UNCHANGED: &str = "unchanged";

/// The part of the prompt that all questions share, with the tokens of both pictures.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// Placeholders where picture tokens stand.
    ids: Vec<u32>,
    /// Start of each picture's tokens.
    pictures: [usize; 2],
    /// Tokens of a picture.
    pub picture_tokens: usize,
    /// Of each picture.
    pub slots: [[usize; 4]; 2],
}

/// The tokens of each question beyond the shared part, in one row a pair.
pub(super) struct Questions {
    /// `[pairs][QUESTIONS]`
    ids: Vec<Vec<Vec<u32>>>,
    /// Of the longest, to which the others are padded at their ends, where nobody looks.
    width: usize,
}

/// Places in a row of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnswerPlaces {
    /// Just before the answers: what the question is about is worked out here.
    pub colon: usize,
    pub done: usize,
    pub kept: usize,
}

/// Puts instructions to a judge of the world.
#[derive(Debug)]
pub(super) struct Prompts {
    pub shared: Shared,
    pad: u32,
    /// By instruction.
    known: HashMap<String, Vec<u32>>,
}

impl Prompts {
    /// # Errors
    /// The model's template or tokenizer is not that of a judge of the world.
    pub fn of(model: &VisionLanguageModel, picture_tokens: usize) -> TrainingResult<Self> {
        let tokenizer = model.chat().tokenizer();
        let id = |word: &str| {
            let found = tokenizer.token_to_id(word);
            found.ok_or_else(|| missing(word))
        };
        let slots = [id(SLOTS[0])?, id(SLOTS[1])?, id(SLOTS[2])?, id(SLOTS[3])?];
        let prompt = prompt(model, "")?;
        let mut shared = Shared {
            ids: Vec::new(),
            pictures: [0; 2],
            picture_tokens,
            slots: [[0; 4]; 2],
        };
        let mut seen = 0;
        let mut slot = 0;
        for at in prompt {
            if at == model.image_token() && seen < 2 {
                shared.pictures[seen] = shared.ids.len();
                shared.ids.resize(shared.ids.len() + picture_tokens, at);
                (seen, slot) = (seen + 1, 0);
                continue;
            }
            if seen > 0 && slot < 4 && at == slots[slot] {
                shared.slots[seen - 1][slot] = shared.ids.len();
                slot += 1;
            }
            shared.ids.push(at);
            if seen == 2 && slot == 4 {
                let pad = id("<|endoftext|>")?;
                let known = HashMap::new();
                return Ok(Self { shared, pad, known });
            }
        }
        Err(missing(SLOTS[slot % SLOTS.len()]))
    }

    /// The tokens of `instructions`, [`QUESTIONS`] for each pair.
    ///
    /// # Errors
    /// Text that the judge does not take.
    pub fn questions<'a>(
        &mut self,
        model: &VisionLanguageModel,
        instructions: impl Iterator<Item = &'a str>,
    ) -> TrainingResult<Questions> {
        let mut all = Vec::new();
        for instruction in instructions {
            if !self.known.contains_key(instruction) {
                let text = format!("{instruction}: {DONE} {UNCHANGED}");
                let ids = prompt(model, &text)?;
                let pictures = 2 * (self.shared.picture_tokens - 1);
                let own = ids[self.shared.ids.len() - pictures..].to_vec();
                self.known.insert(instruction.to_owned(), own);
            }
            all.push(self.known[instruction].clone());
        }
        let width = all.iter().map(Vec::len).max().unwrap_or(0);
        let ids = all.chunks(QUESTIONS).map(<[_]>::to_vec).collect();
        Ok(Questions { ids, width })
    }

    /// Text and pictures `[2 B, n, D]` of all pairs, a row each.
    ///
    /// # Errors
    /// Another number of pictures.
    pub fn sequence(
        &self,
        model: &VisionLanguageModel,
        questions: &Questions,
        pictures: &Tensor,
    ) -> candle_core::Result<Sequence> {
        let pairs = questions.ids.len();
        let mut ids = Vec::new();
        for own in &questions.ids {
            ids.extend_from_slice(&self.shared.ids);
            for question in own {
                ids.extend_from_slice(question);
                ids.resize(ids.len() + questions.width - question.len(), self.pad);
            }
        }
        let row = self.row(questions);
        let text = model.decoder().embed(&ids)?;
        let text = text.reshape((pairs, row, text.dim(1)?))?;
        let [first, second] = self.shared.pictures;
        let n = self.shared.picture_tokens;
        let embeddings = Tensor::cat(
            &[
                &text.narrow(1, 0, first)?,
                &pictures.narrow(0, 0, pairs)?,
                &text.narrow(1, first + n, second - first - n)?,
                &pictures.narrow(0, pairs, pairs)?,
                &text.narrow(1, second + n, row - second - n)?,
            ],
            1,
        )?;
        let start = self.shared.ids.len() as u32;
        let own = (0..QUESTIONS).flat_map(|_| start..start + questions.width as u32);
        Ok(Sequence {
            embeddings,
            positions: (0..start).chain(own).map(|at| [at; 3]).collect(),
            additions: Vec::new(),
            branches: Branches::new(start as usize, &[questions.width; QUESTIONS]),
        })
    }

    /// Tokens of a row.
    pub fn row(&self, questions: &Questions) -> usize {
        self.shared.ids.len() + QUESTIONS * questions.width
    }

    /// Where a pair's questions are answered, in its row.
    pub fn all_answers(&self, questions: &Questions, pair: usize) -> [AnswerPlaces; QUESTIONS] {
        std::array::from_fn(|question| self.answers(questions, pair, question))
    }

    /// Where a pair's question is answered, in its row.
    pub fn answers(&self, questions: &Questions, pair: usize, question: usize) -> AnswerPlaces {
        let start = self.shared.ids.len() + question * questions.width;
        let end = start + questions.ids[pair][question].len();
        AnswerPlaces {
            colon: end - 3,
            done: end - 2,
            kept: end - 1,
        }
    }
}

impl Shared {
    /// Place of a token of a picture.
    pub fn picture_token(&self, picture: usize, token: usize) -> usize {
        self.pictures[picture] + token
    }
}

fn prompt(model: &VisionLanguageModel, text: &str) -> TrainingResult<Vec<u32>> {
    let prompt = model.chat().prompt(text, 2);
    let refused = |source| JudgeError::Prompt {
        question: text.to_owned(),
        source,
    };
    Ok(prompt.map_err(refused)?.ids)
}

fn missing(word: &str) -> TrainingError {
    TrainingError::NotOfTheWorld {
        word: word.to_owned(),
    }
}
