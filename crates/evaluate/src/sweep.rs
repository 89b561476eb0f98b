//! All methods at all exit levels of a split: one pass, whose outcomes each analysis folds its own way.

use std::sync::Mutex;
use std::time::Instant;

use onejump_core::observe::{Observer, Task};
use onejump_core::results::Method;
use onejump_exit::ExitHead;
use onejump_shortcuts::map::Map;
use onejump_tensor::rows::tensor;
use onejump_tensor::threads;
use rayon::prelude::*;

use crate::EvaluateError;
use crate::inputs::States;
use crate::levels::{FinalStates, outcomes};
use crate::methods::Methods;
use crate::metrics::Outcome;

/// Folds the outcomes of every entry at these exit levels: per entry, a value per level. Levels are
/// independent; each runs on one thread, so that the result does not depend on how many there are.
pub(crate) fn sweep<T: Send>(
    title: &'static str,
    states: &States,
    methods: &Methods,
    levels: &[usize],
    observer: &dyn Observer,
    fold: impl Fn(Vec<Outcome>) -> T + Sync,
) -> Result<Vec<Vec<T>>, EvaluateError> {
    let (hidden, truth) = (&states.hidden, &states.truth);
    let names: Vec<String> = methods.entries.iter().map(|entry| describe(&entry.method)).collect();
    // The head behind a map that serves all levels is prepared once.
    let mut shared = Vec::with_capacity(names.len());
    for entry in &methods.entries {
        let one = methods.is_one_map(entry);
        let head = &states.finals.head;
        shared.push(if one { Some(ExitHead::new(methods.map(entry, 0)?, head)?) } else { None });
    }
    let exit = |level: usize, entry: usize| {
        Ok::<_, EvaluateError>(match &shared[entry] {
            Some(head) => Exit::Prepared(Box::new(head.shallow_clone())),
            None => Exit::Map(methods.map(&methods.entries[entry], level)?.map(Map::shallow_clone)),
        })
    };
    let jobs = levels
        .iter()
        .map(|&level| {
            let exits = (0..names.len()).map(|entry| exit(level, entry)).collect::<Result<Vec<_>, _>>()?;
            Ok((level, states.finals.shallow_clone(), exits))
        })
        .collect::<Result<Vec<_>, EvaluateError>>()?;
    let total = (levels.len() * names.len()) as u64;
    let meter = observer.begin(Task { name: title, unit: "methods × levels", total });
    let pool = threads::pool()?;
    let threads = pool.current_num_threads() as f64;
    let seconds = Mutex::new(vec![0.0; names.len()]);
    let by_level = pool.install(|| {
        jobs.into_par_iter()
            .with_max_len(1)
            .map(|(level, finals, exits)| {
                let at_level = tensor(&hidden.level(level)?, hidden.hidden_size())?;
                let evaluate = |(entry, (name, exit)): (usize, (&String, Exit))| {
                    observer.check()?;
                    let started = Instant::now();
                    let name = format!("{name} at level {level}");
                    let exit = exit.prepare(&finals)?;
                    let found = outcomes(&name, &exit, &at_level, &finals, truth)?;
                    meter.advance(1);
                    let folded = fold(found);
                    if let Ok(mut seconds) = seconds.lock() {
                        seconds[entry] += started.elapsed().as_secs_f64() / threads;
                    }
                    Ok(folded)
                };
                names.iter().zip(exits).enumerate().map(evaluate).collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, EvaluateError>>()
    })?;
    for (name, seconds) in names.iter().zip(seconds.into_inner().unwrap_or_default()) {
        tracing::debug!("evaluated {name}: {seconds:.2} s");
    }
    let mut by_entry: Vec<Vec<T>> = names.iter().map(|_| Vec::with_capacity(levels.len())).collect();
    for level in by_level {
        for (entry, value) in by_entry.iter_mut().zip(level) {
            entry.push(value);
        }
    }
    Ok(by_entry)
}

/// A map with the head behind it, or what it is made from.
enum Exit {
    Prepared(Box<ExitHead>),
    Map(Option<Map>),
}

impl Exit {
    fn prepare(self, finals: &FinalStates) -> Result<ExitHead, EvaluateError> {
        match self {
            Self::Prepared(head) => Ok(*head),
            Self::Map(map) => Ok(ExitHead::new(map.as_ref(), &finals.head)?),
        }
    }
}

fn describe(method: &Method) -> String {
    let mut name = method.name.to_string();
    if let Some(solver) = method.solver {
        name.push_str(&format!(" ({solver}"));
        if let Some(rank) = method.rank {
            name.push_str(&format!(", rank {rank}"));
        }
        name.push(')');
    }
    name
}
