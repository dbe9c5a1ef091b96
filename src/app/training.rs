//! The models of a training run, found and loaded.
use super::{AppError, JudgeFiles, Loader};
use crate::{
    pipelines::bundle::EditBundle,
    training::{
        recipe::{Recipe, StageChoice},
        run::Models,
    },
};

impl Loader<'_> {
    /// Loads what `recipe` trains and asks. Blocks: not for async tasks.
    ///
    /// # Errors
    /// A reference that cannot be resolved, or files that do not load.
    pub fn training(&self, recipe: &Recipe, files: &JudgeFiles) -> Result<Models, AppError> {
        let (source, placement) = (self.bundle()?, self.placement());
        let refused = |source_error, name: &str| AppError::Bundle {
            name: name.to_owned(),
            source: source_error,
        };
        let bundle = EditBundle::load(&source, &placement);
        let bundle = bundle.map_err(|error| refused(error, &source.name))?;
        let teacher = source.teacher(&placement);
        let teacher = teacher.map_err(|error| refused(error.into(), &source.name))?;
        let judge = match recipe.stage {
            StageChoice::NpEdit => self.judge(files)?,
            StageChoice::WarmUp | StageChoice::Supervised => None,
        };
        Ok(Models {
            source,
            placement,
            bundle,
            teacher,
            judge,
        })
    }
}
