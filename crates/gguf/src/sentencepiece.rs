//! SentencePiece vocabularies (`tokenizer.ggml.model = llama`: Llama 2, Phi-3, Mistral) as byte-pair merges.
//!
//! SentencePiece joins the neighbours whose joined piece scores best. So does byte-pair encoding, if its
//! merges are all ways to make a piece out of two others, in the order of the pieces' scores.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value as GgufValue;
use serde_json::{Map, Value, json};

use crate::{GgufError, GgufFile};

/// What SentencePiece writes for a blank.
const BLANK: &str = "\u{2581}";

/// `tokenizer.ggml.token_type` of an ordinary piece.
const NORMAL: u64 = 1;
/// `tokenizer.ggml.token_type` of the unknown piece.
pub(crate) const UNKNOWN: u64 = 2;

impl GgufFile {
    /// Normaliser and model of a `tokenizer.json`.
    pub(crate) fn sentencepiece(&self, tokens: &[&str], types: &[u64]) -> Result<(Value, Value), GgufError> {
        let scores = self.scores(tokens.len())?;
        let unknown = types.iter().position(|&kind| kind == UNKNOWN).map(|id| tokens[id]);
        let vocabulary: Map<String, Value> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
        let model = json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocabulary,
            "merges": merges(tokens, types, &scores),
        });
        let blanks = json!({"type": "Replace", "pattern": {"String": " "}, "content": BLANK});
        let normalizer = if self.adds_blank() {
            let first = json!({"type": "Prepend", "prepend": BLANK});
            json!({"type": "Sequence", "normalizers": [first, blanks]})
        } else {
            blanks
        };
        Ok((normalizer, model))
    }

    /// Whether a text gets a blank before it.
    fn adds_blank(&self) -> bool {
        let prefix = self.value("tokenizer.ggml.add_space_prefix").and_then(|value| value.to_bool().ok());
        prefix.unwrap_or(true)
    }

    /// Decoder of a `tokenizer.json`: pieces of bytes become characters again, and the blank before the text goes.
    pub(crate) fn sentencepiece_decoder(&self) -> Value {
        let mut steps = vec![
            json!({"type": "Replace", "pattern": {"String": BLANK}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if self.adds_blank() {
            steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        json!({"type": "Sequence", "decoders": steps})
    }

    fn scores(&self, count: usize) -> Result<Vec<f32>, GgufError> {
        let key = "tokenizer.ggml.scores";
        let wrong = || self.content_error(format!("'{key}' is no list of {count} numbers"));
        let list = self.required(key)?.to_vec().map_err(|_| wrong())?;
        let scores: Option<Vec<f32>> = list
            .iter()
            .map(|value| match value {
                GgufValue::F32(score) if score.is_finite() => Some(*score),
                _ => None,
            })
            .collect();
        scores.filter(|scores| scores.len() == count).ok_or_else(wrong)
    }
}

/// All pairs of pieces that join to a piece; those of the best piece first, the shortest left part first.
fn merges<'a>(tokens: &[&'a str], types: &[u64], scores: &[f32]) -> Vec<[&'a str; 2]> {
    let normal = |id: &usize| types[*id] == NORMAL;
    let pieces: HashMap<&str, usize> = (0..tokens.len()).filter(normal).map(|id| (tokens[id], id)).collect();
    let mut order: Vec<usize> = (0..tokens.len()).filter(normal).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut merges = Vec::new();
    for id in order {
        let piece = tokens[id];
        for (place, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(place);
            if pieces.contains_key(left) && pieces.contains_key(right) {
                merges.push([left, right]);
            }
        }
    }
    merges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_are_in_the_order_of_the_scores() {
        let tokens = ["<unk>", "a", "b", "ab", "aab", "aa"];
        let types = [UNKNOWN, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL];
        let scores = [0.0, -9.0, -9.0, -2.0, -1.0, -3.0];
        assert_eq!(merges(&tokens, &types, &scores), [["a", "ab"], ["aa", "b"], ["a", "b"], ["a", "a"]]);
    }
}
