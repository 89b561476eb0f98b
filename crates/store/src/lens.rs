//! A text's way through the levels of a model, as a table: a row for each method, level and position.

use serde::{Deserialize, Serialize};

/// What one method's level says at one position. The fields are the columns, in their order; texts of tokens are as they are,
/// but for bytes that are no character by themselves (`\xE2`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LensRow {
    /// The method: a kind of shortcut, with what tells it from others of its kind.
    pub method: String,
    /// The file of its maps; none for the identity.
    pub file: Option<String>,
    /// The level; the last is K, the model itself, whatever the method.
    pub level: u32,
    /// The position in the text, counted from 0.
    pub position: u32,
    /// The text's token there.
    pub input_id: i64,
    /// The same in words.
    pub input: String,
    /// The level's answer: its most likely token.
    pub token_id: i64,
    /// The same in words.
    pub token: String,
    /// The probability that the level gives to it.
    pub probability: f64,
    /// The level's five most likely tokens, or as many as the model has.
    pub top_ids: Vec<i64>,
    /// The same in words.
    pub top_tokens: Vec<String>,
    /// Their probabilities.
    pub top_probabilities: Vec<f64>,
    /// The model's own answer, at level K: the true top token of the metrics.
    pub true_id: i64,
    /// The same in words.
    pub true_token: String,
    /// −ln of the probability that the level gives to the true token, in nats.
    pub surprisal: f64,
    /// The place of the true token among the level's: 1 is the most likely.
    pub rank: u32,
    /// KL(model's distribution ‖ level's), in nats; none where it was not asked for.
    pub kl: Option<f64>,
    /// The token that the text goes on with; none at its end.
    pub next_id: Option<i64>,
    /// The same in words.
    pub next: Option<String>,
    /// The probability that the level gives to it.
    pub next_probability: Option<f64>,
    /// Of the method at this position: the first of the levels that were looked at from which on the answer is the true token.
    pub stays_from: u32,
    /// Of the method at this position: the first exit level whose answer is more probable than the threshold; K where none is.
    pub exit_level: u32,
    /// The threshold.
    pub threshold: f64,
}
