//! Rows that lack fields, and the model that is asked about them.
use std::{
    fs,
    io::Write,
    sync::{Arc, Mutex},
};

use npedit::{
    config::{Captions, Config},
    jobs::Viewer,
};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    fake_chat::{FakeChat, Reply, sensible},
    finetune::{got, post, small},
    pictures,
    support::{PATIENCE, Scripted, problem},
};

const KEY: &str = "sk-very-secret";

pub fn settings(base_url: &str) -> Captions {
    Captions {
        url: format!("{base_url}/chat/completions").parse().unwrap(),
        model: "eyes".into(),
        api_key_file: None,
        timeout: PATIENCE,
        max_retries: 2,
        max_concurrent: 2,
        max_wait: PATIENCE,
    }
}

pub async fn server(settings: Captions) -> Scripted {
    Scripted::stub_with(|config: &mut Config| config.captions = Some(settings)).await
}

fn item(fields: Value) -> Value {
    let picture = pictures::encoded(pictures::gradient(48, 32), image::ImageFormat::Png);
    let mut item = json!({"image": pictures::base64(&picture)});
    let more = fields.as_object().unwrap().clone();
    item.as_object_mut().unwrap().extend(more);
    item
}

fn set(items: Vec<Value>) -> Value {
    json!({"name": "mine", "items": items})
}

/// A set of rows with an instruction alone.
pub fn bare(instructions: &[&str]) -> Value {
    let items = instructions
        .iter()
        .map(|instruction| item(json!({"instruction": instruction})));
    set(items.collect())
}

/// The set's report, once it is made.
pub async fn made(server: &Scripted, set: &Value) -> Value {
    let answer = post(server, "/v1/datasets", set).await;
    assert_eq!(answer.status(), 201);
    let answer: Value = answer.json().await.unwrap();
    let kept = got(server, "/v1/datasets/mine").await;
    assert_eq!(kept, answer);
    kept["report"].clone()
}

