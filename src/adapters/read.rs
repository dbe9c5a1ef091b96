//! Files to adapters, whoever wrote them.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::{DType, Tensor};
use serde_json::{Map, Value};

use super::{
    Adapter, AdapterConfig, AdapterError, Layout, Pair, Scaling,
    container::Container,
    lora_config::LoraConfig,
    names::{Name, Part},
    write::{BASE, DIFFUSERS_METADATA, DIFFUSERS_WEIGHTS, PEFT_SETTINGS, PEFT_WEIGHTS},
};

/// What a file turned out to be.
#[derive(Debug, Clone)]
pub struct Found {
    pub adapter: Adapter,
    pub layout: Layout,
}

/// Reads the file or directory `path`; the layout shows in the tensors' names.
///
/// # Errors
/// No adapter, one that is not whole, or one that npedit cannot apply: see [`AdapterError`].
pub fn read(path: &Path) -> Result<Found, AdapterError> {
    let container = Container::open(&weight_file(path)?)?;
    let (layout, parts) = parts(&container)?;
    let strengths = Strengths::read(&container, layout)?;
    let mut pairs = BTreeMap::new();
    for (module, parts) in parts {
        pairs.insert(
            module.clone(),
            pair(&container, &module, &parts, &strengths)?,
        );
    }
    let config = AdapterConfig {
        scaling: strengths.scaling(),
        base: container.note(BASE).map(Into::into),
    };
    Ok(Found {
        adapter: Adapter::new(pairs, config)?,
        layout,
    })
}

/// The file that holds the tensors.
fn weight_file(path: &Path) -> Result<PathBuf, AdapterError> {
    let refused = |found: String| AdapterError::NotAnAdapter {
        file: path.into(),
        found,
    };
    let unreadable = |source| AdapterError::Read {
        file: path.into(),
        source,
    };
    let is_safetensors = |path: &Path| {
        path.extension()
            .is_some_and(|ending| ending == "safetensors")
    };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return match is_safetensors(path) {
            true => Ok(path.into()),
            false => Err(refused("its name does not end in .safetensors".into())),
        };
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let hidden = entry
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if is_safetensors(&entry) && !hidden {
            found.push(entry);
        }
    }
    match &found[..] {
        [] => Err(refused("it holds no .safetensors file".into())),
        [only] => Ok(only.clone()),
        several => {
            let named = |name: &str| several.iter().find(|file| file.ends_with(name));
            match (named(PEFT_WEIGHTS), named(DIFFUSERS_WEIGHTS)) {
                (Some(file), None) | (None, Some(file)) => Ok(file.clone()),
                _ => Err(refused(format!(
                    "it holds {} .safetensors files; name one",
                    several.len()
                ))),
            }
        }
    }
}

/// The tensors of one module: their names in the file, by what they are.
struct Parts {
    tensors: BTreeMap<Part, String>,
    inside: String,
}

fn parts(container: &Container) -> Result<(Layout, BTreeMap<String, Parts>), AdapterError> {
    let names = container.names();
    let file = container.path();
    if !names.iter().any(|name| name.contains(".lora_")) {
        let count = names.len();
        return Err(AdapterError::NotAnAdapter {
            file: file.into(),
            found: format!("none of its {count} tensors is a LoRA factor"),
        });
    }
    let mut layout = None;
    let mut modules = BTreeMap::<String, Parts>::new();
    for name in names {
        let parsed = Name::parse(&name, file)?;
        let first = *layout.get_or_insert(parsed.layout);
        if first != parsed.layout {
            return Err(AdapterError::Mixed {
                file: file.into(),
                layouts: [first, parsed.layout],
            });
        }
        let module = modules
            .entry(parsed.module.clone())
            .or_insert_with(|| Parts {
                tensors: BTreeMap::new(),
                inside: parsed.inside,
            });
        if module.tensors.insert(parsed.part, name).is_some() {
            return Err(AdapterError::Twice {
                file: file.into(),
                module: parsed.module,
                part: parsed.part.name(),
            });
        }
    }
    Ok((layout.unwrap_or(Layout::Diffusers), modules))
}

