//! What a judge is asked about an edit: a table that users can replace.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::edit_type::{EditType, UnknownEditType};
use crate::models::{error::LoadError, folder::Folder};

/// The table that stands in the binary.
const BUILT_IN: &str = include_str!("../../configs/questions.toml");
/// Where a judge's own table stands, in its folder.
const OWN_FILE: &str = "questions.toml";
/// Section of the types that have none of their own.
const DEFAULT: &str = "default";
/// Where a template names a value.
const PLACEHOLDERS: [&str; 2] = ["{instruction}", "{object}"];

/// What a judge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Yes,
    No,
}

/// Which pictures a question shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shows {
    /// The reference, then the edited picture.
    Both,
    /// The edited picture alone.
    Edited,
}

/// What a question is for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum QuestionKind {
    /// Edit verification: was the instruction carried out?
    Edit,
    /// Identity preservation: is everything else as it was?
    Preservation,
    /// A caller's own.
    Custom,
}

/// One question, ready to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub kind: QuestionKind,
    pub shows: Shows,
    pub text: String,
    pub expected: Answer,
}

/// What an edit was meant to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditDescription {
    pub instruction: String,
    pub edit_type: EditType,
    /// What is added, removed or changed; empty where nobody said.
    pub object: String,
}

/// The questions of every edit type.
#[derive(Clone, Debug)]
pub struct QuestionSet {
    sections: BTreeMap<String, Section>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    edit: Option<Template>,
    preservation: Option<Template>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    shows: Shows,
    expected: Answer,
    text: String,
}

/// A table of questions that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QuestionsError {
    #[error("the questions are not valid: {source}; compare them with configs/questions.toml")]
    Toml {
        #[source]
        source: toml::de::Error,
    },
    #[error(
        "[{section}] is no section of the questions; use default, or an edit type: {}",
        EditType::ALL.map(EditType::name).join(", ")
    )]
    Section { section: String },
    #[error("[default.{kind}] is missing; add it, it serves every type without its own")]
    Default { kind: &'static str },
    #[error("[{section}.{kind}]: {problem}; write plain text with {{instruction}} and {{object}}")]
    Text {
        section: String,
        kind: &'static str,
        problem: &'static str,
    },
}

/// A judge's own table of questions that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnQuestionsError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("questions.toml: {0}")]
    Questions(#[from] QuestionsError),
}

impl QuestionSet {
    /// The set that comes with npedit.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("configs/questions.toml is checked by a test")
    }

    /// The set that a judge brings along in [`OWN_FILE`], else the built-in one.
    ///
    /// # Errors
    /// The file cannot be read or used.
    pub fn of_judge(folder: &Folder) -> Result<Self, OwnQuestionsError> {
        if !folder.exists(OWN_FILE) {
            return Ok(Self::built_in());
        }
        let bytes = folder.read(OWN_FILE)?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes))?)
    }

    /// # Errors
    /// Not TOML of this form, an unknown section, an empty text or an unknown placeholder.
    pub fn parse(toml: &str) -> Result<Self, QuestionsError> {
        let parsed = toml::from_str(toml);
        let sections: BTreeMap<String, Section> =
            parsed.map_err(|source| QuestionsError::Toml { source })?;
        for (name, section) in &sections {
            if name != DEFAULT && name.parse::<EditType>().is_err() {
                return Err(QuestionsError::Section {
                    section: name.clone(),
                });
            }
            for (kind, template) in section.templates() {
                if let Some(problem) = template.and_then(Template::problem) {
                    return Err(QuestionsError::Text {
                        section: name.clone(),
                        kind,
                        problem,
                    });
                }
            }
        }
        let default = sections.get(DEFAULT).cloned().unwrap_or_default();
        match default.templates().into_iter().find(|(_, t)| t.is_none()) {
            Some((kind, _)) => Err(QuestionsError::Default { kind }),
            None => Ok(Self { sections }),
        }
    }

    /// Whether a question of the edit's type gives way because no object is known.
    pub fn lacks_object(&self, edit: &EditDescription) -> bool {
        let own = self.sections.get(edit.edit_type.name());
        let templates = own.into_iter().flat_map(Section::templates);
        let mut templates = templates.filter_map(|(_, template)| template);
        edit.object.is_empty() && templates.any(Template::needs_object)
    }

    /// The questions about one edit: edit verification, then identity preservation.
    ///
    /// A type's own question that names an object gives way to the default one where no object is known.
    pub fn about(&self, edit: &EditDescription) -> Vec<Question> {
        let own = self.sections.get(edit.edit_type.name());
        let usable = |template: &&Template| !(template.needs_object() && edit.object.is_empty());
        let pick = |of: fn(&Section) -> Option<&Template>| {
            let own = own.and_then(of).filter(usable);
            own.or_else(|| self.sections.get(DEFAULT).and_then(of))
        };
        [
            (QuestionKind::Edit, pick(|section| section.edit.as_ref())),
            (
                QuestionKind::Preservation,
                pick(|section| section.preservation.as_ref()),
            ),
        ]
        .into_iter()
        .filter_map(|(kind, template)| Some(template?.fill(kind, edit)))
        .collect()
    }
}

