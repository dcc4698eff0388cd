//! A real provider of OpenID Connect, and a person's way through its forms.
//!
//! Promises a provider of its own for each test, on a free port, that ends with the test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// More steps than any way through the provider has.
const STEPS_MAX: usize = 20;

/// What the provider knows the console by.
pub(crate) const CLIENT_ID: &str = "keystile";
/// What they share.
pub(crate) const CLIENT_SECRET: &str = "a secret that nobody may see: %&+/=";

/// A provider that runs.
pub(crate) struct IdentityProvider {
    child: Child,
    pub(crate) issuer: String,
    redirect: String,
}

/// A person's browser, as far as the provider sees it.
#[derive(Default)]
pub(crate) struct Person {
    cookies: BTreeMap<String, String>,
}

struct Page {
    status: u16,
    location: Option<String>,
    text: String,
}

impl IdentityProvider {
    /// Starts one that sends people back to `redirect`.
    pub(crate) fn start(redirect: &str) -> IdentityProvider {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let npm = root.join("target/npm");
        assert!(
            npm.join("node_modules/oidc-provider/package.json").is_file(),
            "the npm package oidc-provider is not in {}: run tests/run, which installs it",
            npm.display()
        );
        let mut child = Command::new("node")
            .arg(root.join("tests/support/openid_provider.mjs"))
            .args([npm.as_os_str(), redirect.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts: tests/run installs it");
        let mut issuer = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut issuer).unwrap();
        let issuer = issuer.trim().to_owned();
        assert!(issuer.starts_with("http://127.0.0.1:"), "the provider did not start: {issuer:?}");
        IdentityProvider { child, issuer, redirect: redirect.to_owned() }
    }

    /// Signs tokens with another key from now on.
    pub(crate) fn rotate_keys(&self) {
        self.post("/test/rotate");
    }

    /// Hands out tokens that are wrong in one way from now on.
    pub(crate) fn lie(&self, about: &str) {
        self.post(&format!("/test/lie?about={about}"));
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        // It ends by itself too, with its standard input.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    fn post(&self, path: &str) {
        let url = format!("{}{path}", self.issuer);
        assert_eq!(agent().post(&url).send_empty().unwrap().status().as_u16(), 200);
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.end();
    }
}

impl Person {
    /// Follows the provider's pages from `location` on, signing in as `login`, until it sends the browser back; gives
    /// the address that it sends it to.
    pub(crate) fn sign_in(&mut self, provider: &IdentityProvider, location: &str, login: &str) -> String {
        self.walk(provider, location, |page| {
            let prompt = between(&page.text, "name=\"prompt\" value=\"", "\"");
            let fields = match prompt {
                "login" => format!("prompt=login&login={}&password=x", login.replace('@', "%40")),
                "consent" => "prompt=consent".to_owned(),
                other => panic!("the provider asks for {other:?}: {}", page.text),
            };
            (between(&page.text, "action=\"", "\"").to_owned(), Some(fields))
        })
    }

    /// Follows the provider's pages from `location` on and says no at the first.
    pub(crate) fn decline(&mut self, provider: &IdentityProvider, location: &str) -> String {
        self.walk(provider, location, |page| {
            let links: Vec<&str> = page.text.split("href=\"").skip(1).collect();
            let abort =
                links.iter().filter_map(|link| link.split('"').next()).find(|link| link.ends_with("/abort"));
            (abort.expect("a way to say no").to_owned(), None)
        })
    }

    fn walk(
        &mut self,
        provider: &IdentityProvider,
        location: &str,
        answer: impl Fn(&Page) -> (String, Option<String>),
    ) -> String {
        let (mut url, mut form) = (location.to_owned(), None);
        for _ in 0..STEPS_MAX {
            if url.starts_with(&provider.redirect) {
                return url;
            }
            let page = self.request(&url, form.as_deref());
            (url, form) = match &page.location {
                Some(location) => (location.clone(), None),
                None => {
                    assert_eq!(page.status, 200, "{url}: {}", page.text);
                    answer(&page)
                }
            };
            if url.starts_with('/') {
                url = format!("{}{url}", provider.issuer);
            }
        }
        panic!("the provider does not send the browser back");
    }

    fn request(&mut self, url: &str, form: Option<&str>) -> Page {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let agent = agent();
        let mut response = match form {
            Some(form) => agent
                .post(url)
                .header("cookie", cookies)
                .header("content-type", "application/x-www-form-urlencoded")
                .send(form),
            None => agent.get(url).header("cookie", cookies).call(),
        }
        .unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let location =
            response.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        Page { status, location, text: response.body_mut().read_to_string().unwrap() }
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let from = text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}")).1;
    from.split(end).next().unwrap_or_default()
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false).proxy(None);
    config.build().new_agent()
}
