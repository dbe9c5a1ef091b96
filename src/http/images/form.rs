//! The fields of OpenAI's image edit, with the native ones beside them.
use crate::{
    engine::{EditType, OutputFormat, STEPS},
    http::{
        description::bounded,
        edit::{AdapterChoice, EditForm, FormLimits, Judged, MAX_SEED, size},
        fields::{Fields, Need},
        image_field::ImageSource,
        json::Json,
        multipart::PartKinds,
        problem::{Code, FieldError, Problem},
        warning::AnswerWarning,
    },
};

use Need::Optional;

/// The parts of an image edit.
pub const PARTS: PartKinds = PartKinds {
    files: &["image", "mask"],
    values: &[
        "n",
        "steps",
        "seed",
        "output_compression",
        "stream",
        "partial_images",
        "strict",
        "judge",
        "best_of",
        "min_score",
        "adapter_scale",
    ],
    structures: &[],
};

/// Candidates of `quality: high`.
const CANDIDATES: u64 = 4;
/// Stands between a model and its adapter in `model`.
const ADAPTER_MARK: &str = "::";

/// What the server has, as far as fields depend on it.
#[derive(Clone, Debug)]
pub struct Here {
    pub model: String,
    pub has_judge: bool,
}

/// An image edit as it is asked for; [`super::body::ImagesBody`] describes the fields.
#[derive(Clone, Debug)]
pub struct ImagesForm {
    pub edit: EditForm,
    pub mask: Option<ImageSource>,
    /// Previews of a streamed answer; `None` where none is streamed.
    pub streamed: Option<u64>,
    /// As it was sent.
    pub quality: &'static str,
    pub warnings: Vec<AnswerWarning>,
}

/// What is read beside the edit itself.
#[derive(Default)]
struct Refused {
    values: Vec<FieldError>,
    parameters: Vec<FieldError>,
    /// Fields that change nothing, and why.
    idle: Vec<(&'static str, &'static str)>,
}

impl ImagesForm {
    /// Reads the fields of a body.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(mut fields: Fields, limits: &FormLimits, here: &Here) -> Result<Self, Problem> {
        let mut refused = Refused::default();
        let mut images = images(&mut fields);
        let mask = mask(&mut fields);
        let advice = "say what to change";
        let most = (limits.instruction_max_bytes, advice);
        let prompt = bounded(&mut fields, "prompt", Need::Required, most);
        let model = fields.text("model", Optional).map(String::from);
        let n = fields.integer("n", Optional, 1..=limits.max_n);
        let seed = fields.integer("seed", Optional, 0..=MAX_SEED);
        let steps = fields.integer("steps", Optional, 1..=limits.max_steps);
        let size = size(&mut fields, Optional, limits);
        let output_format = refused.output(&mut fields);
        let streamed = streamed(&mut fields, n);
        refused.others(&mut fields);
        let strict = fields.boolean("strict", Optional).unwrap_or(false);
        let judged = Judged::read(&mut fields, limits);
        let adapter = AdapterChoice::read(&mut fields);
        let quality = quality(&mut fields);
        let best_of = judged.as_ref().and_then(|judged| judged.best_of);
        if best_of.is_some() && n.is_some_and(|n| n > 1) {
            let message = "must be 1 or absent beside best_of, which answers one image";
            fields.refuse("n", message);
        }
        fields
            .finish()
            .map_err(|errors| Problem::fields(Code::InvalidRequest, errors))?;
        if images.len() > 1 {
            let message = format!("has {} images; this model takes one", images.len());
            let error = FieldError::new("/image", message);
            return Err(Problem::fields(Code::TooManyImages, vec![error]));
        }
        let adapter = here.named(model.as_deref(), adapter)?;
        let mut edit = EditForm {
            image: images.pop().unwrap_or_default(),
            instruction: prompt,
            n,
            steps,
            seed,
            size,
            output_format,
            quality: None,
            judged,
            adapter,
            receipt: None,
        };
        refused.quality(&mut edit, quality, (limits, here));
        Ok(Self {
            edit,
            mask,
            streamed,
            quality,
            warnings: refused.finish(strict)?,
        })
    }
}

