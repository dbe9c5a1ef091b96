//! What the model is asked, in words of our own after the procedure of arXiv 2510.14978: whether an instruction makes sense for a
//! picture, then the texts that its row lacks.
use serde_json::{Map, Value, json};

use super::texts::{Field, Texts};
use crate::pipelines::edit_type::EditType;

/// One question about a picture, answered by one JSON object.
#[derive(Debug)]
pub struct Prompt {
    /// Of the answer's schema.
    pub name: &'static str,
    pub text: String,
    /// JSON schema of the answer.
    pub schema: Value,
}

/// Whether the instruction makes sense for the picture.
pub fn validation(instruction: &str) -> Prompt {
    let text = format!(
        "An image editor is asked to change this picture. The request, as a JSON string: {}\n\
         Decide whether the request makes sense for this very picture. It makes no sense where\n\
         - it is about something that the picture does not show, unless it asks to add that;\n\
         - the picture would look the same afterwards, or nearly so;\n\
         - it is no request for a change, or contradicts itself;\n\
         - it wants what no editor can do in one go, such as changing every small thing that can be seen.\n\
         Anything else makes sense, however unusual the outcome.\n\
         Answer with one JSON object and nothing else: \"reason\", one short sentence, then \"makes_sense\", true or false.",
        json!(instruction)
    );
    Prompt {
        name: "validation",
        text,
        schema: schema([
            ("reason", json!({"type": "string"})),
            ("makes_sense", json!({"type": "boolean"})),
        ]),
    }
}

/// The fields that `known` lacks.
pub fn description(instruction: &str, known: &Texts) -> Prompt {
    let missing = known.missing();
    let asked: Vec<String> = missing.iter().map(|field| asked_for(*field)).collect();
    let given = [
        ("source_caption", known.source_caption.as_deref()),
        ("edited_caption", known.edited_caption.as_deref()),
        ("edit_type", known.edit_type.map(EditType::name)),
        ("object", known.object.as_deref()),
    ];
    let given: Map<String, Value> = given
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?.into())))
        .collect();
    let given = match given.is_empty() {
        true => String::new(),
        false => format!("What is known already: {}\n", Value::Object(given)),
    };
    let text = format!(
        "An image editor will change this picture. The request, as a JSON string: {}\n\
         {given}\
         Answer with one JSON object and nothing else. It has\n{}",
        json!(instruction),
        asked.join("\n")
    );
    let properties = missing.iter().map(|field| match field {
        Field::EditType => {
            let names = EditType::ALL.map(EditType::name);
            (field.name(), json!({"type": "string", "enum": names}))
        }
        Field::SourceCaption | Field::EditedCaption | Field::Object => {
            (field.name(), json!({"type": "string"}))
        }
    });
    Prompt {
        name: "description",
        text,
        schema: schema(properties),
    }
}

fn asked_for(field: Field) -> String {
    match field {
        Field::SourceCaption => {
            "- \"source_caption\": one sentence that says what the picture shows as it is.".into()
        }
        Field::EditedCaption => {
            "- \"edited_caption\": one sentence that says what the picture shows after the change, as if it had never looked \
             otherwise. Keep it general, keep what the request leaves alone, do not mention what it takes away, and use no word that \
             tells of a change, such as added, removed, replaced, turned or now."
                .into()
        }
        Field::EditType => format!(
            "- \"edit_type\": the kind of change, one of {}. shape: something gets another shape or size; action: somebody or \
             something moves or poses otherwise; text: writing changes; material: what something is made of, its texture; color: the \
             colour of one thing; style: the look of the whole picture.",
            EditType::ALL.map(EditType::name).join(", ")
        ),
        Field::Object => {
            "- \"object\": what is added, removed or changed, in one to four words without an article; an empty text where the \
             whole picture changes."
                .into()
        }
    }
}

/// An object with exactly these keys, in this order.
fn schema(properties: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let properties: Map<String, Value> = properties
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let known = Texts {
            edited_caption: Some("A red \"house\".".into()),
            ..Texts::default()
        };
        let prompt = description("paint it\nred", &known);
        let required = &prompt.schema["required"];
        assert_eq!(required, &json!(["source_caption", "edit_type", "object"]));
        assert!(!prompt.text.contains("- \"edited_caption\""));
        assert!(
            prompt.text.contains("\"paint it\\nred\""),
            "{}",
            prompt.text
        );
        assert!(
            prompt.text.contains("A red \\\"house\\\"."),
            "{}",
            prompt.text
        );
    }
}
