//! The report's page in a real browser: what it shows, what its switches do, what it says under the pointer.
//!
//! Pictures lie in `target/tmp/report` afterwards, for people to look at. Without Chromium (`apt-get install
//! chromium`) there is nothing to look with, and the test says so.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use onejump_tests::browser::{Browser, View};
use onejump_tests::succeed;
use serde_json::Value;

#[path = "../crates/report/sample/mod.rs"]
#[allow(dead_code, unused_imports)]
mod sample;

const DESKTOP: View = View { width: 1280, height: 900, dark: false, scripts: true, phone: false };
const PHONE: View = View { width: 390, height: 844, phone: true, ..DESKTOP };

/// The page of a run with everything may be this high on a desktop: six windows.
const MOST_PIXELS: f64 = 5_400.0;

/// Parts of the page that can be seen, by a selector: their number.
fn seen(browser: &mut Browser, selector: &str) -> u64 {
    let count =
        format!("[...document.querySelectorAll('{selector}')].filter((part) => part.offsetParent).length");
    browser.evaluate(&count).as_u64().unwrap()
}

fn text(browser: &mut Browser, expression: &str) -> String {
    browser.evaluate(expression).as_str().unwrap().to_owned()
}

fn number(browser: &mut Browser, expression: &str) -> f64 {
    browser.evaluate(expression).as_f64().unwrap()
}

/// What a button of the first visible figure saves.
fn saved(browser: &mut Browser, figure: &str, kind: &str) -> String {
    let script = format!(
        "new Promise((done) => {{
           const make = URL.createObjectURL;
           URL.createObjectURL = (blob) => {{ URL.createObjectURL = make; blob.text().then(done); return '#'; }};
           document.querySelector('{figure}:not([hidden]) [data-save={kind}]').click();
         }})"
    );
    text(browser, &script)
}

/// One run's report, and a folder for pictures.
struct Looked {
    page: PathBuf,
    pictures: PathBuf,
}

impl Looked {
    fn picture(&self, browser: &mut Browser, name: &str, whole: bool) {
        browser.picture(&self.pictures.join(format!("{name}.png")), whole);
    }
}

#[test]
fn the_page_shows_and_tells_what_was_found() {
    let Some(mut browser) = Browser::start() else {
        println!("skipped: there is no Chromium on this machine (apt-get install chromium)");
        return;
    };
    let browser = &mut browser;
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), 30, &[5, 57]).unwrap();
    succeed("onejump-report", &["--run", &folder.path().display().to_string()]);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&pictures).unwrap();
    let looked = Looked { page: folder.path().join("report.html"), pictures };

    desktop(browser, &looked);
    values_under_the_pointer(browser);
    methods_can_be_hidden(browser);
    phone(browser, &looked);
    dark_and_paper(browser, &looked);
    without_scripts(browser, &looked);
}

/// The first window has the choice, one figure and the claims; the switches show one of each.
fn desktop(browser: &mut Browser, looked: &Looked) {
    browser.open(&looked.page, DESKTOP);
    looked.picture(browser, "desktop", false);
    looked.picture(browser, "whole", true);
    for part in [".answers", "#answer figure:not([hidden]) .plot:not([hidden])", ".claims"] {
        let part = format!("[...document.querySelectorAll('{part}')].find((part) => part.offsetParent)");
        let bottom = number(browser, &format!("{part}.getBoundingClientRect().bottom"));
        assert!(bottom <= 900.0, "{part} ends at {bottom}");
    }
    let height = number(browser, "document.documentElement.scrollHeight");
    assert!(height <= MOST_PIXELS, "the page is {height} pixels high");
    assert!(number(browser, "document.documentElement.scrollWidth") <= 1280.0);

    for (switch, choices) in [("setting", 4), ("samples", 2), ("metric", 2)] {
        for choice in 0..choices {
            let click = format!("document.querySelectorAll('[name={switch}]')[{choice}].click()");
            browser.evaluate(&click);
            for part in [".answers", "#answer figure", "#answer .plot", ".claims", ".beside", ".sentences"] {
                assert_eq!(seen(browser, part), 1, "{part} with {switch} {choice}");
            }
            // One of Figure 2 and one of Figure 3.
            assert_eq!(seen(browser, "#figures figure"), 2);
        }
    }
    let title =
        text(browser, "document.querySelector('#answer figure:not([hidden]) figcaption').textContent");
    assert!(title.ends_with("(rank 57, Adam)"), "{title}");
    assert_eq!(seen(browser, "#answer [data-metric=surprisal]"), 1);
    assert_eq!(browser.complaints, [""; 0]);
}

