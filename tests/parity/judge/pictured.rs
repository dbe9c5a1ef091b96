//! The judges whose template places the pictures: LLaVA-OneVision and Qwen3-VL.
use candle_core::{IndexOp, Tensor};
use npedit::{
    models::vlm::{Illustrated, ImageTokens, PixelValues, Rounding},
    pipelines::judge::Judge,
};
use serde_json::Value;

use super::{
    asked::{Asked, picture, question},
    llava, qwen,
};
use crate::{
    golden::Variant,
    ledger::{Failure, Ledger, values},
    system::{numbers, text, texts},
};

const IDS: &str = "token_ids";
const GRIDS: &str = "grids";
const FEATURES: &str = "vision features";
const LOGITS: &str = "logits";
const UNROUNDED: &str = "diff.*";
const INFORMATIVE: &str =
    "recorded for information: an input, or a measure of the recording itself";

/// How a family's processor lays out its tensors.
pub struct Layout {
    /// The recorded pixel values of each picture.
    pub apart: fn(&Case, &Tensor) -> Result<Vec<Tensor>, Failure>,
    /// And the other way.
    pub together: fn(&[Tensor]) -> candle_core::Result<Tensor>,
    /// Values of one picture's three channels that lie together.
    pub run: fn(&Tensor) -> candle_core::Result<usize>,
    /// What only this family has.
    pub particular: fn(&Case, &Illustrated, &mut Ledger) -> Result<(), Failure>,
}

pub fn compare(variant: &Variant, ledger: &mut Ledger) -> Result<(), Failure> {
    for (name, layout) in [
        ("judge-llava-onevision", llava::LAYOUT),
        ("judge-qwen3vl", qwen::LAYOUT),
    ] {
        let judge = super::load(variant, name)?;
        let cases = variant.cases["judge"].as_array().into_iter().flatten();
        for json in cases.filter(|case| case["judge"] == name) {
            let paths = texts(&json["images"]);
            let pictures = paths.iter().map(|path| picture(variant, &judge, path));
            let (text, expected) = question(json)?;
            let case = Case {
                variant,
                json,
                asked: Asked {
                    judge: &judge,
                    text,
                    whole: json["system"]
                        .is_string()
                        .then(|| json["expected"]["prompt"].as_str().map(Into::into))
                        .flatten(),
                    expected,
                    pictures: pictures.collect::<Result<_, _>>()?,
                },
            };
            case.compare(&layout, ledger)?;
        }
        train(variant, &judge, name, ledger)?;
    }
    Ok(())
}

pub struct Case<'a> {
    pub variant: &'a Variant,
    pub asked: Asked<'a>,
    json: &'a Value,
}