impl Section {
    fn templates(&self) -> [(&'static str, Option<&Template>); 2] {
        [
            ("edit", self.edit.as_ref()),
            ("preservation", self.preservation.as_ref()),
        ]
    }
}

impl Template {
    fn needs_object(&self) -> bool {
        self.text.contains(PLACEHOLDERS[1])
    }

    fn problem(&self) -> Option<&'static str> {
        let mut rest = self.text.clone();
        if rest.trim().is_empty() {
            return Some("the text is empty");
        }
        for placeholder in PLACEHOLDERS {
            rest = rest.replace(placeholder, "");
        }
        rest.contains(['{', '}'])
            .then_some("the text has a brace that belongs to no placeholder")
    }

    /// One pass, so that an instruction which spells a placeholder stays what it is.
    fn fill(&self, kind: QuestionKind, edit: &EditDescription) -> Question {
        let mut text = String::new();
        let mut rest = self.text.as_str();
        while let Some(start) = rest.find('{') {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            let [instruction, object] = PLACEHOLDERS;
            if let Some(after) = rest.strip_prefix(instruction) {
                text.push_str(&edit.instruction);
                rest = after;
            } else if let Some(after) = rest.strip_prefix(object) {
                text.push_str(&edit.object);
                rest = after;
            }
        }
        text.push_str(rest);
        Question {
            kind,
            shows: self.shows,
            text: text.trim().to_owned(),
            expected: self.expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::files::Files;

    fn about(edit_type: EditType, object: &str) -> Vec<Question> {
        QuestionSet::built_in().about(&EditDescription {
            instruction: "do {object} now".into(),
            edit_type,
            object: object.into(),
        })
    }

    #[test]
    fn every_type_has_both_questions_with_nothing_left_to_fill() {
        for edit_type in EditType::ALL {
            for object in ["", "the hat"] {
                let questions = about(edit_type, object);
                let kinds: Vec<_> = questions.iter().map(|question| question.kind).collect();
                assert_eq!(kinds, [QuestionKind::Edit, QuestionKind::Preservation]);
                for question in questions {
                    let text = question.text.replace("do {object} now", "");
                    assert!(!text.contains(['{', '}']), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_removal_asks_for_the_object_in_the_edited_picture() {
        let [edit, preservation] = about(EditType::Remove, "the hat").try_into().unwrap();
        assert_eq!((edit.shows, edit.expected), (Shows::Edited, Answer::No));
        assert!(edit.text.contains("the hat"), "{}", edit.text);
        assert_eq!(
            (preservation.shows, preservation.expected),
            (Shows::Both, Answer::Yes)
        );
        assert_eq!(about(EditType::Remove, ""), about(EditType::Other, ""));
        for (edit_type, object, lacks) in [
            (EditType::Remove, "", true),
            (EditType::Remove, "the hat", false),
            (EditType::Style, "", false),
        ] {
            let edit = EditDescription {
                instruction: "x".into(),
                edit_type,
                object: object.into(),
            };
            assert_eq!(QuestionSet::built_in().lacks_object(&edit), lacks);
        }
    }

    #[test]
    fn a_judge_may_bring_its_own_questions() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::root(Files::Directory(dir.path().into()));
        let edit = EditDescription {
            instruction: "make it red".into(),
            ..EditDescription::default()
        };
        let asked = |set: QuestionSet| set.about(&edit)[0].text.clone();
        let built_in = asked(QuestionSet::built_in());
        assert_eq!(asked(QuestionSet::of_judge(&folder).unwrap()), built_in);
        let section = |kind: &str, text: &str| {
            format!("[default.{kind}]\nshows = \"both\"\nexpected = \"yes\"\ntext = \"{text}\"\n")
        };
        let own = section("edit", "{instruction}: done") + &section("preservation", "kept");
        std::fs::write(dir.path().join(OWN_FILE), own).unwrap();
        let found = asked(QuestionSet::of_judge(&folder).unwrap());
        assert_eq!(found, "make it red: done");
        std::fs::write(dir.path().join(OWN_FILE), "nonsense").unwrap();
        let error = QuestionSet::of_judge(&folder).unwrap_err().to_string();
        assert!(error.starts_with("questions.toml: "), "{error}");
    }

    #[test]
    fn a_broken_table_is_refused_with_its_place() {
        let both = "shows = \"both\"\nexpected = \"yes\"\ntext = \"x\"\n";
        let whole = format!("[default.edit]\n{both}[default.preservation]\n{both}");
        assert!(QuestionSet::parse(&whole).is_ok());
        for (toml, part) in [
            ("[default.edit]".to_owned(), "missing field"),
            (format!("[default.edit]\n{both}"), "[default.preservation]"),
            (format!("{whole}[colour.edit]\n{both}"), "[colour]"),
            (whole.replacen("\"x\"", "\" \"", 1), "empty"),
            (whole.replacen("\"x\"", "\"{what}\"", 1), "brace"),
            (whole.replacen("\"both\"", "\"none\"", 1), "none"),
            (format!("{whole}more = 1"), "more"),
        ] {
            let error = QuestionSet::parse(&toml).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