impl Here {
    /// The adapter of `model`, which may name one behind the model, or that of its own field.
    fn named(
        &self,
        model: Option<&str>,
        adapter: Option<AdapterChoice>,
    ) -> Result<Option<AdapterChoice>, Problem> {
        let Some(model) = model.filter(|model| *model != self.model) else {
            return Ok(adapter);
        };
        let unknown = |message: String| {
            Err(Problem::fields(
                Code::ModelNotFound,
                vec![FieldError::new("/model", message)],
            ))
        };
        match model.rsplit_once(ADAPTER_MARK) {
            Some((base, name)) if base == self.model && !name.is_empty() => match adapter {
                None => Ok(Some(AdapterChoice {
                    name: name.to_owned(),
                    scale: 1.0,
                })),
                Some(_) => unknown("names an adapter, and so does adapter; leave one out".into()),
            },
            _ => unknown(format!(
                "is not loaded; name {:?}, or leave it out",
                self.model
            )),
        }
    }
}

impl Refused {
    /// `output_format` with `output_compression`, and the form of the answer.
    fn output(&mut self, fields: &mut Fields) -> Option<OutputFormat> {
        let names = ["png", "jpeg", "webp", "gif", "svg"];
        let format = fields.name("output_format", Optional, &names);
        let quality = fields.integer("output_compression", Optional, 0..=100);
        let format = match format.unwrap_or("png") {
            "jpeg" => {
                let quality = quality.unwrap_or(100).clamp(1, 100) as u32;
                return OutputFormat::parse("jpeg", Some(quality)).ok();
            }
            name @ ("gif" | "svg") => {
                let message = format!("{name} is not written here; take png, jpeg or webp");
                self.values.push(FieldError::new("/output_format", message));
                return None;
            }
            lossless => lossless,
        };
        if quality.is_some_and(|quality| quality < 100) {
            let why = "PNG and WebP are written without loss";
            self.idle.push(("output_compression", why));
        }
        OutputFormat::parse(format, None).ok()
    }

    /// Everything that is not about the picture's content.
    fn others(&mut self, fields: &mut Fields) {
        let mut value = |name, names: &[&'static str], bad: &str, advice: &str| {
            if fields.name(name, Optional, names) == Some(bad) {
                let message = format!("{bad} cannot be had; {advice}");
                let error = FieldError::new(format!("/{name}"), message);
                self.values.push(error);
            }
        };
        let formats = ["b64_json", "url"];
        value("response_format", &formats, "url", "take b64_json");
        let backgrounds = ["auto", "opaque", "transparent"];
        value("background", &backgrounds, "transparent", "take opaque");
        for (name, names, why) in [
            (
                "input_fidelity",
                &["high", "low"][..],
                "the model has no such setting",
            ),
            (
                "moderation",
                &["auto", "low"][..],
                "this server moderates nothing",
            ),
            (
                "complexity",
                &["low", "medium", "high"][..],
                "the model has no such setting",
            ),
        ] {
            if fields.name(name, Optional, names).is_some() {
                self.idle.push((name, why));
            }
        }
        for name in ["user", "safety_identifier"] {
            if fields.text(name, Optional).is_some() {
                self.idle.push((name, "nothing here depends on who asks"));
            }
        }
        for name in ["markup", "svg", "frame_count", "frame_duration_ms"] {
            if fields.take(name, Optional).is_some() {
                let message = "is not offered here; leave it out";
                let error = FieldError::new(format!("/{name}"), message);
                self.parameters.push(error);
            }
        }
    }

    /// `low` takes the fewest steps, `high` the best of several where there is a judge.
    fn quality(
        &mut self,
        edit: &mut EditForm,
        quality: &'static str,
        (limits, here): (&FormLimits, &Here),
    ) {
        match quality {
            "low" if edit.steps.is_some() => self.idle.push(("quality", "steps decides")),
            "low" => edit.steps = Some(*STEPS.start() as u64),
            "high" | "hd" | "xhigh" | "max" => {
                let one = edit.n.unwrap_or(1) == 1;
                let best_of = CANDIDATES.min(limits.max_best_of);
                match &mut edit.judged {
                    Some(judged) if one => {
                        judged.best_of.get_or_insert(best_of);
                    }
                    None if one && here.has_judge => {
                        edit.judged = Some(Judged {
                            best_of: Some(best_of),
                            min_score: None,
                            edit_type: EditType::default(),
                            object: String::new(),
                        });
                    }
                    _ => self.idle.push((
                        "quality",
                        "the best of several is chosen by a judge, for n of 1 alone",
                    )),
                }
            }
            _ => {}
        }
    }

