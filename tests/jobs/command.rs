//! `npedit finetune`: the same adapter here and on a server.
use std::{fs, time::Duration};

use serde_json::json;

use crate::{
    client::picture,
    place::{PATIENCE, Place},
};
use base64::{Engine, prelude::BASE64_STANDARD};

const ROWS: &str =
    "image,instruction\na.png,make it red\nb.png,make it blue\nc.png,remove the cat\n";

/// A place with a set in the folder `photos`.
fn with_photos() -> Place {
    let place = Place::embedded();
    let folder = place.path().join("photos");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("rows.csv"), ROWS).unwrap();
    for (name, shade) in [("a.png", 20), ("b.png", 90), ("c.png", 200)] {
        let png = BASE64_STANDARD.decode(picture(shade)).unwrap();
        fs::write(folder.join(name), png).unwrap();
    }
    place
}

/// What stands after `name` in what the command printed.
fn printed<'a>(out: &'a str, name: &str) -> &'a str {
    let line = out.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("no {name} in {out}"))[name.len()..].trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn here_and_on_a_server_the_same_adapter_comes_out() {
    let place = with_photos();
    let here = place.finetune(&["photos", "--set", "steps=2"]);
    let out = here.succeeds();
    assert!(here.stderr.contains("step 2/2"), "{}", here.stderr);
    assert!(printed(&out, "gain").contains("1 held-out rows"), "{out}");
    assert_eq!(printed(&out, "promoted"), "no");

    let server = place.serve(&[]);
    let url = server.url().to_owned();
    let there = place.finetune(&["photos", "--set", "steps=2", "--server", &url]);
    assert!(there.stderr.contains("step 2/2"), "{}", there.stderr);
    assert_eq!(
        printed(&there.succeeds(), "adapter"),
        printed(&out, "adapter")
    );

    // what is wrong is said at once, here and there alike
    let wrong = [
        "photos", "--set", "steps=0", "--set", "rank=-1", "--server", &url,
    ];
    place
        .finetune(&wrong)
        .fails_with(2, &["/overrides/steps", "/overrides/rank"]);
    drop(server);
    place
        .finetune(&wrong[..5])
        .fails_with(2, &["steps", "rank"]);
    place
        .finetune(&["nothing"])
        .fails_with(2, &["nothing", "name a folder"]);
    place.finetune(&wrong).fails_with(1, &["does not answer"]);
    fs::write(
        place.path().join("photos/rows.csv"),
        "image,instruction\n../a.png,x\n",
    )
    .unwrap();
    place
        .finetune(&["photos"])
        .fails_with(2, &["line 2", "leads out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_it_says_who_goes_on_and_a_failed_job_is_a_failure() {
    let place = with_photos();
    let mut running = place.start_finetune(&["photos", "--set", "steps=50"]);
    running.until_logged("step 1/50");
    running.signal("TERM");
    assert_eq!(running.ended(PATIENCE).unwrap().code(), Some(130));
    assert!(running.log().contains("npedit worker"), "{}", running.log());
    let server = place.serve_alone();
    let client = server.client();
    let jobs = client.got("/v1/finetune").await;
    let id = jobs["data"][0]["id"].as_str().unwrap();
    let job = client.job(id).await;
    assert_eq!(job["status"], "queued", "{job:#}");
    assert!(
        job["progress"]["checkpoint_step"].as_i64() >= Some(1),
        "{job:#}"
    );
    client
        .post(&format!("/v1/finetune/{id}/cancel"), &json!({}))
        .await
        .unwrap();

    // cancelled while the command follows it
    let mut following = place.start_finetune(&["photos", "--server", server.url()]);
    following.until_logged("cancel it with");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let jobs = client.got("/v1/finetune?status=queued").await;
    let id = jobs["data"][0]["id"].as_str().unwrap();
    client
        .post(&format!("/v1/finetune/{id}/cancel"), &json!({}))
        .await
        .unwrap();
    assert_eq!(following.ended(PATIENCE).unwrap().code(), Some(1));
    assert!(following.log().contains("cancelled"), "{}", following.log());
}
