//! `npedit pull`: a model into the cache.
use std::io::{self, Write};

use clap::Args;

use super::{args::SettingsArgs, error::CliError, progress::DownloadBar};
use crate::models::{
    hub::{self, HubAccess, Wanted},
    source::{ModelRef, SourceError},
};

#[derive(Debug, Args)]
#[command(after_help = "\
The cache is that of all Hugging Face tools (HF_HOME, HF_HUB_CACHE). HF_TOKEN opens private and gated models.
Examples:
  npedit pull hf:Tongyi-MAI/Z-Image
  npedit pull hf:nupurkmr9/npedit/zimage_npedit_internvl.pt
  npedit pull hf:OpenGVLab/InternVL3-1B-hf")]
pub(super) struct PullArgs {
    /// hf:owner/name[@revision] for a bundle or a model, with /file for one file
    reference: ModelRef,
    /// Only say whether the cache has it
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Downloads and prints the local path.
pub(super) fn run(args: &PullArgs) -> Result<(), CliError> {
    let config = args.settings.load()?.config;
    let reference = match &args.reference {
        ModelRef::Hub(reference) => reference,
        ModelRef::Local(path) => return Err(CliError::NothingToPull(path.clone())),
    };
    let access = HubAccess::from_env(args.offline || config.model.offline);
    let wanted = reference
        .file
        .as_deref()
        .map_or(Wanted::Directory, Wanted::File);
    let bar = DownloadBar::new();
    let path = hub::refresh(reference, wanted, &access, &bar).map_err(SourceError::from)?;
    bar.finish();
    writeln!(io::stdout(), "{}", path.display()).map_err(CliError::Stdout)
}