    /// The warnings; in strict requests there are none.
    fn finish(self, strict: bool) -> Result<Vec<AnswerWarning>, Problem> {
        if !self.parameters.is_empty() {
            return Err(Problem::fields(Code::UnsupportedParameter, self.parameters));
        }
        let message = |why: &str| format!("has no effect: {why}; leave it out");
        let mut values = self.values;
        if strict {
            let idle = self.idle.iter();
            values
                .extend(idle.map(|(name, why)| FieldError::new(format!("/{name}"), message(why))));
        }
        if !values.is_empty() {
            return Err(Problem::fields(Code::UnsupportedValue, values));
        }
        let warnings = self.idle.iter().map(|(name, why)| AnswerWarning {
            code: "parameter_without_effect",
            message: format!("{name} {}", message(why)),
        });
        Ok(warnings.collect())
    }
}

fn quality(fields: &mut Fields) -> &'static str {
    let names = [
        "auto", "low", "medium", "high", "standard", "hd", "xhigh", "max",
    ];
    fields.name("quality", Optional, &names).unwrap_or("auto")
}

fn streamed(fields: &mut Fields, n: Option<u64>) -> Option<u64> {
    let stream = fields.boolean("stream", Optional).unwrap_or(false);
    let partial_images = fields.integer("partial_images", Optional, 0..=3);
    if stream && n.is_some_and(|n| n > 1) {
        fields.refuse("n", "must be 1 or absent in a streamed answer");
    }
    if !stream && partial_images.is_some_and(|count| count > 0) {
        fields.refuse("partial_images", "needs stream: true");
    }
    stream.then(|| partial_images.unwrap_or(0))
}

/// The files to edit; at least one, or it is refused.
fn images(fields: &mut Fields) -> Vec<ImageSource> {
    if fields.are_parts() {
        let images = fields.files("image");
        if images.is_empty() {
            fields.refuse("image", "is missing; add it as a file part");
        }
        return images.into_iter().map(ImageSource::Bytes).collect();
    }
    let list = fields.list("images", Need::Required).unwrap_or_default();
    let images = list.into_iter().enumerate();
    let images: Vec<_> = images
        .filter_map(|(i, image)| url(fields, &format!("/images/{i}"), image))
        .collect();
    if images.is_empty() && fields.errors.is_empty() {
        fields.refuse("images", "is empty; add one image");
    }
    images
}

fn mask(fields: &mut Fields) -> Option<ImageSource> {
    if fields.are_parts() {
        let mut masks = fields.files("mask");
        if masks.len() > 1 {
            fields.refuse("mask", "is given more than once; send one");
        }
        return masks.pop().map(ImageSource::Bytes);
    }
    let mask = fields.take("mask", Optional)?;
    url(fields, "/mask", mask)
}

/// What `{"image_url": "data:.."}` stands for.
fn url(body: &mut Fields, at: &str, image: Json) -> Option<ImageSource> {
    let Json::Object(entries) = image else {
        let message = format!(
            "must be an object with image_url, not {}",
            image.type_name()
        );
        body.errors.push(FieldError::new(at, message));
        return None;
    };
    let mut fields = Fields::new(at, entries);
    if fields.take("file_id", Optional).is_some() {
        let message = "this server keeps no files; send image_url with a data URL";
        fields.refuse("file_id", message);
    }
    let need = if fields.errors.is_empty() {
        Need::Required
    } else {
        Optional
    };
    let source = fields.text("image_url", need).and_then(|text| {
        let source = ImageSource::of_text(&text);
        source
            .map_err(|error| fields.refuse("image_url", error.to_string()))
            .ok()
    });
    match fields.finish() {
        Ok(()) => source,
        Err(errors) => {
            body.errors.extend(errors);
            None
        }
    }
}
