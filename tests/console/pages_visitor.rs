//! Somebody with a browser, as far as requests show it: cookies, forms, redirects that are looked at before followed.

use std::sync::Mutex;

use axum::body::Body;
use http::{Request, header};
use keystile::console::operations::{Caller, Login, create_operator};
use zeroize::Zeroizing;

use crate::harness::{Answer, Console};

/// The password of everybody in these tests.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody with a browser.
pub(crate) struct Visitor<'a> {
    console: &'a Console,
    cookies: Mutex<String>,
}

impl Answer {
    /// The page's text as it came.
    pub(crate) fn html(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }

    /// The value of the page's hidden field.
    #[track_caller]
    pub(crate) fn hidden(&self, name: &str) -> String {
        let html = self.html();
        let mark = format!("name=\"{name}\" value=\"");
        let from = html.find(&mark).unwrap_or_else(|| panic!("no field {name} in\n{html}")) + mark.len();
        let value = html[from..].split('"').next().unwrap();
        value.replace("&#34;", "\"").replace("&quot;", "\"")
    }
}

impl<'a> Visitor<'a> {
    /// Somebody who is not signed in.
    pub(crate) fn stranger(console: &'a Console) -> Visitor<'a> {
        Visitor { console, cookies: Mutex::default() }
    }

    /// Joins acme by an invitation, through its page.
    pub(crate) async fn invited(console: &'a Console, email: &str, role: &str, agents: &str) -> Visitor<'a> {
        let agents = if agents.is_empty() { String::new() } else { format!(r#","agents":["{agents}"]"#) };
        let body = format!(r#"{{"email":"{email}","role":"{role}"{agents}}}"#);
        let made = console.post("/organizations/acme/members", &body).await.is(201);
        let link = made.json["inviteUrl"].as_str().unwrap().to_owned();
        let path = link.strip_prefix("https://keys.example.com").unwrap().to_owned();
        let visitor = Visitor::stranger(console);
        assert!(visitor.get(&path).await.is(200).html().contains(email));
        visitor.send_form(&path, &[("password", PASSWORD)]).await.is(303);
        visitor
    }

    /// An organization admin of acme.
    pub(crate) async fn owner(console: &'a Console) -> Visitor<'a> {
        Visitor::invited(console, "owner@acme.example", "organization-admin", "").await
    }

    /// An agent admin of acme's agent `echo`.
    pub(crate) async fn clerk(console: &'a Console) -> Visitor<'a> {
        Visitor::invited(console, "clerk@acme.example", "agent-admin", "echo").await
    }

    /// A person who runs the deployment.
    pub(crate) async fn operator(console: &'a Console) -> Visitor<'a> {
        let email = "root@example.com".to_owned();
        let new = Login { email: email.clone(), password: Zeroizing::new(PASSWORD.to_owned()) };
        create_operator(&console.database, &Caller::operator("test"), new).await.unwrap();
        let visitor = Visitor::stranger(console);
        visitor.send_form("/sign-in", &[("email", &email), ("password", PASSWORD)]).await.is(303);
        visitor
    }

    /// Goes to an address from a page of the console.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header("sec-fetch-site", "same-origin"), String::new()).await
    }

    /// Sends a form as the browser of this console's own page does.
    pub(crate) async fn send_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::post(path)
            .header("origin", "https://keys.example.com")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, serde_html_form::to_string(fields).unwrap()).await
    }

    pub(crate) async fn send(&self, request: http::request::Builder, body: String) -> Answer {
        let cookies = self.cookies.lock().unwrap().clone();
        let answer =
            self.console.send(request.header("cookie", cookies).body(Body::from(body)).unwrap()).await;
        let set = answer.response.headers().get_all(header::SET_COOKIE).iter();
        let pairs: Vec<&str> =
            set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect();
        if !pairs.is_empty() {
            *self.cookies.lock().unwrap() = pairs.join("; ");
        }
        answer
    }

    /// Makes a key through the dialog's form; the page that answers.
    pub(crate) async fn make_key(&self, fields: &[(&str, &str)]) -> Answer {
        let once = self.get("/orgs/acme/keys/new").await.is(200).hidden("once");
        let mut all = vec![("once", once.as_str())];
        all.extend(fields);
        self.send_form("/orgs/acme/keys/new", &all).await
    }
}
