//! The questions about several edits in one pass: where the models are so small that a device waits for its work.
use candle_core::Tensor;

use super::{Judge, JudgeError, shown_by};
use crate::{
    models::decoder::{Branches, Sequence},
    pipelines::questions::Question,
};

/// The two pictures of several edits, `[B, 3, H, W]` in `[0, 1]` each.
#[derive(Clone, Debug)]
pub struct Pairs {
    pub references: Tensor,
    pub edited: Tensor,
}

/// Text that a prompt has before, between and after its pictures, and what is asked beyond that.
struct Asked {
    /// Of every prompt, up to where the first of them differs from another.
    shared: Vec<u32>,
    /// Of each edit, of each of its questions.
    own: Vec<Vec<Vec<u32>>>,
}

impl Judge {
    /// What the judge is about to say to the questions about each pair, `[B * Q, D]`, differentiable in the pixels; `None`
    /// where they do not fit into one pass: not as many questions about each, pictures that some do not show, or too long a text.
    ///
    /// # Errors
    /// See [`JudgeError`], and a family that looks at one picture after the other.
    pub fn states_together(
        &self,
        pairs: &Pairs,
        questions: &[Vec<Question>],
    ) -> Result<Option<Tensor>, JudgeError> {
        let Some(asked) = self.asked(questions)? else {
            return Ok(None);
        };
        let model = &self.model;
        let count = questions.len();
        // 1 look         pixels     -> image tokens [2 B, n, D]
        let pixels = Tensor::cat(&[&pairs.references, &pairs.edited], 0)?;
        let pictures = model.look_at_all(&pixels)?;
        // 2 sequence     a row an edit: the pictures with the common text, then each question, padded at its end
        let each = questions.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..each)
            .map(|question| asked.own.iter().map(|own| own[question].len()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut ids: Vec<u32> = Vec::new();
        let common = asked.shared.iter().filter(|id| **id != model.image_token());
        let common: Vec<u32> = common.copied().collect();
        for own in &asked.own {
            ids.extend(&common);
            for (question, width) in own.iter().zip(&widths) {
                ids.extend(question);
                // nobody looks at what comes after a question
                ids.resize(ids.len() + width - question.len(), 0);
            }
        }
        let start = common.len() + 2 * pictures.dim(1)?;
        let longest = widths.iter().max().map_or(start, |width| start + width);
        if longest > model.decoder().config().max_position_embeddings {
            return Ok(None);
        }
        let text = model.decoder().embed(&ids)?;
        let text = text.reshape((count, ids.len() / count, text.dim(1)?))?;
        let mut parts = Vec::new();
        let mut at = 0;
        let mut pictured = 0;
        for run in asked.shared.split(|id| *id == model.image_token()) {
            parts.push(text.narrow(1, at, run.len())?);
            at += run.len();
            if pictured < 2 {
                parts.push(pictures.narrow(0, pictured * count, count)?);
                pictured += 1;
            }
        }
        parts.push(text.narrow(1, at, text.dim(1)? - at)?);
        let embeddings = Tensor::cat(&parts, 1)?;
        let own = widths.iter().flat_map(|width| start..start + width);
        let sequence = Sequence {
            positions: (0..start).chain(own).map(|at| [at as u32; 3]).collect(),
            additions: Vec::new(),
            branches: Branches::new(start, &widths),
            embeddings,
        };
        // 3 read         each question's last token
        let row = sequence.embeddings.dim(1)?;
        let mut places = Vec::new();
        for (edit, own) in asked.own.iter().enumerate() {
            let mut at = edit * row + start;
            for (question, width) in own.iter().zip(&widths) {
                places.push((at + question.len() - 1) as u32);
                at += width;
            }
        }
        Ok(Some(model.decoder().read_at(&sequence, &places)?))
    }

    fn asked(&self, questions: &[Vec<Question>]) -> Result<Option<Asked>, JudgeError> {
        let each = questions.first().map_or(0, Vec::len);
        let alike = |of_one: &Vec<Question>| {
            of_one.len() == each && of_one.iter().all(|question| shown_by(question).len() == 2)
        };
        if each == 0 || !questions.iter().all(alike) {
            return Ok(None);
        }
        let mut prompts = Vec::new();
        for question in questions.iter().flatten() {
            prompts.push(self.prompt(question)?.ids);
        }
        let first = &prompts[0];
        let start = prompts.iter().fold(first.len(), |start, prompt| {
            let same = first.iter().zip(prompt).take_while(|(a, b)| a == b);
            start.min(same.count()).min(prompt.len() - 1)
        });
        let shared = first[..start].to_vec();
        let image = self.model.image_token();
        if shared.iter().filter(|id| **id == image).count() != 2 {
            return Ok(None);
        }
        let own: Vec<Vec<u32>> = prompts.iter().map(|ids| ids[start..].to_vec()).collect();
        Ok(Some(Asked {
            shared,
            own: own.chunks(each).map(<[_]>::to_vec).collect(),
        }))
    }
}