/// The rows of a file of the set, by their instruction.
async fn rows(server: &Scripted, file: &str) -> Value {
    let datasets = &server.jobs.datasets;
    let viewer = Viewer::default();
    let set = datasets.dataset(&viewer, "mine").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    datasets.lay_out(&set.id, folder.path()).await.unwrap();
    let text = fs::read_to_string(folder.path().join(file)).unwrap_or_default();
    let rows = text.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row.as_object_mut().unwrap().remove("image").unwrap();
        let instruction = row["instruction"].as_str().unwrap().to_owned();
        row.as_object_mut().unwrap().remove("instruction");
        (instruction, row)
    });
    Value::Object(rows.collect())
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logged {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn what_is_missing_is_filled_and_what_was_given_stays() {
    let chat = FakeChat::sensible().await;
    let server = server(settings(&chat.base_url)).await;
    let complete = json!({
        "instruction": "c", "source_caption": "s", "edited_caption": "e", "edit_type": "add", "object": "o",
    });
    let given = json!({"instruction": "b", "edited_caption": "Mine.", "edit_type": "style", "object": "  "});
    let all = vec![
        item(json!({"instruction": "a"})),
        item(given),
        item(complete),
    ];
    let report = made(&server, &set(all)).await;
    let expected = json!({
        "a": {
            "source_caption": "A grey field.", "edited_caption": "A red field.", "edit_type": "material", "object": "field",
        },
        "b": {"source_caption": "A grey field.", "edited_caption": "Mine.", "edit_type": "style", "object": "field"},
        "c": {"source_caption": "s", "edited_caption": "e", "edit_type": "add", "object": "o"},
    });
    assert_eq!(rows(&server, "rows.jsonl").await, expected);
    let filled = json!({"source_caption": 2, "edited_caption": 1, "edit_type": 1, "object": 2});
    let captions = json!({
        "model": "eyes", "valid": 2, "invalid": 0, "unanswered": 0, "filled": filled,
        "rows": [
            {"line": 1, "verdict": "valid", "reason": "It can be done.",
             "filled": ["source_caption", "edited_caption", "edit_type", "object"]},
            {"line": 2, "verdict": "valid", "reason": "It can be done.", "filled": ["source_caption", "object"]},
        ],
    });
    assert_eq!(report["captions"], captions);
    assert_eq!(
        (&report["rows"], &report["missing_captions"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(
        report["filled"],
        json!({"edited_caption": 0, "edit_type": 0})
    );
    // a list of sets counts, and does not tell each row
    let listed = got(&server, "/v1/datasets").await;
    let listed = &listed["data"][0]["report"]["captions"];
    assert_eq!((&listed["valid"], &listed["rows"]), (&json!(2), &json!([])));
    // the row that lacks nothing is not asked about
    let asked = chat.asked();
    assert_eq!(asked.len(), 4);
    for asked in asked {
        assert!(asked.picture().starts_with("data:image/jpeg;base64,/9j/"));
        assert_eq!(asked.body["model"], "eyes");
        assert_eq!(asked.body["response_format"]["type"], "json_schema");
        assert_eq!(asked.authorization, None);
    }
    let again = post(&server, "/v1/datasets", &bare(&["x"])).await;
    problem(again, 409, "dataset_name_taken").await;
    assert_eq!(chat.asked().len(), 4);
}

#[tokio::test]
async fn what_makes_no_sense_is_kept_and_shown_and_not_trained_on() {
    let chat = FakeChat::sensible().await;
    let recipes = tempfile::tempdir().unwrap();
    let small = small(recipes.path());
    let server = Scripted::stub_with(|config| {
        small(config);
        config.captions = Some(settings(&chat.base_url));
    })
    .await;
    let report = made(&server, &bare(&["feed the unicorn", "make it red"])).await;
    assert_eq!(report["rows"], 1);
    assert_eq!(report["edit_types"], json!({"material": 1}));
    let captions = &report["captions"];
    assert_eq!(
        (&captions["valid"], &captions["invalid"]),
        (&json!(1), &json!(1))
    );
    let rejected =
        json!({"line": 1, "verdict": "invalid", "reason": "There is no unicorn.", "filled": []});
    assert_eq!(captions["rows"][0], rejected);
    let trained_on = rows(&server, "rows.jsonl").await;
    assert_eq!(trained_on.as_object().unwrap().len(), 1);
    assert_eq!(trained_on["make it red"]["object"], "field");
    let kept = rows(&server, "rejected.jsonl").await;
    assert_eq!(kept["feed the unicorn"]["edit_type"], "other");

    let mut nothing = bare(&["find the unicorn"]);
    nothing["name"] = "nothing".into();
    let made = post(&server, "/v1/datasets", &nothing).await;
    let made: Value = made.json().await.unwrap();
    assert_eq!(made["report"]["rows"], 0);
    let request = json!({"dataset": "nothing", "recipe": "mine"});
    let refused = post(&server, "/v1/finetune", &request).await;
    let refused = problem(refused, 422, "dataset_unusable").await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("GET /v1/datasets/nothing"), "{detail}");
}

#[tokio::test]
async fn an_answer_that_is_no_json_leaves_its_row_to_the_rules() {
    let chat = FakeChat::start(|asked| match asked.is_validation() {
        true if asked.text().contains("make it red") => Reply::Says("Certainly!".into()),
        false => Reply::Says("{\"edit_type\":".into()),
        true => sensible(asked),
    })
    .await;
    let server = server(settings(&chat.base_url)).await;
    let report = made(&server, &bare(&["make it red", "remove the cat"])).await;
    assert_eq!(report["rows"], 2);
    let captions = &report["captions"];
    let counts = (&captions["valid"], &captions["unanswered"]);
    assert_eq!(counts, (&json!(1), &json!(1)));
    let first = &captions["rows"][0];
    assert_eq!(first["verdict"], "unanswered");
    assert!(told(first).contains("Certainly!"), "{first}");
    let second = &captions["rows"][1];
    assert_eq!(second["verdict"], "valid");
    assert!(told(second).contains("{\\\"edit_type\\\":"), "{second}");
    assert!(captions["advice"].as_str().unwrap().starts_with("2 rows"));
    let rows = rows(&server, "rows.jsonl").await;
    assert_eq!(rows["make it red"]["edit_type"], "color");
    assert_eq!(rows["remove the cat"]["edited_caption"], "remove the cat");
}

pub fn told(row: &Value) -> &str {
    row["problem"].as_str().unwrap()
}

#[tokio::test]
async fn the_key_is_sent_and_told_to_nobody() {
    let logged = Logged::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(logged.clone())
        .finish();
    // with a single subscriber, a callsite that another test's thread meets first would be off for all threads
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let chat = FakeChat::start(|asked| match asked.text().contains("refused") {
        true => Reply::Refuses {
            status: 403,
            retry_after: None,
        },
        false => sensible(asked),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let settings = Captions {
        api_key_file: Some(file),
        ..settings(&chat.base_url)
    };
    let server = server(settings).await;
    let report = made(&server, &bare(&["a", "refused"])).await;
    let captions = &report["captions"];
    assert!(
        told(&captions["rows"][1]).contains("answered 403"),
        "{captions}"
    );
    let sent = format!("Bearer {KEY}");
    for asked in chat.asked() {
        assert_eq!(asked.authorization.as_ref(), Some(&sent));
    }
    assert!(!report.to_string().contains(KEY));
    assert!(!format!("{:?}", server.jobs).contains(KEY));
    let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("asked the caption model"), "{logged}");
    assert!(logged.contains("Bearer ***"), "{logged}");
    let line = logged.lines().find(|line| line.contains(KEY));
    assert_eq!(line, None);
}
