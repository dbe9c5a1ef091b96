//! `npedit key`: keys of the HTTP API, in the database of the service.
use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::json;

use super::{
    args::SettingsArgs,
    error::{BAD_INPUT, CliError, FAILED},
};
use crate::{
    access::{KeyRow, Keys, Scope, Scopes, Secret, StorageError},
    config::{Config, Setting, is_key_name},
    storage::{Storage, StorageSettings},
};

#[derive(Debug, Args)]
#[command(after_help = "\
Works on the database of storage.data_dir or storage.database_url, also while a service runs on it; the service knows at once.
Keys of one name are one owner: to change a key, make another of its name, then revoke the old one.
Example:
  npedit key create --name ci --scope edit,score")]
pub(super) struct KeyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it, this one time
    Create {
        /// Owner of what is made with the key: a-z, 0-9, '.', '_' and '-'
        #[arg(long)]
        name: String,
        /// What the key is for; admin is for everything, of every owner
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = ["edit", "score", "finetune", "admin"])]
        scopes: Vec<String>,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Refuse a key from now on; what was made with it stays
    Revoke {
        /// As `npedit key list` has it
        id: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// List the keys: a table on a terminal, JSON otherwise
    List(PlaceArgs),
}

/// Where the keys are.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Directory of the service's database
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Why there is no key, or no list of them.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error(
        "{0:?} is no name of a key: use 1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first, and not anonymous"
    )]
    Name(String),
    #[error("there is no key {0}; `npedit key list` has their ids")]
    Unknown(String),
    #[error("the operating system gives no random bytes: {0}; try again")]
    Random(getrandom::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl KeyError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Name(_) | Self::Unknown(_) => BAD_INPUT,
            Self::Random(_) | Self::Storage(_) => FAILED,
        }
    }
}

pub(super) fn run(command: &KeyCommand) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    runtime.block_on(act(&command.action))
}

async fn act(action: &Action) -> Result<(), CliError> {
    let mut out = io::stdout();
    match action {
        Action::Create {
            name,
            scopes,
            place,
        } => {
            if !is_key_name(name) {
                return Err(KeyError::Name(name.clone()).into());
            }
            let scopes = scopes.iter().filter_map(|name| Scope::of_name(name));
            let secret = Secret::draw().map_err(KeyError::Random)?;
            let keys = place.keys().await?;
            let made = keys.create(secret, name, Scopes::new(scopes.collect()));
            let made = made.await.map_err(KeyError::Storage)?;
            eprintln!(
                "key {} of {name}, for {}; it is shown this one time:",
                made.row.id,
                made.row.scopes.names().join(", ")
            );
            writeln!(out, "{}", made.secret.reveal()).map_err(CliError::Stdout)
        }
        Action::Revoke { id, place } => {
            let known = place.keys().await?.revoke(id).await;
            match known.map_err(KeyError::Storage)? {
                true => writeln!(out, "{id} is revoked").map_err(CliError::Stdout),
                false => Err(KeyError::Unknown(id.clone()).into()),
            }
        }
        Action::List(place) => {
            let keys = place.keys().await?.list().await;
            let keys = keys.map_err(KeyError::Storage)?;
            let text = match out.is_terminal() {
                true => table(&keys),
                false => json(&keys),
            };
            writeln!(out, "{text}").map_err(CliError::Stdout)
        }
    }
}

impl PlaceArgs {
    async fn keys(&self) -> Result<Keys, CliError> {
        let path = |path: &PathBuf| Setting::Text(path.to_string_lossy().into_owned());
        let directory = self.data_dir.as_ref().map(path);
        let given = self.settings.given();
        let given = given.flag("storage.data_dir", directory, "--data-dir");
        let config = Config::load(&given)?.config;
        let rows = Storage::rows(&StorageSettings::from(&config.storage)).await;
        Ok(Keys::new(rows.map_err(KeyError::Storage)?))
    }
}

fn state(key: &KeyRow) -> &'static str {
    match key.revoked {
        0 => "works",
        _ => "revoked",
    }
}

fn table(keys: &[KeyRow]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(["id", "name", "key", "scopes", "state"]);
    for key in keys {
        table.add_row([
            &key.id,
            &key.name,
            &format!("{}...", key.prefix),
            &key.scopes.names().join(", "),
            state(key),
        ]);
    }
    table.to_string()
}

fn json(keys: &[KeyRow]) -> String {
    let keys = keys.iter().map(|key| {
        json!({
            "id": key.id,
            "name": key.name,
            "prefix": key.prefix,
            "scopes": key.scopes.names(),
            "created_ms": key.created,
            "revoked_ms": key.revoked,
            "state": state(key),
        })
    });
    serde_json::Value::from_iter(keys).to_string()
}
