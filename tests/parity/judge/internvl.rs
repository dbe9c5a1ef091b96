//! InternVL3 as the NP-Edit reference prompts it.
use candle_core::{D, Tensor, Var};
use npedit::{
    models::vlm::{Illustrated, ImageTokens, Picture, Rounding},
    pipelines::{
        judge::{Judge, Pair, unit},
        questions::{Answer, EditDescription, EditType, Question, QuestionKind, Shows},
    },
    training::losses::judge::answer_losses,
};
use serde_json::Value;

use crate::{
    golden::Variant,
    ledger::{Failure, Ledger, values},
    system::{numbers, text},
};

const IDS: &str = "token ids";
const TEMPERATURES: [&str; 2] = ["1.0", "0.1"];
const INFORMATIVE: &str =
    "recorded for information: another prompt layout, or a measure of the recording itself";

pub fn compare(variant: &Variant, ledger: &mut Ledger) -> Result<(), Failure> {
    let judge = super::load(variant, "judge-internvl3")?;
    for json in variant.cases["judge"].as_array().into_iter().flatten() {
        let case = Case {
            variant,
            judge: &judge,
            json,
            id: text(json, "id")?,
        };
        case.compare(ledger)?;
    }
    Ok(())
}

struct Case<'a> {
    variant: &'a Variant,
    judge: &'a Judge,
    json: &'a Value,
    id: &'a str,
}

