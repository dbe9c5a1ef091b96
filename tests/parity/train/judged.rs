//! The judge's half of the training step.
use candle_core::Tensor;
use npedit::{
    models::vlm::{Picture, Rounding},
    pipelines::{
        image::to_pixels,
        judge::{AnswerLogits, Judge, Pair, unit},
        questions::{Question, Shows},
    },
    training::losses::judge::{answer_losses, ramp},
};
use serde_json::Value;

use crate::{
    judge::questions,
    ledger::Failure,
    system::{System, text},
};

/// Of the recording.
const RAMP_STEPS: u64 = 2000;

/// Reference, questions and temperature of one case.
pub struct Judged<'a> {
    system: &'a System<'a>,
    judge: &'a Judge,
    reference: Picture,
    pub questions: [Question; 2],
    pub temperature: f64,
}

impl<'a> Judged<'a> {
    /// The wording is that of the judge's own cases, with this case's instruction and object.
    pub fn read(system: &'a System, judge: &'a Judge, case: &Value) -> Result<Self, Failure> {
        let cases = &system.variant.cases;
        let removal = |case: &Value| case["sub_task_type"] == "remove";
        let mut worded = cases["judge"].as_array().into_iter().flatten();
        let worded = worded
            .find(|worded| removal(worded) == removal(case))
            .ok_or("no judge case is worded like this one")?;
        let mut questions = questions(worded)?;
        for question in &mut questions {
            for key in ["instruction", "category"] {
                question.text = question.text.replace(text(worded, key)?, text(case, key)?);
            }
        }
        let reference = to_pixels(
            &system.image(text(case, "reference")?)?,
            &system.compute.device,
        )?;
        let step = case["global_step"].as_u64().ok_or("a case has no step")?;
        Ok(Self {
            system,
            judge,
            reference: picture(&reference)?,
            questions,
            temperature: ramp(step, RAMP_STEPS),
        })
    }

    /// What the judge says of the picture that `x0` stands for; differentiable.
    pub fn ask(&self, x0: &Tensor) -> Result<AnswerLogits, Failure> {
        let pair = Pair {
            reference: self.reference.clone(),
            edited: picture(&self.system.bundle.vae.decode(x0)?)?,
        };
        Ok(self.judge.ask(&pair, &self.questions)?)
    }

    /// Mean of both questions.
    pub fn loss(&self, x0: &Tensor) -> Result<Tensor, Failure> {
        let expected = self.questions.each_ref().map(|question| question.expected);
        Ok(answer_losses(&self.ask(x0)?, &expected, self.temperature)?.mean_all()?)
    }

    /// Pixel values of the edited picture.
    pub fn pixel_values(&self, x0: &Tensor) -> Result<Tensor, Failure> {
        let model = self.judge.model();
        let edited = picture(&self.system.bundle.vae.decode(x0)?)?;
        Ok(model.pixel_values(&edited, model.shown(2))?.values)
    }

    /// Ids of each question with its pictures and the forced answer.
    pub fn ids(&self, x0: &Tensor) -> Result<Vec<Vec<f64>>, Failure> {
        let model = self.judge.model();
        let edited = picture(&self.system.bundle.vae.decode(x0)?)?;
        let tokens = |picture: &Picture| model.look(&model.pixel_values(picture, model.shown(2))?);
        let (reference, edited) = (tokens(&self.reference)?, tokens(&edited)?);
        let ids = self.questions.iter().map(|question| {
            let images = match question.shows {
                Shows::Both => vec![reference.clone(), edited.clone()],
                Shows::Edited => vec![edited.clone()],
            };
            let prompt = model.chat().prompt(&question.text, images.len())?;
            let item = npedit::models::vlm::Illustrated { prompt, images };
            let mut ids = item.expanded(model.image_token())?;
            let answer = format!("{:?}<|im_end|>", question.expected);
            let answer = model.chat().tokenizer().encode(answer, false);
            ids.extend(answer.map_err(|error| error.to_string())?.get_ids());
            Ok(ids.into_iter().map(f64::from).collect())
        });
        ids.collect()
    }
}

fn picture(pixels: &Tensor) -> Result<Picture, Failure> {
    Ok(Picture {
        pixels: unit(pixels)?.squeeze(0)?,
        rounding: Rounding::Exact,
    })
}
