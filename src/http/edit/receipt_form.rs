//! Reads a receipt that a client sends: untrusted input like any other.
use super::{
    adapter::{AdapterChoice, MAX_SCALE},
    form::{FormLimits, MAX_SEED, output_format, size},
    receipt::{Choices, Facts, Receipt, VERSION},
    receipt_body::Dtypes,
};
use crate::{
    engine::{OutputFormat, OutputSize, PreprocessRule, STEPS, Sigmas, SigmasError},
    http::{
        description::instruction,
        fields::{Fields, Need, quoted},
        json::Json,
        problem::FieldError,
    },
};

use Need::{Optional, Required};

/// The `receipt` field, if there is one; its errors go to `body`.
pub fn read_receipt(body: &mut Fields, limits: &FormLimits) -> Option<Receipt> {
    let entries = match body.take("receipt", Optional)? {
        Json::Object(entries) => entries,
        other => {
            body.refuse(
                "receipt",
                format!("must be an object, not {}", other.type_name()),
            );
            return None;
        }
    };
    let mut fields = Fields::new("/receipt", entries);
    let receipt = read(&mut fields, limits);
    match fields.finish() {
        Ok(()) => receipt,
        Err(errors) => {
            body.errors.extend(errors);
            None
        }
    }
}

/// `None` if a field is missing or wrong, with its error among those of `fields`.
fn read(fields: &mut Fields, limits: &FormLimits) -> Option<Receipt> {
    fields.integer("version", Required, VERSION..=VERSION);
    let facts = facts(fields);
    let choices = choices(fields, limits);
    Some(Receipt {
        facts: facts?,
        choices: choices?,
    })
}

fn facts(fields: &mut Fields) -> Option<Facts> {
    let model = hash(fields, "model", Required);
    let adapter = adapter(fields);
    let input_sha256 = hash(fields, "input_sha256", Required);
    let sampler = fields.name("sampler", Required, &["stochastic", "euler"]);
    let eta_need = if sampler == Some("stochastic") {
        Required
    } else {
        Optional
    };
    let eta = fields.number("eta", eta_need, 0.0..=1.0);
    if sampler == Some("euler") && eta.is_some() {
        fields.refuse("eta", "must be null with sampler euler");
    }
    let npedit = fields.text("npedit", Required);
    let device = fields.name("device", Required, &["cpu", "cuda", "metal"]);
    let dtype = dtypes(fields);
    Some(Facts {
        model: model?,
        adapter,
        input_sha256: input_sha256?,
        sampler: sampler?.to_owned(),
        eta,
        npedit: npedit?.into_owned(),
        device: device?.to_owned(),
        dtype: dtype?,
    })
}

fn adapter(fields: &mut Fields) -> Option<AdapterChoice> {
    let need = if fields.has("adapter") {
        Required
    } else {
        Optional
    };
    let name = hash(fields, "adapter", Optional);
    let scale = fields.number("adapter_scale", need, -MAX_SCALE..=MAX_SCALE);
    if scale == Some(0.0) || need == Optional && scale.is_some() {
        fields.refuse(
            "adapter_scale",
            "must be null without an adapter, and not 0",
        );
    }
    Some(AdapterChoice {
        name: name?,
        scale: scale?,
    })
}

fn choices(fields: &mut Fields, limits: &FormLimits) -> Option<Choices> {
    let instruction = instruction(fields, Required, limits.instruction_max_bytes);
    let n = fields.integer("n", Required, 1..=limits.max_n);
    let seed = fields.integer("seed", Required, 0..=MAX_SEED + 1 - n.unwrap_or(1));
    let size = match size(fields, Required, limits) {
        Some(OutputSize::Exact { width, height }) => Some((width, height)),
        Some(OutputSize::Auto) => {
            fields.refuse("size", "must be WIDTHxHEIGHT in a receipt");
            None
        }
        None => None,
    };
    let steps = fields.integer("steps", Required, 1..=limits.max_steps);
    let sigmas = sigmas(fields, steps);
    let preprocess = fields.name("preprocess", Required, &["area", "reference"]);
    let output = output(fields);
    Some(Choices {
        instruction: instruction?,
        seed: seed?,
        n: n?,
        size: size?,
        steps: steps?,
        sigmas: sigmas?,
        preprocess: match preprocess? {
            "area" => PreprocessRule::Area,
            _ => PreprocessRule::Reference,
        },
        output: output?,
    })
}

fn output(fields: &mut Fields) -> Option<OutputFormat> {
    let quality = fields
        .integer("quality", Optional, 1..=100)
        .map(|quality| quality as u32);
    let output = output_format(fields, Required, quality)?;
    if quality.is_none() && matches!(output, OutputFormat::Jpeg { .. }) {
        fields.refuse("quality", "is missing; a jpeg has one");
    }
    Some(output)
}

fn hash(fields: &mut Fields, name: &'static str, need: Need) -> Option<String> {
    let text = fields.text(name, need)?;
    let hex = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 64 || !hex {
        fields.refuse(
            name,
            "must be a SHA-256 of 64 lower-case hexadecimal digits",
        );
        return None;
    }
    Some(text.into_owned())
}

fn sigmas(fields: &mut Fields, steps: Option<u64>) -> Option<Sigmas> {
    let items = match fields.take("sigmas", Required)? {
        Json::List(items) => items,
        other => {
            fields.refuse(
                "sigmas",
                format!("must be an array of numbers, not {}", other.type_name()),
            );
            return None;
        }
    };
    // One more level than steps: a longer list is not worth reading.
    let count = items.len() as u64;
    let expected = steps.map_or(count, |steps| steps + 1);
    if count != expected || count > *STEPS.end() as u64 + 1 {
        fields.refuse(
            "sigmas",
            format!("has {count} entries; it must have one more than steps"),
        );
        return None;
    }
    let mut levels = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match item {
            Json::Number(number) => levels.extend(number.as_f64()),
            other => {
                let message = format!("must be a number, not {}", quoted(other));
                refuse_level(fields, index, message);
                return None;
            }
        }
    }
    match Sigmas::try_from(levels) {
        Ok(sigmas) => Some(sigmas),
        Err(error) => {
            match error {
                SigmasError::Order { index, .. } => refuse_level(fields, index, error.to_string()),
                SigmasError::Steps { .. } | SigmasError::Empty => {
                    fields.refuse("sigmas", error.to_string())
                }
            }
            None
        }
    }
}

fn refuse_level(fields: &mut Fields, index: usize, message: String) {
    fields
        .errors
        .push(FieldError::new(format!("/receipt/sigmas/{index}"), message));
}

fn dtypes(fields: &mut Fields) -> Option<Dtypes> {
    let entries = match fields.take("dtype", Required)? {
        Json::Object(entries) => entries,
        other => {
            fields.refuse(
                "dtype",
                format!("must be an object, not {}", other.type_name()),
            );
            return None;
        }
    };
    let mut roles = Fields::new("/receipt/dtype", entries);
    let mut role = |name| Some(roles.text(name, Required)?.into_owned());
    let (transformer, text_encoder, vae) = (role("transformer"), role("text_encoder"), role("vae"));
    if let Err(errors) = roles.finish() {
        fields.errors.extend(errors);
    }
    Some(Dtypes {
        transformer: transformer?,
        text_encoder: text_encoder?,
        vae: vae?,
    })
}
