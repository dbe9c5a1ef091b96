//! The files that tell a judge what to ask and how to weigh the answers.
use std::{
    fs,
    path::{Path, PathBuf},
};

use super::AppError;
use crate::{
    config::{self, OverallChoice, SpellingChoice},
    models::folder::Folder,
    pipelines::{
        judge::{Calibration, JudgeSettings, Overall, Spelling, Temperatures},
        questions::{OwnQuestionsError, QuestionSet},
    },
};

/// How a judge is to answer, read and checked before any weight is.
#[derive(Clone, Debug)]
pub struct JudgeFiles {
    /// Those of the settings; without them the judge's own are asked.
    pub(super) questions: Option<QuestionSet>,
    pub(super) spelling: Spelling,
    pub(super) overall: Overall,
    /// With its path, for messages.
    pub(super) calibration: Option<(PathBuf, Calibration)>,
}

impl JudgeFiles {
    /// # Errors
    /// A file that cannot be read or used.
    pub fn read(judge: &config::Judge) -> Result<Self, AppError> {
        let questions = match &judge.questions_file {
            None => None,
            Some(path) => {
                let parsed = QuestionSet::parse(&text("questions_file", path)?);
                let questions = parsed.map_err(|source| AppError::Questions {
                    path: path.clone(),
                    source,
                })?;
                Some(questions)
            }
        };
        let calibration = match &judge.calibration_file {
            None => None,
            Some(path) => {
                let parsed = Calibration::parse(&text("calibration_file", path)?);
                let calibration = parsed.map_err(|source| AppError::Calibration {
                    path: path.clone(),
                    source,
                })?;
                Some((path.clone(), calibration))
            }
        };
        Ok(Self {
            questions,
            spelling: match judge.answer_spelling {
                SpellingChoice::Exact => Spelling::Exact,
                SpellingChoice::Pooled => Spelling::Pooled,
            },
            overall: match judge.overall {
                OverallChoice::Product => Overall::Product,
                OverallChoice::Mean => Overall::Mean,
            },
            calibration,
        })
    }

    /// How the judge in `folder` is to answer.
    ///
    /// # Errors
    /// The questions that it brings along cannot be used.
    pub(super) fn settings(&self, folder: &Folder) -> Result<JudgeSettings, OwnQuestionsError> {
        Ok(JudgeSettings {
            questions: match &self.questions {
                Some(questions) => questions.clone(),
                None => QuestionSet::of_judge(folder)?,
            },
            spelling: self.spelling,
            overall: self.overall,
            temperatures: Temperatures::default(),
        })
    }
}

fn text(key: &'static str, path: &Path) -> Result<String, AppError> {
    fs::read_to_string(path).map_err(|source| AppError::JudgeFile {
        key,
        path: path.to_owned(),
        source,
    })
}
