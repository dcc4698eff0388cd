//! Who may talk to Redis: passwords, rights, certificates.

use super::*;

fn with(server: &RedisServer, url: &str, more: &str) -> RedisHub {
    let _ = server;
    RedisHub::new(&fleet(url, more)).unwrap()
}

/// The line of the access control list in docs/fleet.md.
fn documented_line() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fleet.md")).unwrap();
    let section = text.split("## Rights in Redis").nth(1).unwrap().to_owned();
    let line = section.lines().find(|line| line.trim_start().starts_with("user keystile ")).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

/// Every command that a script runs: what stands behind `redis.call('`.
fn commands_of_scripts() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fleet/redis/scripts");
    let mut commands = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for call in text.split("redis.call(").skip(1).chain(text.split("redis.pcall(").skip(1)) {
            let quoted = call.trim_start().strip_prefix('\'').expect("a command in single quotes");
            commands.push(quoted.split('\'').next().unwrap().to_lowercase());
        }
    }
    assert!(commands.len() > 40, "{commands:?}");
    commands
}

#[test]
fn the_documented_rights_name_every_command_of_every_script() {
    let line = documented_line();
    for command in commands_of_scripts() {
        assert!(line.contains(&format!("+{command}")), "{command} is missing in docs/fleet.md");
    }
}

/// Makes a user with exactly the documented rights and the password `hunter2`.
fn grant(server: &RedisServer) {
    let mut line = documented_line();
    let password = line.iter_mut().find(|rule| rule.starts_with('>')).unwrap();
    *password = ">hunter2".into();
    let mut command = vec!["acl", "setuser"];
    command.extend(line.iter().skip(1).map(String::as_str));
    assert_eq!(server.command(&command), "OK");
}

/// Everything that gateways and consoles ask of Redis.
async fn everything(hub: &RedisHub) {
    let gateway = GatewayId::generate();
    let organization = organization(OrganizationId::generate(), "acme");
    open(hub, FIRST, 0, &[key(KeyId::generate(), "a"), organization.clone()]).await;
    let gone = Record::KeyGone { id: KeyId::generate(), hash: "a".into() };
    let Record::Organization(named) = &organization else { unreachable!() };
    let change = entry(1, vec![key(KeyId::generate(), "b"), gone, Record::OrganizationGone(named.id)]);
    hub.publish(FIRST, &[change]).await.unwrap();
    assert_eq!(table(hub, 1).await.unwrap().len(), 2);
    assert_eq!(hub.changes(at(1, 0), Duration::from_millis(10)).await.unwrap().len(), 1);
    hub.open_ledger(FIRST).await.unwrap();
    assert!(hub.sync(&beat(gateway, 1, None)).await.unwrap().ledger_open);
    hub.mark(&[gateway]).await.unwrap();
    assert!(hub.registry().await.unwrap().gateways[0].remembered);
    assert!(!hub.expel(gateway, 9).await.unwrap(), "it gave a sign after that");
    hub.push_usage(gateway, 1, 0, b"a").await.unwrap();
    let taken = hub.take_usage(1).await.unwrap();
    hub.drop_usage(&[taken[0].id.clone()], &[(gateway, 1)]).await.unwrap();
    hub.want_floors(&[KeyId::generate()]).await.unwrap();
    hub.take_wanted(1).await.unwrap();
    open(hub, Lease { term: 1, epoch: 2 }, 1, &[]).await;
    assert!(hub.state().await.unwrap().unwrap().vouched);
    hub.leave(gateway).await.unwrap();
}

#[tokio::test]
async fn the_documented_rights_are_enough_and_none_of_them_reaches_other_keys() {
    let server = RedisServer::start();
    grant(&server);
    let url = server.url().replace("redis://", "redis://keystile@");
    let settings = Fleet { key_prefix: "keystile".into(), ..fleet(&url, "password: hunter2") };
    everything(&RedisHub::new(&settings).unwrap()).await;
    assert_eq!(server.command(&["acl", "log"]), "", "nothing that the program does was refused");
    let elsewhere = RedisHub::new(&Fleet { key_prefix: "other".into(), ..settings }).unwrap();
    let refused = elsewhere.state().await.unwrap_err().to_string();
    assert!(refused.contains("lacks a right"), "{refused}");
}

