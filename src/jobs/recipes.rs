//! The recipes that a job can name, and a job's own recipe made of one.
use std::{fs, path::PathBuf};

use rust_embed::Embed;
use serde_json::{Map, Value};
use toml::Table;

use super::{JobError, JobResult};
use crate::{
    adapters::Adapter,
    config::Issue,
    training::recipe::{Loaded, Recipe, Tuning},
};

/// The recipe of the built-in set.
pub const FINETUNE_DEMO: &str = "finetune-demo";

/// Built into the binary.
#[derive(Embed)]
#[folder = "configs/recipes"]
struct BuiltIn;

/// Where recipes are found by their name.
#[derive(Clone, Debug)]
pub struct Recipes {
    /// Before the built-in ones.
    pub own: Option<PathBuf>,
}

/// A recipe as a job runs it.
#[derive(Clone, Debug)]
pub struct JobRecipe {
    pub toml: String,
    /// Id or name of the set that is replayed.
    pub replay: Option<String>,
    pub loaded: Loaded,
}

/// What a request may change, and the key that it stands for.
pub const OVERRIDES: &[(&str, &str)] = &[
    ("steps", "steps"),
    ("lr", "optimiser.learning_rate"),
    ("rank", "tuning.rank"),
    ("k", "unroll.depth"),
    ("seed", "seed"),
];
/// The override with the weights of the losses.
pub const WEIGHTS: &str = "weights";
/// Name of the rows beside a job's recipe.
pub const ROWS: &str = "rows.jsonl";
/// Name of the folder beside a job's recipe with the rows that are replayed.
pub(super) const REPLAY: &str = "replay";
pub(super) const FILE: &str = "recipe.toml";
/// Name of the adapter beside a job's recipe that training goes on from.
pub(super) const START: &str = "base-adapter.safetensors";

impl Recipes {
    /// Names of all recipes, sorted.
    pub fn names(&self) -> Vec<String> {
        let built_in = BuiltIn::iter().map(|path| path.to_string());
        let own = self
            .own
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok());
        let own = own.flatten().filter_map(Result::ok);
        let own = own.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names = built_in.chain(own).filter_map(|path| {
            let name = path.rsplit('/').next()?.strip_suffix(".toml")?;
            let part_of_a_bundle = name.starts_with(|first: char| first.is_ascii_digit());
            let named = name != "default" && !part_of_a_bundle;
            named.then(|| name.to_owned())
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        names
    }

    fn text(&self, name: &str) -> JobResult<String> {
        let unknown = || JobError::UnknownRecipe {
            name: name.into(),
            known: self.names(),
        };
        if !self.names().iter().any(|known| known == name) {
            return Err(unknown());
        }
        let own = self.own.as_ref();
        let own =
            own.and_then(|folder| fs::read_to_string(folder.join(format!("{name}.toml"))).ok());
        let built_in = || {
            let places = [format!("{name}.toml"), format!("tiny/{name}.toml")];
            let file = places.iter().find_map(|path| BuiltIn::get(path))?;
            String::from_utf8(file.data.into_owned()).ok()
        };
        own.or_else(built_in).ok_or_else(unknown)
    }

    /// The recipe `name` with `overrides`, on the service's own models and the job's own rows, going on from `start`.
    ///
    /// # Errors
    /// No such recipe, or every mistake that the overrides make of it.
    pub fn compile(
        &self,
        name: &str,
        overrides: &Map<String, Value>,
        start: Option<&Adapter>,
    ) -> JobResult<JobRecipe> {
        let refused = |issues| JobError::Recipe { issues };
        let text = self.text(name)?;
        let mut table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return Err(refused(vec![issue("recipe", name, &error.to_string())])),
        };
        for (key, value) in overrides {
            match OVERRIDES.iter().find(|(short, _)| short == key) {
                Some((_, path)) => set(&mut table, path, value),
                None if key == WEIGHTS => {
                    for (loss, weight) in value.as_object().into_iter().flatten() {
                        set(&mut table, &format!("losses.{loss}"), weight);
                    }
                }
                None => {
                    let known = OVERRIDES.iter().map(|(short, _)| *short);
                    let known: Vec<_> = known.chain([WEIGHTS, "holdout"]).collect();
                    let advice = format!("is no override; these are {}", known.join(", "));
                    return Err(refused(vec![issue(key, &value.to_string(), &advice)]));
                }
            }
        }
        // the models are the service's, so that what is trained fits what serves
        table.remove("model");
        if let Some(start) = start {
            go_on(&mut table, overrides, start).map_err(refused)?;
        }
        let data = table.entry("data").or_insert(Table::new().into());
        let mut replay = None;
        if let Some(data) = data.as_table_mut() {
            data.insert("rows".into(), ROWS.into());
            replay = replayed(data);
        }
        let toml = table.to_string();
        let loaded = read(&toml).map_err(refused)?;
        match loaded.recipe.tuning {
            Tuning::Lora(_) => Ok(JobRecipe {
                toml,
                replay,
                loaded,
            }),
            Tuning::Full => {
                let advice = "must be \"lora\": a job makes an adapter";
                Err(refused(vec![issue("tuning.kind", "full", advice)]))
            }
        }
    }
}

