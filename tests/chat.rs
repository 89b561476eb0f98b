//! Conversations in a checkpoint's own form: as transformers renders them, and as `onejump-generate` uses them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use onejump_core::observe::Silent;
use onejump_generate::{Chat, Config, converse};
use onejump_models::chat::{Ending, Message};
use onejump_models::checkpoint::Checkpoint;
use onejump_tests::{fail, folder, run, succeed};
use serde_json::{Value, json};

const MODEL: &str = "smollm2-135m";
const QUESTION: &str = "What is the capital of France?";

fn golden() -> Value {
    serde_json::from_slice(&fs::read(folder().join("golden/chat.json")).unwrap()).unwrap()
}

/// A small checkpoint with files of one's own.
fn checkpoint(files: &[(&str, String)]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder().join("parity/cases/llama-grouped-tied")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    for (name, content) in files {
        fs::write(copy.path().join(name), content).unwrap();
    }
    copy
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn conversations_are_rendered_as_in_transformers() {
    let golden = golden();
    let rows = golden["rows"].as_array().unwrap();
    let smollm2 = Checkpoint::open(MODEL).unwrap().chat_template().unwrap();
    let mut compared = 0;
    for last in rows.iter().filter(|row| row["template"].is_string()) {
        // The same text where each kind of checkpoint keeps it.
        let template = last["template"].as_str().unwrap();
        let tokens = |more: Value| {
            let mut config = json!({"bos_token": golden["tokens"]["bos_token"], "chat_template": more});
            config["eos_token"] = json!({"content": golden["tokens"]["eos_token"], "lstrip": false});
            ("tokenizer_config.json", config.to_string())
        };
        let list = json!([{"name": "tool_use", "template": "no"}, {"name": "default", "template": template}]);
        let kept = [
            checkpoint(&[tokens(template.into())]),
            checkpoint(&[tokens(list)]),
            checkpoint(&[tokens("no".into()), ("chat_template.jinja", template.to_owned())]),
        ];
        let open =
            |kept: &tempfile::TempDir| Checkpoint::open(&name(kept.path())).unwrap().chat_template().unwrap();
        let templates: Vec<_> = kept.iter().map(open).collect();
        for row in rows.iter().filter(|row| row["name"] == last["name"]) {
            let messages: Vec<Message> = serde_json::from_value(row["messages"].clone()).unwrap();
            let ending = if row["answer"] == true { Ending::Answer } else { Ending::Closed };
            let own = (row["name"] == "smollm2").then_some(&smollm2);
            for template in templates.iter().chain(own) {
                match (template.render(&messages, ending), row["refused"].as_str()) {
                    (Ok(text), None) => assert_eq!(text, row["text"].as_str().unwrap(), "{row}"),
                    (Err(error), Some(reason)) => assert!(error.to_string().contains(reason), "{error}"),
                    (rendered, _) => panic!("{row}: {rendered:?}"),
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 40 * 3 + 10);
}

#[test]
fn an_answer_is_that_to_the_rendered_text() {
    let rendered = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is the capital of \
                    France?<|im_end|>\n<|im_start|>assistant\n";
    let json = |more: &[&str]| -> Value {
        let arguments = [&["-m", MODEL, "-n", "24", "--json"][..], more].concat();
        serde_json::from_str(&succeed("onejump-generate", &arguments)).unwrap()
    };
    let ours = json(&["-p", QUESTION, "--chat", "--system", "Be brief."]);
    let plain = json(&["-p", rendered]);
    assert_eq!((&ours["tokens"], &ours["prompt_tokens"]), (&plain["tokens"], &plain["prompt_tokens"]));
    assert!(ours["text"].as_str().unwrap().contains("Paris"), "{ours}");
    assert_eq!(ours["end"], "end-token");
}

/// What is kept of a turn's states changes nothing: each answer is that to the whole conversation.
#[test]
fn turns_follow_each_other() {
    let config = Config { tokens: 16, chat: Some(Chat { system: None }), ..Config::new(MODEL, "") };
    let questions = [QUESTION, "And of Italy?", "Which of them is larger?"];
    let mut asked = questions.iter();
    let outcomes =
        converse(&config, &Silent, || asked.next().map(|text| (*text).to_owned()), |_| true, |_| {});
    let outcomes = outcomes.unwrap();
    assert_eq!(outcomes.len(), 3);
    let mut text = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging \
                    Face<|im_end|>\n"
        .to_owned();
    for (question, outcome) in questions.iter().zip(&outcomes) {
        text += &format!("<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n");
        let arguments = ["-m", MODEL, "-n", "16", "--json", "-p", &text];
        let plain: Value = serde_json::from_str(&succeed("onejump-generate", &arguments)).unwrap();
        assert_eq!(plain["text"], outcome.text);
        text += &format!("{}<|im_end|>\n", outcome.text);
    }
}

#[test]
fn what_cannot_be_is_said_in_a_line() {
    let tokenizer = json!({"version": "1.0", "added_tokens": [], "model": {
        "type": "WordLevel", "vocab": {"x": 0}, "unk_token": "x"
    }});
    let tokenizer = || ("tokenizer.json", tokenizer.to_string());
    let plain = checkpoint(&[tokenizer()]);
    let said = fail("onejump-generate", &["-m", &name(plain.path()), "-p", "x", "--chat"]);
    assert!(said.contains("has no chat template"), "{said}");
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    for (template, reason) in [("{% if %}", "line 1"), ("{{ nothing() }}", "nothing"), (endless, "fuel")] {
        let odd = checkpoint(&[tokenizer(), ("chat_template.jinja", template.to_owned())]);
        let said = fail("onejump-generate", &["-m", &name(odd.path()), "-p", "x", "--chat"]);
        assert!(said.contains("its chat template refuses") && said.contains(reason), "{said}");
    }
    let output = run("onejump-generate", &["-m", MODEL, "-p", "x", "--system", "y"]);
    assert_eq!(output.status.code(), Some(2));
}
