//! A tokenizer of single bytes in the files of the real one: any text, no merges.
use serde_json::{Map, Value, json};

/// Added tokens, after the bytes. The think tags are not special, as in Qwen3.
const ADDED: [(&str, bool); 5] = [
    ("<|endoftext|>", true),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<think>", false),
    ("</think>", false),
];
const BYTES: usize = 256;
pub(super) const VOCABULARY: usize = BYTES + ADDED.len();

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
pub(super) const JUDGE_VOCABULARY: usize = BYTES + MERGED.len() + JUDGE_ADDED.len();
pub(super) const JUDGE_IMAGE_TOKEN: usize = JUDGE_VOCABULARY - 1;

/// Qwen3's template, as far as one user turn needs it.
const TEMPLATE: &str = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}";

/// Of the text encoder.
pub(super) fn tokenizer() -> Value {
    byte_level(&[], &ADDED)
}

/// Of a judge.
pub(super) fn judge_tokenizer() -> Value {
    byte_level(&MERGED, &JUDGE_ADDED)
}

fn byte_level(merges: &[[&str; 2]], added: &[(&str, bool)]) -> Value {
    let letters = byte_letters().map(|letter| letter.to_string());
    let merged = merges.iter().map(|pair| pair.concat());
    let vocabulary: Map<String, Value> = letters
        .chain(merged)
        .enumerate()
        .map(|(id, text)| (text, json!(id)))
        .collect();
    let first = BYTES + merges.len();
    let added = added.iter().enumerate().map(|(i, (content, special))| {
        json!({
            "id": first + i, "content": content, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": special
        })
    });
    let merges: Vec<String> = merges.iter().map(|pair| pair.join(" ")).collect();
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
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "NFC"},
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

pub(super) fn config() -> Value {
    json!({
        "add_prefix_space": false,
        "bos_token": null,
        "chat_template": TEMPLATE,
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
