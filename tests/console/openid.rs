//! Sign-in with a company account, against a real provider: npm package oidc-provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use keystile::config::{self, OpenId};
use keystile::console::openid::Provider;
use keystile::console::operations::{Acceptance, Caller, NewMember, Whence};
use keystile::console::view::{MemberStateView, WhoView};
use keystile::domain::clock::Clock;
use keystile::domain::member::MemberRole;
use keystile::domain::secret::Secret;

use super::harness::{Answer, Console, site};
use super::identity_provider::{CLIENT_ID, CLIENT_SECRET, IdentityProvider, Person};

const HOST: &str = "https://keys.example.com";
const CALLBACK: &str = "https://keys.example.com/sign-in/openid/callback";
const PENDING: &str = "__Host-keystile-openid";
const SESSION: &str = "__Host-keystile";
const ADA: &str = "ada@example.com";

/// A console, the provider that it asks, and a browser that keeps the console's cookies.
struct Scene {
    console: Console,
    provider: IdentityProvider,
    cookies: BTreeMap<String, String>,
}

impl Scene {
    /// With organization acme, into which Ada is invited.
    async fn start() -> Scene {
        let provider = IdentityProvider::start(CALLBACK);
        let mut site = site();
        site.openid = Some(Provider::new(&settings(&provider.issuer), HOST, Clock::system()).unwrap());
        let console = Console::start_on(Clock::system(), Arc::new(site)).await;
        console.post("/organizations", r#"{"slug":"acme","name":"Acme"}"#).await.is(201);
        console.post("/organizations/acme/agents", r#"{"slug":"echo","name":"Echo"}"#).await.is(201);
        let scene = Scene { console, provider, cookies: BTreeMap::new() };
        scene.invite(ADA).await;
        scene
    }

    /// Invites somebody; the token of their invitation.
    async fn invite(&self, email: &str) -> Secret {
        let member =
            NewMember { email: email.parse().unwrap(), role: MemberRole::OrganizationAdmin, agents: None };
        self.console.operations.create_member(&operator(), "acme", member).await.unwrap().token
    }

    /// How Ada stands in acme.
    async fn state_of_ada(&self) -> MemberStateView {
        let members = self.console.operations.list_members(&operator(), "acme", None, 10).await.unwrap();
        members.items.iter().find(|member| member.email.as_str() == ADA).unwrap().state
    }

    /// Who is signed in.
    async fn who(&self) -> WhoView {
        let signed_in =
            self.console.operations.resume(self.cookies[SESSION].as_bytes()).await.unwrap().unwrap();
        self.console.operations.read_session(&signed_in.caller).await.unwrap()
    }

    async fn get(&mut self, address: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::get(address.strip_prefix(HOST).unwrap_or(address))
            .header("host", "keys.example.com")
            .header("cookie", cookies.join("; "));
        let answer = self.console.send(request.body(Body::empty()).unwrap()).await;
        for cookie in answer.response.headers().get_all("set-cookie") {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(attributes.contains(attribute), "{name}: {attributes}");
            }
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Goes to the provider; gives its address.
    async fn begin(&mut self) -> String {
        let begun = self.get("/sign-in/openid?next=/orgs/acme/keys").await.is(303);
        begun.header("location").to_owned()
    }

    /// Signs in at the provider as `login`; gives the address that it sends the browser back to.
    async fn sign_in_there(&mut self, login: &str) -> String {
        let location = self.begin().await;
        Person::default().sign_in(&self.provider, &location, login)
    }

    /// Signs in as `login`, from end to end.
    async fn sign_in(&mut self, login: &str) -> Answer {
        let back = self.sign_in_there(login).await;
        self.get(&back).await
    }

    /// Fails unless `answer` is a page of this status that says so, and nobody is signed in.
    #[track_caller]
    fn assert_refused(&self, answer: &Answer, status: u16, words: &str) {
        let text = String::from_utf8_lossy(&answer.bytes);
        assert_eq!(answer.status.as_u16(), status, "{text}");
        assert!(text.contains(words), "{words:?} in {text}");
        assert!(!text.contains(CLIENT_SECRET) && !text.contains("<script>alert"), "{text}");
        assert!(!self.cookies.contains_key(SESSION));
    }
}

fn operator() -> Caller {
    Caller::operator("test")
}

/// What the configuration says of a provider.
fn settings(issuer: &str) -> OpenId {
    let text = format!(
        "console: {{ openid: {{ issuer: \"{issuer}\", client_id: {CLIENT_ID}, client_secret: \"{CLIENT_SECRET}\", \
         allowed_domains: [example.com] }} }}"
    );
    config::load_str(&text, "test.yaml", &|_| None).unwrap().console.openid.unwrap()
}

/// `address` with its parameter `name` set to `value`, or without it.
fn with(address: &str, name: &str, value: Option<&str>) -> String {
    let (path, query) = address.split_once('?').unwrap();
    let mut pairs: Vec<String> =
        query.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).map(str::to_owned).collect();
    pairs.extend(value.map(|value| format!("{name}={value}")));
    format!("{path}?{}", pairs.join("&"))
}

#[tokio::test]
async fn whoever_was_invited_signs_in_with_their_company_account_and_has_accepted_by_that() {
    let mut scene = Scene::start().await;
    assert!(String::from_utf8_lossy(&scene.get("/sign-in").await.bytes).contains("company account"));
    let signed_in = scene.sign_in("Ada@Example.com").await;
    assert_eq!((signed_in.status.as_u16(), signed_in.header("location")), (303, "/orgs/acme/keys"));
    assert_eq!(signed_in.header("cache-control"), "no-store");
    assert!(!scene.cookies.contains_key(PENDING), "the sign-in is over");
    let who = serde_json::to_value(scene.who().await).unwrap();
    assert_eq!((&who["email"], &who["displayName"]), (&ADA.into(), &"Ada Lovelace".into()));
    assert_eq!(who["roles"][0]["organization"]["slug"], "acme");
    assert_eq!(scene.state_of_ada().await, MemberStateView::Active);
    scene.sign_in("Ada@Example.com").await.is(303);
}

#[tokio::test]
async fn a_person_whom_nobody_invited_is_told_so_and_gets_no_session() {
    let mut scene = Scene::start().await;
    let answer = scene.sign_in("eve@example.com").await;
    scene.assert_refused(&answer, 403, "Nobody has invited");
}

#[tokio::test]
async fn an_address_that_is_not_verified_or_not_of_an_allowed_domain_opens_nothing() {
    let mut scene = Scene::start().await;
    scene.invite("ada@elsewhere.example").await;
    for (login, words) in [
        ("unverified.ada@example.com", "does not say that your e-mail address is verified"),
        ("mute.ada@example.com", "does not say that your e-mail address is verified"),
        ("silent.ada@example.com", "did not say which e-mail address"),
        ("ada@elsewhere.example", "of your domain cannot sign in here"),
    ] {
        let answer = scene.sign_in(login).await;
        scene.assert_refused(&answer, 403, words);
    }
    assert_eq!(scene.state_of_ada().await, MemberStateView::Invited);
}

#[tokio::test]
async fn an_answer_is_taken_once_by_the_browser_that_asked_from_the_provider_that_was_asked() {
    let mut scene = Scene::start().await;
    let back = scene.sign_in_there(ADA).await;
    let not_begun = "was not begun in this browser";
    let asked = std::mem::take(&mut scene.cookies);
    let answer = scene.get(&back).await;
    scene.assert_refused(&answer, 400, not_begun);
    scene.cookies = asked.clone();
    for wrong in [
        with(&back, "state", Some("another")),
        with(&back, "state", Some("")),
        with(&back, "state", None),
        format!("{back}&state=another"),
        CALLBACK.to_owned(),
    ] {
        let answer = scene.get(&wrong).await;
        scene.assert_refused(&answer, 400, not_begun);
        assert!(scene.cookies.contains_key(PENDING), "another tab may go on");
    }
    for issuer in [None, Some("https%3A%2F%2Fid.example.com")] {
        scene.cookies = asked.clone();
        let answer = scene.get(&with(&back, "iss", issuer)).await;
        scene.assert_refused(&answer, 400, "did not come from your company");
    }
    for (field, value) in
        [("nonce", "another"), ("verifier", "another-verifier-of-forty-three-characters-00")]
    {
        let back = scene.sign_in_there(ADA).await;
        let carried = scene.cookies.get_mut(PENDING).unwrap();
        *carried = with(&format!("?{carried}"), field, Some(value)).split_off(1);
        let status = if field == "nonce" { 502 } else { 403 };
        let answer = scene.get(&back).await;
        scene.assert_refused(&answer, status, "Not signed in");
    }
    let back = scene.sign_in_there(ADA).await;
    let asked = scene.cookies.clone();
    scene.get(&back).await.is(303);
    assert!(scene.cookies.remove(SESSION).is_some());
    let answer = scene.get(&back).await;
    scene.assert_refused(&answer, 400, not_begun);
    scene.cookies = asked;
    let answer = scene.get(&back).await;
    scene.assert_refused(&answer, 403, "did not let you in");
}

#[tokio::test]
async fn whoever_declines_at_the_provider_is_not_signed_in_and_what_an_address_says_is_not_shown() {
    let mut scene = Scene::start().await;
    let location = scene.begin().await;
    let back = Person::default().decline(&scene.provider, &location);
    assert!(back.contains("error=access_denied"), "{back}");
    let back = with(&back, "error_description", Some("%3Cscript%3Ealert(1)%3C%2Fscript%3E"));
    let answer = scene.get(&back).await;
    scene.assert_refused(&answer, 403, "did not let you in");
    assert!(!scene.cookies.contains_key(PENDING));
}

#[tokio::test]
async fn a_token_with_anything_wrong_about_it_opens_nothing() {
    let mut scene = Scene::start().await;
    for lie in [
        "key",
        "signature",
        "none",
        "shared-secret",
        "issuer",
        "audience",
        "audiences",
        "party",
        "nonce",
        "no-nonce",
        "expired",
        "access-token",
        "no-token",
        "person",
    ] {
        scene.provider.lie(lie);
        let answer = scene.sign_in(ADA).await;
        assert_eq!(answer.status.as_u16(), 502, "{lie}");
        scene.assert_refused(&answer, 502, "could not be verified");
    }
    // The same way with nothing changed, so that it was the lies that were refused.
    scene.provider.lie("nothing");
    scene.sign_in(ADA).await.is(303);
}

#[tokio::test]
async fn what_the_token_itself_says_of_a_person_is_enough() {
    let mut scene = Scene::start().await;
    scene.provider.lie("claims");
    scene.sign_in("silent.ada@example.com").await.is(303);
    assert_eq!(scene.state_of_ada().await, MemberStateView::Active);
}

#[tokio::test]
async fn a_provider_that_changed_its_keys_is_understood() {
    let mut scene = Scene::start().await;
    scene.sign_in(ADA).await.is(303);
    scene.provider.rotate_keys();
    scene.sign_in(ADA).await.is(303);
}

#[tokio::test]
async fn while_the_provider_is_down_the_console_says_so_and_passwords_work() {
    let mut scene = Scene::start().await;
    scene.provider.end();
    let answer = scene.get("/sign-in/openid").await;
    scene.assert_refused(&answer, 502, "cannot be reached");
    assert!(!scene.cookies.contains_key(PENDING));
    let token = scene.invite("bob@example.com").await;
    let acceptance = Acceptance { password: String::from("correct horse battery").into() };
    let accepted =
        scene.console.operations.accept_invitation(token.expose().as_bytes(), acceptance, Whence::default());
    accepted.await.unwrap();
    scene.get("/sign-in").await.is(200);
    let form = "email=bob%40example.com&password=correct+horse+battery&next=%2F";
    let request = Request::post("/sign-in")
        .header("host", "keys.example.com")
        .header("origin", HOST)
        .header("content-type", "application/x-www-form-urlencoded");
    let signed_in = scene.console.send(request.body(Body::from(form)).unwrap()).await.is(303);
    assert!(signed_in.header("set-cookie").starts_with(SESSION));
}

#[tokio::test]
async fn a_sign_in_goes_to_the_provider_with_state_nonce_and_challenge_and_leads_to_no_other_site() {
    let mut scene = Scene::start().await;
    let location = scene.begin().await;
    assert!(location.starts_with(&format!("{}/auth?", scene.provider.issuer)), "{location}");
    for parameter in [
        "response_type=code",
        "code_challenge_method=S256",
        "code_challenge=",
        "state=",
        "nonce=",
        "scope=openid+email+profile",
    ] {
        assert!(location.contains(parameter), "{parameter} in {location}");
    }
    assert!(!location.contains("secret"));
    let begun = scene.get("/sign-in/openid?next=//evil.example").await.is(303);
    let back = Person::default().sign_in(&scene.provider, begun.header("location"), ADA);
    assert_eq!(scene.get(&back).await.is(303).header("location"), "/");
}

#[tokio::test]
async fn without_a_provider_there_is_nothing_to_continue_with() {
    let console = Console::start().await;
    for address in ["/sign-in/openid", "/sign-in/openid/callback?code=a&state=b"] {
        let answer = console.send(Request::get(address).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), 404, "{address}");
    }
    let page = console.send(Request::get("/sign-in").body(Body::empty()).unwrap()).await;
    assert!(!String::from_utf8_lossy(&page.bytes).contains("company account"));
}