/// At every level of the one jump the pointer is told the number that the CSV has.
fn values_under_the_pointer(browser: &mut Browser) {
    browser.evaluate("document.querySelectorAll('[name=metric]')[0].click(); scrollTo(0, 0)");
    let csv = saved(browser, "#answer figure", "csv");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("measure,method,note,level,value,low,high"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 5 * 30);
    let places = browser.evaluate(
        "(() => {
           const plot = [...document.querySelectorAll('#answer .plot')].find((plot) => plot.offsetParent);
           const numbers = JSON.parse(plot.querySelector('script').textContent);
           const box = plot.querySelector('svg').getBoundingClientRect();
           const [left, right, top, bottom] = numbers.plot;
           return numbers.lines.series.at(-1).values.map((y, level) => [
             box.x + (left + (level - numbers.x[0]) / (numbers.x[1] - numbers.x[0]) * (right - left)) * box.width / 420,
             box.y + (bottom - (y - numbers.y[0]) / (numbers.y[1] - numbers.y[0]) * (bottom - top)) * box.width / 420,
           ]);
         })()",
    );
    let places = places.as_array().unwrap();
    let coordinate = |place: &Value, axis: usize| place[axis].as_f64().unwrap();
    let mut told = 0;
    for (level, place) in places.iter().enumerate() {
        browser.point(coordinate(place, 0), coordinate(place, 1));
        assert_eq!(browser.evaluate("!tip.hidden"), true);
        let tip = text(browser, "document.getElementById('tip').textContent");
        let (what, value) = tip.split_once(": ").unwrap();
        let (method, at) = what.split_once(", level ").unwrap();
        assert_eq!(at, level.to_string(), "{tip}");
        let row = rows.iter().find(|row| row[1] == method && row[3] == at).unwrap();
        let expected: f64 = row[4].parse().unwrap();
        // A tenth of a percent is shown.
        let shown: f64 = value.trim_end_matches('%').parse().unwrap();
        assert!((shown - 100.0 * expected).abs() <= 0.0501, "{tip} beside {row:?}");
        told += u64::from(method.starts_with("OJFA"));
    }
    // Where two lines meet it may be the other one's.
    assert!(told >= 25, "{told}");
}

fn methods_can_be_hidden(browser: &mut Browser) {
    let lines = |browser: &mut Browser| {
        number(
            browser,
            "[...document.querySelectorAll('#answer figure:not([hidden]) .plot:not([hidden]) [data-method]')]
            .filter((line) => line.getClientRects().length && line.style.display !== 'none').length",
        )
    };
    let click = "document.querySelector('#answer figure:not([hidden]) [data-label=identity]').click()";
    assert_eq!(lines(browser), 5.0);
    browser.evaluate(click);
    assert_eq!(lines(browser), 4.0);
    assert!(!saved(browser, "#answer figure", "csv").contains("identity"));
    let svg = saved(browser, "#answer figure", "svg");
    assert!(svg.starts_with("<svg") && svg.contains(">OJFA (jump 16)<") && !svg.contains(">identity<"));
    browser.evaluate(click);
    assert_eq!(lines(browser), 5.0);
    assert_eq!(browser.complaints, [""; 0]);
}

/// Nothing is wider than a phone, and a finger is told values too.
fn phone(browser: &mut Browser, looked: &Looked) {
    browser.open(&looked.page, PHONE);
    looked.picture(browser, "phone", false);
    looked.picture(browser, "phone-whole", true);
    assert_eq!(number(browser, "document.documentElement.scrollWidth"), 390.0);
    browser.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })");
    assert_eq!(number(browser, "document.documentElement.scrollWidth"), 390.0);
    browser.evaluate("document.querySelector('#answer .panel').scrollIntoView()");
    let place = browser.evaluate(
        "(() => { const dot = document.querySelector('#answer .panel [data-method^=OJFA] circle').getBoundingClientRect();
           return [dot.x + dot.width / 2, dot.y + dot.height / 2]; })()",
    );
    browser.tap(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    let tip = text(
        browser,
        "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent",
    );
    assert!(tip.contains(", level "), "{tip}");
    assert_eq!(browser.complaints, [""; 0]);
}

fn dark_and_paper(browser: &mut Browser, looked: &Looked) {
    let paper = "getComputedStyle(document.body).backgroundColor";
    browser.open(&looked.page, View { dark: true, ..DESKTOP });
    looked.picture(browser, "dark", false);
    assert_eq!(text(browser, paper), "rgb(22, 24, 26)");
    browser.medium("print", false);
    looked.picture(browser, "print", true);
    assert_eq!(text(browser, paper), "rgb(255, 255, 255)");
    assert_eq!(seen(browser, ".switches"), 0);
}

/// Without scripts nothing is hidden: every setting, both samples and measures are below each other.
fn without_scripts(browser: &mut Browser, looked: &Looked) {
    browser.open(&looked.page, View { scripts: false, ..DESKTOP });
    looked.picture(browser, "without-scripts", true);
    assert_eq!(seen(browser, "#answer figure"), 4 * 2);
    assert_eq!(seen(browser, "#answer .plot"), 4 * 2 * 2);
    assert_eq!((seen(browser, ".claims"), seen(browser, ".beside")), (2, 8));
    assert_eq!((seen(browser, ".sentences"), seen(browser, ".switches"), seen(browser, ".tools")), (4, 0, 0));
    assert_eq!(browser.complaints, [""; 0]);
}
