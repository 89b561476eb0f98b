//! How methods look: Okabe and Ito's colours, which differ for colour-blind readers too, and a
//! dash pattern and a marker each, which differ in grey.

use onejump_core::shortcut::ShortcutKind;
use svg::node::element::{Circle, Group, Path};

/// Text, axes and the constant baseline, where no style sheet says otherwise.
pub const INK: &str = "#1a1a1a";
/// The full n-njtc.
const BLUE: &str = "#0072B2";
/// OJFA, and the chosen jump.
pub const VERMILLION: &str = "#D55E00";
const PURPLE: &str = "#CC79A7";
const GREEN: &str = "#009E73";
const SKY: &str = "#56B4E9";
const ORANGE: &str = "#E69F00";

/// The shape that marks a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Only the line.
    None,
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle that points up.
    Up,
    /// A triangle that points down.
    Down,
    /// A square on its corner.
    Diamond,
    /// A cross.
    Cross,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// The class by which a style sheet can change the colour.
    pub class: &'static str,
    /// The colour without a style sheet.
    pub color: &'static str,
    /// `stroke-dasharray`, or nothing for a solid line.
    pub dash: &'static str,
    /// What stands at a level.
    pub marker: Marker,
    /// The line's width.
    pub width: f64,
}

/// The one jump.
pub const OJFA: Style =
    Style { class: "ojfa", color: VERMILLION, dash: "", marker: Marker::Circle, width: 2.6 };
/// The full set of jumps.
pub const N_NJTC: Style =
    Style { class: "n-njtc", color: BLUE, dash: "8 3", marker: Marker::Square, width: 1.9 };
/// The hidden state itself.
pub const IDENTITY: Style =
    Style { class: "identity", color: GREEN, dash: "2 3", marker: Marker::Up, width: 1.9 };
/// The full matrices.
pub const JTC: Style = Style { class: "ink", color: INK, dash: "", marker: Marker::None, width: 1.0 };
/// The jointly trained shortcut.
pub const JOINT: Style =
    Style { class: "joint", color: PURPLE, dash: "10 4", marker: Marker::Down, width: 1.9 };
/// The baseline.
pub const CONSTANT: Style =
    Style { class: "ink", color: INK, dash: "1.5 4", marker: Marker::None, width: 1.6 };
/// The scores D_m under the convention that did not decide.
pub const OTHER_SCORE: Style =
    Style { class: "n-njtc", color: BLUE, dash: "6 3", marker: Marker::None, width: 1.5 };
/// The scores D_m that decided.
pub const SCORE: Style =
    Style { class: "ojfa", color: VERMILLION, dash: "", marker: Marker::None, width: 2.2 };

/// One A·B with a BatchNorm per level.
pub const JOINT_NORMS: Style =
    Style { class: "sky", color: SKY, dash: "6 3", marker: Marker::Diamond, width: 1.9 };
/// The single jump that was fitted to what the head reads.
pub const ONE_JUMP: Style =
    Style { class: "ojfa", color: VERMILLION, dash: "4 2", marker: Marker::Diamond, width: 2.2 };
/// Several jumps, of which each level uses its best.
pub const SUBSETS: Style =
    Style { class: "orange", color: ORANGE, dash: "3 2", marker: Marker::Cross, width: 1.9 };

const ARBITRARY_COLORS: [(&str, &str); 4] =
    [("sky", SKY), ("green", GREEN), ("orange", ORANGE), ("blue", BLUE)];
const ARBITRARY_DASHES: [&str; 5] = ["5 3", "2 3", "9 3 2 3", "12 3 2 3 2 3", "1 2"];
const ARBITRARY_MARKERS: [Marker; 5] =
    [Marker::Square, Marker::Up, Marker::Diamond, Marker::Cross, Marker::Down];

/// The look of the n-th arbitrary jump; 20 of them differ.
pub fn arbitrary(index: usize) -> Style {
    let (class, color) = ARBITRARY_COLORS[index % ARBITRARY_COLORS.len()];
    Style {
        class,
        color,
        dash: ARBITRARY_DASHES[index % ARBITRARY_DASHES.len()],
        marker: ARBITRARY_MARKERS[index % ARBITRARY_MARKERS.len()],
        width: 1.7,
    }
}

/// The look of a kind of shortcut; of the n-th of the kinds that have no look of their own.
pub fn of_kind(kind: ShortcutKind, other: usize) -> Style {
    match kind {
        ShortcutKind::Ojfa => OJFA,
        ShortcutKind::NNjtc => N_NJTC,
        ShortcutKind::Identity => IDENTITY,
        ShortcutKind::Jtc => Style { marker: Marker::Square, ..JTC },
        ShortcutKind::Joint => JOINT,
        ShortcutKind::JointNorms => JOINT_NORMS,
        ShortcutKind::OneJump => ONE_JUMP,
        ShortcutKind::Njtc | ShortcutKind::TunedLens => arbitrary(other + 2),
    }
}

impl Style {
    /// A group in this colour.
    pub fn group(&self) -> Group {
        Group::new().set("class", format!("oj-{}", self.class)).set("color", self.color)
    }

    /// A line along `data` in the group's colour.
    pub fn line(&self, data: svg::node::element::path::Data) -> Path {
        let line = Path::new()
            .set("d", data)
            .set("fill", "none")
            .set("stroke", "currentColor")
            .set("stroke-width", self.width)
            .set("stroke-linejoin", "round");
        if self.dash.is_empty() { line } else { line.set("stroke-dasharray", self.dash) }
    }
}

impl Marker {
    /// The marker around a point, `radius` wide each way, in the group's colour.
    pub fn at(self, x: f64, y: f64, radius: f64) -> Option<Group> {
        let r = radius;
        let corners: Vec<(f64, f64)> = match self {
            Self::None => return None,
            Self::Circle => {
                let disc = Circle::new().set("cx", tenth(x)).set("cy", tenth(y)).set("r", r);
                return Some(Group::new().set("fill", "currentColor").add(disc));
            }
            Self::Square => vec![(-r, -r), (r, -r), (r, r), (-r, r)],
            Self::Up => vec![(0.0, -1.2 * r), (1.2 * r, r), (-1.2 * r, r)],
            Self::Down => vec![(0.0, 1.2 * r), (1.2 * r, -r), (-1.2 * r, -r)],
            Self::Diamond => vec![(0.0, -1.4 * r), (1.4 * r, 0.0), (0.0, 1.4 * r), (-1.4 * r, 0.0)],
            Self::Cross => {
                let (a, b) = (0.35 * r, 1.3 * r);
                let quarter = [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a)];
                let half = [(a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)];
                quarter.into_iter().chain(half).collect()
            }
        };
        let mut data = svg::node::element::path::Data::new();
        for (index, (dx, dy)) in corners.into_iter().enumerate() {
            let point = (tenth(x + dx), tenth(y + dy));
            data = if index == 0 { data.move_to(point) } else { data.line_to(point) };
        }
        Some(Group::new().set("fill", "currentColor").add(Path::new().set("d", data.close())))
    }
}

/// Tenths of a pixel are enough, and short.
pub fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_arbitrary_jumps_differ() {
        let styles: Vec<Style> = (0..20).map(arbitrary).collect();
        for (index, style) in styles.iter().enumerate() {
            assert!(!styles[..index].contains(style), "{index}");
        }
    }
}
