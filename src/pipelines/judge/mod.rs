//! One score, in order: questions -> prompts -> pixels -> image tokens -> sequence -> logits -> probabilities.
mod answers;
mod calibration;
pub mod check;
mod error;
mod looked;
mod score;
mod shared_pass;
mod together;
mod warning;

use candle_core::{DType, Tensor};
use image::RgbImage;

use self::{answers::AnswerTokens, looked::Seen};
pub use self::{
    answers::{AnswerLogits, Spelling},
    calibration::{Calibration, CalibrationError, Temperatures},
    error::JudgeError,
    looked::Looked,
    score::{Overall, Score, Verdict},
    together::Pairs,
    warning::ScoreWarning,
};
use super::{
    image::to_pixels,
    questions::{EditDescription, Question, QuestionSet, Shows},
};
use crate::{
    models::{
        error::LoadResult,
        folder::Folder,
        vlm::{Illustrated, Picture, Prompt, Rounding, VisionLanguageModel},
    },
    nn::{Activations, Compute},
};

/// Questions of one batch: more would need more memory than they save time.
const MAX_BATCH: usize = 4;

/// How a judge answers, beyond its weights.
#[derive(Clone, Debug)]
pub struct JudgeSettings {
    pub questions: QuestionSet,
    pub spelling: Spelling,
    pub overall: Overall,
    pub temperatures: Temperatures,
}

/// What is being judged.
#[derive(Clone, Debug)]
pub struct ScoreInput {
    pub reference: RgbImage,
    pub edited: RgbImage,
    pub edit: EditDescription,
    /// The caller's own, after the two that every edit gets.
    pub questions: Vec<Question>,
}

/// The two pictures of an edit, as a judge takes them.
#[derive(Clone, Debug)]
pub struct Pair {
    pub reference: Picture,
    pub edited: Picture,
}

/// A vision-language model that answers yes or no.
#[derive(Debug)]
pub struct Judge {
    model: VisionLanguageModel,
    settings: JudgeSettings,
    tokens: AnswerTokens,
    identity: JudgeIdentity,
}

/// Which judge it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeIdentity {
    pub name: String,
    /// SHA-256 in hex of weights, configs and tokenizer.
    pub sha256: String,
}

impl Judge {
    /// # Errors
    /// The model does not load, or its tokenizer has no single token for an answer.
    pub fn load(
        name: &str,
        folder: &Folder,
        compute: &Compute,
        settings: JudgeSettings,
    ) -> LoadResult<Self> {
        let model = VisionLanguageModel::load(folder, compute)?;
        let tokens = AnswerTokens::find(model.chat().tokenizer(), settings.spelling, folder)?;
        Ok(Self {
            model,
            settings,
            tokens,
            identity: JudgeIdentity {
                name: name.into(),
                sha256: folder.sha256()?,
            },
        })
    }

    /// The same judge with fitted temperatures.
    ///
    /// # Errors
    /// They were fitted for another judge.
    pub fn calibrated(mut self, calibration: &Calibration) -> Result<Self, CalibrationError> {
        self.settings.temperatures = calibration.temperatures_for(&self.identity.sha256)?;
        Ok(self)
    }

    /// The same judge; the blocks of its model are the segments of `activations`.
    #[must_use]
    pub fn with_activations(self, activations: Activations) -> Self {
        Self {
            model: self.model.with_activations(activations),
            ..self
        }
    }

    pub fn identity(&self) -> &JudgeIdentity {
        &self.identity
    }

    pub fn settings(&self) -> &JudgeSettings {
        &self.settings
    }

    pub fn model(&self) -> &VisionLanguageModel {
        &self.model
    }

    /// Whether the texts of an edit can be put to this judge; costs no forward pass.
    ///
    /// # Errors
    /// See [`JudgeError::Prompt`].
    pub fn check(&self, edit: &EditDescription) -> Result<(), JudgeError> {
        for question in self.settings.questions.about(edit) {
            self.prompt(&question)?;
        }
        Ok(())
    }

