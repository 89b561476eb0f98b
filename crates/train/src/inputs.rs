//! Stored states as tensors.

use std::ops::Range;

use onejump_core::target::Target;
use onejump_shortcuts::map::unit;
use onejump_store::hidden::HiddenStates;
use onejump_tensor::rows::tensor;
use tch::Tensor;

use crate::TrainError;

/// The states of a level as a tensor, (N, H) f32.
pub(crate) fn level(hidden: &HiddenStates, level: usize) -> Result<Tensor, TrainError> {
    Ok(tensor(&hidden.level(level)?, hidden.hidden_size())?)
}

/// Final hidden states of some samples at length 1, (n, H) f32: where tokens ended.
pub(crate) fn ends(hidden: &HiddenStates, samples: Range<usize>) -> Result<Tensor, TrainError> {
    let states = hidden.level_rows(hidden.blocks(), samples)?;
    Ok(unit(&tensor(&states, hidden.hidden_size())?)?)
}

/// What the maps approximate, from the final hidden states (N, H).
pub(crate) fn targets(target: Target, states: Tensor) -> Result<Tensor, TrainError> {
    Ok(match target {
        Target::PreNorm => states,
        Target::Normed => {
            let scale = states.f_square()?.f_mean_dim([1i64].as_slice(), true, None)?.f_rsqrt()?; // (N, 1)
            states.f_mul(&scale)?
        }
    })
}
