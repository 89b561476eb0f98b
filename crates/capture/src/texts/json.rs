//! JSON lines: an object a line, one of whose strings is the text.

use serde_json::{Map, Value};

use super::column::{DEFAULT_COLUMN, is_chat, no_column};
use super::lines::Lines;
use super::text::Text;
use crate::CaptureError;

/// The texts in a column of the objects. Empty lines are none.
pub(super) fn texts(lines: Lines, column: String) -> impl Iterator<Item = Result<Text, CaptureError>> {
    lines.filter_map(move |line| {
        line.and_then(|line| {
            if line.text.trim().is_empty() {
                return Ok(None);
            }
            let text = text_of(&line.text, &column).map_err(|reason| line.place.wrong(&line.path, reason))?;
            Ok(Some(Text { text, ..line }))
        })
        .transpose()
    })
}

/// The text of one object; empty where it is null.
fn text_of(line: &str, column: &str) -> Result<String, String> {
    let mut object: Map<String, Value> = serde_json::from_str(line)
        .map_err(|error| format!("expected a JSON object {{\"{column}\": \"...\"}}: {error}"))?;
    match object.remove(column) {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Null) => Ok(String::new()),
        Some(Value::Array(_) | Value::Object(_)) if column != DEFAULT_COLUMN => Err(is_chat(column)),
        Some(other) => {
            let kind = match other {
                Value::Bool(_) => "a truth value",
                Value::Number(_) => "a number",
                Value::Array(_) => "a list",
                _ => "an object",
            };
            Err(format!("column '{column}' is {kind}, expected a string"))
        }
        None => Err(no_column(column, &object.keys().map(String::as_str).collect::<Vec<_>>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_a_string_of_the_object() {
        assert_eq!(text_of(r#"{"id": 3, "text": "a\nb"}"#, "text").unwrap(), "a\nb");
        assert_eq!(text_of(r#"{"text": null}"#, "text").unwrap(), "");
        for (line, column, expected) in [
            (
                r#"{"id": 3, "body": "x"}"#,
                "text",
                "no column 'text'; give one of its columns with --column: id, body",
            ),
            (r#"{}"#, "text", "nor any other"),
            (r#"{"text": 3}"#, "text", "column 'text' is a number, expected a string"),
            (r#"{"messages": []}"#, "text", "chat messages in column 'messages'"),
            (r#"{"conversations": [{"from": "human"}]}"#, "conversations", "apply_chat_template"),
            (r#"["text"]"#, "text", "expected a JSON object"),
            (r#"{"text": "cut"#, "text", "expected a JSON object"),
        ] {
            let reason = text_of(line, column).unwrap_err();
            assert!(reason.contains(expected), "{line}: {reason}");
        }
    }
}