    /// Scores one edit. The same bytes give the same numbers, whatever else is scored beside them.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub fn score(&self, input: &ScoreInput) -> Result<Score, JudgeError> {
        self.score_after(&mut Looked::default(), input)
    }

    /// As [`Self::score`], of one edit after another; a reference that was `looked` at just before is not looked at again.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub fn score_after(
        &self,
        looked: &mut Looked,
        input: &ScoreInput,
    ) -> Result<Score, JudgeError> {
        let (questions, pair) = self.asked_of(input)?;
        let mut seen = looked.at(&input.reference);
        let states = self.states(&pair, &questions, &mut seen)?;
        looked.keep(seen);
        self.scored(input, questions, &states)
    }

    /// What is asked about an edit, and its pictures.
    fn asked_of(&self, input: &ScoreInput) -> Result<(Vec<Question>, Pair), JudgeError> {
        let mut questions = self.settings.questions.about(&input.edit);
        questions.extend(input.questions.iter().cloned());
        let pair = Pair {
            reference: self.picture(&input.reference)?,
            edited: self.picture(&input.edited)?,
        };
        Ok((questions, pair))
    }

    fn scored(
        &self,
        input: &ScoreInput,
        questions: Vec<Question>,
        states: &Tensor,
    ) -> Result<Score, JudgeError> {
        let logits = self.answers(states)?;
        let warnings = warning::of(input, &self.settings.questions);
        score::score(questions, &logits, &self.settings, warnings)
    }

    /// The answers to `questions`, differentiable in the pixels of `pair`.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub fn ask(&self, pair: &Pair, questions: &[Question]) -> Result<AnswerLogits, JudgeError> {
        Ok(self.answers(&self.states_of(pair, questions)?)?)
    }

    /// What the judge is about to say to each question, `[Q, D]`, differentiable in the pixels of `pair`.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub fn states_of(&self, pair: &Pair, questions: &[Question]) -> Result<Tensor, JudgeError> {
        self.states(pair, questions, &mut Seen::default())
    }

    /// Stage 6, logits of Yes and No: of states `[Q, D]`.
    ///
    /// # Errors
    /// The device refuses.
    pub fn answers(&self, states: &Tensor) -> candle_core::Result<AnswerLogits> {
        self.tokens.logits(self.model.decoder(), states)
    }

    /// Logits of everything that the judge could say, `[Q, V]`, of states `[Q, D]`.
    ///
    /// # Errors
    /// The device refuses.
    pub fn vocabulary(&self, states: &Tensor) -> candle_core::Result<Tensor> {
        self.model.decoder().logits(states)
    }

    /// What the judge is about to say to each question, `[Q, D]`.
    fn states(
        &self,
        pair: &Pair,
        questions: &[Question],
        seen: &mut Seen,
    ) -> Result<Tensor, JudgeError> {
        self.check_sizes(pair)?;
        let mut states = Vec::new();
        for questions in questions.chunks(MAX_BATCH) {
            // 1 prompt       question   -> text and ids
            // 2 pixel values pixels     -> the tower's own form
            // 3 look         values     -> image tokens, once for each picture
            let items = questions
                .iter()
                .map(|question| self.illustrate(pair, question, seen))
                .collect::<Result<Vec<_>, _>>()?;
            // 4 sequence     items      -> one row of tokens, their common start once
            let sequence = self.model.sequence(&items)?;
            // 5 read         sequence   -> state of each last token [B, D]
            states.push(self.model.read(&sequence)?);
        }
        Ok(Tensor::cat(&states, 0)?)
    }

    fn prompt(&self, question: &Question) -> Result<Prompt, JudgeError> {
        let prompt = self
            .model
            .chat()
            .prompt(&question.text, shown_by(question).len());
        prompt.map_err(|source| JudgeError::Prompt {
            question: question.text.clone(),
            source,
        })
    }

    fn illustrate(
        &self,
        pair: &Pair,
        question: &Question,
        seen: &mut Seen,
    ) -> Result<Illustrated, JudgeError> {
        let shows = shown_by(question);
        let prompt = self.prompt(question)?;
        let shown = self.model.shown(shows.len());
        let mut images = Vec::with_capacity(shows.len());
        for which in shows {
            let tokens = match seen.of(*which).get(&shown) {
                Some(tokens) => tokens.clone(),
                None => {
                    let picture = which.of(pair);
                    let tokens = self.model.look(&self.model.pixel_values(picture, shown)?)?;
                    seen.of(*which).insert(shown, tokens.clone());
                    tokens
                }
            };
            images.push(tokens);
        }
        let item = Illustrated { prompt, images };
        let limit = self.model.decoder().config().max_position_embeddings;
        let tokens = item.len()?;
        if tokens > limit {
            return Err(JudgeError::TooLong {
                question: question.text.clone(),
                tokens,
                limit,
            });
        }
        Ok(item)
    }

    fn picture(&self, image: &RgbImage) -> Result<Picture, JudgeError> {
        let compute = self.model.compute();
        let pixels = to_pixels(image, &compute.device)?.squeeze(0)?;
        // the 256 levels of a picture do not fit the half types
        let dtype = match compute.dtype {
            DType::F16 | DType::BF16 => DType::F32,
            wide => wide,
        };
        Ok(Picture {
            pixels: unit(&pixels)?.to_dtype(dtype)?,
            rounding: Rounding::EightBit,
        })
    }

    fn check_sizes(&self, pair: &Pair) -> Result<(), JudgeError> {
        let smallest = self.model.smallest_side();
        for which in [Which::Reference, Which::Edited] {
            let (height, width) = which.of(pair).size()?;
            if height.min(width) < smallest {
                return Err(JudgeError::TooSmall {
                    picture: which.name(),
                    width,
                    height,
                    smallest,
                });
            }
            if let Some(limit) = self.model.max_aspect()
                && height.max(width) > limit * height.min(width)
            {
                return Err(JudgeError::TooLongAndThin {
                    picture: which.name(),
                    width,
                    height,
                    limit,
                });
            }
        }
        Ok(())
    }
}

/// Pixels in [-1, 1] to `[0, 1]`, differentiable.
///
/// # Errors
/// The device refuses.
pub fn unit(pixels: &Tensor) -> candle_core::Result<Tensor> {
    pixels.affine(0.5, 0.5)
}

/// The pictures of a question, in order.
fn shown_by(question: &Question) -> &'static [Which] {
    match question.shows {
        Shows::Both => &[Which::Reference, Which::Edited],
        Shows::Edited => &[Which::Edited],
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    Reference,
    Edited,
}

impl Which {
    fn of(self, pair: &Pair) -> &Picture {
        match self {
            Self::Reference => &pair.reference,
            Self::Edited => &pair.edited,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Edited => "edited",
        }
    }
}

#[cfg(test)]
mod family_tests;
#[cfg(test)]
mod score_tests;