#[tokio::test]
async fn the_documented_rights_are_enough_in_a_cluster() {
    let mut cluster = Cluster::start();
    let url = cluster.url().replace("redis+cluster://", "redis+cluster://keystile@");
    cluster.servers().iter().for_each(grant);
    let settings = Fleet { key_prefix: "keystile".into(), ..fleet(&url, "password: hunter2") };
    everything(&RedisHub::new(&settings).unwrap()).await;
    for server in cluster.servers() {
        assert_eq!(server.command(&["acl", "log"]), "", "nothing that the program does was refused");
    }
}

#[tokio::test]
async fn a_missing_right_and_a_wrong_password_are_told_apart_and_neither_is_shown() {
    let server = RedisServer::start();
    server.command(&["acl", "setuser", "poor", "on", ">hunter2", "~*", "+@all", "-hset"]);
    let url = server.url().replace("redis://", "redis://poor@");
    let refused = with(&server, &url, "password: hunter2").begin(FIRST).await.unwrap_err();
    assert!(refused.to_string().contains("lacks a right"), "{refused}");
    let refused = with(&server, &url, "password: hunter3").begin(FIRST).await.unwrap_err();
    assert!(refused.to_string().contains("password") && !refused.to_string().contains("hunter"), "{refused}");
    let guarded = RedisServer::with(&[("requirepass", "hunter2")]);
    let refused = with(&guarded, &guarded.url(), "").state().await.unwrap_err();
    assert!(refused.to_string().contains("set fleet.password_file"), "{refused}");
    assert_eq!(with(&guarded, &guarded.url(), "password: hunter2").state().await, Ok(None));
    let other_database = format!("{}/3", server.url());
    assert_eq!(with(&server, &other_database, "").state().await, Ok(None));
}

#[tokio::test]
async fn a_server_with_tls_is_believed_by_its_certificate_alone() {
    let server = RedisServer::with_tls(&[]);
    let trusting = format!("ca_file: {}", server.ca_file().display());
    let hub = with(&server, &server.url(), &trusting);
    open(&hub, FIRST, 0, &[key(KeyId::generate(), "a")]).await;
    assert_eq!(table(&hub, 1).await.unwrap().len(), 1);
    assert_eq!(hub.changes(at(1, 0), Duration::from_millis(5)).await, Ok(vec![]));
    let system = with(&server, &server.url(), "").state().await;
    assert!(matches!(system, Err(HubError::Unreachable(_))), "{system:?}");
    let other = RedisServer::with_tls(&[]);
    let stranger = with(&other, &other.url(), &trusting).state().await;
    assert!(matches!(stranger, Err(HubError::Unreachable(_))), "{stranger:?}");
    let plain = with(&server, &server.url().replace("rediss", "redis"), "").state().await;
    assert!(matches!(plain, Err(HubError::Unreachable(_))), "{plain:?}");
    let missing = RedisHub::new(&fleet(&server.url(), "ca_file: /nowhere/ca.pem")).unwrap_err();
    assert!(missing.to_string().contains("fleet.ca_file /nowhere/ca.pem cannot be read"), "{missing}");
}

#[tokio::test]
async fn a_node_of_a_cluster_that_was_configured_as_one_server_says_what_to_write() {
    let mut cluster = Cluster::start();
    let mut refusals = Vec::new();
    for server in cluster.servers() {
        refusals.extend(hub(&server.url()).state().await.err());
    }
    assert_eq!(refusals.len(), 2, "one of them holds the slot");
    assert!(refusals.iter().all(|refused| refused.to_string().contains("redis+cluster://")), "{refusals:?}");
}
