//! Tokens as people read them.

use std::collections::HashMap;

use tokenizers::Tokenizer;
use unicode_width::UnicodeWidthStr;

/// What stands where something is too long.
const CUT: char = '…';

/// A model's tokens in words.
pub struct Words {
    tokenizer: Option<Tokenizer>,
    /// Which byte a character of the vocabulary stands for, where it spells bytes as GPT-2's does.
    alphabet: Option<HashMap<char, u8>>,
}

impl Words {
    /// The words of a tokenizer; without one, tokens are numbers.
    pub fn new(tokenizer: Option<Tokenizer>) -> Self {
        let decoder = tokenizer.as_ref().and_then(|tokenizer| tokenizer.get_decoder());
        let decoder = decoder.and_then(|decoder| serde_json::to_string(decoder).ok()).unwrap_or_default();
        let alphabet = decoder.contains("\"ByteLevel\"").then(alphabet);
        Self { tokenizer, alphabet }
    }

    /// A token's text as it is, but for bytes that are no character by themselves: `\xE2`.
    pub fn text(&self, id: i64) -> String {
        self.written(id, |character| character.to_string())
    }

    /// A token on one line, with every character to be seen: `·` is a space, `⏎` a line's end, `⇥` a tabulator.
    pub fn shown(&self, id: i64) -> String {
        let shown = self.written(id, |character| match character {
            ' ' => "·".to_owned(),
            '\n' => "⏎".to_owned(),
            '\t' => "⇥".to_owned(),
            other if other.is_control() || other.is_whitespace() => format!("\\u{{{:x}}}", u32::from(other)),
            other => other.to_string(),
        });
        // Joiners, marks and fillers alone leave nothing to be seen.
        if shown.width() > 0 { shown } else { shown.escape_unicode().to_string() }
    }

    /// Tokens behind each other, as the tokenizer puts them together.
    pub fn joined(&self, ids: &[i64]) -> String {
        let known: Option<Vec<u32>> = ids.iter().map(|&id| u32::try_from(id).ok()).collect();
        let text = self
            .tokenizer
            .as_ref()
            .zip(known)
            .and_then(|(tokenizer, ids)| tokenizer.decode(&ids, false).ok());
        text.unwrap_or_else(|| ids.iter().map(|&id| self.shown(id)).collect::<Vec<_>>().join(" "))
    }

    fn written(&self, id: i64, write: impl Fn(char) -> String) -> String {
        let Some(bytes) = self.bytes(id) else { return format!("#{id}") };
        let mut text = String::new();
        for chunk in bytes.utf8_chunks() {
            text.extend(chunk.valid().chars().map(&write));
            text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
        }
        text
    }

    /// The bytes that a token stands for; none where nobody knows.
    fn bytes(&self, id: i64) -> Option<Vec<u8>> {
        let token = self.tokenizer.as_ref()?.id_to_token(u32::try_from(id).ok()?)?;
        if token.is_empty() {
            return None;
        }
        if let Some(alphabet) = &self.alphabet {
            // Special tokens are written as they are.
            let bytes: Option<Vec<u8>> =
                token.chars().map(|character| alphabet.get(&character).copied()).collect();
            return Some(bytes.unwrap_or_else(|| token.into_bytes()));
        }
        let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => Some(vec![byte]),
            // As SentencePiece writes a space.
            None => Some(token.replace('\u{2581}', " ").into_bytes()),
        }
    }
}

/// GPT-2's characters for bytes: printable ones for themselves, the others from U+0100 on.
fn alphabet() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let own = (0..=u8::MAX).filter(printable).map(|byte| (char::from(byte), byte));
    let others = (0..=u8::MAX).filter(|byte| !printable(byte));
    own.chain(('\u{100}'..).zip(others)).collect()
}

/// A text cut to a number of columns of a terminal, and filled up to it with spaces.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    let mut fitted = cut(text, columns);
    fitted.extend(std::iter::repeat_n(' ', columns.saturating_sub(fitted.width())));
    fitted
}

/// A text cut to a number of columns of a terminal.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if kept.width() >= columns {
            kept.pop();
            break;
        }
    }
    kept.push(CUT);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(tokens: &[&str], decoder: serde_json::Value) -> Words {
        let vocabulary: serde_json::Map<_, _> =
            tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null, "decoder": decoder,
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": tokens[0]},
        });
        Words::new(Some(tokenizer.to_string().parse().unwrap()))
    }

    #[test]
    fn bytes_become_characters_and_the_rest_hexadecimal() {
        let decoder =
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
        let tokens = ["Ġthe", "ĊĊ", "Ã©", "âĤ", "<｜end｜>", "ĉ", "Ġ"];
        let words = words(&tokens, decoder);
        let shown: Vec<String> = (0..8).map(|id| words.shown(id)).collect();
        assert_eq!(shown, ["·the", "⏎⏎", "é", "\\xE2\\x82", "<｜end｜>", "⇥", "·", "#7"]);
        let text: Vec<String> = (0..4).map(|id| words.text(id)).collect();
        assert_eq!(text, [" the", "\n\n", "é", "\\xE2\\x82"]);
        assert_eq!(words.shown(-1), "#-1");
        assert_eq!(words.joined(&[0, 2, 0]), " theé the");
    }

    #[test]
    fn sentencepiece_is_read_too() {
        let decoder = json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]});
        let words = words(&["▁the", "<0x0A>", "<0xE2>", "<s>", "\u{200b}", "\u{a0}"], decoder);
        let shown: Vec<String> = (0..6).map(|id| words.shown(id)).collect();
        assert_eq!(shown, ["·the", "⏎", "\\xE2", "<s>", "\\u{200b}", "\\u{a0}"]);
    }

    #[test]
    fn without_a_tokenizer_tokens_are_numbers() {
        assert_eq!(Words::new(None).shown(17), "#17");
        assert_eq!(Words::new(None).joined(&[1, 2]), "#1 #2");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!([fitted("abc", 5), fitted("abcdef", 4), fitted("東京都", 4)], ["abc  ", "abc…", "東… "]);
        assert_eq!(cut("ab", 1), "…");
    }
}
