//! Tokenizers of single bytes in the files of the real ones: any text, few merges.
use serde_json::{Map, Value, json};

use super::Preset;
use crate::world;

/// Added tokens of a text encoder, after the bytes. The think tags are not special, as in Qwen3.
const ADDED: [(&str, bool); 5] = [
    ("<|endoftext|>", true),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<think>", false),
    ("</think>", false),
];
const BYTES: usize = 256;

/// Merged tokens of a judge, after the bytes: its answers are one token each, as the real one's.
const MERGED: [[&str; 2]; 3] = [["Y", "e"], ["Ye", "s"], ["N", "o"]];
/// Added tokens of a judge, after the merged ones.
const JUDGE_ADDED: [(&str, bool); 6] = [
    ("<|endoftext|>", true),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<img>", true),
    ("</img>", true),
    (IMAGE_TOKEN, true),
];
const IMAGE_TOKEN: &str = "<IMG_CONTEXT>";

/// Answers of the world's judge, in the case they are written in.
const ANSWERS: [&str; 2] = ["Yes", "No"];

/// Qwen3's template, as far as one user turn needs it.
const TEMPLATE: &str = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}";

/// The world's: a text and its end. All texts of the world are padded to one length then, so that they run together.
const WORLD_TEMPLATE: &str =
    "{%- for message in messages %}{{- message.content + '<|im_end|>' }}{%- endfor %}";

/// What a tokenizer has besides the bytes.
pub(super) struct Tokenizer {
    merges: &'static [[&'static str; 2]],
    added: Vec<Value>,
    normalizer: Value,
}

impl Tokenizer {
    /// Of the text encoder.
    pub(super) fn of(preset: Preset) -> Self {
        match preset {
            Preset::Tiny | Preset::Small | Preset::Zimage => Self::plain(&[], &ADDED),
            Preset::World => Self::of_the_world(),
        }
    }

    /// Of the judge.
    pub(super) fn of_judge(preset: Preset) -> Self {
        match preset {
            Preset::Tiny | Preset::Small | Preset::Zimage => Self::plain(&MERGED, &JUDGE_ADDED),
            Preset::World => Self::of_the_world(),
        }
    }

    fn plain(merges: &'static [[&'static str; 2]], added: &[(&str, bool)]) -> Self {
        let first = BYTES + merges.len();
        let tokens = (first..).zip(added);
        Self {
            merges,
            added: tokens
                .map(|(id, (content, special))| mark(id, content, *special))
                .collect(),
            normalizer: json!({"type": "NFC"}),
        }
    }

    /// The world's words are one token each in any case, with the space before them; other words pass as bytes.
    fn of_the_world() -> Self {
        let marks = ADDED.into_iter().chain(JUDGE_ADDED.into_iter().skip(3));
        let mut added: Vec<Value> = (BYTES..)
            .zip(marks)
            .map(|(id, (content, special))| mark(id, content, special))
            .collect();
        for word in ANSWERS {
            added.push(self::word(BYTES + added.len(), word, false));
        }
        // what is one letter is a byte already
        let mut next = BYTES + added.len();
        for word in world::WORDS.into_iter().chain(world::JUDGING_WORDS) {
            let id = match word.as_bytes() {
                [byte] => usize::from(*byte),
                _ => {
                    next += 1;
                    next - 1
                }
            };
            added.push(self::word(id, word, true));
        }
        Self {
            merges: &[],
            added,
            normalizer: json!({
                "type": "Sequence",
                "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]
            }),
        }
    }

    /// Number of tokens.
    pub(super) fn size(&self) -> usize {
        let last = self.added.iter().filter_map(|token| token["id"].as_u64());
        last.max().map_or(BYTES, |last| last as usize + 1)
    }

    /// Id of the placeholder of a picture's tokens.
    pub(super) fn image_token(&self) -> Option<u64> {
        let mut added = self.added.iter();
        added.find(|token| token["content"] == IMAGE_TOKEN)?["id"].as_u64()
    }

    /// `tokenizer.json`
    pub(super) fn json(&self) -> Value {
        let letters = byte_letters().map(|letter| letter.to_string());
        let merged = self.merges.iter().map(|pair| pair.concat());
        let vocabulary: Map<String, Value> = letters
            .chain(merged)
            .enumerate()
            .map(|(id, text)| (text, json!(id)))
            .collect();
        let merges: Vec<String> = self.merges.iter().map(|pair| pair.join(" ")).collect();
        let byte_level = |trim_offsets: bool| {
            json!({
                "type": "ByteLevel", "add_prefix_space": false,
                "trim_offsets": trim_offsets, "use_regex": false
            })
        };
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added,
            "normalizer": self.normalizer,
            "pre_tokenizer": byte_level(true),
            "post_processor": byte_level(false),
            "decoder": byte_level(true),
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null,
                "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": merges
            }
        })
    }
}

/// A token that stands for itself wherever it occurs.
fn mark(id: usize, content: &str, special: bool) -> Value {
    json!({
        "id": id, "content": content, "single_word": false,
        "lstrip": false, "rstrip": false, "normalized": false, "special": special
    })
}

/// A token that is a whole word, with what is blank before it; in any case where it is `normalized`.
fn word(id: usize, content: &str, normalized: bool) -> Value {
    json!({
        "id": id, "content": content, "single_word": true,
        "lstrip": true, "rstrip": false, "normalized": normalized, "special": false
    })
}

pub(super) fn config(preset: Preset) -> Value {
    let template = match preset {
        Preset::World => WORLD_TEMPLATE,
        Preset::Tiny | Preset::Small | Preset::Zimage => TEMPLATE,
    };
    json!({
        "add_prefix_space": false,
        "bos_token": null,
        "chat_template": template,
        "clean_up_tokenization_spaces": false,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": null
    })
}

/// Of a judge; its template stands in its own file.
pub(super) fn judge_config() -> Value {
    json!({
        "add_prefix_space": false,
        "bos_token": null,
        "clean_up_tokenization_spaces": false,
        "context_image_token": IMAGE_TOKEN,
        "end_image_token": "</img>",
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "processor_class": "InternVLProcessor",
        "start_image_token": "<img>",
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": null
    })
}

/// The printable letter of every byte in order, as byte-level tokenizers write it (GPT-2's `bytes_to_unicode`).
fn byte_letters() -> impl Iterator<Item = char> {
    let mut spare = 256..;
    (0..=255u8).map(move |byte| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        _ => spare.next().and_then(char::from_u32).unwrap_or('\0'),
    })
}
