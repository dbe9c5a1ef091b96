//! The recorded variants: directories with a `cases.json`.
use std::{
    collections::{BTreeSet, HashMap},
    env, fs,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use serde_json::Value;

/// Which system a variant records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    ZImage,
    Klein,
}

/// One directory of recorded inputs and outputs.
pub struct Variant {
    pub name: String,
    pub dir: PathBuf,
    pub family: Family,
    pub cases: Value,
    tensors: HashMap<String, Tensor>,
}

impl Variant {
    fn read(root: &Path, dir: &Path) -> Self {
        let cases = fs::read(dir.join("cases.json")).unwrap();
        let family = if dir.join("student.pt").is_file() {
            Family::ZImage
        } else {
            Family::Klein
        };
        Self {
            name: name(root, dir),
            dir: dir.into(),
            family,
            cases: serde_json::from_slice(&cases).unwrap(),
            tensors: candle_core::safetensors::load(dir.join("cases.safetensors"), &Device::Cpu)
                .unwrap(),
        }
    }

    /// A recorded tensor.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, String> {
        self.tensors
            .get(name)
            .ok_or(format!("no tensor {name} is recorded"))
    }

    /// Everything recorded as an output: `out.` tensors, and what stands under `expected` in `cases.json`
    /// as `part.case.expected.key`.
    pub fn outputs(&self) -> BTreeSet<String> {
        let mut outputs: BTreeSet<_> = self
            .tensors
            .keys()
            .filter(|name| name.starts_with("out."))
            .cloned()
            .collect();
        for part in ["edit", "t2i", "judge"] {
            for case in self.cases[part].as_array().into_iter().flatten() {
                let path = format!("{part}.{}.expected", case["id"].as_str().unwrap_or("?"));
                leaves(&path, &case["expected"], &mut outputs);
            }
        }
        for (case, expected) in self.cases["train"]["expected"]
            .as_object()
            .into_iter()
            .flatten()
        {
            leaves(&format!("train.{case}.expected"), expected, &mut outputs);
        }
        outputs
    }

    /// The value that [`Self::outputs`] names `part.case.expected.key`.
    pub fn expected<'a>(&'a self, case: &'a Value, key: &str) -> Result<&'a Value, String> {
        let found = key.split('.').try_fold(case, |value, key| value.get(key));
        found.ok_or(format!("no {key} is recorded"))
    }
}

/// Lists of numbers or names count as one output, and so do gradient norms by parameter.
fn leaves(path: &str, value: &Value, outputs: &mut BTreeSet<String>) {
    match value.as_object() {
        Some(children) if !path.contains("param_grad_norms") => {
            for (key, child) in children {
                leaves(&format!("{path}.{key}"), child, outputs);
            }
        }
        _ if value.is_null() => {}
        _ => drop(outputs.insert(path.into())),
    }
}

/// Every variant below `NPEDIT_GOLDEN_DIR`, or below the directory in this repository.
///
/// # Panics
/// There is none: a parity run that compares nothing must not pass.
pub fn variants() -> Vec<Variant> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let root = env::var_os("NPEDIT_GOLDEN_DIR").map_or(own, PathBuf::from);
    let mut found = Vec::new();
    search(&root, &mut found);
    assert!(!found.is_empty(), "no cases.json below {}", root.display());
    found.sort();
    found.iter().map(|dir| Variant::read(&root, dir)).collect()
}

/// The path below `root`, or the directory's own name.
fn name(root: &Path, dir: &Path) -> String {
    let below = dir.strip_prefix(root).unwrap_or(dir);
    let named = if below.as_os_str().is_empty() {
        dir.file_name().map_or(dir, Path::new)
    } else {
        below
    };
    named.to_string_lossy().into_owned()
}

fn search(dir: &Path, found: &mut Vec<PathBuf>) {
    if dir.join("cases.json").is_file() {
        found.push(dir.into());
    }
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        }
    }
}

#[test]
fn outputs_are_tensors_and_expected_values() {
    let mut outputs = BTreeSet::new();
    let expected =
        serde_json::json!({"a": [1, 2], "b": {"c": 1, "d": null}, "param_grad_norms": {"x": 1}});
    leaves("p", &expected, &mut outputs);
    assert_eq!(
        outputs.into_iter().collect::<Vec<_>>(),
        ["p.a", "p.b.c", "p.param_grad_norms"]
    );
}
