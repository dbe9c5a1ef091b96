//! One question about pictures in [0, 1], without rounding, as training puts it.
use candle_core::{Tensor, Var};
use npedit::{
    models::vlm::{Illustrated, Picture, Prompt, Rounding},
    pipelines::judge::{Judge, Pair},
    pipelines::questions::{Answer, Question, QuestionKind, Shows},
};
use serde_json::Value;

use crate::{
    golden::Variant,
    ledger::Failure,
    system::{numbers, text},
};

pub struct Asked<'a> {
    pub judge: &'a Judge,
    pub text: &'a str,
    /// The recorded prompt, where it has a message of the system before it: npedit sends none.
    pub whole: Option<String>,
    pub expected: Answer,
    /// `[3, H, W]` each; the last one is the edited picture.
    pub pictures: Vec<Tensor>,
}

/// What the edited picture's pixels do to the answer.
pub struct Answered {
    pub yes: Tensor,
    pub no: Tensor,
    /// Binary cross-entropy with the expected answer.
    pub loss: Tensor,
    /// `[H, W, 3]`
    pub gradient: Tensor,
}

/// The wording and target of a recorded case.
pub fn question(case: &Value) -> Result<(&str, Answer), Failure> {
    let expected = match numbers(&case["target"])[..] {
        [1.0] => Answer::Yes,
        [0.0] => Answer::No,
        _ => return Err("a target is neither 0 nor 1".into()),
    };
    Ok((text(case, "question")?, expected))
}

/// A picture of the variant, `[3, H, W]`.
pub fn picture(variant: &Variant, judge: &Judge, path: &str) -> Result<Tensor, Failure> {
    let image = image::open(variant.dir.join(path))?.into_rgb8();
    let pixels = npedit::pipelines::image::to_pixels(&image, &judge.model().compute().device)?;
    Ok(npedit::pipelines::judge::unit(&pixels)?.squeeze(0)?)
}

impl Asked<'_> {
    /// Each picture as the vision tower takes it.
    pub fn values(&self, rounding: Rounding) -> Result<Vec<Tensor>, Failure> {
        let model = self.judge.model();
        let shown = model.shown(self.pictures.len());
        let values = self.pictures.iter().map(|pixels| {
            let picture = shown_with(pixels, rounding);
            Ok(model.pixel_values(&picture, shown)?.values)
        });
        values.collect()
    }

    pub fn prompt(&self) -> Result<Prompt, Failure> {
        let chat = self.judge.model().chat();
        let Some(text) = &self.whole else {
            return Ok(chat.prompt(self.text, self.pictures.len())?);
        };
        let encoding = chat.tokenizer().encode(text.as_str(), true);
        Ok(Prompt {
            text: text.clone(),
            ids: encoding
                .map_err(|error| error.to_string())?
                .get_ids()
                .into(),
        })
    }

    pub fn illustrated(&self, pictures: &[Tensor]) -> Result<Illustrated, Failure> {
        let model = self.judge.model();
        let shown = model.shown(pictures.len());
        let images = pictures.iter().map(|pixels| {
            let picture = shown_with(pixels, Rounding::Exact);
            model.look(&model.pixel_values(&picture, shown)?)
        });
        Ok(Illustrated {
            prompt: self.prompt()?,
            images: images.collect::<candle_core::Result<_>>()?,
        })
    }

    /// `[V]`
    pub fn last_logits(&self, item: &Illustrated) -> Result<Tensor, Failure> {
        let model = self.judge.model();
        let states = model.read(&model.sequence(std::slice::from_ref(item))?)?;
        Ok(model.decoder().logits(&states)?.squeeze(0)?)
    }

    /// Ids of Yes and No.
    pub fn answers(&self) -> Result<[usize; 2], Failure> {
        let tokenizer = self.judge.model().chat().tokenizer();
        let id = |word| tokenizer.token_to_id(word).ok_or("an answer is no token");
        Ok([id("Yes")? as usize, id("No")? as usize])
    }

    pub fn answer(&self) -> Result<Answered, Failure> {
        let (edited, before) = self.pictures.split_last().ok_or("no picture")?;
        let edited = Var::from_tensor(edited)?;
        let [yes, no] = match &self.whole {
            None => self.through_the_pipeline(before, edited.as_tensor())?,
            Some(_) => {
                let pictures = [before, &[edited.as_tensor().clone()]].concat();
                let logits = self.last_logits(&self.illustrated(&pictures)?)?;
                let [yes, no] = self.answers()?;
                [logits.get(yes)?, logits.get(no)?]
            }
        };
        let wrong = match self.expected {
            Answer::Yes => (&no - &yes)?,
            Answer::No => (&yes - &no)?,
        };
        let loss = (wrong.exp()? + 1.0)?.log()?;
        let grads = loss.backward()?;
        let gradient = grads.get(edited.as_tensor()).ok_or("no gradient")?;
        Ok(Answered {
            yes,
            no,
            loss,
            gradient: gradient.permute((1, 2, 0))?.contiguous()?,
        })
    }

    /// Both logits as the judge serves them.
    fn through_the_pipeline(
        &self,
        before: &[Tensor],
        edited: &Tensor,
    ) -> Result<[Tensor; 2], Failure> {
        let pair = Pair {
            reference: shown_with(before.first().unwrap_or(edited), Rounding::Exact),
            edited: shown_with(edited, Rounding::Exact),
        };
        let question = Question {
            kind: QuestionKind::Edit,
            shows: match before {
                [] => Shows::Edited,
                _ => Shows::Both,
            },
            text: self.text.into(),
            expected: self.expected,
        };
        let logits = self.judge.ask(&pair, &[question])?;
        Ok([logits.yes.squeeze(0)?, logits.no.squeeze(0)?])
    }
}

fn shown_with(pixels: &Tensor, rounding: Rounding) -> Picture {
    Picture {
        pixels: pixels.clone(),
        rounding,
    }
}
