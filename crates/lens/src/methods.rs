//! Through which maps the levels are read.

use std::path::PathBuf;

use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_exit::{ExitHead, SharedHead};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::transformer::Outline;
use onejump_shortcuts::card::Card;
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;

use crate::LensError;

/// A way to read levels: the state as it is, or the maps of a file.
pub(crate) struct Source {
    pub kind: ShortcutKind,
    pub title: String,
    pub path: Option<PathBuf>,
    pub parameters: u64,
    file: Option<ShortcutFile>,
}

impl Source {
    /// The identity, and then the files, which must be of this model.
    pub fn all(
        paths: &[PathBuf],
        checkpoint: &Checkpoint,
        outline: &Outline,
    ) -> Result<Vec<Self>, LensError> {
        let mut sources = vec![Self {
            kind: ShortcutKind::Identity,
            title: ShortcutKind::Identity.name().to_owned(),
            path: None,
            parameters: 0,
            file: None,
        }];
        let sha256 = if paths.is_empty() { String::new() } else { checkpoint.sha256()? };
        for path in paths {
            let file = ShortcutFile::read(path)?;
            file.check_model(path, &sha256, outline.hidden_size, outline.blocks)?;
            let mut title = title(&file.card);
            if sources.iter().any(|source| source.title == title) {
                title = format!("{title} of {}", path.display());
            }
            sources.push(Self {
                kind: file.card.kind,
                title,
                path: Some(path.clone()),
                parameters: file.card.parameters(),
                file: Some(file),
            });
        }
        Ok(sources)
    }

    /// What reads some exit levels, each at `positions` states.
    pub fn readers(
        &self,
        levels: &[usize],
        positions: usize,
        head: &SharedHead,
    ) -> Result<Vec<Reader>, LensError> {
        let Some(file) = &self.file else {
            let exit = ExitHead::new(None, head)?;
            return Ok(levels.iter().map(|_| Reader::ready(&exit)).collect());
        };
        match &file.maps {
            Maps::One(map) => {
                let exit = prepared(map, levels.len() * positions, head)?;
                Ok(levels.iter().map(|_| Reader::ready(&exit)).collect())
            }
            Maps::PerLevel(_) => levels
                .iter()
                .map(|&level| {
                    let (map, head) = (file.map_at(level)?.shallow_clone(), head.shallow_clone());
                    Ok(Reader::Map { map, states: positions, head })
                })
                .collect(),
        }
    }
}

/// What reads one level. It can be sent to a thread, which prepares the head behind the level's own map.
pub(crate) enum Reader {
    Ready(Box<ExitHead>),
    Map { map: Map, states: usize, head: SharedHead },
}

impl Reader {
    fn ready(exit: &ExitHead) -> Self {
        Self::Ready(Box::new(exit.shallow_clone()))
    }

    pub fn prepare(self) -> Result<ExitHead, LensError> {
        match self {
            Self::Ready(exit) => Ok(*exit),
            Self::Map { map, states, head } => prepared(&map, states, &head),
        }
    }
}

/// The head behind a map: fused where the product that this needs first is no more than what it saves.
fn prepared(map: &Map, states: usize, head: &SharedHead) -> Result<ExitHead, LensError> {
    Ok(match map.fused_rank() {
        Some(rank) if states <= rank => ExitHead::unfused(map, head)?,
        _ => ExitHead::new(Some(map), head)?,
    })
}

/// "ojfa (jump 16, rank 5)".
fn title(card: &Card) -> String {
    let jump = card.choice.as_ref().map(|choice| format!("jump {}", choice.level));
    let rank = card.rank.map(|rank| format!("rank {rank}"));
    // The closed form is what is trained if nothing else is said; these have one way to be trained.
    let one_way = card.kind.fitted_to_head()
        || matches!(card.kind, ShortcutKind::TunedLens | ShortcutKind::JacobianLens);
    let solver = (card.solver == Solver::Adam && !one_way).then(|| card.solver.name().to_owned());
    let details: Vec<String> = [jump, rank, solver, card.label.clone()].into_iter().flatten().collect();
    let name = card.kind.name();
    if details.is_empty() { name.to_owned() } else { format!("{name} ({})", details.join(", ")) }
}
