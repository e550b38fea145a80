//! A headless Chromium, driven through the `WebDriver` protocol (<https://www.w3.org/TR/webdriver2/>) of `chromedriver`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use ureq::Agent;

/// How long the page may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the page is asked whether it is done.
const INTERVAL: Duration = Duration::from_millis(20);

/// The member that has an element's reference (`WebDriver` §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. It ends when this is dropped.
pub struct Browser {
    driver: Child,
    agent: Agent,
    /// The URL of its session.
    session: String,
}

/// How often the driver is started before a test fails.
const START_ATTEMPTS: usize = 10;

/// Starts the driver on any free port. Returns it with its port; `None` if it ends without one.
fn start_driver() -> Option<(Child, String)> {
    let mut command = Command::new("chromedriver");
    let mut driver = command.arg("--port=0").stdout(Stdio::piped()).spawn().expect("chromedriver is installed");
    let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
    let port = lines.find_map(|line| {
        let line = line.expect("a line");
        line.split_once("started successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
    });
    let Some(port) = port else {
        driver.wait().expect("it has ended");
        return None;
    };
    // The rest is read, so that the driver never waits for its reader.
    std::thread::spawn(move || lines.for_each(drop));
    Some((driver, port))
}

impl Browser {
    /// Starts the driver on any free port, and a browser.
    pub fn start() -> Self {
        // It takes a free port of IPv4, and ends if another program has the same port of IPv6.
        let started = (0..START_ATTEMPTS).find_map(|_| start_driver());
        let (driver, port) = started.expect("chromedriver names its port");
        let url = format!("http://127.0.0.1:{port}/session");
        let agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let options = json!({
            // A sandbox needs a user namespace, which root and most containers lack.
            "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1400"],
        });
        let logs = json!({ "browser": "ALL", "performance": "ALL" });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": logs });
        let mut browser = Self { driver, agent, session: url.clone() };
        let begun = browser.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("{url}/{}", begun["sessionId"].as_str().expect("a session"));
        browser
    }

    /// Opens a page.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Runs JavaScript in the page, and returns its result.
    pub fn run(&self, script: &str, arguments: &Value) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Runs JavaScript that calls its last argument with its result.
    pub fn run_to_end(&self, script: &str, arguments: &Value) -> Value {
        self.post("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    /// Shows pages in this scheme of colours (`light` or `dark`), in a window of that size.
    pub fn show_as(&self, scheme: &str, width: u32, height: u32) {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", &feature);
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Shows pages without bars to scroll them by, as on a telephone.
    pub fn hide_scrollbars(&self) {
        self.command("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
    }

    /// Presses a key on the keyboard.
    pub fn press(&self, key: &str) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// Waits until the path and the query of the page begin so.
    pub fn wait_for_path(&self, path: &str) {
        self.wait_until(
            "return (location.pathname + location.search).startsWith(arguments[0]) && document.readyState === 'complete'",
            &json!([path]),
        );
    }

    /// The URLs of all requests since the last call.
    pub fn requests(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({ "type": "performance" }));
        let url = |line: &Value| {
            let message: Value = serde_json::from_str(line["message"].as_str()?).ok()?;
            let message = &message["message"];
            let is_request = message["method"] == "Network.requestWillBeSent";
            is_request.then(|| message["params"]["request"]["url"].as_str().map(str::to_owned))?
        };
        lines.as_array().expect("lines").iter().filter_map(url).collect()
    }

    /// A command of Chromium's own protocol.
    fn command(&self, name: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": name, "params": parameters }));
    }

    /// Waits until the script returns something true.
    pub fn wait_until(&self, script: &str, arguments: &Value) {
        let begin = Instant::now();
        while self.run(script, arguments) != json!(true) {
            assert!(begin.elapsed() < PATIENCE, "{script} {arguments}: {:?}", self.complaints());
            sleep(INTERVAL);
        }
    }

    /// Waits until the page has an element.
    pub fn wait_for(&self, selector: &str) {
        self.wait_until("return document.querySelector(arguments[0]) !== null", &json!([selector]));
    }

    /// Clicks on an element, once it is there.
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        // The driver clicks into the middle of what is seen: a bar over it would take the click.
        self.run("arguments[0].scrollIntoView({ block: 'center' })", &json!([{ ELEMENT: element }]));
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types a text into an element, once it is there.
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// The text of an element, once it is there.
    pub fn text(&self, selector: &str) -> String {
        self.wait_for(selector);
        let text = self.run("return document.querySelector(arguments[0]).innerText", &json!([selector]));
        text.as_str().expect("a text").to_owned()
    }

    /// A picture of the window, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let picture = self.get("/screenshot");
        BASE64_STANDARD.decode(picture.as_str().expect("a text")).expect("base64")
    }

    /// What the browser's console has as errors: files that are missing, and what the page's policy has forbidden.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({ "type": "browser" }));
        let is_severe = |line: &&Value| line["level"] == "SEVERE";
        lines.as_array().expect("lines").iter().filter(is_severe).map(Value::to_string).collect()
    }

    fn element(&self, selector: &str) -> String {
        self.wait_for(selector);
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.agent.post(format!("{}{path}", self.session)).send_json(body);
        let answer: Value = answer.expect("an answer").body_mut().read_json().expect("JSON");
        assert!(answer["value"].get("error").is_none(), "{path} {body}: {answer}");
        answer["value"].clone()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.agent.get(format!("{}{path}", self.session)).call();
        let answer: Value = answer.expect("an answer").body_mut().read_json().expect("JSON");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser. The driver would leave it running.
        let _ended = self.agent.delete(&self.session).call();
        let _killed = self.driver.kill();
        let _waited = self.driver.wait();
    }
}
