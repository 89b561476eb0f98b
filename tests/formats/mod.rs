//! A good file of every format that Onejump reads, and how it is read.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use onejump_core::files;
use onejump_core::results::{Average, Choice, Method, MethodName, Metrics, Summary, Sureness};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, Solver};
use onejump_store::tables::{self, PerLevel, Score};
use onejump_store::truth::{Truth, read_truth, write_truth};
use onejump_tests::readers::{self, Outcome, say};
use onejump_tests::{folder, succeed};
use serde_json::json;

/// A file and how it is read, in a folder with all the others.
pub struct Format {
    pub name: String,
    pub file: PathBuf,
    pub read: fn(&Path) -> Outcome,
}

/// Writes the good files into `base`.
pub fn all(base: &Path) -> Vec<Format> {
    let mut formats = Vec::new();
    let mut add = |file: &str, read: fn(&Path) -> Outcome| {
        formats.push(Format { name: file.replace('/', "-"), file: base.join(file), read });
    };
    write_models(base);
    add("llama/config.json", |base| readers::model(&base.join("llama")));
    add("llama/model.safetensors", |base| readers::model(&base.join("llama")));
    add("llama/tokenizer.json", |base| readers::sentences(&base.join("llama"), &base.join("sentences.txt")));
    add("llama/tokenizer_config.json", |base| {
        readers::sentences(&base.join("llama"), &base.join("sentences.txt"))
    });
    add("gpt2/config.json", |base| readers::model(&base.join("gpt2")));
    add("phi3/config.json", |base| readers::model(&base.join("phi3")));
    add("llama3/config.json", |base| readers::model(&base.join("llama3")));
    add("shards/model.safetensors.index.json", |base| readers::model(&base.join("shards")));
    add("model.gguf", |base| readers::model(&base.join("model.gguf")));

    write_run(base);
    add("hidden/part-00000.parquet", |base| readers::part(&base.join("hidden")));
    add("hidden/manifest.json", |base| readers::manifest(&base.join("hidden")));
    add("n-njtc.safetensors", |base| readers::shortcuts(&base.join("n-njtc.safetensors")));
    add("ojfa.safetensors", |base| readers::shortcuts(&base.join("ojfa.safetensors")));
    add("scores.parquet", |base| tables::read_scores(&base.join("scores.parquet")).map(drop).map_err(say));
    add("per_level.parquet", |base| {
        tables::read_per_level(&base.join("per_level.parquet")).map(drop).map_err(say)
    });
    add("truth.parquet", |base| {
        read_truth(&base.join("truth.parquet"), "fingerprint").map(drop).map_err(say)
    });
    add("summary.json", |base| {
        files::read_json::<Summary>(&base.join("summary.json")).map(drop).map_err(say)
    });

    write_text(base);
    add("samples.jsonl", |base| readers::samples(&base.join("samples.jsonl")));
    add("sentences.txt", |base| readers::sentences(&base.join("llama"), &base.join("sentences.txt")));
    add("article.wiki", |base| readers::wikitext(&base.join("article.wiki")));
    add("dump.xml", |base| readers::dump(&base.join("dump.xml")));
    add("dump.xml.bz2", |base| readers::dump(&base.join("dump.xml.bz2")));
    formats
}