impl Case<'_> {
    fn out(&self, key: &str) -> String {
        format!("out.judge.{}.{key}", self.id)
    }

    fn expected(&self, key: &str) -> String {
        format!("judge.{}.expected.{key}", self.id)
    }

    fn recorded(&self, key: &str) -> Result<&Value, Failure> {
        Ok(self.variant.expected(&self.json["expected"], key)?)
    }

    fn compare(&self, ledger: &mut Ledger) -> Result<(), Failure> {
        let questions = questions(self.json)?;
        self.rules(&questions, ledger)?;
        self.images(ledger)?;
        self.prompts(&questions, ledger)?;
        self.answers(&questions, ledger)?;
        self.gradients(&questions, ledger)?;
        for key in [
            "hf_processor_templated_text",
            "max_dev_hf_port_vs_reference_chat_model",
            "max_dev_hf_processor_uint8_pixel_values_vs_image_prep",
        ] {
            ledger.skip(&self.expected(key), INFORMATIVE);
        }
        ledger.skip(&self.out("hf_processor_input_ids"), INFORMATIVE);
        Ok(())
    }

    /// The repository's questions show and expect the same for this type of edit.
    fn rules(&self, recorded: &[Question; 2], ledger: &mut Ledger) -> Result<(), Failure> {
        let edit = EditDescription {
            instruction: text(self.json, "instruction")?.into(),
            edit_type: match text(self.json, "sub_task_type")? {
                "remove" => EditType::Remove,
                _ => EditType::Other,
            },
            object: text(self.json, "category")?.into(),
        };
        let ours = self.judge.settings().questions.about(&edit);
        let single = ours[0].shows == Shows::Edited;
        let flag = |flag: bool| [f64::from(u8::from(flag))];
        let theirs = self.recorded("single_image")?.as_bool() == Some(true);
        ledger.values(
            &self.expected("single_image"),
            &flag(single),
            &flag(theirs),
            IDS,
        );
        for (name, (ours, theirs)) in ["target_edit", "target_identity"]
            .into_iter()
            .zip(ours.iter().zip(recorded))
        {
            let same = flag(ours.expected == theirs.expected && ours.kind == theirs.kind);
            ledger.values(&self.expected(name), &same, &flag(true), IDS);
        }
        Ok(())
    }

    fn edited(&self) -> Result<Tensor, Failure> {
        let device = &self.judge.model().compute().device;
        let name = format!("in.judge.{}.edited", self.id);
        Ok(self.variant.tensor(&name)?.to_device(device)?)
    }

    /// `edited` `[1, 3, 1, H, W]` in [-1, 1].
    fn pair(&self, edited: &Tensor) -> Result<Pair, Failure> {
        let path = self.variant.dir.join(text(self.json, "reference")?);
        let reference = image::open(path)?.into_rgb8();
        let device = &self.judge.model().compute().device;
        let reference = npedit::pipelines::image::to_pixels(&reference, device)?;
        let picture = |pixels: Tensor| {
            Ok::<_, Failure>(Picture {
                pixels: unit(&pixels)?,
                rounding: Rounding::Exact,
            })
        };
        Ok(Pair {
            reference: picture(reference.squeeze(0)?)?,
            edited: picture(edited.squeeze(2)?.squeeze(0)?)?,
        })
    }

    fn tokens(&self, picture: &Picture) -> Result<(Tensor, ImageTokens), Failure> {
        let model = self.judge.model();
        let values = model.pixel_values(picture, model.shown(2))?;
        let tokens = model.look(&values)?;
        Ok((values.values, tokens))
    }

    fn images(&self, ledger: &mut Ledger) -> Result<(), Failure> {
        let pair = self.pair(&self.edited()?)?;
        for (name, vit, picture) in [
            ("pixel_values_edit", "vit_edit", &pair.edited),
            ("pixel_values_ref", "vit_ref", &pair.reference),
        ] {
            let (values, tokens) = self.tokens(picture)?;
            if ledger.wants(&self.out(name)) {
                ledger.tensor(&self.out(name), &values, "pixel_values")?;
            }
            let features = tokens.features.unsqueeze(0)?;
            ledger.tensor(&self.out(vit), &features, "hidden states")?;
        }
        Ok(())
    }

    fn illustrated(&self, question: &Question) -> Result<Illustrated, Failure> {
        let pair = self.pair(&self.edited()?)?;
        let pictures = match question.shows {
            Shows::Both => vec![&pair.reference, &pair.edited],
            Shows::Edited => vec![&pair.edited],
        };
        let prompt = self
            .judge
            .model()
            .chat()
            .prompt(&question.text, pictures.len())?;
        let images = pictures
            .into_iter()
            .map(|picture| Ok(self.tokens(picture)?.1));
        Ok(Illustrated {
            prompt,
            images: images.collect::<Result<_, Failure>>()?,
        })
    }

    fn prompts(&self, questions: &[Question; 2], ledger: &mut Ledger) -> Result<(), Failure> {
        let model = self.judge.model();
        let tokenizer = model.chat().tokenizer();
        let image_token = tokenizer.id_to_token(model.image_token());
        let image_token = image_token.ok_or("the image token is no token")?;
        let padding = tokenizer
            .token_to_id("<|endoftext|>")
            .ok_or("no padding token")?;
        let mut rows = Vec::new();
        let mut positions = Vec::new();
        for (name, question) in ["edit", "identity"].into_iter().zip(questions) {
            let item = self.illustrated(question)?;
            let answer = match question.expected {
                Answer::Yes => "Yes<|im_end|>",
                Answer::No => "No<|im_end|>",
            };
            let count = item.images[0].features.dim(0)?;
            let text = item
                .prompt
                .text
                .replace(&image_token, &image_token.repeat(count))
                + answer;
            let recorded = self.recorded(&format!("text_{name}"))?.as_str();
            let recorded = [recorded.unwrap_or_default().to_owned()];
            ledger.texts(&self.expected(&format!("text_{name}")), &[text], &recorded);
            let key = self.expected("num_image_token");
            if ledger.wants(&key) {
                let recorded = numbers(self.recorded("num_image_token")?);
                ledger.values(&key, &[count as f64], &recorded, IDS);
            }
            let prompt = item.expanded(model.image_token())?;
            positions.push((prompt.len() - 1) as f64);
            let answer = tokenizer.encode(answer, false);
            let answer = answer
                .map_err(|error| error.to_string())?
                .get_ids()
                .to_vec();
            let ids = [prompt.clone(), answer.clone()].concat();
            let mut labels = vec![-100.0; prompt.len()];
            // only the answer itself is a target, not the end of the turn
            labels.push(f64::from(answer[0]));
            labels.resize(ids.len(), -100.0);
            let as_numbers = |ids: &[u32]| ids.iter().map(|id| f64::from(*id)).collect::<Vec<_>>();
            for (key, ours) in [("input_ids", as_numbers(&ids)), ("labels", labels)] {
                let key = self.out(&format!("{key}_{name}"));
                let theirs = values(self.variant.tensor(&key)?)?;
                ledger.values(&key, &ours, &theirs, IDS);
            }
            rows.push(as_numbers(&ids));
        }
        let recorded = numbers(self.recorded("answer_logit_position")?);
        ledger.values(
            &self.expected("answer_logit_position"),
            &positions,
            &recorded,
            IDS,
        );
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let padded = |fill: f64, of: fn(f64) -> f64| {
            let row = |row: &Vec<f64>| {
                let mut row: Vec<f64> = row.iter().copied().map(of).collect();
                row.resize(longest, fill);
                row
            };
            rows.iter().flat_map(row).collect::<Vec<f64>>()
        };
        for (key, ours) in [
            ("batched_input_ids", padded(f64::from(padding), |id| id)),
            ("batched_attention_mask", padded(0.0, |_| 1.0)),
        ] {
            let theirs = values(self.variant.tensor(&self.out(key))?)?;
            ledger.values(&self.out(key), &ours, &theirs, IDS);
        }
        for (key, word) in [("yes_id", "Yes"), ("no_id", "No")] {
            let id = tokenizer.token_to_id(word).ok_or("an answer is no token")?;
            let recorded = numbers(self.recorded(key)?);
            ledger.values(&self.expected(key), &[f64::from(id)], &recorded, IDS);
        }
        Ok(())
    }

    fn answers(&self, questions: &[Question; 2], ledger: &mut Ledger) -> Result<(), Failure> {
        let logits = self.judge.ask(&self.pair(&self.edited()?)?, questions)?;
        let ours = Tensor::stack(&[&logits.no, &logits.yes], D::Minus1)?;
        ledger.tensor(&self.out("logits_no_yes"), &ours, "judge logits")?;
        let recorded = numbers(self.recorded("logits_no_yes")?);
        ledger.values(
            &self.expected("logits_no_yes"),
            &values(&ours)?,
            &recorded,
            "judge logits",
        );
        let p_yes: Vec<f64> = values(&logits.margin()?)?
            .into_iter()
            .map(|margin| 1.0 / (1.0 + (-margin).exp()))
            .collect();
        let theirs = values(self.variant.tensor(&self.out("p_yes"))?)?;
        ledger.values(&self.out("p_yes"), &p_yes, &theirs, "judge logits");
        let recorded = numbers(self.recorded("p_yes")?);
        ledger.values(&self.expected("p_yes"), &p_yes, &recorded, "judge logits");
        Ok(())
    }

    fn gradients(&self, questions: &[Question; 2], ledger: &mut Ledger) -> Result<(), Failure> {
        let edited = Var::from_tensor(&self.edited()?)?;
        let logits = self.judge.ask(&self.pair(edited.as_tensor())?, questions)?;
        for temperature in TEMPERATURES {
            let expected = questions.each_ref().map(|question| question.expected);
            let losses = answer_losses(&logits, &expected, temperature.parse()?)?;
            let [edit, identity] = [losses.get(0)?, losses.get(1)?];
            let mean = ((&edit + &identity)? * 0.5)?;
            for (name, loss) in [("edit", edit), ("identity", identity), ("mean", mean)] {
                let key = self.out(&format!("T{temperature}.loss_{name}"));
                ledger.tensor(&key, &loss, "judge logits")?;
                let path = format!("loss_T{temperature}");
                let recorded = numbers(&self.json["expected"][&path][name]);
                let key = self.expected(&format!("{path}.{name}"));
                ledger.values(&key, &values(&loss)?, &recorded, "judge logits");

                let grads = loss.backward()?;
                let grad = grads.get(edited.as_tensor()).ok_or("no gradient")?;
                let key = self.out(&format!("T{temperature}.grad_{name}"));
                ledger.tensor(&key, grad, "gradients")?;
                let path = format!("grad_absmax_T{temperature}");
                let recorded = numbers(&self.json["expected"][&path][name]);
                let most = grad.abs()?.flatten_all()?.max(0)?;
                let key = self.expected(&format!("{path}.{name}"));
                ledger.values(&key, &values(&most)?, &recorded, "gradients");
            }
        }
        Ok(())
    }
}

/// The recorded wording of one case, which is not that of the repository.
pub fn questions(json: &Value) -> Result<[Question; 2], Failure> {
    let expected = &json["expected"];
    let question = |name: &str, kind| {
        let whole = text(expected, &format!("text_{name}"))?;
        let (_, after) = whole
            .rsplit_once("</img>\n")
            .ok_or("a prompt without image")?;
        let (question, _) = after
            .split_once("<|im_end|>")
            .ok_or("a prompt without end")?;
        let pictures = whole.matches("<img>").count();
        Ok::<_, Failure>(Question {
            kind,
            shows: match pictures {
                1 => Shows::Edited,
                _ => Shows::Both,
            },
            text: question.into(),
            expected: match text(expected, &format!("target_{name}"))? {
                "Yes" => Answer::Yes,
                _ => Answer::No,
            },
        })
    };
    Ok([
        question("edit", QuestionKind::Edit)?,
        question("identity", QuestionKind::Preservation)?,
    ])
}
