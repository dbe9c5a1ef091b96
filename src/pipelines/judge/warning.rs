//! What of a score was honoured only in part.
use super::ScoreInput;
use crate::pipelines::questions::{EditType, QuestionSet};

/// Told, never hidden.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreWarning {
    #[error(
        "the edited picture is {}x{} and the reference {}x{}; both were judged as they are",
        edited.0, edited.1, reference.0, reference.1
    )]
    SizesDiffer {
        reference: (u32, u32),
        edited: (u32, u32),
    },
    #[error(
        "a question of edit type {edit_type} names an object and none was given, so the default question was asked; add object"
    )]
    ObjectMissing { edit_type: EditType },
}

pub(super) fn of(input: &ScoreInput, questions: &QuestionSet) -> Vec<ScoreWarning> {
    let (reference, edited) = (input.reference.dimensions(), input.edited.dimensions());
    let sizes = (reference != edited).then_some(ScoreWarning::SizesDiffer { reference, edited });
    let object = questions
        .lacks_object(&input.edit)
        .then_some(ScoreWarning::ObjectMissing {
            edit_type: input.edit.edit_type,
        });
    sizes.into_iter().chain(object).collect()
}