/// The set that the recipe replays; its rows will lie beside the job's own.
fn replayed(data: &mut Table) -> Option<String> {
    let name = data.remove("replay")?.as_str()?.to_owned();
    if name.is_empty() {
        return None;
    }
    data.insert("replay".into(), format!("{REPLAY}/{ROWS}").into());
    Some(name)
}

/// Training goes on from `start`, whose rank the recipe takes over.
fn go_on(
    table: &mut Table,
    overrides: &Map<String, Value>,
    start: &Adapter,
) -> Result<(), Vec<Issue>> {
    let Some(rank) = start.rank() else {
        let advice = "has branches of several ranks; only one of a single rank can be trained on";
        return Err(vec![issue("base_adapter", start.id().as_str(), advice)]);
    };
    if let Some(wanted) = overrides.get("rank")
        && wanted.as_u64() != Some(rank as u64)
    {
        let advice = format!("is not the rank of the base adapter, {rank}; leave it out");
        return Err(vec![issue("tuning.rank", &wanted.to_string(), &advice)]);
    }
    set(table, "tuning.rank", &rank.into());
    set(table, "model.adapter", &START.into());
    Ok(())
}

/// Compiles a text as if it were a file.
fn read(toml: &str) -> Result<Loaded, Vec<Issue>> {
    let unreadable = |error: std::io::Error| vec![issue("recipe", "", &error.to_string())];
    let name = format!("npedit-recipe-{}.toml", uuid::Uuid::now_v7());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, toml).map_err(unreadable)?;
    let loaded = Recipe::read(&path).map_err(|error| error.0);
    // a name that nobody else has: it is in nobody's way
    let _ = fs::remove_file(&path);
    loaded.map_err(|issues| {
        let ours = issues.into_iter();
        ours.map(|found| issue(&found.key, &found.value, &found.advice))
            .collect()
    })
}

fn issue(key: &str, value: &str, advice: &str) -> Issue {
    Issue {
        key: key.into(),
        value: value.into(),
        layer: "request".into(),
        advice: advice.into(),
    }
}

/// Sets `section.key` of a table.
fn set(table: &mut Table, path: &str, value: &Value) {
    let value = match value {
        Value::Number(number) if number.is_i64() => number.as_i64().map(toml::Value::from),
        Value::Number(number) => number.as_f64().map(toml::Value::from),
        Value::String(text) => Some(toml::Value::from(text.as_str())),
        other => Some(toml::Value::from(other.to_string())),
    };
    let Some(value) = value else { return };
    match path.split_once('.') {
        None => {
            table.insert(path.into(), value);
        }
        Some((section, key)) => {
            let section = table.entry(section).or_insert(Table::new().into());
            if let Some(section) = section.as_table_mut() {
                section.insert(key.into(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(overrides: Value) -> JobResult<JobRecipe> {
        let recipes = Recipes { own: None };
        recipes.compile("np-edit-zimage", overrides.as_object().unwrap(), None)
    }

    #[test]
    fn overrides_reach_the_recipe_and_mistakes_are_all_named() {
        let recipe = compile(
            json!({"steps": 7, "lr": 0.001, "rank": 3, "k": 1, "seed": 5, "weights": {"judge": 0.5}}),
        );
        let recipe = recipe.unwrap().loaded.recipe;
        assert_eq!((recipe.steps, recipe.seed, recipe.unroll.depth), (7, 5, 1));
        assert_eq!(recipe.losses.weights.judge, 0.5);
        assert!(recipe.model.reference.is_none() && recipe.data.rows.ends_with(ROWS));
        let Err(JobError::Recipe { issues }) =
            compile(json!({"steps": 0, "k": 99, "weights": {"judges": 1}}))
        else {
            panic!()
        };
        let keys: Vec<_> = issues.iter().map(|issue| issue.key.as_str()).collect();
        assert_eq!(keys.len(), 3, "{keys:?}");
        assert!(keys.contains(&"losses.judges"), "{keys:?}");
        assert!(matches!(
            compile(json!({"step": 1})),
            Err(JobError::Recipe { .. })
        ));
    }

    #[test]
    fn the_demo_replays_a_built_in_set() {
        let recipes = Recipes { own: None };
        let recipe = recipes.compile(FINETUNE_DEMO, &Map::new(), None).unwrap();
        assert_eq!(recipe.replay.as_deref(), Some("demo-replay"));
        let replay = recipe.loaded.recipe.data.replay.unwrap();
        assert!(replay.ends_with("replay/rows.jsonl"), "{replay:?}");
    }

    #[test]
    fn unknown_names_are_told_the_known_ones() {
        for name in ["nothing", "../np-edit-zimage", "default", ""] {
            let unknown = Recipes { own: None }
                .compile(name, &Map::new(), None)
                .unwrap_err();
            assert!(unknown.to_string().contains("np-edit-zimage"), "{unknown}");
        }
    }
}
