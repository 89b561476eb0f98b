//! Conversations, and data sets on the hub.

use onejump_tests::hub::{COMMIT, Files, Hub, with_cache};

use super::*;

/// In every form, of several turns, by the template alone: no special token comes twice.
#[test]
fn conversations_go_through_the_template() {
    let bench = Bench::new([Some("<s>"), Some("</s>")]);
    let template = "{% for m in messages %}<s> {{ m.content }}{% if m.role == 'assistant' %} quick{% endif %} </s> {% endfor %}";
    fs::write(bench.model.path().join("chat_template.jinja"), template).unwrap();
    let lines = concat!(
        r#"{"messages": [{"role": "user", "content": "the fox"}]}"#,
        "\n",
        r#"{"conversations": [{"from": "human", "value": "fox"}, {"from": "gpt", "value": "the"}]}"#,
        "\n",
        r#"{"messages": []}"#,
        "\n",
        r#"{"text": "fox"}"#,
        "\n"
    );
    let captured = bench.capture("lines", &["--text", &bench.text("chat.jsonl", lines)]);
    assert_eq!(captured.ids(), [&[1, 3, 5, 2][..], &[1, 5, 2, 1, 3, 4, 2], &[1, 5, 2]]);
    // The file of pyarrow has the first one.
    let table = bench.capture("table", &["--text", &case("chat.parquet")]);
    assert_eq!(table.ids(), [[1, 3, 5, 2]]);
    let cut =
        bench.capture("cut", &["--text", &case("chat.jsonl"), "--column", "messages", "--chunk-tokens", "3"]);
    assert_eq!(cut.ids(), [&[1, 3, 5][..], &[1, 2]]);
    let elf = r#"{"messages": [{"role": "elf", "content": "the fox"}]}"#;
    let said = bench.refusal(&["--text", &bench.text("elf.jsonl", elf)]);
    assert!(said.contains("line 1: column 'messages' has a turn of 'elf'"), "{said}");
}

/// From a server on this machine that speaks the hub's protocol, and from a cache that other clients filled.
#[test]
fn data_sets_come_from_the_cache_or_the_hub() {
    let bench = Bench::new([None, None]);
    let plain = fs::read(case("plain.txt")).unwrap();
    let lines = fs::read(case("lines.jsonl")).unwrap();
    let file = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let hub = Hub::start(BTreeMap::from([
        (
            "datasets/some/texts",
            Files::from([
                file("README.md", b"words"),
                file("data/train-00000-of-00002.txt", &plain),
                file("data/train-00001-of-00002.txt", b"fox\n"),
                file("data/test-00000-of-00001.jsonl", &lines),
            ]),
        ),
        ("datasets/some/script", Files::from([file("script.py", b"exit()"), file("README.md", b"")])),
    ]));
    let capture = |out: &str, name: &str, more: &[(&str, &str)]| {
        let mut command = with_cache("onejump-capture", &bench.path("cache"));
        command.args(bench.arguments(out, &["--text", name, "--column", "body"]));
        let output = command.envs(more.iter().copied()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let online = [("HF_ENDPOINT", hub.endpoint.as_str())];
    let offline = [("HF_HUB_OFFLINE", "1")];
    let ids = |out: &str| Captured { dir: bench.path(out) }.ids();
    let (done, said) = capture("train", "some/texts", &online);
    assert!(done, "{said}");
    assert_eq!(ids("train")[..5], IDS);
    assert_eq!(ids("train")[5..], [[5]]);
    assert_eq!(Captured { dir: bench.path("train") }.inputs()["sentences"], "some/texts");
    // All of the split is there now: the hub is not asked again. Of the other split nothing is.
    let requests = hub.requests();
    assert!(!requests.iter().any(|request| request.contains("test-") || request.contains("README")));
    assert!(capture("again", "some/texts:train", &online).0 && hub.requests() == requests);
    assert!(capture("offline", "some/texts", &offline).0);
    assert_eq!(ids("again"), ids("train"));
    let (done, said) = capture("refused", "some/texts:test", &offline);
    assert!(!done && said.contains("HF_HUB_OFFLINE is set"), "{said}");
    assert!(capture("test", "some/texts:data/test-00000-of-00001.jsonl", &online).0);
    assert_eq!(ids("test"), IDS);
    for (name, words) in [
        ("some/texts:dev", "no files of texts for 'dev'; it has data/test-00000-of-00001.jsonl, data/train-"),
        ("some/script", "a script makes its texts, and none is run"),
        ("some/where", "the hub has no revision 'main' of it"),
    ] {
        let (done, said) = capture("refused", name, &online);
        assert!(!done && said.contains(words), "{said}");
    }
    // As Python's client leaves it, where a data set has one file of another name.
    let snapshot = bench.path("cache/hub/datasets--own--words/snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(bench.path("cache/hub/datasets--own--words/refs")).unwrap();
    fs::write(bench.path("cache/hub/datasets--own--words/refs/main"), COMMIT).unwrap();
    fs::copy(case("plain.txt"), snapshot.join("words.txt")).unwrap();
    let (done, said) = capture("own", "own/words", &offline);
    assert!(done && said.contains("the 1 files of 'own/words' in the cache are all that is read"), "{said}");
    assert_eq!(ids("own"), IDS);
}
