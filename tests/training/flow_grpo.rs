//! Reinforcement learning with the judge.
use crate::setup::Workplace;

/// Two updates on every batch of edits.
fn place(steps: u64) -> Workplace {
    Workplace::with(&[
        (
            "steps = 4",
            &format!("steps = {steps}\nstage = \"flow_grpo\""),
        ),
        ("replay = \"replay.jsonl\"\nreplay_share = 0.3", ""),
        ("size = 3\nmicro = 2", "size = 1\nmicro = 2"),
        (
            "[tuning]",
            "[grpo]\ngroup = 3\nsampling_steps = 3\nupdates = 2\nclip_range = 0.5\n[tuning]",
        ),
    ])
}

#[test]
fn rewards_move_the_generator_and_a_run_cut_in_a_batch_goes_on_to_the_bit() {
    let whole = place(4);
    whole.train(&[]).succeeds();
    let metrics = whole.metrics();
    let terms = ["reward", "reward_spread", "p_yes_edit", "p_yes_identity"];
    for (step, line) in metrics.iter().enumerate() {
        // every second step is an update of the batch before it
        for term in terms {
            assert_eq!(line[term].is_number(), step % 2 == 0, "{term} {line}");
        }
        assert!(
            line["policy"].is_number() && line["kl"].is_number(),
            "{line}"
        );
        // at the first update of a batch every ratio is 1
        let clipped = line["clipped"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&clipped), "{line}");
        assert!(step % 2 == 1 || clipped == 0.0, "{line}");
        // two questions about each of three edits a batch
        assert_eq!(line["judge_calls"], 6 * (step / 2 + 1), "{line}");
    }
    // at the first update every ratio is 1 and the model is the base: the advantages cancel out
    assert!(
        metrics[0]["policy"].as_f64().unwrap().abs() < 1e-6,
        "{metrics:?}"
    );
    assert_eq!(metrics[0]["kl"], 0.0);
    assert!(metrics[1]["kl"].as_f64().unwrap() > 0.0);
    let grad_norms = metrics
        .iter()
        .map(|line| line["grad_norm"].as_f64().unwrap());
    assert!(grad_norms.clone().all(|norm| norm > 0.0), "{metrics:?}");

    // only checkpoints in the middle of a batch are left
    for step in [2, 4] {
        let name = format!("checkpoints/step-00000{step}.safetensors");
        let _ = std::fs::remove_file(whole.out(&name));
    }
    let adapter = whole.adapter();
    let run = whole.train(&[]);
    run.succeeds();
    assert!(
        run.stderr.contains("going on after step 3"),
        "{}",
        run.stderr
    );
    assert!(whole.adapter() == adapter);
    assert_eq!(whole.metrics(), metrics);
}
