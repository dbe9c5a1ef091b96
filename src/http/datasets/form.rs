//! The fields of a set, read.
use axum::body::Bytes;
use uuid::Uuid;

use crate::{
    engine::EditType,
    http::{
        fields::{Fields, Need, clipped, pointer},
        json::Json,
        multipart::{NamedPart, PartKinds},
        problem::{Code, FieldError, Problem},
    },
    jobs::datasets::{Item, Sent, SentFiles, SentRow},
};

/// A set as it was sent.
#[derive(Debug)]
pub struct DatasetForm {
    pub name: String,
    pub sent: Sent,
}

/// Of a JSON body.
pub const NO_PARTS: PartKinds = PartKinds {
    files: &[],
    values: &[],
    structures: &[],
};

const MAX_NAME: usize = 64;

/// Reads a JSON body.
pub fn of_fields(mut fields: Fields<'_>) -> Result<DatasetForm, Problem> {
    let name = fields
        .text("name", Need::Optional)
        .map(|name| name.into_owned());
    let items = items(&mut fields, Need::Required);
    if let Some(problem) = name.as_deref().and_then(wrong_name) {
        fields.refuse("name", problem);
    }
    let refused = |errors| Problem::fields(Code::InvalidRequest, errors);
    fields.finish().map_err(refused)?;
    Ok(DatasetForm {
        name: name.unwrap_or_else(made_up),
        sent: Sent::Items(items.unwrap_or_default()),
    })
}

/// The rows of the field `items`.
pub fn items(fields: &mut Fields<'_>, need: Need) -> Option<Vec<Item>> {
    let list = fields.list("items", need)?;
    if list.is_empty() {
        fields.refuse("items", "is empty; send at least one row");
    }
    let prefix = fields.pointer("items");
    let mut items = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let at = pointer(&prefix, &index.to_string());
        let Json::Object(entries) = value else {
            let message = format!("must be an object, not {}", value.type_name());
            fields.errors.push(FieldError::new(at, message));
            continue;
        };
        match item(Fields::new(at, entries)) {
            Ok(item) => items.push(item),
            Err(errors) => fields.errors.extend(errors),
        }
    }
    Some(items)
}

fn item(mut fields: Fields<'_>) -> Result<Item, Vec<FieldError>> {
    let image = fields.image("image");
    let names = EditType::ALL.map(EditType::name);
    let edit_type = fields.name("edit_type", Need::Optional, &names);
    let mut text = |name, need| fields.text(name, need).map(|text| text.into_owned());
    let row = SentRow {
        image: String::new(),
        instruction: text("instruction", Need::Required).unwrap_or_default(),
        edited_caption: text("edited_caption", Need::Optional),
        source_caption: text("source_caption", Need::Optional),
        object: text("object", Need::Optional),
        edit_type: edit_type.and_then(|name| name.parse().ok()),
    };
    fields.finish()?;
    Ok(Item {
        row,
        image: image.unwrap_or_default(),
    })
}

/// Reads a form.
pub fn of_parts(parts: Vec<NamedPart>) -> Result<DatasetForm, Problem> {
    let mut errors = Vec::new();
    let (mut name, mut file, mut images) = (None, None, SentFiles::new());
    for part in parts {
        match part.name.trim_end_matches("[]") {
            "name" => name = Some(String::from_utf8_lossy(&part.bytes).into_owned()),
            "file" if file.is_none() => file = Some(part),
            "images" | "image" => {
                let path = part.file_name.unwrap_or_default();
                if images.insert(path.clone(), part.bytes.to_vec()).is_some() {
                    let message =
                        format!("{:?} is there twice; name every file once", clipped(&path));
                    errors.push(FieldError::new("/images", message));
                }
            }
            other => {
                let message =
                    "is not a part here, or is given twice; the parts are name, file, images";
                errors.push(FieldError::new(pointer("", &clipped(other)), message));
            }
        }
    }
    if let Some(problem) = name.as_deref().and_then(wrong_name) {
        errors.push(FieldError::new("/name", problem));
    }
    let Some(file) = file else {
        errors.push(FieldError::new(
            "/file",
            "is missing; add an archive, or a table of rows",
        ));
        return Err(Problem::fields(Code::InvalidRequest, errors));
    };
    if !errors.is_empty() {
        return Err(Problem::fields(Code::InvalidRequest, errors));
    }
    Ok(DatasetForm {
        name: name.unwrap_or_else(made_up),
        sent: sent(file.file_name.unwrap_or_default(), &file.bytes, images),
    })
}

fn sent(name: String, bytes: &Bytes, mut images: SentFiles) -> Sent {
    let is_table = [".jsonl", ".ndjson", ".csv"]
        .iter()
        .any(|ending| name.to_ascii_lowercase().ends_with(ending));
    if !is_table && images.is_empty() {
        return Sent::Archive(bytes.to_vec());
    }
    images.insert(name, bytes.to_vec());
    Sent::Files(images)
}

fn made_up() -> String {
    format!("dataset-{}", Uuid::now_v7().simple())
}

fn wrong_name(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let all = name
        .bytes()
        .all(|byte| plain(byte) || b"._-".contains(&byte));
    let fits = all && !name.is_empty() && name.len() <= MAX_NAME;
    match fits && !name.starts_with("set-") {
        true => None,
        false => Some(format!(
            "{:?} is no name: use 1 to {MAX_NAME} of a-z, 0-9, '.', '_' and '-', and not set- first",
            clipped(name)
        )),
    }
}
