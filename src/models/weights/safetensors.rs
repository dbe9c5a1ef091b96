//! Safetensors files, whole or in shards.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path},
    rc::Rc,
};

use safetensors::{Dtype, tensor::Metadata};
use serde::Deserialize;

use super::{
    Blob, Entry, Files, LoadError, LoadResult, Slice, Source, Stored, Weights, decode::contiguous,
};

/// File stems of diffusers and transformers.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];
/// The format's own limit, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

#[derive(Deserialize)]
struct Index {
    /// Tensor name to shard file.
    weight_map: BTreeMap<String, String>,
}

pub(super) fn directory(files: &Files, directory: &str) -> LoadResult<Weights> {
    let mut entries = BTreeMap::new();
    let below = match directory {
        "" => String::new(),
        directory => format!("{directory}/"),
    };
    for stem in STEMS {
        let whole = format!("{below}{stem}.safetensors");
        if files.exists(&whole) {
            read_header(files.open(&whole)?, &mut entries)?;
            return Ok(Weights::new(format!("{files}/{whole}"), entries));
        }
        let index = format!("{whole}.index.json");
        if files.exists(&index) {
            read_shards(files, &below, &index, &mut entries)?;
            return Ok(Weights::new(format!("{files}/{index}"), entries));
        }
    }
    Err(LoadError::MissingFile {
        file: format!(
            "{below}{}.safetensors",
            if below.is_empty() { STEMS[1] } else { STEMS[0] }
        ),
        root: files.to_string(),
    })
}

fn read_shards(
    files: &Files,
    below: &str,
    index: &str,
    entries: &mut BTreeMap<String, Entry>,
) -> LoadResult<()> {
    let parsed: Index =
        serde_json::from_slice(&files.read(index)?).map_err(|source| LoadError::Json {
            file: format!("{files}/{index}"),
            source,
        })?;
    let shards: BTreeSet<&String> = parsed.weight_map.values().collect();
    for shard in shards {
        if !is_plain(shard) {
            return Err(LoadError::UnsafePath {
                index: format!("{files}/{index}"),
                path: shard.clone(),
            });
        }
        let relative = format!("{below}{shard}");
        if !files.exists(&relative) {
            return Err(LoadError::MissingFile {
                file: relative,
                root: files.to_string(),
            });
        }
        read_header(files.open(&relative)?, entries)?;
    }
    match parsed
        .weight_map
        .keys()
        .find(|name| !entries.contains_key(*name))
    {
        None => Ok(()),
        Some(name) => Err(LoadError::Safetensors {
            file: format!("{files}/{index}"),
            reason: format!("it lists {name}, which no shard holds"),
        }),
    }
}

/// One file name, nothing that could leave the directory.
fn is_plain(path: &str) -> bool {
    let mut components = Path::new(path).components();
    matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none()
}

/// Adds every tensor of one file. The tensors themselves stay unread.
pub(super) fn read_header(blob: Blob, entries: &mut BTreeMap<String, Entry>) -> LoadResult<()> {
    let invalid = |reason: String| LoadError::Safetensors {
        file: blob.name().into(),
        reason,
    };
    let mut length = [0; 8];
    if blob.len() < 8 {
        return Err(invalid("it is shorter than a header".into()));
    }
    blob.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES || length > blob.len() - 8 {
        return Err(invalid(format!(
            "its header claims {length} bytes of {}",
            blob.len()
        )));
    }
    let mut header = vec![0; length as usize];
    blob.read_at(8, &mut header)?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
    let data = 8 + length;
    if data + metadata.data_len() as u64 != blob.len() {
        return Err(invalid(format!(
            "its header describes {} bytes of tensors, the file holds {}",
            metadata.data_len(),
            blob.len() - data
        )));
    }
    let blob = Rc::new(blob);
    for (name, info) in metadata.tensors() {
        let stored = match info.dtype {
            Dtype::F32 => Ok(Stored::F32),
            Dtype::BF16 => Ok(Stored::Bf16),
            Dtype::F16 => Ok(Stored::F16),
            other => Err(format!("{other:?}")),
        };
        let source = stored.map(|stored| {
            Source::Slice(Slice {
                blob: blob.clone(),
                start: data + info.data_offsets.0 as u64,
                stored,
                shape: info.shape.clone(),
                strides: contiguous(&info.shape),
            })
        });
        let shape = info.shape.clone();
        if entries
            .insert(name.clone(), Entry { shape, source })
            .is_some()
        {
            return Err(LoadError::Safetensors {
                file: blob.name().into(),
                reason: format!("{name} is in two shards"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_file_names_are_followed() {
        assert!(is_plain("model-00001-of-00002.safetensors"));
        for path in [
            "../secret.safetensors",
            "/etc/passwd",
            "a/b.safetensors",
            "..",
            ".",
            "",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
