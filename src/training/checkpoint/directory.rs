//! Checkpoints of one run: `step-000012.safetensors`, the newest two kept.
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

use super::{CheckpointError, State};
use crate::models::files::hex_sha256;

/// Of the file's content; a reader refuses any other.
const VERSION: &str = "1";
/// The newest, and one to fall back on.
const KEPT: usize = 2;
const SUFFIX: &str = ".safetensors";

/// Where a run's checkpoints lie.
#[derive(Clone, Debug)]
pub struct CheckpointDirectory {
    path: PathBuf,
}

/// The newest checkpoint that is whole.
#[derive(Debug)]
pub struct Found {
    /// Steps done.
    pub step: u64,
    pub path: PathBuf,
    pub state: State,
    /// Newer ones that are not.
    pub damaged: Vec<CheckpointError>,
}

impl CheckpointDirectory {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes the state after `step` steps, then lets go of old ones. Whatever happens meanwhile, no half file takes a name.
    ///
    /// # Errors
    /// The disk refuses; earlier checkpoints are untouched.
    pub fn write(&self, step: u64, state: &State) -> Result<PathBuf, CheckpointError> {
        let path = self.path.join(format!("step-{step:06}{SUFFIX}"));
        let bytes = encode(state)?;
        let failed = |source| CheckpointError::Write {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&self.path).map_err(failed)?;
        write_atomically(&path, &bytes).map_err(failed)?;
        let all = self.steps().map_err(failed)?;
        for (_, old) in all.iter().rev().skip(KEPT) {
            fs::remove_file(old).map_err(failed)?;
        }
        Ok(path)
    }