fn write_models(base: &Path) {
    for (name, case) in [
        ("llama", "llama-grouped-tied"),
        ("gpt2", "gpt2"),
        ("phi3", "phi3-longrope"),
        ("llama3", "llama3-rope"),
        ("shards", "llama-grouped-tied"),
    ] {
        fs::create_dir(base.join(name)).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(folder().join("parity/cases").join(case).join(file), base.join(name).join(file))
                .unwrap();
        }
    }
    let shards = base.join("shards");
    fs::rename(shards.join("model.safetensors"), shards.join("model-1.safetensors")).unwrap();
    let map = json!({"weight_map": {"model.norm.weight": "model-1.safetensors", "x": "model-1.safetensors"}});
    fs::write(shards.join("model.safetensors.index.json"), map.to_string()).unwrap();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": {"type": "NFC"},
        "added_tokens": [{"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary().iter().enumerate().map(|(id, token)| (token.clone(), id.into()))
                .collect::<serde_json::Map<_, _>>(),
            "merges": MERGES},
    });
    fs::write(base.join("llama/tokenizer.json"), tokenizer.to_string()).unwrap();
    let class = json!({"tokenizer_class": "GPTNeoXTokenizerFast", "add_prefix_space": true, "legacy": false});
    fs::write(base.join("llama/tokenizer_config.json"), class.to_string()).unwrap();
    write_gguf(&base.join("model.gguf"));
}

const MERGES: [&str; 3] = ["t h", "th e", "Ġ the"];

/// 96 tokens: the bytes of plain text, in the alphabet of byte-level BPE, and three merges.
fn vocabulary() -> Vec<String> {
    let mut tokens: Vec<String> = ["!", "<s>", "Ġ", "th", "the", "Ġthe"].map(str::to_owned).into();
    tokens.extend((b'"'..=b'~').filter(|&byte| byte != b'<').map(|byte| char::from(byte).to_string()));
    tokens.resize_with(96, || "unused".into());
    tokens[94] = "Ċ".into();
    tokens[95] = "É".into();
    tokens
}

fn write_gguf(path: &Path) {
    let text = |text: &str| Value::String(text.into());
    let texts = |list: Vec<String>| Value::Array(list.into_iter().map(Value::String).collect());
    let types = vocabulary().iter().map(|token| Value::I32(if token == "<s>" { 3 } else { 1 })).collect();
    let metadata = [
        ("general.architecture", text("llama")),
        ("general.alignment", Value::U32(32)),
        ("llama.embedding_length", Value::U32(32)),
        ("llama.feed_forward_length", Value::U32(32)),
        ("llama.block_count", Value::U32(2)),
        ("llama.context_length", Value::U32(64)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("smollm")),
        ("tokenizer.ggml.tokens", texts(vocabulary())),
        ("tokenizer.ggml.merges", texts(MERGES.map(str::to_owned).into())),
        ("tokenizer.ggml.token_type", Value::Array(types)),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
    ];
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize], dtype| {
        let values = Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        tensors.push((name, QTensor::quantize(&values, dtype).unwrap()));
    };
    add("token_embd.weight".into(), &[96, 32], GgmlDType::Q4_1);
    add("output_norm.weight".into(), &[32], GgmlDType::F32);
    for block in 0..2 {
        add(format!("blk.{block}.attn_norm.weight"), &[32], GgmlDType::F32);
        add(format!("blk.{block}.ffn_norm.weight"), &[32], GgmlDType::F32);
        for (name, rows) in [("attn_q", 32), ("attn_k", 16), ("attn_v", 16), ("attn_output", 32)] {
            add(format!("blk.{block}.{name}.weight"), &[rows, 32], GgmlDType::Q8_0);
        }
        for name in ["ffn_gate", "ffn_up", "ffn_down"] {
            add(format!("blk.{block}.{name}.weight"), &[32, 32], GgmlDType::F16);
        }
    }
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// A whole small run of a model, by the stages themselves.
fn write_run(base: &Path) {
    let path = |name: &str| base.join(name).display().to_string();
    let case = folder().join("parity/cases/llama-grouped-tied");
    let (model, samples) = (case.display().to_string(), case.join("samples.jsonl").display().to_string());
    let hidden = path("hidden");
    succeed(
        "onejump-capture",
        &["--model", &model, "--samples", &samples, "--out", &hidden, "--device", "cpu"],
    );
    let jumps = path("n-njtc.safetensors");
    succeed("onejump-train", &["--hidden", &hidden, "--kind", "n-njtc", "--out", &jumps]);
    let (scores, ojfa) = (path("scores.parquet"), path("ojfa.safetensors"));
    succeed(
        "onejump-score",
        &["--hidden", &hidden, "--shortcuts", &jumps, "--out", &scores, "--ojfa", &ojfa],
    );
    let scores = vec![Score { jump: 0, level: 1, mean_cosine: 0.5, mean_signed_square: 0.25 }; 9];
    tables::write_scores(&base.join("scores.parquet"), &scores).unwrap();
    let all = Metrics {
        precision_1: 0.1,
        precision_5: 0.2,
        precision_10: 0.3,
        surprisal: 4.0,
        mat_surprisal: 5.0,
        cosine: Some(0.5),
        relative_mse: None,
    };
    let method = Method {
        name: MethodName::Kind(ShortcutKind::Ojfa),
        solver: Some(Solver::ClosedForm),
        rank: Some(1),
        jump: Some(2),
        parameters: 9,
    };
    let row = PerLevel { method: method.clone(), level: 1, all, without_0: Some(all) };
    tables::write_per_level(&base.join("per_level.parquet"), &vec![row; 4]).unwrap();
    let truth = Truth { tokens: vec![3; 9], logsumexp: vec![0.5; 9] };
    write_truth(&base.join("truth.parquet"), &truth, "fingerprint").unwrap();
    let choice = Choice {
        solver: Solver::ClosedForm,
        rank: 1,
        jump: 2,
        levels: LevelConvention::Exit,
        jump_exit: 2,
        jump_eq5: 1,
        d_exit: vec![0.1, 0.2, 0.3],
        d_eq5: vec![0.1, 0.4, 0.3],
        sureness: Some(Sureness {
            draws: 1000,
            shares: vec![0.0, 0.25, 0.75],
            d_low: vec![0.05, 0.1, 0.2],
            d_high: vec![0.15, 0.3, 0.4],
        }),
    };
    let summary = Summary {
        model: "tiny".into(),
        model_sha256: Some("5".repeat(64)),
        architecture: "llama".into(),
        hidden_size: 36,
        blocks: 3,
        vocab_size: 96,
        train_samples: 9,
        test_samples: 9,
        test_samples_at_0: 1,
        choices: vec![choice],
        averages: vec![Average { method, all, without_0: None }],
    };
    files::write_json(&base.join("summary.json"), &summary).unwrap();
}

