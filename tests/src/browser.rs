//! A real browser, for tests that look at a page: Chromium without a window, driven over its DevTools pipe.
//!
//! Only what the tests need of the protocol: a size, dark mode, no scripts, the pointer, values, pictures.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The names that Debian and others give to the program.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Descriptors 3 and 4 are where the browser reads and writes messages; what it prints is of no interest.
const PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#;

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "about:blank",
];

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// Whether the reader prefers dark colours.
    pub dark: bool,
    /// Whether scripts run.
    pub scripts: bool,
    /// Whether it is a phone with a touch screen.
    pub phone: bool,
}

/// A browser with one page.
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    last: u64,
    /// What the page complained of since it was opened.
    pub complaints: Vec<String>,
    /// The browser's own files.
    _data: TempDir,
}

impl Browser {
    /// Starts the browser; none if this machine has none.
    ///
    /// # Panics
    /// If there is one that does not start.
    pub fn start() -> Option<Self> {
        let program = find()?;
        let data = must("a folder for the browser", tempfile::tempdir());
        let child = Command::new("sh")
            .args(["-c", PIPES])
            .arg(program)
            .arg(format!("--user-data-dir={}", data.path().display()))
            .args(ARGUMENTS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = must("starting the browser", child);
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (to, from) = must("the browser's pipes", pipes.ok_or("there are none"));
        let mut browser = Self {
            process,
            to,
            from: BufReader::new(from),
            session: String::new(),
            last: 0,
            complaints: Vec::new(),
            _data: data,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().unwrap_or_default().to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Opens a file and waits until it is loaded.
    ///
    /// # Panics
    /// If the browser does not do it.
    pub fn open(&mut self, file: &Path, view: View) {
        self.complaints.clear();
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": view.phone }),
        );
        self.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": view.phone }));
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": !view.scripts }));
        self.medium("screen", view.dark);
        self.send("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        while self.receive()["method"] != "Page.loadEventFired" {}
    }

    /// Shows the page as on a screen or on paper, in light or dark colours.
    pub fn medium(&mut self, medium: &str, dark: bool) {
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.call("Emulation.setEmulatedMedia", json!({ "media": medium, "features": [scheme] }));
    }

    /// The value of a JavaScript expression in the page; a promise is waited for.
    ///
    /// # Panics
    /// If the expression throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Moves the pointer to a place of the window.
    pub fn point(&mut self, x: f64, y: f64) {
        self.call("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// Touches a place of the window and lifts the finger again.
    pub fn tap(&mut self, x: f64, y: f64) {
        let touch = json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] });
        self.call("Input.dispatchTouchEvent", touch);
        self.call("Input.dispatchTouchEvent", json!({ "type": "touchEnd", "touchPoints": [] }));
    }

    /// A picture of the window, or of the whole page, as a PNG file.
    ///
    /// # Panics
    /// If it cannot be taken or written.
    pub fn picture(&mut self, file: &Path, whole: bool) {
        let taken = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": whole }));
        let bytes = must("a picture", STANDARD.decode(taken["data"].as_str().unwrap_or_default()));
        must("writing a picture", std::fs::write(file, bytes));
    }

    /// Sends a command and waits for its answer.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.send(method, parameters);
        loop {
            let mut message = self.receive();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
        }
    }

    /// Sends a command; returns its number.
    fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        must("telling the browser", self.to.write_all(format!("{message}\0").as_bytes()));
        self.last
    }

    /// The next message: an answer or an event. Complaints are kept.
    fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        must("hearing the browser", self.from.read_until(0, &mut bytes));
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        let message: Value = must("the browser's message", serde_json::from_slice(&bytes));
        let event = &message["params"];
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(&event["exceptionDetails"]),
            Some("Runtime.consoleAPICalled") if event["type"] == "error" => Some(&event["args"]),
            Some("Log.entryAdded") if event["entry"]["level"] == "error" => Some(&event["entry"]),
            _ => None,
        };
        self.complaints.extend(complaint.map(Value::to_string));
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends with its pipe; a browser that does not is ended.
        let closing = json!({ "id": self.last + 1, "method": "Browser.close" });
        let closed = self.to.write_all(format!("{closing}\0").as_bytes());
        if closed.is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// The browser's program on the search path.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// What must not fail in a test.
fn must<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}