    /// The newest checkpoint that is whole; none in a new run.
    ///
    /// # Errors
    /// Only damaged checkpoints are there, or the directory cannot be read.
    pub fn newest(&self) -> Result<Option<Found>, CheckpointError> {
        let unreadable = |source| CheckpointError::Read {
            path: self.path.clone(),
            source,
        };
        let all = match self.steps() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            all => all.map_err(unreadable)?,
        };
        let mut damaged = Vec::new();
        for (step, path) in all.into_iter().rev() {
            match read(&path) {
                Ok(state) => {
                    return Ok(Some(Found {
                        step,
                        path,
                        state,
                        damaged,
                    }));
                }
                Err(error @ CheckpointError::Damaged { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        match damaged.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Steps with their files, oldest first.
    fn steps(&self) -> io::Result<BTreeMap<u64, PathBuf>> {
        let mut steps = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            let step = name
                .strip_prefix("step-")
                .and_then(|name| name.strip_suffix(SUFFIX));
            if let Some(step) = step.and_then(|step| step.parse().ok()) {
                steps.insert(step, path);
            }
        }
        Ok(steps)
    }
}

/// A temporary neighbour, flushed to the disk, takes the name in one step.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // the space is better used by what is whole
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    fs::rename(&part, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn encode(state: &State) -> Result<Vec<u8>, CheckpointError> {
    let mut stored = BTreeMap::new();
    for (name, tensor) in &state.tensors {
        let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
        let (dtype, bytes) = match flat.dtype() {
            DType::F64 => (
                Dtype::F64,
                le_bytes(&flat.to_vec1::<f64>()?, |v| v.to_le_bytes()),
            ),
            _ => {
                let values = flat.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                (Dtype::F32, le_bytes(&values, |v| v.to_le_bytes()))
            }
        };
        stored.insert(name.clone(), (dtype, tensor.dims().to_vec(), bytes));
    }
    let mut facts: HashMap<String, String> = state.facts.clone().into_iter().collect();
    facts.insert("version".into(), VERSION.into());
    let mut views = BTreeMap::new();
    for (name, (dtype, shape, bytes)) in &stored {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        let view = view.map_err(|error| candle_core::Error::Msg(error.to_string()))?;
        views.insert(name.as_str(), view);
    }
    facts.insert("sha256".into(), digest(&facts, &views));
    let bytes = safetensors::serialize(&views, Some(facts));
    bytes.map_err(|error| candle_core::Error::Msg(error.to_string()).into())
}

fn le_bytes<T: Copy, const N: usize>(values: &[T], of: fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| of(*value)).collect()
}

/// Over everything but itself.
fn digest(facts: &HashMap<String, String>, views: &BTreeMap<&str, TensorView>) -> String {
    let mut hash = Sha256::new();
    let facts: BTreeMap<_, _> = facts.iter().filter(|(name, _)| *name != "sha256").collect();
    for (name, fact) in facts {
        hash.update(format!("{name:?}={fact:?}\n"));
    }
    for (name, view) in views {
        hash.update(format!("{name:?} {:?} {:?}\n", view.dtype(), view.shape()));
        hash.update(view.data());
    }
    hex_sha256(&hash.finalize())
}

fn read(path: &Path) -> Result<State, CheckpointError> {
    let bytes = fs::read(path).map_err(|source| CheckpointError::Read {
        path: path.into(),
        source,
    })?;
    let damaged = |problem: String| CheckpointError::Damaged {
        path: path.into(),
        problem,
    };
    let (_, header) =
        SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let facts = header.metadata().clone().unwrap_or_default();
    let version = facts
        .get("version")
        .cloned()
        .unwrap_or_else(|| "none".into());
    if version != VERSION {
        return Err(CheckpointError::Version {
            path: path.into(),
            found: version,
            expected: VERSION,
        });
    }
    let all = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let tensors = all.tensors();
    let views: BTreeMap<&str, TensorView> = tensors
        .iter()
        .map(|(name, view)| (name.as_str(), view.clone()))
        .collect();
    if facts.get("sha256") != Some(&digest(&facts, &views)) {
        return Err(damaged(
            "its content does not have the hash that it names".into(),
        ));
    }
    let loaded = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
    Ok(State {
        tensors: loaded.into_iter().collect(),
        facts: facts
            .into_iter()
            .filter(|(name, _)| name != "sha256" && name != "version")
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{Tensor, Var};

    use super::*;
    use crate::training::optimiser::{AdamWSettings, Hidden, MuonSettings, Optimiser, Parameters};

    fn parameters(value: f32) -> Parameters {
        let var = Var::new(&[value, 2.0], &Device::Cpu).unwrap();
        let matrix = Var::new(&[[value, 2.0]], &Device::Cpu).unwrap();
        Parameters::from([("w".to_owned(), var), ("block.w".to_owned(), matrix)])
    }

    fn optimiser() -> Optimiser {
        let settings = MuonSettings {
            learning_rate: 0.1,
            momentum: 0.9,
        };
        let hidden = Hidden {
            modules: vec!["block".into()],
            settings,
        };
        Optimiser::new(AdamWSettings::default(), hidden)
    }

    /// A run after one step of one parameter.
    fn state() -> (Parameters, Optimiser, State) {
        let (parameters, mut optimiser) = (parameters(1.0), optimiser());
        let grad = Tensor::new(&[0.5f32, -1.0], &Device::Cpu).unwrap();
        let matrix = grad.unsqueeze(0).unwrap();
        let gradients = [("w".to_owned(), grad), ("block.w".to_owned(), matrix)].into();
        optimiser.update(&parameters, &gradients, 1e-3).unwrap();
        let mut state = State::default();
        state.put_parameters("generator", &parameters);
        state.put_optimiser("generator", &optimiser);
        (parameters, optimiser, state)
    }

    #[test]
    fn a_run_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let directory = CheckpointDirectory::new(folder.path().join("new"));
        assert!(directory.newest().unwrap().is_none());
        let (before, stepped, state) = state();
        directory.write(1, &state).unwrap();
        let found = directory.newest().unwrap().unwrap();
        assert_eq!(found.step, 1);
        let after = parameters(9.0);
        found.state.restore_parameters("generator", &after).unwrap();
        assert_eq!(
            after["w"].to_vec1::<f32>().unwrap(),
            before["w"].to_vec1::<f32>().unwrap()
        );
        let resumed = found.state.optimiser("generator", &optimiser()).unwrap();
        assert_eq!(resumed.adam().step(), 1);
        let kept = |optimiser: &Optimiser| {
            let second = optimiser.adam().moments()["w"]
                .second
                .to_vec1::<f32>()
                .unwrap();
            (
                second,
                optimiser.muon().momenta()["block.w"]
                    .to_vec2::<f32>()
                    .unwrap(),
            )
        };
        assert_eq!(kept(&resumed), kept(&stepped));
    }

    #[test]
    fn old_ones_go_and_a_damaged_one_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let directory = CheckpointDirectory::new(folder.path().into());
        let (_, _, state) = state();
        for step in [1, 2, 3] {
            directory.write(step, &state).unwrap();
        }
        assert_eq!(
            directory.steps().unwrap().into_keys().collect::<Vec<_>>(),
            [2, 3]
        );
        let newest = folder.path().join("step-000003.safetensors");
        let mut bytes = fs::read(&newest).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&newest, &bytes).unwrap();
        let found = directory.newest().unwrap().unwrap();
        assert_eq!((found.step, found.damaged.len()), (2, 1));
        fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(directory.newest().unwrap().unwrap().step, 2);
        fs::remove_file(folder.path().join("step-000002.safetensors")).unwrap();
        let error = directory.newest().unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
    }

    #[test]
    fn another_run_is_named_as_such() {
        let (_, _, state) = state();
        let larger = Var::new(&[1.0f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let larger = Parameters::from([("w".to_owned(), larger)]);
        let error = state.restore_parameters("generator", &larger).unwrap_err();
        assert!(error.to_string().contains("[2], this run's [3]"), "{error}");
        assert!(state.restore_parameters("fake_score", &larger).is_err());
        assert!(state.number("nothing").is_err());
    }
}
