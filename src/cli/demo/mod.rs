//! `keystile demo`: everything in one command, with an example backend, an organization and a first key.
//!
//! Promises that the curl line it prints works as pasted, that ports in use are stepped over and said so, and that
//! nothing is left behind. Never touches records outside its temporary folder.

mod backend;

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::serve::{control_runtime, log_to_stderr};
use crate::app::{App, Role};
use crate::config;
use crate::console::operations::{
    Acceptance, Caller, CreatedKey, NewAgent, NewKey, NewMember, NewOrganization, NewScope, Operations,
    Whence, create_token,
};
use crate::domain::clock::Clock;
use crate::domain::member::MemberRole;
use crate::domain::scope::Access;
use crate::domain::secret::{SecretFormat, SystemRandomness};
use crate::shutdown::Signals;

/// Ports tried for each listener before giving up.
const PORTS_TRIED: u16 = 200;
/// Starts tried where others keep taking the ports that were free a moment ago.
const STARTS_TRIED: u32 = 10;
const ORGANIZATION: &str = "demo";
const AGENTS: [(&str, &str); 2] = [("echo", "Echo"), ("clock", "Clock")];

/// Who may sign in: an address and a role; the agent admin has the first agent.
const PEOPLE: [(&str, MemberRole); 2] =
    [("admin@demo.example", MemberRole::OrganizationAdmin), ("echo@demo.example", MemberRole::AgentAdmin)];
/// Characters of a person's password: over 100 random bits, and short enough to type.
const PASSWORD_CHARS: usize = 20;

