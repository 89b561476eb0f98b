//! What is evaluated: the methods that the given files make up.

use std::path::{Path, PathBuf};

use onejump_core::manifest::CaptureInputs;
use onejump_core::results::{Choice, Method, MethodName};
use onejump_core::shortcut::{LevelConvention, ShortcutKind, parameters};
use onejump_shortcuts::card::Card;
use onejump_shortcuts::file::ShortcutFile;
use onejump_shortcuts::map::Map;

use crate::EvaluateError;

/// A method and the file of its maps.
pub(crate) struct Entry {
    pub method: Method,
    /// Place in [`Methods::files`]; none for the identity.
    file: Option<usize>,
}

/// All methods but the constant baseline, which has no map.
pub(crate) struct Methods {
    pub entries: Vec<Entry>,
    pub choices: Vec<Choice>,
    files: Vec<ShortcutFile>,
}

impl Methods {
    /// Reads the files and refuses those that do not belong to the hidden states.
    ///
    /// `arbitrary` are the jumps of each n-njtc file that are also applied at every exit level.
    pub fn read(
        inputs: &CaptureInputs,
        shortcuts: &[PathBuf],
        ojfa: &[PathBuf],
        arbitrary: &[usize],
    ) -> Result<Self, EvaluateError> {
        let blocks = inputs.blocks;
        if let Some(jump) = arbitrary.iter().find(|&&jump| jump >= blocks) {
            return Err(EvaluateError::Usage(format!(
                "--arbitrary {jump}: there is no such jump; the model has jumps 0 to {}",
                blocks.saturating_sub(1)
            )));
        }
        let identity = Method::untrained(MethodName::Kind(ShortcutKind::Identity));
        let mut methods = Self {
            entries: vec![Entry { method: identity, file: None }],
            choices: Vec::new(),
            files: Vec::new(),
        };
        for path in shortcuts {
            let file = open(path, inputs)?;
            if file.card.kind == ShortcutKind::Ojfa {
                return Err(EvaluateError::Usage(format!(
                    "{} is an ojfa file; give it as --ojfa",
                    path.display()
                )));
            }
            methods.add(file, arbitrary);
        }
        for path in ojfa {
            let file = open(path, inputs)?;
            let Some(choice) = &file.card.choice else {
                return Err(EvaluateError::Usage(format!(
                    "{} is no ojfa file; onejump-score --ojfa writes one",
                    path.display()
                )));
            };
            let best = |levels| choice.best(levels).unwrap_or(choice.level);
            methods.choices.push(Choice {
                solver: file.card.solver,
                rank: file.card.rank.unwrap_or(0),
                jump: choice.level,
                levels: choice.levels,
                jump_exit: best(LevelConvention::Exit),
                jump_eq5: best(LevelConvention::Eq5),
                d_exit: choice.d_exit.clone(),
                d_eq5: choice.d_eq5.clone(),
                sureness: choice.sureness.clone(),
            });
            methods.add(file, &[]);
        }
        Ok(methods)
    }

    /// Every jump of one file, each applied at all exit levels; nothing else.
    pub fn jumps(inputs: &CaptureInputs, path: &Path) -> Result<Self, EvaluateError> {
        let file = open(path, inputs)?;
        if file.card.kind != ShortcutKind::NNjtc {
            return Err(EvaluateError::Usage(format!(
                "{} holds '{}'; jumps are transferred between levels of n-njtc files",
                path.display(),
                file.card.kind
            )));
        }
        let mut methods = Self { entries: Vec::new(), choices: Vec::new(), files: Vec::new() };
        let all: Vec<usize> = (0..inputs.blocks).collect();
        methods.add(file, &all);
        methods.entries.retain(|entry| entry.method.jump.is_some());
        Ok(methods)
    }

    /// The card of an entry's file; none for the identity.
    pub fn card(&self, entry: &Entry) -> Option<&Card> {
        entry.file.map(|file| &self.files[file].card)
    }

    /// The kind of an entry's shortcuts.
    pub fn kind(&self, entry: &Entry) -> ShortcutKind {
        self.card(entry).map_or(ShortcutKind::Identity, |card| card.kind)
    }

    fn add(&mut self, file: ShortcutFile, arbitrary: &[usize]) {
        let card = &file.card;
        let place = self.files.len();
        let base = Method {
            name: MethodName::Kind(card.kind),
            solver: Some(card.solver),
            rank: card.rank,
            jump: card.choice.as_ref().map(|choice| choice.level),
            parameters: card.parameters(),
        };
        self.entries.push(Entry { method: base.clone(), file: Some(place) });
        if card.kind == ShortcutKind::NNjtc {
            let one = parameters(ShortcutKind::Ojfa, card.hidden_size, card.rank.unwrap_or(0), card.blocks);
            self.entries.extend(arbitrary.iter().map(|&jump| Entry {
                method: Method {
                    name: MethodName::Jump(jump),
                    jump: Some(jump),
                    parameters: one,
                    ..base.clone()
                },
                file: Some(place),
            }));
        }
        self.files.push(file);
    }

    /// The map that an entry applies at an exit level; none is the identity.
    pub fn map(&self, entry: &Entry, level: usize) -> Result<Option<&Map>, EvaluateError> {
        let Some(file) = entry.file else { return Ok(None) };
        // A jump stays at the level that it was trained at; the others follow the exit level.
        Ok(Some(self.files[file].map_at(entry.method.jump.unwrap_or(level))?))
    }

    /// Whether an entry applies the same map at every exit level.
    pub fn is_one_map(&self, entry: &Entry) -> bool {
        entry.method.jump.is_some() || entry.file.is_none_or(|file| !self.files[file].card.kind.per_level())
    }
}

fn open(path: &Path, inputs: &CaptureInputs) -> Result<ShortcutFile, EvaluateError> {
    let file = ShortcutFile::read(path)?;
    file.check_model(path, &inputs.model_sha256, inputs.hidden_size, inputs.blocks)?;
    Ok(file)
}
