//! What a finished run leaves.
use std::fs;

use safetensors::SafeTensors;

use crate::setup::Workplace;

#[test]
fn a_run_leaves_metrics_pictures_and_an_adapter_that_was_trained() {
    let place = Workplace::new();
    let told = place.train(&[]).succeeds();
    assert!(
        told.contains("adapter ") && told.contains("metrics"),
        "{told}"
    );
    let metrics = place.metrics();
    let steps: Vec<_> = metrics
        .iter()
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    for term in [
        "dmd",
        "judge",
        "p_yes_edit",
        "p_yes_identity",
        "fake_score",
        "anchor",
        "do_nothing",
    ] {
        assert!(
            metrics.iter().any(|line| line[term].is_number()),
            "{term}: {metrics:?}"
        );
    }
    let calls: Vec<_> = metrics
        .iter()
        .map(|line| line["judge_calls"].as_u64().unwrap())
        .collect();
    // of three items a step, every one that is not replayed is asked about once or twice
    assert!(
        calls.is_sorted() && (4..=24).contains(&calls[3]),
        "{calls:?}"
    );
    for step in [2, 4] {
        let picture = image::open(place.out(&format!("samples/step-00000{step}.png"))).unwrap();
        assert!(picture.width() > 3 * 64, "{picture:?}");
    }
    let page = fs::read_to_string(place.out("report.html")).unwrap();
    for part in [
        "make it red",
        "after step 4",
        "p_yes_edit",
        "tuning.rank = 2",
    ] {
        assert!(page.contains(part), "no {part:?} in the report");
    }
    assert!(told.contains("report.html"), "{told}");
    let bytes = place.adapter();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.len() > 20);
    for (name, tensor) in tensors.tensors() {
        // B starts at zero: every one of them has moved
        let moved = tensor.data().iter().any(|byte| *byte != 0);
        assert!(moved, "{name} was never trained");
    }
    assert!(place.out("adapter/peft/adapter_config.json").is_file());
}

#[test]
fn recomputed_or_kept_the_same_adapter_comes_out() {
    let recomputed = Workplace::with(&[("steps = 4", "steps = 2")]);
    recomputed.train(&[]).succeeds();
    let kept = Workplace::with(&[
        ("steps = 4", "steps = 2"),
        ("[fake_score]", "[memory]\nrecompute = false\n[fake_score]"),
    ]);
    kept.train(&[]).succeeds();
    assert!(recomputed.adapter() == kept.adapter());
}

#[test]
fn passes_one_after_the_other_or_at_once_have_the_same_losses() {
    let first = |batch: &str| {
        let place = Workplace::with(&[("steps = 4", "steps = 1"), ("micro = 2", batch)]);
        place.train(&[]).succeeds();
        let metrics = place.metrics();
        ["loss", "grad_norm", "anchor", "fake_score"].map(|term| metrics[0][term].as_f64())
    };
    let (alone, at_once) = (first("micro = 1"), first("micro = 1\nat_once = 2"));
    // sums over a kernel's threads have other last bits
    for (alone, at_once) in alone.into_iter().zip(at_once) {
        let (alone, at_once) = (alone.unwrap_or(0.0), at_once.unwrap_or(0.0));
        assert!(
            (alone - at_once).abs() <= 1e-3 * alone.abs(),
            "{alone} {at_once}"
        );
    }
    assert!(alone[0].is_some() && alone[1].is_some());
}

#[test]
fn full_training_leaves_weights_that_edit() {
    let changes = [
        ("steps = 4", "steps = 1\nstage = \"supervised\""),
        ("replay = \"replay.jsonl\"\nreplay_share = 0.3", ""),
        ("[tuning]", "[tuning]\nkind = \"full\""),
    ];
    let place = Workplace::with(&changes);
    let told = place.train(&[]).succeeds();
    assert!(told.contains("generator"), "{told}");
    let weights = place.out("transformer/diffusion_pytorch_model.safetensors");
    assert!(fs::metadata(&weights).unwrap().len() > 1000);
    let metrics = place.metrics();
    assert!(metrics[0]["flow"].as_f64().unwrap() > 0.0, "{metrics:?}");
}

#[test]
fn the_warm_up_learns_to_copy() {
    let changes = [
        ("steps = 4", "steps = 12\nstage = \"warm_up\""),
        ("replay = \"replay.jsonl\"\nreplay_share = 0.3", ""),
        ("ema_decay = 0.5", "[flow]\ntext_dropout = 0.0"),
        ("every = 1", "every = 12"),
        ("every = 2", "every = 0"),
    ];
    let place = Workplace::with(&changes);
    place.train(&[]).succeeds();
    let losses: Vec<f64> = place
        .metrics()
        .iter()
        .map(|line| line["flow"].as_f64().unwrap())
        .collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&losses[8..]) < mean(&losses[..4]), "{losses:?}");
}

#[test]
fn training_goes_on_from_an_adapter_of_the_same_rank() {
    let first = Workplace::with(&[("steps = 4", "steps = 1")]);
    first.train(&[]).succeeds();
    let start = format!(
        "[model]\nadapter = {:?}\n[tuning]",
        first.out("adapter/pytorch_lora_weights.safetensors")
    );
    // at a rate of 0 nothing is learnt: what comes out is what went in, whatever the recipe's alpha
    let still = Workplace::with(&[
        ("steps = 4", "steps = 1"),
        ("learning_rate = 1e-2", "learning_rate = 0.0"),
        ("[tuning]", &start),
    ]);
    still.train(&[]).succeeds();
    assert!(still.adapter() == first.adapter());
    let another = Workplace::with(&[("rank = 2", "rank = 3"), ("[tuning]", &start)]);
    another.train(&[]).fails_with(
        2,
        &["has rank 2", "asks for rank 3", "set tuning.rank to 2"],
    );
    let whole = Workplace::with(&[("[tuning]", &format!("{start}\nkind = \"full\""))]);
    whole
        .train(&[])
        .fails_with(2, &["model.adapter", "needs tuning.kind"]);
}
