//! A rotary embedding for each kind of block: `rope_parameters` by the words of `layer_types`.

use serde_json::{Map, Value, json};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::rotary::RotaryConfig;

/// The kinds of blocks, in the words of `layer_types` and `rope_parameters`.
pub(crate) const KINDS: [&str; 2] = ["full_attention", "sliding_attention"];

/// The embedding of each of [`KINDS`]. `thetas` are the bases of those whose parameters name none; where it is not clear,
/// they must name one. A `rope_scaling`, as old files have it, is that of full attention.
pub(crate) fn rotaries(
    checkpoint: &Checkpoint,
    thetas: [Option<f64>; 2],
) -> Result<Vec<RotaryConfig>, ModelError> {
    let config = checkpoint.config();
    let wrong = |reason: &str| ModelError::checkpoint(checkpoint.path(), reason);
    let by_kind = config["rope_parameters"].as_object().cloned().unwrap_or_default();
    if by_kind
        .iter()
        .any(|(key, value)| !KINDS.contains(&key.as_str()) || !(value.is_object() || value.is_null()))
    {
        return Err(wrong(
            "rope_parameters must have 'full_attention' and 'sliding_attention' in this architecture",
        ));
    }
    let rotary = |(kind, theta): (&str, Option<f64>)| {
        let own = by_kind.get(kind).and_then(Value::as_object);
        let mut parameters: Map<String, Value> = own.cloned().unwrap_or_default();
        if let (true, Some(scaling)) = (kind == KINDS[0], config["rope_scaling"].as_object()) {
            // transformers looks for `rope_type` alone here, and would leave the scaling out.
            if scaling.contains_key("type") && !scaling.contains_key("rope_type") {
                return Err(wrong(
                    "rope_scaling has a 'type' but no 'rope_type'; name it so in this architecture",
                ));
            }
            parameters.extend(scaling.clone());
        }
        let named = parameters.get("rope_theta").is_some_and(|theta| !theta.is_null());
        match theta {
            _ if named => {}
            Some(theta) => drop(parameters.insert("rope_theta".into(), json!(theta))),
            None => {
                return Err(wrong(
                    "rope_theta stands beside rope_parameters, and which blocks it is for is not clear; put it into \
                     both kinds of blocks in rope_parameters",
                ));
            }
        }
        RotaryConfig::of_kind(checkpoint.path(), parameters)
    };
    KINDS.into_iter().zip(thetas).map(rotary).collect()
}
