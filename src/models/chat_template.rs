//! Chat templates, rendered as transformers renders them.
use minijinja::{Environment, ErrorKind, Value, syntax::SyntaxConfig};
use serde::Deserialize;

use super::{
    error::{LoadError, LoadResult},
    folder::Folder,
};

const NAME: &str = "chat_template";
/// Where a template may stand, first one first.
const JINJA: &str = "chat_template.jinja";
const SETTINGS: [&str; 2] = ["chat_template.json", "tokenizer_config.json"];

/// The template that turns messages into the text that a model was trained on.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    /// File that the template comes from, for messages.
    file: String,
    environment: Environment<'static>,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    chat_template: Option<String>,
}

impl ChatTemplate {
    /// The folder's own template, else `fallback`.
    ///
    /// # Errors
    /// A file is unreadable, not JSON or not UTF-8, or the template does not parse.
    pub fn load(folder: &Folder, fallback: &'static str) -> LoadResult<Self> {
        if folder.exists(JINJA) {
            let file = folder.name(JINJA);
            return match String::from_utf8(folder.read(JINJA)?.into_owned()) {
                Ok(source) => Self::new(file, source),
                Err(error) => Err(LoadError::Tokenizer {
                    file,
                    reason: error.to_string(),
                }),
            };
        }
        for name in SETTINGS {
            if !folder.exists(name) {
                continue;
            }
            let settings: Settings = folder.json(name)?;
            if let Some(source) = settings.chat_template {
                return Self::new(folder.name(name), source);
            }
        }
        Self::new("the built-in template".into(), fallback.into())
    }

    fn new(file: String, source: String) -> LoadResult<Self> {
        match environment(source) {
            Ok(environment) => Ok(Self { file, environment }),
            Err(source) => Err(LoadError::Template { file, source }),
        }
    }

    /// The text of `context`, which holds `messages` and what else the template asks for.
    ///
    /// # Errors
    /// The template fails on it.
    pub fn render(&self, context: Value) -> Result<String, minijinja::Error> {
        self.environment.get_template(NAME)?.render(context)
    }

    /// Renders `context` once while loading, so that a template that cannot render is refused there.
    ///
    /// # Errors
    /// The template fails.
    pub fn check(&self, context: Value) -> LoadResult<()> {
        self.render(context)
            .map(drop)
            .map_err(|source| LoadError::Template {
                file: self.file.clone(),
                source,
            })
    }
}

/// Jinja as transformers sets it up.
fn environment(source: String) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_template_owned(NAME, source)?;
    Ok(environment)
}