fn pair(
    container: &Container,
    module: &str,
    parts: &Parts,
    strengths: &Strengths,
) -> Result<Pair, AdapterError> {
    let half = |present: Part, missing: Part| AdapterError::HalfPair {
        module: module.into(),
        present: present.name(),
        missing: missing.name(),
    };
    let name = |part| parts.tensors.get(&part);
    let (a, b) = match (name(Part::A), name(Part::B)) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return Err(half(Part::A, Part::B)),
        (None, Some(_)) => return Err(half(Part::B, Part::A)),
        (None, None) => return Err(half(Part::Alpha, Part::A)),
    };
    let (a, b) = (container.tensor(a)?, container.tensor(b)?);
    let rank = a.dims().first().copied().unwrap_or_default();
    let alpha = match name(Part::Alpha) {
        Some(_) if matches!(strengths, Strengths::Settings(_)) => {
            return Err(AdapterError::Unsupported {
                feature: format!("two strengths of {module}, an alpha tensor and settings"),
                advice: "export it again with one of them",
            });
        }
        Some(name) => scalar(&container.tensor(name)?, name)?,
        None => match strengths {
            Strengths::Settings(settings) => settings.alpha(&parts.inside, rank)?,
            Strengths::InTensors => rank as f64,
        },
    };
    Ok(Pair { a, b, alpha })
}

/// Of one element, whatever its shape.
fn scalar(tensor: &Tensor, name: &str) -> Result<f64, AdapterError> {
    let read = || tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let values = read().map_err(|source| AdapterError::Tensor {
        module: name.into(),
        source,
    })?;
    match values[..] {
        [alpha] => Ok(alpha),
        _ => Err(AdapterError::Alpha {
            module: name.into(),
            alpha: f64::NAN,
        }),
    }
}

/// Where the branches' alphas stand.
enum Strengths {
    Settings(LoraConfig),
    /// In alpha tensors; the rank where there is none, as diffusers has it.
    InTensors,
}

impl Strengths {
    fn read(container: &Container, layout: Layout) -> Result<Self, AdapterError> {
        let file = container.path();
        let json = |text: &[u8], file: &Path| {
            serde_json::from_slice::<Map<String, Value>>(text).map_err(|source| {
                AdapterError::Json {
                    file: file.into(),
                    source,
                }
            })
        };
        match layout {
            Layout::Peft => {
                let settings = file.with_file_name(PEFT_SETTINGS);
                let text = fs::read(&settings).map_err(|source| AdapterError::Read {
                    file: settings.clone(),
                    source,
                })?;
                let settings = LoraConfig::parse(&json(&text, &settings)?, &settings)?;
                Ok(Self::Settings(settings))
            }
            Layout::Diffusers => match container.note(DIFFUSERS_METADATA) {
                None => Ok(Self::InTensors),
                Some(text) => {
                    let settings = of_transformer(json(text.as_bytes(), file)?);
                    Ok(Self::Settings(LoraConfig::parse(&settings, file)?))
                }
            },
            Layout::ComfyUi => Ok(Self::InTensors),
        }
    }

    fn scaling(&self) -> Scaling {
        match self {
            Self::Settings(settings) => settings.scaling,
            Self::InTensors => Scaling::Standard,
        }
    }
}

/// The transformer's settings among those of a pipeline's parts; all of them in a file of the transformer alone.
fn of_transformer(settings: Map<String, Value>) -> Map<String, Value> {
    let own = |key: &str| key.strip_prefix("transformer.").map(str::to_owned);
    if !settings.keys().any(|key| own(key).is_some()) {
        return settings;
    }
    let own = settings
        .into_iter()
        .filter_map(|(key, value)| Some((own(&key)?, value)));
    own.collect()
}
