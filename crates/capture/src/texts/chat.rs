//! Conversations, as data sets have them: a list of turns, each with who speaks and what is said. The checkpoint's template
//! makes a text of one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, LargeListArray, LargeStringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use onejump_models::chat::{ChatTemplate, Ending, Message, Role};
use serde_json::Value;

/// The columns that have conversations in most data sets: they are read where `--column` names none and there is no text.
pub(super) const CHAT_COLUMNS: [&str; 2] = ["messages", "conversations"];

/// What the keys of a turn are called: who speaks, and what.
const KEYS: [(&str, &str); 2] = [("role", "content"), ("from", "value")];

/// The checkpoint's template, or why it has none.
#[derive(Clone)]
pub(crate) struct Chat(Arc<Result<ChatTemplate, String>>);

impl Chat {
    /// With a template, or the reason that is given where a conversation comes.
    pub fn new(template: Result<ChatTemplate, String>) -> Self {
        Self(Arc::new(template))
    }

    /// The text of a conversation, with all special tokens; that of one without turns is empty.
    pub(super) fn text(&self, turns: &[Message]) -> Result<String, String> {
        let template =
            self.0.as_ref().as_ref().map_err(|reason| format!("is a conversation, and {reason}"))?;
        if turns.is_empty() {
            return Ok(String::new());
        }
        template.render(turns, Ending::Closed).map_err(|error| error.to_string())
    }
}

/// The turns in a value of JSON; none where it is no list of such objects.
pub(super) fn of_json(value: &Value) -> Result<Vec<Message>, String> {
    let turns = value.as_array().ok_or_else(|| no_turns("it is no list"))?;
    let turn = |turn: &Value| {
        let found = KEYS.iter().find(|(who, _)| turn.get(who).is_some());
        let (who, what) = found.ok_or_else(|| no_turns("a turn says not who speaks"))?;
        let (Some(who), Some(what)) = (turn[who].as_str(), turn.get(what).and_then(Value::as_str)) else {
            return Err(no_turns(&format!("a turn's '{who}' or '{what}' is no string")));
        };
        message(who, what)
    };
    turns.iter().map(turn).collect()
}

fn no_turns(reason: &str) -> String {
    format!(
        "is no conversation ({reason}); expected [{{\"role\": \"user\", \"content\": \"...\"}}, ...] or \
         [{{\"from\": \"human\", \"value\": \"...\"}}, ...]"
    )
}

fn message(who: &str, what: &str) -> Result<Message, String> {
    let role = match who {
        "system" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "gpt" | "model" | "chatgpt" => Role::Assistant,
        other => {
            return Err(format!(
                "has a turn of '{other}'; known are system, user (or human) and assistant (or gpt, chatgpt, model)"
            ));
        }
    };
    Ok(Message::new(role, what))
}

/// The conversations in a column of a table, a row each; none where a row is null.
pub(super) fn of_column(column: &ArrayRef) -> Result<Vec<Option<Vec<Message>>>, String> {
    let (DataType::List(item) | DataType::LargeList(item)) = column.data_type() else {
        return Err(no_turns("it is no list"));
    };
    let DataType::Struct(fields) = item.data_type() else { return Err(no_turns("its turns are no objects")) };
    let has = |name: &str| fields.iter().any(|field| field.name() == name);
    let found = KEYS.iter().find(|(who, what)| has(who) && has(what));
    let (who, what) = found.ok_or_else(|| no_turns("its turns have other keys"))?;
    let list = DataType::LargeList(Arc::new(Field::new(item.name(), item.data_type().clone(), true)));
    let lists = cast(column, &list).map_err(|error| error.to_string())?;
    let lists: &LargeListArray = lists.as_any().downcast_ref().ok_or_else(|| no_turns("it is no list"))?;
    let row = |row: usize| {
        if lists.is_null(row) {
            return Ok(None);
        }
        let turns = lists.value(row);
        let turns: &StructArray = turns.as_any().downcast_ref().ok_or_else(|| no_turns("it is no list"))?;
        let strings = |name: &str| -> Result<LargeStringArray, String> {
            let column = turns.column_by_name(name).ok_or_else(|| no_turns("its turns have other keys"))?;
            let strings = cast(column, &DataType::LargeUtf8).map_err(|error| error.to_string())?;
            let strings: Option<&LargeStringArray> = strings.as_any().downcast_ref();
            strings.cloned().ok_or_else(|| no_turns(&format!("a turn's '{name}' is no string")))
        };
        let (who, what) = (strings(who)?, strings(what)?);
        let turn = |turn: usize| {
            if who.is_null(turn) || what.is_null(turn) {
                return Err(no_turns("a turn is null"));
            }
            message(who.value(turn), what.value(turn))
        };
        (0..turns.len()).map(turn).collect::<Result<Vec<_>, _>>().map(Some)
    };
    (0..lists.len()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_are_the_same_conversation() {
        let expected = [
            Message::new(Role::System, "be short"),
            Message::new(Role::User, "the fox"),
            Message::new(Role::Assistant, "quick"),
        ];
        for conversation in [
            json!([{"role": "system", "content": "be short"}, {"role": "user", "content": "the fox"},
                   {"role": "assistant", "content": "quick", "weight": 1}]),
            json!([{"from": "system", "value": "be short"}, {"from": "human", "value": "the fox"},
                   {"from": "gpt", "value": "quick"}]),
        ] {
            assert_eq!(of_json(&conversation).unwrap(), expected);
        }
        for (wrong, reason) in [
            (json!("text"), "it is no list"),
            (json!([{"speaker": "a"}]), "a turn says not who speaks"),
            (json!([{"role": "user", "content": ["a"]}]), "'content' is no string"),
            (json!([{"role": "user"}]), "'content' is no string"),
            (json!([{"role": "tool", "content": "3"}]), "a turn of 'tool'"),
        ] {
            let said = of_json(&wrong).unwrap_err();
            assert!(said.contains(reason), "{said}");
        }
    }
}
