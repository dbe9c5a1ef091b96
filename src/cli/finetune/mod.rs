//! `npedit finetune`: photos and instructions to an adapter and a verdict, on this machine or on a server.
mod error;
mod follow;
mod local;
mod remote;
mod set;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use self::{follow::Verdict, set::SentSet};
use super::{
    args::{ModelArgs, SettingsArgs, start_quietly},
    error::CliError,
};
use crate::config::Setting;

pub(super) use self::error::FinetuneError;

#[derive(Debug, Args)]
#[command(after_help = "\
A set is a folder, a zip, a tar or a tar.gz: one .jsonl or .csv file with the columns image and instruction (and where known
edited_caption, source_caption, edit_type, object) beside the images that it names.
Examples:
  npedit finetune demo
  npedit finetune my-photos --publish-as best --set steps=200 --set weights.judge=2
  npedit finetune my-photos.zip --server http://gpu-box:8080")]
pub(super) struct FinetuneArgs {
    /// Folder, zip or tar; demo is the built-in set
    set: PathBuf,
    /// Run it there instead of on this machine
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Key for the server
    #[arg(
        long,
        value_name = "KEY",
        env = "NPEDIT_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Recipe [default: finetune-demo]
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
    /// Over the recipe: steps, lr, rank, k, seed, holdout, or weights.LOSS; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, Value)>,
    /// Adapter to go on from, by id or alias
    #[arg(long, value_name = "NAME")]
    base_adapter: Option<String>,
    /// Alias that the adapter gets if it is good enough
    #[arg(long, value_name = "NAME")]
    publish_as: Option<String>,
    /// Directory for what is kept (sets, jobs, adapters) where it runs on this machine
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What is asked for, wherever it runs.
struct Asked {
    set: SentSet,
    recipe: Option<String>,
    overrides: Map<String, Value>,
    base_adapter: Option<String>,
    publish_as: Option<String>,
}

pub(super) fn run(args: &FinetuneArgs) -> Result<(), CliError> {
    let path = |path: &PathBuf| Setting::Text(path.to_string_lossy().into_owned());
    let given = args.model.add_to(args.settings.given()).flag(
        "storage.data_dir",
        args.data_dir.as_ref().map(path),
        "--data-dir",
    );
    let config = start_quietly(&given)?;
    let asked = Asked {
        set: SentSet::read(&args.set)?,
        recipe: args.recipe.clone(),
        overrides: overrides(&args.overrides),
        base_adapter: args.base_adapter.clone(),
        publish_as: args.publish_as.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let verdict = runtime.block_on(async {
        match &args.server {
            None => local::run(config, &asked).await,
            Some(url) => {
                let key = args.api_key.as_deref();
                remote::run((url.trim_end_matches('/'), key), &asked).await
            }
        }
    });
    // a training thread may still be on its way out
    runtime.shutdown_background();
    Ok(tell(verdict?)?)
}

fn key_and_value(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("must be KEY=VALUE, as in steps=200")?;
    let read = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((key.to_owned(), read))
}

/// `weights.judge=2` to `{"weights": {"judge": 2}}`.
fn overrides(given: &[(String, Value)]) -> Map<String, Value> {
    let mut all = Map::new();
    for (key, value) in given {
        match key.split_once('.') {
            None => {
                all.insert(key.clone(), value.clone());
            }
            Some((group, key)) => {
                let group = all.entry(group).or_insert_with(|| Map::new().into());
                // the last one counts, whatever came before
                if !group.is_object() {
                    *group = Map::new().into();
                }
                group[key] = value.clone();
            }
        }
    }
    all
}

/// The end of the job on stdout.
fn tell(verdict: Verdict) -> Result<(), FinetuneError> {
    match verdict {
        Verdict::Trained {
            job,
            adapter,
            promoted,
            reasons,
            gain,
        } => {
            println!("job       {job}");
            println!("adapter   {adapter}");
            println!("gain      {gain}");
            println!("promoted  {}", if promoted { "yes" } else { "no" });
            for reason in reasons {
                println!("          {reason}");
            }
            Ok(())
        }
        Verdict::Ended {
            job,
            status,
            message,
        } => Err(FinetuneError::Ended {
            job,
            status,
            message,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn overrides_are_numbers_texts_and_groups() {
        let given = [
            "steps=5",
            "lr=1e-3",
            "weights.judge=2",
            "weights.dmd=0",
            "x=y",
        ];
        let given: Vec<_> = given
            .iter()
            .map(|text| key_and_value(text).unwrap())
            .collect();
        let expected =
            json!({"steps": 5, "lr": 0.001, "weights": {"judge": 2, "dmd": 0}, "x": "y"});
        assert_eq!(Value::from(overrides(&given)), expected);
        assert!(key_and_value("steps").is_err());
    }
}
