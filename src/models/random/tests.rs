use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde_json::Value;

use super::*;
use crate::models::{
    bundle::BundleSettings,
    files::Files,
    qwen3::{ChatTokenizer, Thinking},
};

fn bytes_below(root: &Path) -> Vec<(String, Vec<u8>)> {
    let files = Files::Directory(root.into());
    let names = files.list().unwrap();
    names
        .into_iter()
        .map(|name| (name.clone(), files.read(&name).unwrap().into_owned()))
        .collect()
}

#[test]
fn the_built_in_bundle_is_one_of_the_world() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("world");
    write(&root, Preset::World, 0).unwrap();
    for (name, bytes) in bytes_below(&root) {
        let built_in = Files::Embedded.read(&name).unwrap();
        if name == "vae/config.json" {
            // measured on the latents of scenes
            let settled = |bytes: &[u8]| {
                let mut config: Value = serde_json::from_slice(bytes).unwrap();
                config["scaling_factor"] = Value::Null;
                config["shift_factor"] = Value::Null;
                config
            };
            assert_eq!(settled(&built_in), settled(&bytes));
        } else if name.ends_with(".safetensors") {
            let shapes = |bytes: &[u8]| -> BTreeMap<String, Vec<usize>> {
                let read = SafeTensors::deserialize(bytes).unwrap();
                let named = read
                    .iter()
                    .map(|(name, view)| (name.to_owned(), view.shape().to_vec()));
                named.collect()
            };
            assert_eq!(shapes(&built_in), shapes(&bytes), "{name}");
        } else {
            assert_eq!(*built_in, bytes, "{name}: run `npedit world pack` again");
        }
    }
}

#[test]
fn another_seed_is_another_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let hash = |seed| {
        let root = dir.path().join(format!("{seed}"));
        write(&root, Preset::Tiny, seed).unwrap();
        Files::Directory(root).sha256().unwrap()
    };
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("photo.png"), "mine").unwrap();
    let error = write(dir.path(), Preset::Tiny, 0).unwrap_err();
    assert!(
        matches!(error, RandomBundleError::NotEmpty { .. }),
        "{error}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn every_text_tokenizes_byte_by_byte() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Preset::Tiny, 0).unwrap();
    let tokenizer = ChatTokenizer::load(&Files::Directory(dir.path().into())).unwrap();
    let ids = |text: &str| tokenizer.encode(text).unwrap().ids;
    assert_eq!(ids("A~ \u{e9}\0"), [65, 126, 32, 0xc3, 0xa9, 0]);
    assert_eq!(ids("<|im_start|><think>"), [257, 259]);
    let templated = tokenizer.template("hi", Thinking::EmptyBlock).unwrap();
    assert_eq!(
        templated,
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    );
    assert!(ids(&templated).len() < templated.len());
}

#[test]
fn the_presets_are_as_large_as_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tiny");
    write(&root, Preset::Tiny, 0).unwrap();
    let total: usize = bytes_below(&root)
        .iter()
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert!(total < 1_600_000, "{total} bytes");
    let settings =
        BundleSettings::parse(&Files::Directory(root).read(bundle::FILE_NAME).unwrap()).unwrap();
    assert_eq!(settings, Preset::Tiny.settings());
}

#[test]
fn the_worlds_judge_reads_words_and_any_other_text() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("world");
    write(&root, Preset::World, 0).unwrap();
    let folder = Folder::root(Files::Directory(root.join(JUDGE)));
    let judge = VisionLanguageModel::load(&folder, &Compute::cpu()).unwrap();
    let chat = judge.chat();
    let id = |word: &str| chat.tokenizer().token_to_id(word).unwrap();
    let ids = |text: &str| {
        chat.tokenizer()
            .encode(text, false)
            .unwrap()
            .get_ids()
            .to_vec()
    };
    for word in crate::world::WORDS
        .iter()
        .chain(&crate::world::JUDGING_WORDS)
    {
        assert_eq!(ids(word), [id(word)]);
        assert_eq!(ids(&format!("a {word} a")), [97, id(word), 97]);
    }
    assert_eq!(ids("Yes"), [id("Yes")]);
    assert_eq!(ids("No"), [id("No")]);
    assert_eq!(
        ids("Make the CIRCLE blue-ish"),
        [
            vec![id("make"), id("the"), id("circle"), id("blue")],
            ids("-ish")
        ]
        .concat()
    );
    // a word inside another one is no word
    assert_eq!(ids("redo"), b"redo".map(u32::from));
    let prompt = chat.prompt("Remove the red circle: done", 2).unwrap();
    let slots = ["left", "right", "background", "image"].map(id);
    let marks = ["<img>", "<IMG_CONTEXT>", "</img>"].map(id);
    let question = ["remove", "the", "red", "circle"].map(id);
    let expected = [
        &marks[..],
        &slots,
        &marks,
        &slots,
        &question,
        &[58, id("done")],
    ];
    assert_eq!(prompt.ids, expected.concat());
    let one = chat.prompt("zebra", 1).unwrap();
    let expected = [&marks[..], &slots, &b"\nzebra".map(u32::from)];
    assert_eq!(one.ids, expected.concat());
}
