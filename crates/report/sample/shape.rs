//! What the invented tables have in common.

/// H.
pub const HIDDEN_SIZE: usize = 576;

/// Where the single jumps are best, as a share of the depth.
pub const BEST_JUMP: f64 = 0.53;
