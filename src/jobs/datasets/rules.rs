//! What a row does not say, by simple rules: no model is asked.
use crate::pipelines::edit_type::EditType;

/// Words that tell the kind of change; the first that occurs decides.
const TELLING: &[(EditType, &[&str])] = &[
    (EditType::Background, &["background"]),
    (
        EditType::Remove,
        &["remove", "delete", "erase", "take away"],
    ),
    (EditType::Add, &["add ", "put ", "insert ", "draw "]),
    (
        EditType::Style,
        &["style", "greyscale", "grayscale", "black and white"],
    ),
    (EditType::Shape, &[" into a "]),
    (EditType::Replace, &["replace", "swap"]),
    (
        EditType::Color,
        &[
            "color", "colour", "paint", " red", " green", " blue", " yellow", " purple", " orange",
            " pink", " white", " black", " grey", " gray", " brown",
        ],
    ),
];

/// The kind of change that an instruction's words tell; "other" where none does.
pub(super) fn edit_type(instruction: &str) -> EditType {
    let text = instruction.to_lowercase();
    let told = TELLING
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.contains(word)));
    told.map_or(EditType::Other, |(edit_type, _)| *edit_type)
}

/// Describes the edited picture: what the source shows, then the instruction.
pub(super) fn edited(source_caption: Option<&str>, instruction: &str) -> String {
    match source_caption {
        Some(source) => format!("{source}, after this change: {instruction}"),
        None => instruction.to_owned(),
    }
}