fn article(page: usize) -> String {
    format!(
        "{{{{Infobox}}}}\nThe people of '''town {page}''' ate [[bread]] on day {page}.<ref>A book.</ref> It cost \
         {{{{convert|{page}|oz}}}} of silver.\n\n* List\n== Part ==\n{{| class=\"x\"\n|-\n| cell\n|}}\nThe town \
         number {page} lies on a river with a &amp; bridge and <math>x^2</math> there.\n"
    )
}

fn write_text(base: &Path) {
    let case = folder().join("parity/cases/llama-grouped-tied/samples.jsonl");
    fs::copy(case, base.join("samples.jsonl")).unwrap();
    fs::write(base.join("sentences.txt"), "The first one.\nthe other, \u{e9}\u{1f600}.\n\nAnd the last.\n")
        .unwrap();
    fs::write(base.join("article.wiki"), article(0)).unwrap();
    let mut xml = String::from("<mediawiki><siteinfo><sitename>W</sitename></siteinfo>");
    for page in 0..4 {
        let text = article(page).replace('&', "&amp;").replace('<', "&lt;");
        xml += &format!(
            "<page><title>Town {page}</title><ns>0</ns><revision><model>wikitext</model><text>{text}</text></revision></page>"
        );
    }
    xml += "</mediawiki>";
    fs::write(base.join("dump.xml"), &xml).unwrap();
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    std::io::Write::write_all(&mut encoder, xml.as_bytes()).unwrap();
    fs::write(base.join("dump.xml.bz2"), encoder.finish().unwrap()).unwrap();
}
