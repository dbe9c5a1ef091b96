use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    models::{
        error::LoadError,
        files::Files,
        finite_differences::random_weights,
        random::{self, Preset},
    },
    nn::Compute,
};

const TEMPLATED: &str =
    "<|im_start|>user\nmake it \"red\" <b>\n<|im_end|>\n<|im_start|>assistant\n";
const EMPTY_BLOCK: &str = "<think>\n\n</think>\n\n";

/// The constructs of the published Qwen3 template that one user turn goes through.
const PUBLISHED: &str = "{%- if tools %}
    {{- '<|im_start|>system\\n' }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == \"user\" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == \"assistant\" %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {{- '<|im_start|>' + message.role + '\\n' + content }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}";

/// A bundle whose tokenizer a test changes.
fn tokenizer() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    random::write(dir.path(), Preset::Tiny, 0).unwrap();
    let files = Files::Directory(dir.path().into());
    (dir, files)
}

fn check_templates(files: &Files) {
    let tokenizer = ChatTokenizer::load(files).unwrap();
    let text = "make it \"red\" <b>\n";
    assert_eq!(
        tokenizer.template(text, Thinking::Enabled).unwrap(),
        TEMPLATED
    );
    let closed = tokenizer.template(text, Thinking::EmptyBlock).unwrap();
    assert_eq!(closed, format!("{TEMPLATED}{EMPTY_BLOCK}"));
}

#[test]
fn the_template_comes_from_either_file_or_is_qwen3s() {
    let (dir, files) = tokenizer();
    check_templates(&files);
    fs::write(
        dir.path().join("tokenizer/tokenizer_config.json"),
        json!({"chat_template": PUBLISHED}).to_string(),
    )
    .unwrap();
    check_templates(&files);
    fs::write(dir.path().join("tokenizer/tokenizer_config.json"), "{}").unwrap();
    check_templates(&files);
    fs::remove_file(dir.path().join("tokenizer/tokenizer_config.json")).unwrap();
    check_templates(&files);
    fs::write(dir.path().join("tokenizer/chat_template.jinja"), PUBLISHED).unwrap();
    check_templates(&files);
}

#[test]
fn broken_tokenizers_and_templates_are_errors() {
    let (dir, files) = tokenizer();
    let load = || ChatTokenizer::load(&files).unwrap_err();
    for template in [
        "{% if %}",
        "{{ raise_exception('no user') }}",
        "{{ messages[0].content.nothing() }}",
    ] {
        fs::write(dir.path().join("tokenizer/chat_template.jinja"), template).unwrap();
        assert!(matches!(load(), LoadError::Template { .. }), "{template}");
    }
    fs::remove_file(dir.path().join("tokenizer/chat_template.jinja")).unwrap();
    fs::write(
        dir.path().join("tokenizer/tokenizer_config.json"),
        "not json",
    )
    .unwrap();
    assert!(matches!(load(), LoadError::Json { .. }));
    fs::write(dir.path().join("tokenizer/tokenizer.json"), "{}").unwrap();
    assert!(matches!(load(), LoadError::Tokenizer { .. }));
    fs::remove_file(dir.path().join("tokenizer/tokenizer.json")).unwrap();
    assert!(matches!(load(), LoadError::MissingFile { .. }));
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let (_dir, files) = tokenizer();
    let tokenizer = ChatTokenizer::load(&files).unwrap();
    let long = tokenizer.encode(&"x".repeat(1000)).unwrap();
    assert_eq!((long.ids.len(), long.truncated), (512, 488));
    let short = tokenizer.encode("x").unwrap();
    assert_eq!((short.ids.len(), short.truncated), (1, 0));
}

#[test]
fn the_encoder_refuses_what_it_has_no_row_for() {
    let config = Config::read(&Files::Embedded).unwrap();
    let encoder = TextEncoder::load(&config, random_weights(5), &Compute::cpu()).unwrap();
    assert_eq!(
        encoder.encode(&[1, 2, 3]).unwrap().dims(),
        [1, 3, config.hidden_size]
    );
    assert_eq!(encoder.encode(&[7; 512]).unwrap().dims()[1], 512);
    assert!(encoder.encode(&[]).is_err());
    assert!(encoder.encode(&[0; 513]).is_err());
    assert!(encoder.encode(&[config.vocab_size as u32]).is_err());
}
