use std::fs;

use super::*;

fn read(text: &str) -> Result<Recipe, RecipeError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    fs::write(&path, text).unwrap();
    Ok(Recipe::read(&path)?.recipe)
}

#[test]
fn a_recipe_names_only_what_it_changes() {
    let recipe =
        read("steps = 3\n[data]\nrows = \"a.jsonl\"\n[optimiser]\nlearning_rate = 1\n").unwrap();
    assert_eq!(recipe.steps, 3);
    assert!(recipe.data.rows.ends_with("a.jsonl") && recipe.data.rows.is_absolute());
    assert_eq!(recipe.optimiser.adam.learning_rate, 1.0);
    assert_eq!(recipe.optimiser.adam.betas, [0.0, 0.9]);
    assert_eq!(recipe.fake_score.updates, 5);
    let Tuning::Lora(lora) = &recipe.tuning else {
        panic!("{recipe:?}")
    };
    assert_eq!((lora.rank, lora.targets.len()), (16, 7));
    assert_eq!(
        (recipe.losses.weights.judge, recipe.losses.weights.dmd),
        (0.02, 1.0)
    );
}

#[test]
fn every_mistake_is_named_with_its_key_at_once() {
    let error = read(
        "steps = 0\nstage = \"magic\"\n[batch]\nsize = \"four\"\n[losses]\njudge = -1\nvlm = 2\n[data]\nreplay_share = 0.5\n[tuning]\ntargets = \" , \"\n",
    )
    .unwrap_err();
    let message = error.to_string();
    for part in [
        "8 mistakes",
        "steps = 0",
        "stage = \"magic\"",
        "batch.size",
        "losses.judge = -1",
        "losses.vlm",
        "data.rows",
        "tuning.targets",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let error = read("[data]\nrows = \"a\"\nreplay_share = 0.1\n[losses]\njudge = 0\ndmd = 0\n");
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("2 mistakes") && message.contains("data.replay_share"),
        "{message}"
    );
    let error =
        read("[data]\nrows = \"a\"\n[losses]\nlpips = 1\n[grpo]\ngroup = 1\nreward = \"sum\"\n");
    let message = error.unwrap_err().to_string();
    for part in [
        "3 mistakes",
        "losses.lpips_weights",
        "grpo.group = 1",
        "\"mean\"",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let missing = Recipe::read(Path::new("/nowhere.toml")).unwrap_err();
    assert!(missing.to_string().contains("/nowhere.toml"), "{missing}");
}