/// Run everything with an example backend and a first key.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Print one line of JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What a visitor needs to know.
#[derive(Serialize)]
struct Invitation {
    gateway: String,
    console: String,
    ops: String,
    backend: String,
    organization: &'static str,
    agents: [&'static str; 2],
    key: String,
    token: String,
    people: Vec<SignInLine>,
    curl: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// A sign-in that works on the console's pages.
#[derive(Serialize)]
struct SignInLine {
    role: &'static str,
    email: &'static str,
    password: String,
}

/// Runs the demo until a signal asks to leave.
pub(super) fn run(demo: &Demo) -> anyhow::Result<()> {
    log_to_stderr();
    let folder = tempfile::Builder::new().prefix("keystile-demo-").tempdir();
    let folder =
        folder.context("cannot make a temporary folder: set TMPDIR to one that can be written to")?;
    let mut ports = Ports::default();
    let backend = backend::start(ports.listener("the example backend", 9000)?, Clock::system())
        .context("cannot start the example backend")?;
    let path = folder.path().join("keystile.yaml");
    let read = || config::load(&path);
    control_runtime()?.block_on(async {
        let signals = Signals::take_over().context("cannot take over signals")?;
        let app = start(&path, backend, &mut ports).await?;
        let (key, token) = first_records(&app).await?;
        let people = first_people(operations(&app)?).await?;
        let address = app.addresses();
        let gateway = address.gateway.first().map(|address| format!("http://{address}")).unwrap_or_default();
        let invitation = Invitation {
            curl: format!("curl -H 'x-api-key: {key}' {gateway}/agents/echo/hello"),
            gateway,
            console: address.console.map(|address| format!("http://{address}")).unwrap_or_default(),
            ops: format!("http://{}", address.ops),
            backend: format!("http://{backend}"),
            organization: ORGANIZATION,
            agents: AGENTS.map(|(slug, _)| slug),
            key,
            token,
            people,
            notes: ports.notes,
        };
        print(&invitation, demo.json)?;
        app.run(signals, read).await;
        Ok(())
    })
}

/// Starts on free ports. Another program, such as a second demo, may take one between the look and the start.
async fn start(path: &Path, backend: SocketAddr, ports: &mut Ports) -> anyhow::Result<App> {
    let mut tried = 1;
    loop {
        let notes = ports.notes.len();
        write_configuration(path, backend, ports)?;
        let config = config::load(path).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        match App::start(config, Role::Serve).await {
            Err(error) if tried < STARTS_TRIED && is_taken(&error) => ports.notes.truncate(notes),
            started => return started,
        }
        tried += 1;
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map(io::Error::kind);
    error.chain().any(|cause| io(cause) == Some(io::ErrorKind::AddrInUse))
}

fn print(invitation: &Invitation, json: bool) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut text = if json { serde_json::to_string(invitation)? } else { welcome(invitation) };
    text.push('\n');
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot print")
}

fn welcome(invitation: &Invitation) -> String {
    let Invitation { gateway, console, ops, backend, key, token, people, curl, notes, .. } = invitation;
    let mut text = String::new();
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    let mut sign_ins = String::new();
    for person in people {
        let SignInLine { role, email, password } = person;
        let _ = write!(sign_ins, "\n  {email:<20}{password}   {role}");
    }
    let _ = write!(
        text,
        "\n\
         gateway   {gateway}   programs send their key here\n\
         console   {console}   pages for people; management API under /api/v1\n\
         ops       {ops}   /metrics /healthz /readyz\n\
         backend   {backend}   agents echo and clock of organization demo\n\
         \n\
         key       {key}\n\
         \n\
         Try it:\n\
         \n  {curl}\n  curl -N -H 'x-api-key: {key}' {gateway}/agents/clock\n\
         \n\
         Sign in at {console}:\n\
         {sign_ins}\n\
         \n\
         Manage it from a shell:\n\
         \n  export KEYSTILE_URL={console} KEYSTILE_TOKEN={token}\n  cargo run --release -- keys list --org demo\n\
         \n\
         Everything is gone when you press Ctrl-C."
    );
    text
}

fn operations(app: &App) -> anyhow::Result<&Operations> {
    app.operations().context("the demo has a control plane")
}

/// The organization, its agents, a key and a token.
async fn first_records(app: &App) -> anyhow::Result<(String, String)> {
    let caller = Caller::operator("demo");
    let operations = operations(app)?;
    let new =
        NewOrganization { slug: ORGANIZATION.parse()?, name: "Demo".parse()?, time_zone: None, limits: None };
    operations.create_organization(&caller, new).await?;
    for (slug, name) in AGENTS {
        let new = NewAgent { slug: slug.parse()?, name: name.parse()? };
        operations.create_agent(&caller, ORGANIZATION, new).await?;
    }
    let new = NewKey {
        name: "First key".parse()?,
        scope: NewScope::Organization {},
        access: Access::All,
        expires_at: None,
        limits: None,
        once: None,
    };
    let CreatedKey { secret, .. } = operations.create_key(&caller, ORGANIZATION, new).await?;
    let database = app.database().context("the demo has a control plane")?;
    let token = create_token(database, &caller, Some("Demo".parse()?)).await?;
    Ok((secret.expose().to_owned(), token.expose().to_owned()))
}

/// The people, with passwords made for this run.
async fn first_people(operations: &Operations) -> anyhow::Result<Vec<SignInLine>> {
    let caller = Caller::operator("demo");
    let mut people = Vec::new();
    for (email, role) in PEOPLE {
        let agents = (role == MemberRole::AgentAdmin).then(|| vec![AGENTS[0].0.to_owned()]);
        let new = NewMember { email: email.parse()?, role, agents };
        let invited = operations.create_member(&caller, ORGANIZATION, new).await?;
        let secret = SecretFormat::with_prefix("demo")?.generate(&mut SystemRandomness)?;
        let password: String = secret.expose().chars().skip("demo_".len()).take(PASSWORD_CHARS).collect();
        let acceptance = Acceptance { password: password.clone().into() };
        operations
            .accept_invitation(invited.token.expose().as_bytes(), acceptance, Whence::default())
            .await?;
        people.push(SignInLine { role: role.as_str(), email, password });
    }
    Ok(people)
}

fn write_configuration(path: &Path, backend: SocketAddr, ports: &mut Ports) -> anyhow::Result<()> {
    let [gateway, console, ops] = [("the gateway", 8080), ("the console", 8081), ("metrics", 8082)]
        .map(|(what, port)| ports.listener(what, port).and_then(|listener| Ok(listener.local_addr()?)));
    let (gateway, console, ops) = (gateway?, console?, ops?);
    let database = path.with_file_name("keystile.db");
    let text = format!(
        r#"
gateway:
  listen: [{{ address: "{gateway}" }}]
console:
  listen: {{ address: "{console}" }}
  public_url: "http://{console}"
ops:
  listen: {{ address: "{ops}" }}
database: "sqlite:{database}"
limits:
  key:
    rate: {{ requests: 100, per: second, burst: 200 }}
    concurrency: 100
    quotas: [{{ requests: 100000, per: day }}]
upstreams:
  example: {{ endpoints: ["http://{backend}"] }}
routes:
  - {{ path: "/agents/{{agent}}/{{*rest}}", agent: "{{agent}}", upstream: example, rewrite: "/{{agent}}/{{rest}}" }}
  - {{ path: /status, access: public, upstream: example }}
"#,
        database = database.display(),
    );
    std::fs::write(path, text).context("cannot write into the temporary folder")
}

/// Finds free ports, and remembers what it had to step over.
#[derive(Default)]
struct Ports {
    taken: Vec<u16>,
    notes: Vec<String>,
}

impl Ports {
    /// A listener on `preferred` or the next free port of this machine's loopback address.
    fn listener(&mut self, what: &str, preferred: u16) -> anyhow::Result<TcpListener> {
        for port in preferred..preferred.saturating_add(PORTS_TRIED) {
            if self.taken.contains(&port) {
                continue;
            }
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                self.taken.push(port);
                if port != preferred {
                    self.notes.push(format!("port {preferred} is taken: {what} listens on {port}"));
                }
                return Ok(listener);
            }
        }
        anyhow::bail!("no port from {preferred} on is free for {what}: stop something that listens there")
    }
}
