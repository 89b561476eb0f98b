//! What comes of a training.

use onejump_core::shortcut::ShortcutKind;
use onejump_shortcuts::file::Maps;
use onejump_shortcuts::map::Map;
use tch::Tensor;

/// A kind of shortcut to train, at a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// The kind.
    pub kind: ShortcutKind,
    /// r; kinds without a rank do not look at it.
    pub rank: usize,
}

/// One map.
pub(crate) struct TrainedMap {
    pub map: Map,
    /// E‖ĥ − h_K‖² over the training samples.
    pub loss: f64,
    /// The loss of every epoch of gradient descent.
    pub curve: Option<Vec<f64>>,
}

/// The maps of a file.
#[derive(Debug)]
pub struct TrainedSet {
    /// The maps themselves.
    pub maps: Maps,
    /// What reads the token before, (H, r).
    pub previous: Option<Tensor>,
    /// The loss of each map.
    pub losses: Vec<f64>,
    /// The loss of every epoch of gradient descent, for each map.
    pub curves: Option<Vec<Vec<f64>>>,
    /// The loss on samples that were held out of the one descent, before its first epoch and after each.
    pub held_out: Option<Vec<f64>>,
    /// In how many windows gradient descent read the samples.
    pub windows: usize,
}

impl TrainedSet {
    /// The maps of the exit levels.
    pub(crate) fn per_level(levels: Vec<TrainedMap>) -> Self {
        let (mut maps, mut losses, mut curves) = (Vec::new(), Vec::new(), Vec::new());
        for level in levels {
            maps.push(level.map);
            losses.push(level.loss);
            curves.extend(level.curve);
        }
        Self {
            maps: Maps::PerLevel(maps),
            previous: None,
            losses,
            curves: (!curves.is_empty()).then_some(curves),
            held_out: None,
            windows: 1,
        }
    }

    /// One map for all exit levels.
    pub(crate) fn one(trained: TrainedMap) -> Self {
        let curves = trained.curve.map(|curve| vec![curve]);
        let maps = Maps::One(Box::new(trained.map));
        Self { maps, previous: None, losses: vec![trained.loss], curves, held_out: None, windows: 1 }
    }
}
