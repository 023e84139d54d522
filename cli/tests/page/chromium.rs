//! A headless Chromium, spoken to over its DevTools protocol (<https://chromedevtools.github.io/devtools-protocol/>).

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use posthaste_foreign::{Foreign, find_chromium};
use serde_json::{Value, json};

/// A browser with one page. It ends with the test.
pub(crate) struct Chromium {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it keeps on the disk.
    profile: PathBuf,
    session: Option<String>,
    command_count: u64,
}

/// What a page is shown to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    pub(crate) width: u32,
    pub(crate) scheme: &'static str,
}

impl Chromium {
    /// Starts the browser; `None` if there is none on this machine, which is said.
    pub(crate) fn start(test: &str) -> Option<Self> {
        if !Foreign::Chromium.is_here() {
            return None;
        }
        let program = find_chromium()?;
        let profile = env::temp_dir().join(format!("posthaste-chromium-{}-{test}", std::process::id()));
        // It reads commands from descriptor 3 and writes to descriptor 4, each ended by a zero octet.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(program)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut chromium = Self { process, input, output, profile, session: None, command_count: 0 };
        let target = chromium.command("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = chromium.command("Target.attachToTarget", attach);
        chromium.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        Some(chromium)
    }

    /// Shows a file.
    pub(crate) fn open(&mut self, page: &Path, viewer: Viewer) {
        let Viewer { width, scheme } = viewer;
        let metrics = json!({ "width": width, "height": 844, "deviceScaleFactor": 2, "mobile": width < 600 });
        self.command("Emulation.setDeviceMetricsOverride", metrics);
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", features);
        let address = json!({ "url": format!("file://{}", page.canonicalize().unwrap().display()) });
        let shown = self.command("Page.navigate", address);
        assert_eq!(shown.get("errorText"), None, "{shown}");
        self.evaluate(
            "new Promise(done => document.readyState === 'complete' ? done(0) : addEventListener('load', done))",
        );
    }

    /// Runs a script in the page, waits for its promise if it is one, and returns its value.
    pub(crate) fn evaluate(&mut self, script: &str) -> Value {
        let script = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let answer = self.command("Runtime.evaluate", script);
        assert_eq!(answer.get("exceptionDetails"), None, "{answer:#}");
        answer["result"]["value"].clone()
    }

    /// Writes the whole page as a picture into the directory `POSTHASTE_SCREENSHOTS`, for who wants to look at it.
    pub(crate) fn screenshot(&mut self, name: &str) {
        let Some(directory) = env::var_os("POSTHASTE_SCREENSHOTS") else { return };
        let asked = json!({ "captureBeyondViewport": true });
        let picture = self.command("Page.captureScreenshot", asked)["data"].as_str().unwrap().to_owned();
        fs::write(Path::new(&directory).join(format!("{name}.png")), base64(&picture)).unwrap();
    }

    fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.command_count += 1;
        let mut command = json!({ "id": self.command_count, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{command}\0").as_bytes()).unwrap();
        self.input.flush().unwrap();
        loop {
            let mut message = Vec::new();
            self.output.read_until(0, &mut message).unwrap();
            assert_eq!(message.pop(), Some(0), "Chromium ended before it answered {method}");
            let message: Value = serde_json::from_slice(&message).unwrap();
            // What it tells unasked is nothing to us.
            if message["id"] == self.command_count {
                assert_eq!(message.get("error"), None, "{method}: {message}");
                return message["result"].clone();
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The shell has become the browser, which takes its helpers along.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// Reads octets that were written as text (RFC 4648 §4).
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<usize> = text.chars().filter_map(|character| ALPHABET.find(character)).collect();
    let octets = digits.chunks(4).flat_map(|group| {
        let bits = group.iter().enumerate().fold(0, |bits, (index, digit)| bits | digit << (18 - 6 * index));
        (0..group.len() - 1).map(move |index| (bits >> (16 - 8 * index)) as u8)
    });
    octets.collect()
}
