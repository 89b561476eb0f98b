//! `report.html`: one file that opens from disk.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};

use crate::error::ReportError;
use crate::figures::figure::Figure;
use crate::page::Page;
use crate::run::Run;
use crate::section::Section;

const TEMPLATE: &str = include_str!("../templates/report.html");
const STYLE: &str = include_str!("../templates/report.css");

/// The page of a run with its figures.
///
/// # Errors
/// [`ReportError::Template`] if the template does not fit the page.
pub fn html(run: &Run, figures: &[Figure], sections: &[Section]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The ending .html makes minijinja escape every value.
    environment.add_template("report.html", TEMPLATE)?;
    let page = Value::from(Serde(Page::new(run, figures, sections)));
    Ok(environment.get_template("report.html")?.render(context! { page, style => STYLE })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beyond::sections;
    use crate::figures::figures;
    use crate::sample;
    use crate::setting::Setting;

    /// Bytes of a page that loads at once.
    const MOST_BYTES: usize = 700_000;

    fn page(run: &Run) -> String {
        let drawn: Vec<Figure> = Setting::all(run).iter().flat_map(figures).collect();
        html(run, &drawn, &sections(run)).unwrap()
    }

    /// A run of 30 blocks at two ranks, with every further section.
    fn whole() -> Run {
        Run { analyses: sample::analyses(30, &[5, 57]), ..sample::run(30, &[5, 57]) }
    }

    #[test]
    fn the_page_with_all_sections_stays_small() {
        let html = page(&whole());
        for id in ["certainty", "transfer", "frontier", "exit", "sensitivity"] {
            assert!(html.contains(&format!("<section id=\"{id}\"")), "{id}");
        }
        assert!(html.len() < MOST_BYTES, "{}", html.len());
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = page(&whole());
        for part in html.split("http").skip(1) {
            let namespace = part.starts_with("://www.w3.org/2000/svg");
            let cited = ["s://arxiv.org/abs/", "s://aclanthology.org/"].iter().any(|at| part.starts_with(at));
            assert!(namespace || cited, "{}", &part[..60]);
        }
        for loading in ["src=", "<link", "@import", "url(", "<script"] {
            assert!(!html.contains(loading), "{loading}");
        }
    }

    #[test]
    fn every_link_inside_the_page_has_its_target_once() {
        let html = page(&whole());
        for target in html.split("href=\"#").skip(1).filter_map(|part| part.split('"').next()) {
            assert_eq!(html.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let mut run = sample::run(12, &[5]);
        run.summary.model = "<b>&".into();
        run.config = Some("x = \"<script>\"".into());
        let html = page(&run);
        assert!(html.contains("&lt;b&gt;&amp;") && !html.contains("<script>") && !html.contains("<b>&"));
    }

    #[test]
    fn a_run_with_baselines_alone_has_a_page() {
        let mut run = sample::run(12, &[5]);
        run.summary.averages.truncate(2);
        run.summary.choices.clear();
        assert!(page(&run).contains("identity"));
    }
}
