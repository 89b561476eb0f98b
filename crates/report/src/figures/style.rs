//! How methods look: Okabe and Ito's colours, which differ for colour-blind readers too, and a
//! dash pattern and a marker each, which differ in grey.

use onejump_core::shortcut::ShortcutKind;
use svg::node::element::path::Data;
use svg::node::element::{Circle, Group, Path};

/// Text, axes and the constant baseline, where no style sheet says otherwise.
pub const INK: &str = "#1a1a1a";
const BLUE: &str = "#0072B2";
const VERMILLION: &str = "#D55E00";
const PURPLE: &str = "#CC79A7";
const GREEN: &str = "#009E73";
const SKY: &str = "#56B4E9";
const ORANGE: &str = "#E69F00";

/// The shape that marks a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Only the line.
    None,
    Circle,
    Square,
    /// A triangle that points up.
    Up,
    /// A triangle that points down.
    Down,
    Diamond,
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
    pub marker: Marker,
    pub width: f64,
}

const fn style(
    class: &'static str,
    color: &'static str,
    dash: &'static str,
    marker: Marker,
    width: f64,
) -> Style {
    Style { class, color, dash, marker, width }
}

pub const CONSTANT: Style = style("ink", INK, "1.5 4", Marker::None, 1.6);
pub const IDENTITY: Style = style("identity", GREEN, "2 3", Marker::Up, 1.9);
pub const JTC: Style = style("ink", INK, "", Marker::None, 1.0);
pub const N_NJTC: Style = style("n-njtc", BLUE, "8 3", Marker::Square, 1.9);
pub const JOINT: Style = style("joint", PURPLE, "10 4", Marker::Down, 1.9);
pub const JOINT_NORMS: Style = style("sky", SKY, "6 3", Marker::Diamond, 1.9);
pub const ONE_JUMP: Style = style("ojfa", VERMILLION, "4 2", Marker::Diamond, 2.2);
pub const RESIDUAL: Style = style("ojfa", VERMILLION, "1 2", Marker::Square, 2.2);
pub const OJFA: Style = style("ojfa", VERMILLION, "", Marker::Circle, 2.6);
/// Several jumps, of which each level uses its best.
pub const SUBSETS: Style = style("orange", ORANGE, "3 2", Marker::Cross, 1.9);
/// The scores D_m that decided.
pub const SCORE: Style = style("ojfa", VERMILLION, "", Marker::None, 2.2);
/// The scores D_m under the convention that did not decide.
pub const OTHER_SCORE: Style = style("n-njtc", BLUE, "6 3", Marker::None, 1.5);

const ARBITRARY_COLORS: [(&str, &str); 4] =
    [("sky", SKY), ("green", GREEN), ("orange", ORANGE), ("blue", BLUE)];
const ARBITRARY_DASHES: [&str; 5] = ["5 3", "2 3", "9 3 2 3", "12 3 2 3 2 3", "1 2"];
const ARBITRARY_MARKERS: [Marker; 5] =
    [Marker::Square, Marker::Up, Marker::Diamond, Marker::Cross, Marker::Down];

/// The look of the n-th arbitrary jump; 20 of them differ.
pub fn arbitrary(index: usize) -> Style {
    let (class, color) = ARBITRARY_COLORS[index % ARBITRARY_COLORS.len()];
    let dash = ARBITRARY_DASHES[index % ARBITRARY_DASHES.len()];
    style(class, color, dash, ARBITRARY_MARKERS[index % ARBITRARY_MARKERS.len()], 1.7)
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
        ShortcutKind::Residual => RESIDUAL,
        ShortcutKind::Njtc | ShortcutKind::TunedLens | ShortcutKind::JacobianLens => arbitrary(other + 2),
    }
}

impl Style {
    /// A group in this colour.
    pub fn group(&self) -> Group {
        Group::new().set("class", format!("oj-{}", self.class)).set("color", self.color)
    }

    /// A group with this style's marker at a point.
    pub fn mark(&self, group: Group, x: f64, y: f64) -> Group {
        self.marker.at(x, y, self.width * 0.5 + 2.0).into_iter().fold(group, Group::add)
    }

    /// A line along `data` in the group's colour.
    pub fn line(&self, data: Data) -> Path {
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
        let data = polyline(corners.into_iter().map(|(dx, dy)| (tenth(x + dx), tenth(y + dy))));
        Some(Group::new().set("fill", "currentColor").add(Path::new().set("d", data.close())))
    }
}

/// The line from point to point.
pub fn polyline(points: impl Iterator<Item = (f64, f64)>) -> Data {
    let join = |data: Data, (index, point)| {
        if index == 0 { data.move_to(point) } else { data.line_to(point) }
    };
    points.enumerate().fold(Data::new(), join)
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
