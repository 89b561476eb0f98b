//! The page in a browser.

use onejump_tests::browser::{Browser, View};

use super::*;

const DESKTOP: View = View { width: 1280, height: 900, dark: false, scripts: false, phone: false };

/// Parts of the page that can be seen, by a selector: their number.
fn seen(browser: &mut Browser, selector: &str) -> u64 {
    let count = format!(
        "[...document.querySelectorAll('{selector}')].filter((part) => part.checkVisibility()).length"
    );
    browser.evaluate(&count).as_u64().unwrap()
}

/// Pictures lie in `target/tmp/lens` afterwards, for people to look at. Nothing here needs a script: the browser is told to
/// run none of the page's.
#[test]
fn the_page_shows_and_tells_without_scripts() {
    let Some(mut browser) = Browser::start() else {
        println!("skipped: there is no Chromium on this machine (apt-get install chromium)");
        return;
    };
    let browser = &mut browser;
    let bench = Bench::new();
    let rows = bench.table(&["--metric", "kl"]);
    bench.lens(&["--metric", "kl", "--out", &bench.path("lens.html")]);
    let page = PathBuf::from(bench.path("lens.html"));
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lens");
    fs::create_dir_all(&pictures).unwrap();
    let picture =
        |browser: &mut Browser, name: &str| browser.picture(&pictures.join(format!("{name}.png")), false);

    browser.open(&page, DESKTOP);
    // The first file that was given, and then each by its switch, or all.
    assert_eq!((seen(browser, "section"), seen(browser, "#grid-1")), (1, 1));
    let bottom = browser.evaluate("document.querySelector('#grid-1').getBoundingClientRect().bottom");
    assert!(bottom.as_f64().unwrap() <= 900.0, "the grid ends at {bottom}");
    for method in 0..6 {
        browser.evaluate(&format!("document.getElementById('m{method}').click()"));
        assert_eq!((seen(browser, "section"), seen(browser, &format!("#grid-{method}"))), (1, 1));
        picture(browser, &format!("method-{method}"));
    }
    browser.evaluate("document.getElementById('all').click()");
    assert_eq!(seen(browser, "section"), 6);
    // Every metric colours, and in another way: the cell of the surest answer at level 0.
    let colour = "getComputedStyle(document.querySelector('#grid-4 tbody tr:last-child td:nth-child(3)')).backgroundColor";
    let mut colours = Vec::new();
    for metric in ["probability", "surprisal", "rank", "kl"] {
        browser.evaluate(&format!("document.getElementById('by-{metric}').click()"));
        colours.push(browser.evaluate(colour).to_string());
        assert_eq!(seen(browser, ".ends"), 1, "{metric}");
    }
    colours.dedup();
    assert_eq!(colours.len(), 4, "{colours:?}");
    told_under_pointer_and_focus(browser, &rows);
    picture(browser, "tip");
    assert_eq!(browser.complaints, [""; 0]);

    browser.open(&page, View { width: 390, height: 844, phone: true, ..DESKTOP });
    picture(browser, "phone");
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), 390);
    browser.open(&page, View { dark: true, scripts: true, ..DESKTOP });
    picture(browser, "dark");
    assert_eq!(browser.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(22, 24, 26)");
    arrows_move(browser);
    browser.medium("print", false);
    picture(browser, "print");
    assert_eq!(seen(browser, "fieldset"), 0);
    assert_eq!(browser.complaints, [""; 0]);
}

/// Under the pointer, and with the keyboard's focus, a cell tells its five best tokens, as the table has them.
fn told_under_pointer_and_focus(browser: &mut Browser, rows: &[LensRow]) {
    let row = rows
        .iter()
        .find(|row| row.method.starts_with("tuned-lens") && row.level == 2 && row.position == 4)
        .unwrap();
    let cell = "document.querySelector('#grid-4 tbody tr:nth-child(2) td:nth-child(6)')";
    browser.evaluate(&format!("{cell}.scrollIntoView({{block: 'center'}})"));
    let place = browser.evaluate(&format!(
        "(() => {{ const box = {cell}.getBoundingClientRect(); return [box.x + 9, box.y + 9]; }})()"
    ));
    let tip = |browser: &mut Browser| {
        let shown = format!(
            "(() => {{ const tip = getComputedStyle({cell}, '::after'); return tip.position === 'fixed' ? tip.content : ''; }})()"
        );
        browser.evaluate(&shown).as_str().unwrap().to_owned()
    };
    assert_eq!(tip(browser), "");
    browser.point(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    let told = tip(browser);
    assert!(told.contains(&format!("level 2, behind {} (position 4)", row.input)), "{told}");
    for (token, probability) in row.top_tokens.iter().zip(&row.top_probabilities) {
        let line =
            told.lines().chain(told.split("\\a")).find(|line| line.trim().ends_with(&format!(" {token}")));
        let percent =
            line.and_then(|line| line.trim().split(" %").next()).unwrap_or_else(|| panic!("{told}: {token}"));
        let percent: f64 = percent.trim_start_matches("\\a").trim().parse().unwrap();
        assert!((percent - 100.0 * probability).abs() <= 0.0501, "{told}: {token} {probability}");
    }
    let facts = [format!("rank {}, {:.2} nats; KL {:.2} nats", row.rank, row.surprisal, row.kl.unwrap())];
    assert!(facts.iter().all(|fact| told.contains(fact)), "{told}: {facts:?}");
    browser.point(1.0, 1.0);
    assert_eq!(tip(browser), "");
    browser.evaluate(&format!("{cell}.focus()"));
    assert_eq!(tip(browser), told);
}

/// With scripts, arrow keys move from cell to cell.
fn arrows_move(browser: &mut Browser) {
    browser.evaluate("document.querySelector('#grid-1 tbody td').focus()");
    for key in ["ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp"] {
        let press = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'PRESSED', bubbles: true}))";
        browser.evaluate(&press.replace("PRESSED", key));
    }
    assert_eq!(browser.evaluate("document.activeElement.cellIndex"), 3);
    assert_eq!(browser.evaluate("document.activeElement.parentNode.sectionRowIndex"), 0);
}
