//! A real browser with a passkey: Chromium without a window, driven by chromedriver over WebDriver.
//!
//! The passkey is that of WebDriver's virtual authenticator (WebAuthn, section 11), whose person always agrees.

use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// Names under which systems install Chromium.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// No window, no update, no proxy of the machine, and no host but this one.
const ARGUMENTS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
    "--window-size=900,1100",
];

/// How WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window, and the process that drives it; both end when this is dropped.
pub struct Browser {
    driver: Driver,
    /// Below this the commands of its session are.
    session: String,
    /// The browser's own process.
    process: Option<u64>,
    _scratch: TempDir,
}

/// A running chromedriver; killed when this is dropped.
struct Driver {
    child: Child,
    /// Held open, so that it may go on printing.
    _stdout: BufReader<ChildStdout>,
    url: String,
    client: Client,
}

/// An executable file of this name in `PATH`.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

impl Driver {
    /// Starts it, with this directory for whatever it and the browser leave behind.
    fn start(scratch: &Path) -> Result<Driver, String> {
        let program = installed("chromedriver").ok_or("chromedriver is not installed")?;
        let mut command = Command::new(program);
        command
            .arg("--port=0")
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("chromedriver: {error}"))?;
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let port = loop {
            let begin = said.len();
            if stdout.read_line(&mut said).unwrap_or(0) == 0 {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("chromedriver ended: {said}"));
            }
            let port = said[begin..].rsplit_once("started successfully on port ");
            if let Some((_, port)) = port {
                break port.trim().trim_end_matches('.').to_owned();
            }
        };
        let client = Client::builder().no_proxy().timeout(super::HANG).build().unwrap();
        Ok(Driver { child, _stdout: stdout, url: format!("http://127.0.0.1:{port}"), client })
    }

    /// One command of WebDriver: its value, or its error.
    fn command(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if method == Method::POST {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().map_err(|error| format!("{path}: {error}"))?;
        let status = answer.status();
        let bytes = answer.bytes().map_err(|error| format!("{path}: {error}"))?;
        let mut answer: Value =
            serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {status}, {error}"))?;
        let value = answer["value"].take();
        if status.is_success() {
            Ok(value)
        } else {
            Err(format!("{path}: {}: {}", value["error"], value["message"].as_str().unwrap_or_default()))
        }
    }
}

impl Browser {
    /// A browser that knows nobody yet.
    ///
    /// # Errors
    /// Chromium or chromedriver is not installed, or they do not fit each other.
    pub fn start() -> Result<Browser, String> {
        let chromium = NAMES.into_iter().find_map(installed).ok_or("Chromium is not installed")?;
        let scratch = tempfile::tempdir().unwrap();
        let driver = Driver::start(scratch.path())?;
        let profile_argument = format!("--user-data-dir={}", scratch.path().join("profile").display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([profile_argument.as_str()]).collect();
        let options = json!({"binary": chromium, "args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let made = driver.command(Method::POST, "/session", &wanted)?;
        let session = format!("/session/{}", made["sessionId"].as_str().ok_or("no session")?);
        let process = made["capabilities"]["goog:processID"].as_u64();
        let browser = Browser { driver, session, process, _scratch: scratch };
        let authenticator = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "isUserConsenting": true,
        });
        browser.post("/webauthn/authenticator", &authenticator);
        Ok(browser)
    }

    #[track_caller]
    fn command(&self, method: Method, path: &str, body: &Value) -> Value {
        let done = self.driver.command(method, &format!("{}{path}", self.session), body);
        done.unwrap_or_else(|why| panic!("{why}"))
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.command(Method::POST, path, body)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        self.command(Method::GET, path, &Value::Null)
    }

    /// Opens a page, and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// The path of the element that this CSS selector names.
    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
        format!("/element/{}", found[ELEMENT].as_str().unwrap())
    }

    /// The text of an element as it is seen; none of what is hidden.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        self.get(&format!("{}/text", self.element(selector))).as_str().unwrap().to_owned()
    }

    /// Whether an element is seen.
    #[track_caller]
    pub fn shows(&self, selector: &str) -> bool {
        self.get(&format!("{}/displayed", self.element(selector))).as_bool().unwrap()
    }

    /// Whether an element is seen and can be used.
    #[track_caller]
    pub fn can_use(&self, selector: &str) -> bool {
        self.shows(selector) && self.get(&format!("{}/enabled", self.element(selector))).as_bool().unwrap()
    }

    /// Waits until an element can be used, and clicks on it as a person does.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        super::until(&format!("{selector} usable"), || self.can_use(selector));
        self.press(selector);
    }

    /// Clicks on an element as it is.
    #[track_caller]
    pub fn press(&self, selector: &str) {
        self.post(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// The title of the page.
    #[track_caller]
    pub fn title(&self) -> String {
        self.get("/title").as_str().unwrap().to_owned()
    }

    /// What a script on the page returns.
    #[track_caller]
    pub fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser is no child of this process, and ends with its session; without an answer it is killed.
        let ended = self.driver.command(Method::DELETE, &self.session, &Value::Null);
        if let (Err(_), Some(process)) = (ended, self.process) {
            let _ = Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
