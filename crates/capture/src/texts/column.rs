//! Which column of a table holds the texts, and what to do where none does.

/// The column that texts are read from where none is named: most data sets call it so.
pub const DEFAULT_COLUMN: &str = "text";

/// Why a file has no texts in a column, where it has others.
pub(super) fn no_column(column: &str, others: &[&str]) -> String {
    let chat = others.iter().find(|other| ["messages", "conversations"].contains(*other));
    match chat {
        Some(chat) => is_chat(chat),
        None if others.is_empty() => format!("has no column '{column}', nor any other"),
        None => {
            format!("has no column '{column}'; give one of its columns with --column: {}", others.join(", "))
        }
    }
}

/// Why a column of messages is not read.
pub(super) fn is_chat(column: &str) -> String {
    format!(
        "has chat messages in column '{column}', which only the model's chat template makes a text of; apply it first (in \
         Python: tokenizer.apply_chat_template(messages, tokenize=False)), and give the column of the texts with --column"
    )
}