impl Case<'_> {
    pub fn out(&self, key: &str) -> String {
        format!(
            "out.judge.{}.{key}",
            self.json["id"].as_str().unwrap_or("?")
        )
    }

    /// Compares one value of `cases.json`.
    fn expected(
        &self,
        key: &str,
        ours: f64,
        family: &str,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let theirs = numbers(self.variant.expected(&self.json["expected"], key)?);
        ledger.values(&self.name(key), &[ours], &theirs, family);
        Ok(())
    }

    /// Compares the logits of Yes and No, of which each is judged beside the other as parts of one tensor, and the
    /// probability that they make.
    fn judged(
        &self,
        path: &str,
        ours: [f64; 2],
        family: &str,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let keys = ["logit_yes", "logit_no"].map(|key| format!("{path}.{key}"));
        let mut theirs = Vec::new();
        for key in &keys {
            theirs.extend(numbers(self.variant.expected(&self.json["expected"], key)?));
        }
        for key in &keys {
            ledger.values(&self.name(key), &ours, &theirs, family);
        }
        let p_yes = 1.0 / (1.0 + (ours[1] - ours[0]).exp());
        self.expected(&format!("{path}.p_yes"), p_yes, family, ledger)
    }

    fn name(&self, key: &str) -> String {
        let id = self.json["id"].as_str().unwrap_or("?");
        format!("judge.{id}.expected.{key}")
    }

    /// Compares whole numbers with a recorded tensor.
    pub fn whole(&self, key: &str, ours: &[f64], ledger: &mut Ledger) -> Result<(), Failure> {
        let theirs = values(self.variant.tensor(&self.out(key))?)?;
        ledger.values(&self.out(key), ours, &theirs, GRIDS);
        Ok(())
    }

    fn compare(&self, layout: &Layout, ledger: &mut Ledger) -> Result<(), Failure> {
        let item = self.official(layout, ledger)?;
        self.prompt(&item, ledger)?;
        (layout.particular)(self, &item, ledger)?;
        self.pixel_values(layout, ledger)?;
        self.unrounded(ledger)?;
        for key in [
            "diff.target",
            "interpolation",
            "max_dev_pixel_values_diff_vs_official",
            "same_in_uint8_levels",
            "max_dev_pixel_values_pil_vs_torchvision",
            "p_yes_dev_diff_vs_official",
            "flat_list_of_images.seq_len",
            "flat_list_of_images.pixel_values_shape",
            "flat_list_of_images.batch_num_images",
        ] {
            ledger.skip(&self.name(key), INFORMATIVE);
        }
        Ok(())
    }

    /// Tower and decoder, from the recorded pixel values.
    fn official(&self, layout: &Layout, ledger: &mut Ledger) -> Result<Illustrated, Failure> {
        let model = self.asked.judge.model();
        let recorded = self.variant.tensor(&self.out("pixel_values"))?;
        let recorded = recorded.to_device(&model.compute().device)?;
        let shown = model.shown(self.asked.pictures.len());
        let mut images = Vec::new();
        for (values, picture) in (layout.apart)(self, &recorded)?
            .into_iter()
            .zip(&self.asked.pictures)
        {
            let (_, height, width) = picture.dims3()?;
            images.push(model.look(&PixelValues {
                values,
                size: (height, width),
                shown,
            })?);
        }
        let all = |of: &dyn Fn(&ImageTokens) -> Tensor| {
            Tensor::cat(&images.iter().map(of).collect::<Vec<_>>(), 0)
        };
        let features = all(&|image| image.features.clone())?;
        ledger.tensor(&self.out("vision_features"), &features, FEATURES)?;
        for depth in 0..images[0].additions.len() {
            let added = all(&|image| image.additions[depth].clone())?;
            ledger.tensor(&self.out(&format!("deepstack_{depth}")), &added, FEATURES)?;
        }
        let item = Illustrated {
            prompt: self.asked.prompt()?,
            images,
        };
        let states = self.states(&item)?;
        ledger.tensor(&self.out("lm_hidden_last_position"), &states, LOGITS)?;
        let logits = self.asked.last_logits(&item)?;
        ledger.tensor(&self.out("last_logits"), &logits, LOGITS)?;
        let [yes, no] = self.asked.answers()?;
        self.expected("yes_id", yes as f64, IDS, ledger)?;
        self.expected("no_id", no as f64, IDS, ledger)?;
        let (yes, no) = (values(&logits.i(yes)?)?[0], values(&logits.i(no)?)?[0]);
        self.judged("official", [yes, no], LOGITS, ledger)?;
        Ok(item)
    }

    /// What the last token is after each layer. `[layers + 2, D]`
    fn states(&self, item: &Illustrated) -> Result<Tensor, Failure> {
        let model = self.asked.judge.model();
        let decoder = model.decoder();
        let sequence = model.sequence(std::slice::from_ref(item))?;
        let rotations = decoder.rotations(&sequence.positions)?;
        let mut x = sequence.embeddings.clone();
        let end = sequence.branches.last()[0];
        let last = |x: &Tensor| x.i((0, end));
        let mut states = vec![last(&x)?];
        for layer in 0..decoder.layers() {
            x = decoder.layer(layer, &x, &rotations)?;
            states.push(last(&x)?);
            if let Some(addition) = sequence.additions.get(layer) {
                x = (x + addition)?;
            }
        }
        states.push(decoder.normalise(&last(&x)?.unsqueeze(0)?)?.squeeze(0)?);
        Ok(Tensor::stack(&states, 0)?)
    }

    fn prompt(&self, item: &Illustrated, ledger: &mut Ledger) -> Result<(), Failure> {
        let model = self.asked.judge.model();
        if self.asked.whole.is_some() {
            ledger.skip(
                &self.name("prompt"),
                "npedit sends no message of the system",
            );
        }
        let theirs = self.variant.expected(&self.json["expected"], "prompt")?;
        let same = f64::from(u8::from(theirs.as_str() == Some(&item.prompt.text)));
        if ledger.wants(&self.name("prompt")) {
            ledger.values(&self.name("prompt"), &[same], &[1.0], IDS);
        }
        let ids = item.expanded(model.image_token())?;
        self.expected("seq_len", ids.len() as f64, IDS, ledger)?;
        let ids: Vec<f64> = ids.into_iter().map(f64::from).collect();
        self.whole("input_ids", &ids, ledger)?;
        self.whole("attention_mask", &vec![1.0; ids.len()], ledger)
    }

    /// Pre-processing on its own.
    fn pixel_values(&self, layout: &Layout, ledger: &mut Ledger) -> Result<(), Failure> {
        let ours = |rounding| Ok::<_, Failure>((layout.together)(&self.asked.values(rounding)?)?);
        let exact = ours(Rounding::Exact)?;
        let official = ours(Rounding::EightBit)?;
        let key = self.out("pixel_values");
        let unrounded = self.out("diff.pixel_values");
        if !ledger.wants(&unrounded) {
            let rule = "pixel_values (official, image not resized)";
            ledger.tensor(&key, &official, rule)?;
            return Ok(());
        }
        ledger.tensor(&unrounded, &exact, UNROUNDED)?;
        let rule = "pixel_values (official, resized)";
        let theirs = self.variant.tensor(&key)?;
        if official.dims() != theirs.dims() {
            let shapes = format!("shape {:?}, recorded {:?}", official.dims(), theirs.dims());
            return Err(shapes.into());
        }
        let levels = |x: &Tensor| self.levels(&values(x)?, (layout.run)(x)?);
        ledger.values(&key, &levels(&official)?, &levels(theirs)?, rule);
        Ok(())
    }

    /// The 8-bit levels that normalised values came from; `run` of them hold the three channels one after the other.
    fn levels(&self, values: &[f64], run: usize) -> Result<Vec<f64>, Failure> {
        let file = self
            .variant
            .dir
            .join(text(self.json, "judge")?)
            .join("preprocessor_config.json");
        let settings: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let (mean, std) = (
            numbers(&settings["image_mean"]),
            numbers(&settings["image_std"]),
        );
        let level = |(index, value): (usize, &f64)| {
            let channel = index % run / (run / 3);
            ((value * std[channel] + mean[channel]) * 255.0).round()
        };
        Ok(values.iter().enumerate().map(level).collect())
    }

    /// The form with a gradient, from the pictures to the loss.
    fn unrounded(&self, ledger: &mut Ledger) -> Result<(), Failure> {
        let logits = self
            .asked
            .last_logits(&self.asked.illustrated(&self.asked.pictures)?)?;
        ledger.tensor(&self.out("diff.last_logits"), &logits, UNROUNDED)?;
        let answered = self.asked.answer()?;
        let number = |x: &Tensor| Ok::<_, Failure>(values(x)?[0]);
        let (yes, no) = (number(&answered.yes)?, number(&answered.no)?);
        self.judged("diff", [yes, no], UNROUNDED, ledger)?;
        self.expected("diff.loss", number(&answered.loss)?, UNROUNDED, ledger)?;
        ledger.tensor(
            &self.out("diff.grad_edited"),
            &answered.gradient,
            "gradients",
        )
    }
}

