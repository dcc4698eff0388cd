//! One person's browser: a chromium with a profile of its own, seen and used as a person would.
//!
//! Finds things by their role and the name that people read or hear, waits for what should appear with a bound, and
//! shows every error that the page reported. Never sleeps, and never reaches into the server.

use fantoccini::elements::{Element, ElementRef};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use openidconnect::url::{ParseError, Url};
use serde_json::{Value, json};

use crate::driver::Driver;
use crate::looks::{Looks, Scripts, Width};
use crate::turns::Turns;

/// Arguments of every chromium: no display, no sandbox (tests may run as root), no traffic of its own.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-proxy-server",
    "--lang=en-US",
];

/// Where WebDriver has the keys that write nothing.
const KEYS: std::ops::RangeInclusive<char> = '\u{e000}'..='\u{e05d}';

/// How a WebDriver answer names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Finds elements by role and name; see there what it can be asked.
const FIND: &str = include_str!("find.js");

/// A browser on the console at `base`.
pub(crate) struct Browser {
    pub(crate) client: Client,
    base: String,
    looks: Looks,
    scripts: Scripts,
}

/// A command of chromedriver beyond the standard: where, and with what.
#[derive(Debug)]
struct Extra {
    place: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.place))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// A new browser that has been nowhere yet.
    pub(crate) async fn open(driver: &Driver, base: &str, scripts: Scripts) -> Browser {
        let profile = format!("--user-data-dir={}", driver.profile().display());
        let arguments: Vec<&str> = ARGUMENTS.iter().copied().chain([profile.as_str()]).collect();
        let capabilities = json!({
            "browserName": "chrome",
            // An alert that nobody expected fails the next command instead of vanishing.
            "unhandledPromptBehavior": "ignore",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(driver.url())
            .await
            .unwrap_or_else(|error| panic!("chromium did not start: {error}"));
        let mut browser = Browser { client, base: base.to_owned(), looks: Looks::DESKTOP, scripts };
        browser.allow_scripts(scripts).await;
        browser.look(Looks::DESKTOP).await;
        browser
    }

    /// Sets width and theme; motion is always asked to be reduced, so that nothing is judged half-way.
    pub(crate) async fn look(&mut self, looks: Looks) {
        let (width, height) = looks.0.pixels();
        let mobile = looks.0 != Width::Desktop;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
        let theme = format!("{:?}", looks.1).to_lowercase();
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": theme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.cdp("Emulation.setEmulatedMedia", features).await;
        self.looks = looks;
    }

    pub(crate) fn looks(&self) -> Looks {
        self.looks
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn cdp(&self, command: &str, parameters: Value) -> Value {
        let extra =
            Extra { place: "goog/cdp/execute", body: json!({ "cmd": command, "params": parameters }) };
        self.client.issue_cmd(extra).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// All that the page reported since the last call: failed loads, script errors, breaches of the content policy.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = Extra { place: "se/log", body: json!({ "type": "browser" }) };
        let entries = self.client.issue_cmd(log).await.unwrap();
        let entries = entries.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Goes to a path of the console, or to a page that the test wrote itself.
    pub(crate) async fn visit(&self, path: &str) {
        let url = if path.starts_with("data:") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.client.goto(&url).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Path and query of where the browser is.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", url.path())
    }

    /// Waits until path and query hold a text.
    pub(crate) async fn comes_to(&self, part: &str) {
        let mut last = String::new();
        for _ in Turns::new() {
            last = self.path().await;
            if last.contains(part) {
                return;
            }
        }
        panic!("the browser is at {last}, without {part}");
    }

    /// Runs a script of the test's own; `arguments` as in its text.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap_or_else(|error| panic!("{error}\n{script}"))
    }

    /// As [`Browser::run`], for a script that says itself when it is done. It needs timers, which a browser without
    /// scripts does not run; the page's own scripts were passed over when it was loaded, and stay so.
    pub(crate) async fn run_until_done(&self, script: &str) -> Value {
        self.allow_scripts(Scripts::On).await;
        let answer = self.client.execute_async(script, Vec::new()).await;
        self.allow_scripts(self.scripts).await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether pages may run theirs from now on.
    async fn allow_scripts(&self, scripts: Scripts) {
        let value = json!({ "value": scripts == Scripts::Off });
        self.cdp("Emulation.setScriptExecutionDisabled", value).await;
    }

    /// The text that the page shows.
    pub(crate) async fn text(&self) -> String {
        let text = self.run("return document.body ? document.body.innerText : ''", Vec::new()).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The page as the server wrote it and scripts changed it.
    pub(crate) async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    /// Waits until the page shows a text, in any case of its letters, however it is broken into lines.
    pub(crate) async fn sees(&self, text: &str) {
        let mut shown = String::new();
        for _ in Turns::new() {
            shown = self.text().await;
            if in_one_line(&shown).contains(&in_one_line(text)) {
                return;
            }
        }
        panic!("the page at {} does not show {text:?} but:\n{shown}", self.path().await);
    }

    /// Waits until the page no longer shows a text.
    pub(crate) async fn no_longer_sees(&self, text: &str) {
        let mut shown = String::new();
        for _ in Turns::new() {
            shown = self.text().await;
            if !in_one_line(&shown).contains(&in_one_line(text)) {
                return;
            }
        }
        panic!("the page at {} still shows {text:?}:\n{shown}", self.path().await);
    }

    /// Waits until the page says a text to those who listen.
    pub(crate) async fn hears(&self, text: &str) {
        let regions = "return [...document.querySelectorAll('[role=status]')].map((each) => each.textContent).join(' ')";
        let mut said = String::new();
        for _ in Turns::new() {
            said = self.run(regions, Vec::new()).await.as_str().unwrap_or_default().to_owned();
            if said.contains(text) {
                return;
            }
        }
        panic!("the page at {} does not say {text:?}, but {said:?}", self.path().await);
    }

    /// Whether the page shows a text now.
    pub(crate) async fn shows(&self, text: &str) -> bool {
        in_one_line(&self.text().await).contains(&in_one_line(text))
    }

    /// The visible elements of a role with a name, in the page's order.
    pub(crate) async fn all(&self, role: &str, name: &str) -> Vec<Element> {
        let found = self.client.execute(FIND, vec![json!("find"), json!(role), json!(name)]).await;
        // The page may be on its way to the next one.
        let found = found.ok().and_then(|found| found.as_array().cloned()).unwrap_or_default();
        let ids = found.iter().filter_map(|element| element[ELEMENT].as_str());
        ids.map(|id| Element::from_element_id(self.client.clone(), ElementRef::from(id.to_owned()))).collect()
    }

    pub(crate) async fn has(&self, role: &str, name: &str) -> bool {
        !self.all(role, name).await.is_empty()
    }

    /// Waits for an element by its role and name.
    pub(crate) async fn find(&self, role: &str, name: &str) -> Element {
        for _ in Turns::new() {
            if let Some(element) = self.all(role, name).await.into_iter().next() {
                return element;
            }
        }
        let names = self.run(FIND, vec![json!("names"), json!(role)]).await;
        panic!(
            "no {role} {name:?} at {}; there are {names}; the page says:\n{}",
            self.path().await,
            self.text().await
        )
    }

    /// Waits until nothing of a role has this name; no name means any.
    pub(crate) async fn gone(&self, role: &str, name: &str) {
        for _ in Turns::new() {
            if !self.has(role, name).await {
                return;
            }
        }
        panic!("the {role} {name:?} is still at {}", self.path().await);
    }

    /// Clicks what has this role and name, again where the page was exchanged in between.
    pub(crate) async fn click(&self, role: &str, name: &str) {
        let mut refused = String::new();
        for _ in Turns::new() {
            match self.find(role, name).await.click().await {
                Ok(()) => return,
                Err(error) if error.is_stale_element_reference() => refused = error.to_string(),
                Err(error) => panic!("the {role} {name:?} cannot be clicked: {error}"),
            }
        }
        panic!("the {role} {name:?} cannot be clicked: {refused}");
    }

    pub(crate) async fn press(&self, button: &str) {
        self.click("button", button).await;
    }

    pub(crate) async fn follow(&self, link: &str) {
        self.click("link", link).await;
    }

    /// Takes the button, link or entry of a menu with this name: what acts is not always what leads elsewhere without
    /// script.
    pub(crate) async fn act(&self, name: &str) {
        for _ in Turns::new() {
            for role in ["button", "link", "menuitem"] {
                if self.has(role, name).await {
                    return self.click(role, name).await;
                }
            }
        }
        panic!("nothing at {} is called {name:?}:\n{}", self.path().await, self.text().await);
    }

    /// Opens the menu of a button and takes an entry of it.
    pub(crate) async fn take(&self, menu: &str, entry: &str) {
        self.press(menu).await;
        self.act(entry).await;
    }

    /// Writes into a field, over what is there.
    pub(crate) async fn fill(&self, label: &str, value: &str) {
        let field = self.find("textbox", label).await;
        field.clear().await.unwrap_or_else(|error| panic!("{label}: {error}"));
        if value.is_ascii() || value.contains(|letter| KEYS.contains(&letter)) {
            field.send_keys(value).await.unwrap_or_else(|error| panic!("{label}: {error}"));
        } else {
            // What no key types, people paste.
            let element = serde_json::to_value(&field).unwrap();
            self.run(
                "arguments[0].focus(); document.execCommand('insertText', false, arguments[1])",
                vec![element, json!(value)],
            )
            .await;
        }
    }

    /// Chooses from a drop-down.
    pub(crate) async fn choose(&self, label: &str, option: &str) {
        let list = self.find("combobox", label).await;
        list.select_by_label(option).await.unwrap_or_else(|error| panic!("{label}, {option}: {error}"));
    }

    /// Types to whatever has the focus.
    pub(crate) async fn keys(&self, keys: impl AsRef<str>) {
        self.client.active_element().await.unwrap().send_keys(keys.as_ref()).await.unwrap();
    }

    /// Role and name of what has the focus: `button "Actions for ci"`.
    pub(crate) async fn focus(&self) -> String {
        self.run(FIND, vec![json!("focus")]).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the focus is where `wanted` says, in the words of [`Browser::focus`].
    pub(crate) async fn focus_comes_to(&self, wanted: &str) {
        let mut last = String::new();
        for _ in Turns::new() {
            last = self.focus().await;
            if last == wanted {
                return;
            }
        }
        panic!("the focus is on {last} instead of {wanted}");
    }

    /// Ends the browser in order, before the driver would.
    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// Text without its line breaks and letter case, which are the stylesheet's affair.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
