//! From the request to what the transformer is conditioned on.
use candle_core::Tensor;
use npedit::{
    models::{qwen3::Thinking, zimage::Captions},
    pipelines::{
        image::{Preprocess, RgbImage, model_size, resize_lanczos, to_pixels},
        velocity::EditConditioning,
    },
};

use super::Case;
use crate::{
    ledger::{Failure, Ledger, values},
    system::{System, numbers, texts},
};

const EXACT: &str = "token ids";

/// Everything before the first step.
pub struct Conditioned {
    pub conditioning: EditConditioning,
}

impl Conditioned {
    pub fn compare(system: &System, case: &Case, ledger: &mut Ledger) -> Result<Self, Failure> {
        let reference = reference(system, case, ledger)?;
        let instruction = instruction(system, case, ledger)?;
        Ok(Self {
            conditioning: EditConditioning {
                reference,
                instruction,
            },
        })
    }
}

fn reference(system: &System, case: &Case, ledger: &mut Ledger) -> Result<Tensor, Failure> {
    let resolution = case.json["resolution"]
        .as_u64()
        .ok_or("a case has no resolution")?;
    let rule = Preprocess::Reference {
        resolution: u32::try_from(resolution)?,
    };
    let mut resized = Vec::new();
    for path in texts(&case.json["images"]) {
        let image = system.image(&path)?;
        resized.push(resize_lanczos(
            &image,
            model_size(image.width(), image.height(), &rule)?,
        ));
    }
    let expected = texts(
        system
            .variant
            .expected(case.json, "expected.preprocessed_pngs")?,
    );
    let expected = expected
        .iter()
        .map(|path| system.image(path))
        .collect::<Result<Vec<_>, _>>()?;
    let sizes: Vec<f64> = resized
        .iter()
        .flat_map(|image| [image.height().into(), image.width().into()])
        .collect();
    let recorded = numbers(
        system
            .variant
            .expected(case.json, "expected.preprocessed_hw")?,
    );
    ledger.values(&case.expected("preprocessed_hw"), &sizes, &recorded, EXACT);
    ledger.values(
        &case.expected("preprocessed_pngs"),
        &samples(&resized),
        &samples(&expected),
        "preprocessed PNG",
    );
    let latents = resized.iter().map(|image| {
        let pixels = to_pixels(image, &system.compute.device)?;
        system.bundle.vae.encode_mean(&pixels)
    });
    let latents = Tensor::cat(&latents.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
    ledger.tensor(&case.out("ref_latents"), &latents.unsqueeze(2)?, "latents")?;
    Ok(latents)
}

fn instruction(system: &System, case: &Case, ledger: &mut Ledger) -> Result<Captions, Failure> {
    let text = &system.bundle.text;
    let instructions = texts(&case.json["instructions"]);
    let templated = instructions
        .iter()
        .map(|text_| text.tokenizer.template(text_, Thinking::EmptyBlock));
    let templated = templated.collect::<Result<Vec<_>, _>>()?;
    let recorded = texts(
        system
            .variant
            .expected(case.json, "expected.templated_text")?,
    );
    ledger.texts(&case.expected("templated_text"), &templated, &recorded);

    let tokens = templated.iter().map(|text_| text.tokenizer.encode(text_));
    let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
    let lengths: Vec<f64> = tokens
        .iter()
        .map(|tokens| tokens.ids.len() as f64)
        .collect();
    let whole: Vec<f64> = tokens
        .iter()
        .map(|tokens| (tokens.ids.len() + tokens.truncated) as f64)
        .collect();
    for (key, ours) in [("txt_lens", &lengths), ("untruncated_lens", &whole)] {
        let recorded = numbers(
            system
                .variant
                .expected(case.json, &format!("expected.{key}"))?,
        );
        ledger.values(&case.expected(key), ours, &recorded, EXACT);
    }
    ledger.values(
        &case.out("txt_lens"),
        &lengths,
        &values(&system.tensor(&case.out("txt_lens"))?)?,
        EXACT,
    );

    let longest = tokens
        .iter()
        .map(|tokens| tokens.ids.len())
        .max()
        .unwrap_or(0);
    let pad = pad_id(system)?;
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for tokens in &tokens {
        let padding = longest - tokens.ids.len();
        ids.extend(tokens.ids.iter().map(|id| f64::from(*id)));
        ids.extend(vec![pad; padding]);
        mask.extend(vec![1.0; tokens.ids.len()]);
        mask.extend(vec![0.0; padding]);
    }
    for (name, ours, family) in [
        ("input_ids", &ids, EXACT),
        ("attention_mask", &mask, "masks"),
    ] {
        let recorded = values(&system.tensor(&case.out(name))?)?;
        ledger.values(&case.out(name), ours, &recorded, family);
    }

    let features = instructions
        .iter()
        .map(|text_| Ok(system.encode_text(text_)?.features));
    let features = features.collect::<Result<Vec<_>, Failure>>()?;
    compare_features(system, case, &features, ledger)?;
    Ok(Captions::new(&features)?)
}

/// Rows within each text's length: the reference's padding rows mean nothing.
fn compare_features(
    system: &System,
    case: &Case,
    features: &[Tensor],
    ledger: &mut Ledger,
) -> Result<(), Failure> {
    const EDGE: usize = 16;
    let all = case.out("txt");
    if ledger.wants(&all) {
        let recorded = system.tensor(&all)?;
        let mut rows = Vec::new();
        for (item, text) in features.iter().enumerate() {
            rows.push(recorded.get(item)?.narrow(0, 0, text.dim(1)?)?);
        }
        let ours = features
            .iter()
            .map(|text| text.squeeze(0))
            .collect::<candle_core::Result<Vec<_>>>()?;
        ledger.values(
            &all,
            &values(&Tensor::cat(&ours, 0)?)?,
            &values(&Tensor::cat(&rows, 0)?)?,
            "txt",
        );
    }
    for (name, from_end) in [("txt_first16", false), ("txt_last16", true)] {
        let name = case.out(name);
        if ledger.wants(&name) {
            let [text] = features else {
                return Err(format!("{name} of a batch of {}", features.len()).into());
            };
            let start = if from_end { text.dim(1)? - EDGE } else { 0 };
            ledger.tensor(&name, &text.narrow(1, start, EDGE)?, "txt")?;
        }
    }
    Ok(())
}

/// The tokenizer's own pad token, which the reference fills batches with.
fn pad_id(system: &System) -> Result<f64, Failure> {
    let settings = system.json("tokenizer/tokenizer_config.json")?;
    let token = settings["pad_token"]
        .as_str()
        .ok_or("the tokenizer has no pad token")?;
    match system.bundle.text.tokenizer.encode(token)?.ids[..] {
        [id] => Ok(id.into()),
        _ => Err(format!("{token} is not one token").into()),
    }
}

/// All samples of images, one behind the other.
fn samples(images: &[RgbImage]) -> Vec<f64> {
    images
        .iter()
        .flat_map(|image| image.as_raw().iter().map(|sample| f64::from(*sample)))
        .collect()
}
