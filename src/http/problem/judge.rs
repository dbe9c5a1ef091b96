//! What a judge refuses, at the fields that it read.
use super::{Code, FieldError, Problem};
use crate::engine::{EditDescription, EngineError, JudgeError, PromptError};

/// Pointers of the values that a judge read.
#[derive(Clone, Debug)]
pub struct JudgedFields {
    pub reference: String,
    pub edited: String,
    /// With their pointers: the instruction, the object, then a caller's own questions.
    pub texts: Vec<(String, String)>,
}

impl JudgedFields {
    /// Of an object at `prefix`, whose images stand in the fields `reference` and `edited`.
    pub fn new(prefix: &str, images: [&str; 2], edit: &EditDescription) -> Self {
        let [reference, edited] = images.map(|name| format!("{prefix}/{name}"));
        Self {
            reference,
            edited,
            texts: vec![
                (format!("{prefix}/instruction"), edit.instruction.clone()),
                (format!("{prefix}/object"), edit.object.clone()),
            ],
        }
    }

    /// Pointer of the text that spoils a question.
    fn culprit(&self, question: &str, token: Option<&str>) -> &str {
        let is_question = |text: &str| text == question;
        let has_token = |text: &str| token.is_some_and(|token| text.contains(token));
        let find = |test: &dyn Fn(&str) -> bool| self.texts.iter().find(|(_, text)| test(text));
        let found = find(&is_question).or_else(|| find(&has_token));
        // The longest part of a built-in question is the instruction.
        found
            .or(self.texts.first())
            .map_or("", |(pointer, _)| pointer)
    }
}

impl Problem {
    /// An error of the engine; `fields` are those of the pair with the index that it gets.
    pub fn of_judged(error: EngineError, fields: impl FnOnce(usize) -> JudgedFields) -> Self {
        match error {
            EngineError::Judge { item, source } => Self::of_judge(source, &fields(item)),
            other => other.into(),
        }
    }

    fn of_judge(error: JudgeError, fields: &JudgedFields) -> Self {
        let message = error.to_string();
        let (code, pointer) = match &error {
            JudgeError::Prompt { question, source } => {
                let token = match source {
                    PromptError::ControlToken { token } => Some(token.as_str()),
                    PromptError::Template(_)
                    | PromptError::Tokenize { .. }
                    | PromptError::TooLong { .. } => None,
                };
                (Code::QuestionUnusable, fields.culprit(question, token))
            }
            JudgeError::TooLong { question, .. } => {
                (Code::QuestionUnusable, fields.culprit(question, None))
            }
            JudgeError::TooSmall { picture, .. } | JudgeError::TooLongAndThin { picture, .. } => {
                let at = match *picture {
                    "reference" => &fields.reference,
                    _ => &fields.edited,
                };
                (Code::ImageUnusable, at.as_str())
            }
            JudgeError::NotFinite | JudgeError::Model(_) => return Self::internal(error),
        };
        Self::fields(code, vec![FieldError::new(pointer, message)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_at_fault_is_named() {
        let mut fields = JudgedFields::new(
            "/items/3",
            ["reference", "edited"],
            &EditDescription {
                instruction: "make <|x|> blue".into(),
                object: "a <|y|>".into(),
                ..EditDescription::default()
            },
        );
        fields
            .texts
            .push(("/items/3/questions/0/text".into(), "is <|x|> there?".into()));
        for (question, token, pointer) in [
            (
                "is <|x|> there?",
                Some("<|x|>"),
                "/items/3/questions/0/text",
            ),
            (
                "was make <|x|> blue done?",
                Some("<|x|>"),
                "/items/3/instruction",
            ),
            ("do you see a <|y|>?", Some("<|y|>"), "/items/3/object"),
            ("a question of the table", None, "/items/3/instruction"),
        ] {
            assert_eq!(fields.culprit(question, token), pointer, "{question}");
        }
    }

    #[test]
    fn an_image_that_is_too_small_is_named_by_its_field() {
        for (picture, pointer) in [("reference", "/image"), ("edited", "/size")] {
            let source = JudgeError::TooSmall {
                picture,
                width: 20,
                height: 20,
                smallest: 28,
            };
            let error = EngineError::Judge { item: 0, source };
            let fields = |_| JudgedFields::new("", ["image", "size"], &EditDescription::default());
            let problem = Problem::of_judged(error, fields);
            assert_eq!(problem.code(), Code::ImageUnusable);
            assert!(
                problem.detail().starts_with(pointer),
                "{}",
                problem.detail()
            );
        }
    }

    #[test]
    fn a_defect_of_the_judge_is_no_fault_of_the_client() {
        let error = EngineError::Judge {
            item: 0,
            source: JudgeError::NotFinite,
        };
        let fields =
            |_| JudgedFields::new("", ["reference", "edited"], &EditDescription::default());
        assert_eq!(Problem::of_judged(error, fields).code(), Code::Internal);
    }
}
