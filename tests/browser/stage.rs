//! The scene of the console's tests: a gateway before one upstream, the organization Acme Freight with its agents, and
//! people of it who have a password.
//!
//! People come in as they do in life, by an invitation that they accept. Nothing here looks at a page.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use crate::browser::Browser;
use crate::driver::Driver;
use crate::looks::Scripts;
use crate::plain::Plain;
use crate::support::gateway::BINARY;
use crate::support::management::Management;
use crate::support::scene::AGENTS_ROUTE;
use crate::support::{Gateway, Request, Settings, Upstream};

/// Everybody's, on this stage.
pub(crate) const PASSWORD: &str = "a turnstile opens for a good key";

/// Organization admin of `acme`.
pub(crate) const OWNER: &str = "owner@acme.example";
/// Agent admin of `billing`, and of no other agent.
pub(crate) const CLERK: &str = "clerk@acme.example";

/// The agents of `acme`.
pub(crate) const AGENTS: [&str; 3] = ["billing", "intake", "support"];

pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) management: Management,
    pub(crate) driver: Driver,
    _upstream: Upstream,
}

impl Stage {
    /// The usual stage.
    pub(crate) fn new() -> Stage {
        Stage::with(|_| ())
    }

    /// The usual stage with other settings.
    pub(crate) fn with(configure: impl FnOnce(&mut Settings)) -> Stage {
        let upstream = Upstream::echo();
        let mut gateway = Gateway::start(|settings| {
            settings.upstream("echo", &[upstream.url()], "").route(AGENTS_ROUTE);
            configure(settings);
        });
        let management = gateway.management();
        let stage = Stage { gateway, management, driver: Driver::start(), _upstream: upstream };
        stage.organization("acme", "Acme Freight", &AGENTS);
        stage.member("acme", OWNER, json!({ "role": "organization-admin" }));
        stage.member("acme", CLERK, json!({ "role": "agent-admin", "agents": ["billing"] }));
        stage
    }

    /// An organization with agents: `billing` is the "Billing desk".
    pub(crate) fn organization(&self, slug: &str, name: &str, agents: &[&str]) {
        self.management.organization(slug, json!({ "name": name }));
        for agent in agents {
            let (first, rest) = agent.split_at(1);
            let body = json!({ "slug": agent, "name": format!("{}{rest} desk", first.to_uppercase()) });
            self.management.expect(201, "POST", &format!("/organizations/{slug}/agents"), Some(&body));
        }
    }

    /// Invites somebody and accepts for them; gives the member's id.
    pub(crate) fn member(&self, organization: &str, email: &str, role: Value) -> String {
        let (id, token) = self.invited(organization, email, role);
        let accepted =
            self.plain().post_json(&format!("/api/v1/invitations/{token}"), &json!({ "password": PASSWORD }));
        assert!((200..300).contains(&accepted.status), "{} {}", accepted.status, accepted.body);
        id
    }

    /// Invites somebody: the member's id, and the end of the invitation's address.
    pub(crate) fn invited(&self, organization: &str, email: &str, role: Value) -> (String, String) {
        let mut body = role;
        body["email"] = json!(email);
        let path = format!("/organizations/{organization}/members");
        let made = self.management.expect(201, "POST", &path, Some(&body));
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let token = text(&made["inviteUrl"]).rsplit('/').next().unwrap_or_default().to_owned();
        (text(&made["member"]["id"]), token)
    }

    /// A person who runs the deployment, made as the first one is.
    pub(crate) fn operator(&self, email: &str) {
        let mut command = Command::new(BINARY);
        command.args(["operator", "create", "--email", email, "--config"]).arg(self.gateway.config());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "no operator was made");
    }

    /// Does to the records what no operation does.
    pub(crate) async fn damage(&self, statement: &'static str) {
        let path = self.gateway.database();
        let records = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap();
        assert!(sqlx::query(statement).execute(&records).await.unwrap().rows_affected() > 0, "{statement}");
        records.close().await;
    }

    /// The console's address.
    pub(crate) fn url(&self) -> &str {
        self.management.url()
    }

    /// Somebody without a browser and without a session.
    pub(crate) fn plain(&self) -> Plain {
        Plain::new(self.url())
    }

    /// A new browser that nobody has signed in with.
    pub(crate) async fn browser(&self, scripts: Scripts) -> Browser {
        Browser::open(&self.driver, self.url(), scripts).await
    }

    /// A new browser in which somebody has signed in.
    pub(crate) async fn signed_in(&self, email: &str, scripts: Scripts) -> Browser {
        let browser = self.browser(scripts).await;
        sign_in(&browser, email).await;
        browser
    }

    /// What the gateway answers to a request with a key to an agent.
    pub(crate) fn knock(&self, secret: &str, agent: &str) -> u16 {
        let target = format!("/agents/{agent}/status");
        self.gateway.exchange(&Request::get(&target).key(secret)).status
    }

    /// A key made through the API, its id and its secret.
    pub(crate) fn key(&self, name: &str, agent: Option<&str>) -> (String, String) {
        let scope = match agent {
            Some(agent) => json!({ "type": "agent", "agent": agent }),
            None => json!({ "type": "organization" }),
        };
        let key = self.management.key("acme", json!({ "name": name, "scope": scope }));
        (key.id, key.secret)
    }
}

/// Signs in by the page, from wherever the browser is, and waits for what comes behind it.
pub(crate) async fn sign_in(browser: &Browser, email: &str) {
    browser.visit("/sign-in").await;
    fill_sign_in(browser, email).await;
    browser.find("heading", "API Keys").await;
}

/// Fills the form and sends it.
pub(crate) async fn fill_sign_in(browser: &Browser, email: &str) {
    browser.fill("E-mail", email).await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Sign in").await;
}
