//! The fields of a request for scores, read strictly.
use super::questions::questions;
use crate::{
    engine::{EditDescription, Question},
    http::{
        description::{edit_type, instruction, object},
        fields::{Fields, Need},
        image_field::ImageSource,
        json::Json,
        multipart::PartKinds,
        problem::{Code, FieldError, JudgedFields, Problem},
    },
};

/// The parts of a request for one score.
pub const PARTS: PartKinds = PartKinds {
    files: &["reference", "edited"],
    values: &[],
    structures: &["questions"],
};

/// What bounds the fields.
#[derive(Clone, Debug)]
pub struct ScoreLimits {
    pub max_items: usize,
    pub max_questions: usize,
    pub question_max_bytes: usize,
    pub instruction_max_bytes: usize,
    /// Of all images of a request.
    pub max_pixels_together: u64,
}

/// Scores as they are asked for.
#[derive(Debug)]
pub enum ScoreForm {
    One(ScoreItem),
    Batch(Vec<ScoreItem>),
}

/// One pair of images, and what to ask about it.
#[derive(Debug)]
pub struct ScoreItem {
    /// JSON pointer of the item; empty where it is the body.
    pub at: String,
    pub reference: ImageSource,
    pub edited: ImageSource,
    pub edit: EditDescription,
    pub questions: Vec<Question>,
}

impl ScoreForm {
    /// Reads the fields of a body.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(mut fields: Fields, limits: &ScoreLimits) -> Result<Self, Problem> {
        let refused = |errors| Problem::fields(Code::InvalidRequest, errors);
        if fields.are_parts() || !fields.has("items") {
            return Ok(Self::One(read_item("", fields, limits).map_err(refused)?));
        }
        let items = read_items(&mut fields, limits);
        fields.finish().map_err(refused)?;
        Ok(Self::Batch(items))
    }

    pub fn items(self) -> Vec<ScoreItem> {
        match self {
            Self::One(item) => vec![item],
            Self::Batch(items) => items,
        }
    }
}

impl ScoreItem {
    /// The values that the judge reads, by their pointers.
    pub fn judged_fields(&self) -> JudgedFields {
        let mut fields = JudgedFields::new(&self.at, ["reference", "edited"], &self.edit);
        let own = self.questions.iter().enumerate();
        fields.texts.extend(own.map(|(index, question)| {
            let pointer = format!("{}/questions/{index}/text", self.at);
            (pointer, question.text.clone())
        }));
        fields
    }
}

fn read_items(fields: &mut Fields, limits: &ScoreLimits) -> Vec<ScoreItem> {
    let Some(items) = fields.list("items", Need::Required) else {
        return Vec::new();
    };
    let (count, max) = (items.len(), limits.max_items);
    if !(1..=max).contains(&count) {
        let message = format!("has {count} items, from 1 to {max} are taken at once; split it");
        fields.refuse("items", message);
        return Vec::new();
    }
    let mut read = Vec::with_capacity(count);
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("/items/{index}");
        match item {
            Json::Object(entries) => match read_item(&at, Fields::new(&*at, entries), limits) {
                Ok(item) => read.push(item),
                Err(errors) => fields.errors.extend(errors),
            },
            other => {
                let message = format!("must be an object, not {}", other.type_name());
                fields.errors.push(FieldError::new(at, message));
            }
        }
    }
    read
}

fn read_item(
    at: &str,
    mut fields: Fields,
    limits: &ScoreLimits,
) -> Result<ScoreItem, Vec<FieldError>> {
    let reference = fields.image_source("reference");
    let edited = fields.image_source("edited");
    let max_bytes = limits.instruction_max_bytes;
    let instruction = instruction(&mut fields, Need::Required, max_bytes);
    let edit_type = edit_type(&mut fields);
    let object = object(&mut fields, max_bytes);
    let questions = questions(&mut fields, limits);
    fields.finish()?;
    // What a field without a value lacks is among the errors above.
    Ok(ScoreItem {
        at: at.to_owned(),
        reference: reference.unwrap_or_default(),
        edited: edited.unwrap_or_default(),
        edit: EditDescription {
            instruction: instruction.unwrap_or_default(),
            edit_type: edit_type.unwrap_or_default(),
            object: object.unwrap_or_default(),
        },
        questions,
    })
}
