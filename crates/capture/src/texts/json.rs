//! JSON lines: an object a line, one of whose values is the text, or a conversation.

use serde_json::{Map, Value};

use super::chat::{self, Chat};
use super::column::{chosen, no_column};
use super::lines::Lines;
use super::text::Text;
use crate::CaptureError;

/// The texts in a column of the objects. Empty lines are none.
pub(super) fn texts(
    lines: Lines,
    column: String,
    chat: Chat,
) -> impl Iterator<Item = Result<Text, CaptureError>> {
    lines.filter_map(move |line| {
        line.and_then(|line| {
            if line.text.trim().is_empty() {
                return Ok(None);
            }
            let found = text_of(&line.text, &column, &chat);
            let (text, templated) = found.map_err(|reason| line.place.wrong(&line.path, reason))?;
            Ok(Some(Text { text, templated, ..line }))
        })
        .transpose()
    })
}

/// The text of one object, empty where it is null, and whether a template made it.
fn text_of(line: &str, column: &str, chat: &Chat) -> Result<(String, bool), String> {
    let object: Map<String, Value> = serde_json::from_str(line)
        .map_err(|error| format!("expected a JSON object {{\"{column}\": \"...\"}}: {error}"))?;
    let keys = object.keys().map(String::as_str);
    let Some(column) = chosen(column, keys.clone()) else {
        return Err(no_column(column, &keys.collect::<Vec<_>>()));
    };
    match &object[column] {
        Value::String(text) => Ok((text.clone(), false)),
        Value::Null => Ok((String::new(), false)),
        turns @ Value::Array(_) => {
            let text = chat::of_json(turns).and_then(|turns| chat.text(&turns));
            text.map(|text| (text, true)).map_err(|reason| format!("column '{column}' {reason}"))
        }
        other => {
            let kind = match other {
                Value::Bool(_) => "a truth value",
                Value::Number(_) => "a number",
                _ => "an object",
            };
            Err(format!("column '{column}' is {kind}, expected a string or a conversation"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_a_string_of_the_object() {
        let chat = Chat::new(Err("there is no template".to_owned()));
        let found = |line: &str, column: &str| text_of(line, column, &chat);
        assert_eq!(found(r#"{"id": 3, "text": "a\nb"}"#, "text").unwrap(), ("a\nb".to_owned(), false));
        assert_eq!(found(r#"{"text": null, "messages": 3}"#, "text").unwrap(), (String::new(), false));
        for (line, column, expected) in [
            (
                r#"{"id": 3, "body": "x"}"#,
                "text",
                "no column 'text'; give one of its columns with --column: id, body",
            ),
            (r#"{}"#, "text", "nor any other"),
            (r#"{"text": 3}"#, "text", "column 'text' is a number, expected a string"),
            (r#"{"messages": []}"#, "text", "column 'messages' is a conversation, and there is no template"),
            (r#"{"messages": []}"#, "body", "has no column 'body'"),
            (r#"{"conversations": [{"from": "elf", "value": ""}]}"#, "conversations", "a turn of 'elf'"),
            (r#"{"text": ["a"]}"#, "text", "column 'text' is no conversation"),
            (r#"["text"]"#, "text", "expected a JSON object"),
            (r#"{"text": "cut"#, "text", "expected a JSON object"),
        ] {
            let reason = found(line, column).unwrap_err();
            assert!(reason.contains(expected), "{line}: {reason}");
        }
    }
}
