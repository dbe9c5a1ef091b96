//! The fields of an edit, read strictly from JSON or from multipart parts.
use utoipa::ToSchema;

use super::{
    image_field::image_bytes, receipt::Receipt, receipt_body::ReceiptBody,
    receipt_form::read_receipt,
};
use crate::{
    engine::{ImageError, ImageLimits, OutputFormat, OutputSize},
    http::{
        fields::{Fields, Need},
        json::Json,
        problem::{Code, FieldError, Problem},
    },
};

/// Largest seed: every whole number up to here survives a JSON parser that reads doubles.
pub const MAX_SEED: u64 = (1 << 53) - 1;

/// What bounds the fields.
#[derive(Clone, Debug)]
pub struct FormLimits {
    pub max_n: u64,
    pub max_steps: u64,
    pub instruction_max_bytes: usize,
    pub images: ImageLimits,
}

/// An edit as it is asked for.
#[derive(Clone, Debug, PartialEq, ToSchema)]
#[schema(as = EditBody)]
#[serde(deny_unknown_fields)]
pub struct EditForm {
    /// PNG, JPEG or WebP file as base64, alone or in a data URI. URLs are not fetched.
    #[schema(value_type = String, format = Byte)]
    pub image: Vec<u8>,
    /// What to change. Required unless a receipt is sent.
    #[schema(min_length = 1, example = "make the sky pink")]
    pub instruction: Option<String>,
    /// Number of images, 1 if absent; the server's settings bound it.
    #[schema(minimum = 1, maximum = 64)]
    pub n: Option<u64>,
    /// Denoising steps; the model's default if absent.
    #[schema(minimum = 1, maximum = 8)]
    pub steps: Option<u64>,
    /// Seed of the first image; image i has `seed + i`. Drawn if absent, and reported.
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    pub seed: Option<u64>,
    /// `auto` (the input's size, the default) or `WIDTHxHEIGHT` in pixels.
    #[schema(value_type = Option<String>, pattern = "^(auto|[0-9]{1,5}x[0-9]{1,5})$", example = "768x512")]
    pub size: Option<OutputSize>,
    /// `png`, `jpeg` or `webp` (lossless).
    #[schema(value_type = Option<String>, pattern = "^(png|jpeg|jpg|webp)$")]
    pub output_format: Option<OutputFormat>,
    /// Of JPEG, 1 to 100; the other formats are lossless and refuse it.
    #[schema(minimum = 1, maximum = 100)]
    pub quality: Option<u32>,
    /// Receipt of an earlier edit, sent with the same image to get the same bytes. Fields beside it must agree with it.
    #[schema(value_type = Option<ReceiptBody>)]
    pub receipt: Option<Receipt>,
}

/// [`EditForm`] as multipart parts: numbers as text, the receipt as JSON text.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the parts for the OpenAPI; `Parts` reads them"
)]
pub struct EditMultipart {
    /// File part; `image[]` is read as well. Exactly one. Its bytes are sniffed, its media type is not trusted.
    #[schema(value_type = String, format = Binary)]
    pub image: Vec<u8>,
    /// What to change. Required unless a receipt is sent.
    #[schema(min_length = 1)]
    pub instruction: Option<String>,
    #[schema(minimum = 1, maximum = 64)]
    pub n: Option<u64>,
    #[schema(minimum = 1, maximum = 8)]
    pub steps: Option<u64>,
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    pub seed: Option<u64>,
    #[schema(pattern = "^(auto|[0-9]{1,5}x[0-9]{1,5})$")]
    pub size: Option<String>,
    #[schema(pattern = "^(png|jpeg|jpg|webp)$")]
    pub output_format: Option<String>,
    #[schema(minimum = 1, maximum = 100)]
    pub quality: Option<u32>,
    pub receipt: Option<ReceiptBody>,
}

impl EditForm {
    /// Reads a JSON body.
    pub fn from_json(body: &[u8], limits: &FormLimits) -> Result<Self, Problem> {
        let malformed = |what: String| {
            Problem::new(
                Code::MalformedJson,
                format!("The body is not a JSON object: {what}. Send one JSON object."),
            )
        };
        let fields = match Json::parse(body) {
            Ok(Json::Object(entries)) => Fields::new("", entries),
            Ok(other) => return Err(malformed(format!("it is {}", other.type_name()))),
            Err(error) => return Err(malformed(error.to_string())),
        };
        Self::read(fields, None, limits)
    }

    /// Reads the fields; `uploaded` is the image where it came as a file part.
    pub fn read(
        mut fields: Fields,
        uploaded: Option<Vec<u8>>,
        limits: &FormLimits,
    ) -> Result<Self, Problem> {
        use Need::Optional;
        let image = match uploaded {
            Some(bytes) => {
                fields.take("image", Optional);
                Some(bytes)
            }
            None => image_field(&mut fields),
        };
        let need = if fields.has("receipt") {
            Optional
        } else {
            Need::Required
        };
        let instruction = instruction(&mut fields, need, limits);
        let n = fields.integer("n", Optional, 1..=limits.max_n);
        let steps = fields.integer("steps", Optional, 1..=limits.max_steps);
        let seed = fields.integer("seed", Optional, 0..=MAX_SEED);
        let size = size(&mut fields, Optional, limits);
        let quality = fields
            .integer("quality", Optional, 1..=100)
            .map(|quality| quality as u32);
        let output_format = output_format(&mut fields, Optional, quality);
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

fn image_field(fields: &mut Fields) -> Option<Vec<u8>> {
    let text = fields.text("image", Need::Required)?;
    match image_bytes(&text) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            fields.refuse("image", error.to_string());
            None
        }
    }
}

/// An instruction is kept as sent: the same text gives the same bytes on every way in.
pub fn instruction(fields: &mut Fields, need: Need, limits: &FormLimits) -> Option<String> {
    let max_bytes = limits.instruction_max_bytes;
    let text = fields.text("instruction", need)?;
    if text.trim().is_empty() {
        fields.refuse("instruction", "is empty; say what to change");
        return None;
    }
    if text.len() > max_bytes {
        let message = format!(
            "has {} bytes, the limit is {max_bytes}; shorten it",
            text.len()
        );
        fields.refuse("instruction", message);
        return None;
    }
    Some(text.into_owned())
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
