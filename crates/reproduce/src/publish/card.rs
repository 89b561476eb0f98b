//! `README.md` of a published folder: what the hub reads in its front matter, and what people read below it.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use onejump_core::numbers::thousands;
use onejump_core::published::Published;
use onejump_core::results::{Average, MethodName, Summary};
use serde::Serialize;

use super::files::Sets;
use super::origin::Origin;
use crate::error::ReproduceError;

/// The card, but for its values.
const TEMPLATE: &str = include_str!("../../templates/README.md");

/// Stands for a repository that is not known yet.
const PLACEHOLDER: &str = "OWNER/NAME";

/// What a card is made of.
pub(super) struct Card<'a> {
    pub published: &'a Published,
    pub summary: &'a Summary,
    pub sets: &'a Sets,
    pub origin: &'a Origin,
    /// The name of the folder of the sentences.
    pub sentences: &'a str,
    pub repository: Option<&'a str>,
    /// The figure's name in the folder.
    pub figure: Option<&'a str>,
}

/// A metric of a file, as the hub shows it.
#[derive(Serialize)]
struct Metric {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    value: f64,
}

/// A line of the table.
#[derive(Serialize)]
struct Row {
    method: String,
    rank: String,
    solver: &'static str,
    parameters: String,
    precision_1: String,
    precision_5: String,
    surprisal: String,
    file: String,
}

impl Card<'_> {
    /// The whole file.
    pub fn text(&self) -> Result<String, ReproduceError> {
        let Self { published, summary, sets, origin, .. } = self;
        let model = published.base_model.as_deref().unwrap_or(&origin.name);
        let last = model.rsplit('/').next().unwrap_or(model);
        let test_samples = thousands(summary.test_samples as u64);
        let default = &sets.default.average;
        let rows: Vec<_> = summary.averages.iter().map(|average| self.row(average)).collect();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // A JSON string is a YAML string.
        environment.add_filter("json", |text: String| serde_json::Value::from(text).to_string());
        let text = environment.template_from_str(TEMPLATE).and_then(|template| {
            template.render(context! {
                base_model => published.base_model.as_deref(),
                model,
                title => format!("Shortcuts for {last}"),
                transformers_id => published.base_model.as_deref().unwrap_or("MODEL"),
                command_model => origin.name.as_str(),
                converted => origin.converted,
                license => origin.license.as_str(),
                license_of_model => origin.license_of_model,
                dataset => format!("{test_samples} test sentences of {}", self.sentences),
                sentences => self.sentences,
                metrics => Value::from(Serde(self.metrics())),
                rows => Value::from(Serde(rows)),
                default => context! {
                    file => published.default.as_str(),
                    text => described(default),
                    parameters => thousands(default.method.parameters),
                },
                example => sets.all.iter().map(|set| &set.file).find(|file| **file != published.default)
                    .unwrap_or(&published.default),
                repository => self.repository.unwrap_or(PLACEHOLDER),
                figure => self.figure,
                hidden_size => published.hidden_size,
                blocks => published.blocks,
                middle => published.blocks / 2,
                train_samples => thousands(summary.train_samples as u64),
                test_samples,
                model_sha256 => published.model_sha256.as_str(),
                version => published.onejump.as_str(),
            })
        });
        // The template's last line end is dropped.
        text.map(|text| text + "\n").map_err(|error| ReproduceError::Card(error.to_string()))
    }

    /// Precision and surprisal of each file, of the default first.
    fn metrics(&self) -> Vec<Metric> {
        let default = &self.sets.default.file;
        let (first, others): (Vec<_>, Vec<_>) = self.sets.all.iter().partition(|set| set.file == *default);
        let sets = first.into_iter().chain(others);
        let metrics = sets.flat_map(|set| {
            let metric = |kind, what: &str, value| Metric {
                kind,
                name: format!("{}: {what}, mean over the exit levels", set.file),
                value,
            };
            let found = set.average.all;
            [
                metric("precision_1", "precision", found.precision_1),
                metric("surprisal", "surprisal (nats)", found.surprisal),
            ]
        });
        metrics.collect()
    }

    fn row(&self, average: &Average) -> Row {
        let Average { method, all, .. } = average;
        let percent = |share: f64| format!("{:.1}", share * 100.0);
        Row {
            method: method.name.to_string(),
            rank: method.rank.map(|rank| rank.to_string()).unwrap_or_default(),
            solver: method.solver.map(|solver| solver.name()).unwrap_or_default(),
            parameters: thousands(method.parameters),
            precision_1: percent(all.precision_1),
            precision_5: percent(all.precision_5),
            surprisal: format!("{:.2}", all.surprisal),
            file: self.sets.file_of(average).map(|file| format!("`{file}`")).unwrap_or_default(),
        }
    }
}

/// "one map for all exit levels (ojfa, rank 57), trained at level 22".
fn described(average: &Average) -> String {
    let method = &average.method;
    let maps = match method.name {
        MethodName::Kind(kind) if kind.single_jump() && kind.per_level() => {
            "one map for all exit levels, with a few numbers for each"
        }
        MethodName::Kind(kind) if kind.per_level() => "a map per exit level",
        _ => "one map for all exit levels",
    };
    let rank = method.rank.map(|rank| format!(", rank {rank}")).unwrap_or_default();
    let trained = method.jump.map(|jump| format!(", trained at level {jump}")).unwrap_or_default();
    format!("{maps} ({}{rank}){trained}", method.name)
}