/// The judge's part of a training step, from the recorded edited picture.
fn train(variant: &Variant, judge: &Judge, name: &str, ledger: &mut Ledger) -> Result<(), Failure> {
    let step = &variant.cases["train"];
    let device = &judge.model().compute().device;
    let decoded = variant
        .tensor("out.train.fwd.decoded_raw")?
        .to_device(device)?;
    let edited = decoded.affine(0.5, 0.5)?.clamp(0f32, 1f32)?.squeeze(0)?;
    let reference = picture(variant, judge, text(step, "reference")?)?;
    let (text, expected) = question(step)?;
    let asked = Asked {
        judge,
        text,
        whole: None,
        expected,
        pictures: vec![reference, edited],
    };
    let item = asked.illustrated(&asked.pictures)?;
    let ids = item.expanded(judge.model().image_token())?;
    let ids: Vec<f64> = ids.into_iter().map(f64::from).collect();
    let key = |key: &str| format!("out.train.fwd.{name}.{key}");
    let theirs = values(variant.tensor(&key("input_ids"))?)?;
    ledger.values(&key("input_ids"), &ids, &theirs, IDS);
    ledger.tensor(&key("last_logits"), &asked.last_logits(&item)?, LOGITS)?;
    let answered = asked.answer()?;
    ledger.tensor(&key("loss"), &answered.loss, LOGITS)?;
    let key = format!("out.train.dpixels_vlm_{name}");
    ledger.tensor(&key, &answered.gradient, "gradients")
}
