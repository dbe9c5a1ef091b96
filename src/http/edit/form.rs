//! The fields of an edit, read strictly.
use super::{
    adapter::AdapterChoice, judging::Judged, receipt::Receipt, receipt_form::read_receipt,
};
use crate::{
    engine::{ImageError, ImageLimits, OutputFormat, OutputSize},
    http::{
        description::instruction,
        fields::{Fields, Need},
        image_field::ImageSource,
        multipart::PartKinds,
        problem::{Code, FieldError, Problem},
    },
};

/// Largest seed: every whole number up to here survives a JSON parser that reads doubles.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// The parts of an edit.
pub const PARTS: PartKinds = PartKinds {
    files: &["image"],
    values: &[
        "n",
        "steps",
        "seed",
        "quality",
        "judge",
        "best_of",
        "min_score",
        "adapter_scale",
    ],
    structures: &["receipt"],
};

/// What bounds the fields.
#[derive(Clone, Debug)]
pub struct FormLimits {
    pub max_n: u64,
    pub max_steps: u64,
    pub max_best_of: u64,
    pub instruction_max_bytes: usize,
    pub images: ImageLimits,
}

/// An edit as it is asked for; [`super::body::EditBody`] describes the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct EditForm {
    pub image: ImageSource,
    pub instruction: Option<String>,
    pub n: Option<u64>,
    pub steps: Option<u64>,
    pub seed: Option<u64>,
    pub size: Option<OutputSize>,
    pub output_format: Option<OutputFormat>,
    pub quality: Option<u32>,
    pub judged: Option<Judged>,
    pub adapter: Option<AdapterChoice>,
    pub receipt: Option<Receipt>,
}

impl EditForm {
    /// Reads the fields of a body.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(mut fields: Fields, limits: &FormLimits) -> Result<Self, Problem> {
        use Need::Optional;
        let image = fields.image_source("image");
        let need = if fields.has("receipt") {
            Optional
        } else {
            Need::Required
        };
        let instruction = instruction(&mut fields, need, limits.instruction_max_bytes);
        let n = fields.integer("n", Optional, 1..=limits.max_n);
        let steps = fields.integer("steps", Optional, 1..=limits.max_steps);
        let seed = fields.integer("seed", Optional, 0..=MAX_SEED);
        let size = size(&mut fields, Optional, limits);
        let quality = fields
            .integer("quality", Optional, 1..=100)
            .map(|quality| quality as u32);
        let output_format = output_format(&mut fields, Optional, quality);
        let judged = Judged::read(&mut fields, limits);
        let best_of = judged.as_ref().and_then(|judged| judged.best_of);
        if best_of.is_some() && n.is_some_and(|n| n > 1) {
            fields.refuse(
                "n",
                "must be 1 or absent beside best_of, which answers one image",
            );
        }
        if best_of.is_some() && fields.has("receipt") {
            let message =
                "contradicts the receipt, which is that of one seed; leave one of the two out";
            fields.refuse("best_of", message);
        }
        let adapter = AdapterChoice::read(&mut fields);
        let receipt = read_receipt(&mut fields, limits);
        fields
            .finish()
            .map_err(|errors| Problem::fields(Code::InvalidRequest, errors))?;
        Ok(Self {
            image: image.ok_or_else(missing_image)?,
            instruction,
            n,
            steps,
            seed,
            size,
            output_format,
            quality,
            judged,
            adapter,
            receipt,
        })
    }
}

/// Stands in for the type system: a form without an image has an error, so `finish` refuses it.
fn missing_image() -> Problem {
    Problem::fields(
        Code::InvalidRequest,
        vec![FieldError::new("/image", "is missing; add it")],
    )
}

pub fn size(fields: &mut Fields, need: Need, limits: &FormLimits) -> Option<OutputSize> {
    let text = fields.text("size", need)?;
    accept(fields, "size", OutputSize::parse(&text, &limits.images))
}

/// A format, with the quality if it takes one.
pub fn output_format(
    fields: &mut Fields,
    need: Need,
    quality: Option<u32>,
) -> Option<OutputFormat> {
    let name = fields.text("output_format", need)?;
    let field = match OutputFormat::parse(&name, None) {
        Err(_) => "output_format",
        Ok(_) => "quality",
    };
    accept(fields, field, OutputFormat::parse(&name, quality))
}

/// The value, or its error on the field.
fn accept<T>(fields: &mut Fields, name: &str, parsed: Result<T, ImageError>) -> Option<T> {
    match parsed {
        Ok(value) => Some(value),
        Err(error) => {
            fields.refuse(name, error.to_string());
            None
        }
    }
}
