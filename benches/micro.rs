//! Micro benches of what every request passes: authenticate, look up, admit, tell.
//!
//! Run with `cargo bench --bench micro`. Absolute numbers vary with the machine; compare within one run.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench is no API, and fails loudly"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use keystile::domain::clock::{Clock, UnixMillis};
use keystile::domain::id::{AgentId, KeyId, OrganizationId};
use keystile::domain::limit::{Limits, Period, Quota, Rate, Window};
use keystile::domain::route::{HostPattern, PathPattern, Route, RouteAccess, Template};
use keystile::domain::scope::{Access, Scope};
use keystile::domain::secret::{Secret, SecretFormat, SecretHash, SystemRandomness};
use keystile::gateway::{Found, Routes};
use keystile::keytable::{KeyFacts, KeyTable, OrganizationFacts};
use keystile::limits::{
    Account, Admission, Asks, Boot, EffectiveLimits, Grants, Ledger, LedgerError, Limiter, Outcome, Path,
    PathCount, Returns, UsageBook, UsageDelta,
};

/// Grants everything and remembers nothing: what is measured is this side of the ledger.
struct Generous;

impl UsageBook for Generous {
    async fn begin(&self, _: UnixMillis, _: UnixMillis) -> Result<Boot, LedgerError> {
        Ok(Boot::default())
    }

    async fn record_usage(&self, _: &[UsageDelta], _: UnixMillis, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn record_paths(&self, _: &[(KeyId, Vec<PathCount>)], _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn beat(&self, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn prune(&self, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }
}

impl Ledger for Generous {
    async fn renew(&self, asks: &Asks, now_unix_ns: u64) -> Result<Grants, LedgerError> {
        let now = UnixMillis(now_unix_ns / 1_000_000);
        Ok(Grants {
            quotas: asks.quotas.iter().map(|ask| ask.grant(None, now)).collect(),
            rates: asks.rates.iter().map(|ask| ask.grant(None, now_unix_ns)).collect(),
        })
    }

    async fn return_leases(&self, _: &Returns) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn end(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}

fn table(secrets: &[SecretHash]) -> KeyTable {
    let table = KeyTable::new(Limits::default());
    let organization = OrganizationId::generate();
    table.put_organization(OrganizationFacts {
        id: organization,
        slug: "bench".parse().unwrap(),
        zone: TimeZone::UTC,
        limits: Limits::default(),
        agents: Vec::new(),
    });
    for hash in secrets {
        let facts = KeyFacts {
            id: KeyId::generate(),
            organization,
            hash: *hash,
            scope: Scope::Organization,
            access: Access::All,
            expires_at: None,
            disabled: false,
            limits: Limits::default(),
        };
        table.put_key(facts).unwrap();
    }
    table
}

fn authenticate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("authenticate");
    group.throughput(Throughput::Elements(1));
    let format = SecretFormat::keys();
    let secrets: Vec<Secret> = (0..1_000).map(|_| format.generate(&mut SystemRandomness).unwrap()).collect();
    let hot = table(&secrets.iter().map(Secret::hash).collect::<Vec<_>>());
    let mut turn = 0_usize;
    group.bench_function("format, hash and lookup, 1,000 keys", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % secrets.len();
            let credential = secrets[turn].expose().as_bytes();
            let entry =
                format.is_well_formed(credential).then(|| hot.lookup(&SecretHash::of(credential))).flatten();
            black_box(entry.is_some())
        });
    });
    let hashes: Vec<SecretHash> = (0..1_000_000_u32).map(|at| SecretHash::of(&at.to_le_bytes())).collect();
    let cold = table(&hashes);
    let mut turn = 0_usize;
    group.bench_function("lookup, 1,000,000 keys, random", |bencher| {
        bencher.iter(|| {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let hash = &hashes[(turn >> 33) % hashes.len()];
            black_box(cold.lookup(hash).is_some())
        });
    });
    group.finish();
}

fn routes(criterion: &mut Criterion) {
    let route = |path: &str| {
        let path = PathPattern::parse(path).unwrap();
        Route {
            label: path.as_str().to_owned(),
            host: HostPattern::Any,
            path,
            methods: Vec::new(),
            access: RouteAccess::Key,
            agent: None,
            upstream: Template::parse("echo", &[]).unwrap(),
            rewrite: None,
            encoded_slash: false,
            query_credentials: Vec::new(),
            body_bytes_max: 1,
        }
    };
    let mut written: Vec<Route> = (0..100).map(|n| route(&format!("/v{n}/runs/{{run}}"))).collect();
    written.push(route("/agents/{agent}/{*rest}"));
    let routes = Routes::compile(&written);
    criterion.bench_function("match a route, 101 routes", |bencher| {
        bencher.iter(|| {
            let found = routes.find("api.example.com", black_box("/agents/echo/v1/messages"), "POST");
            assert!(matches!(found, Found::Route(_, 100, _)));
        });
    });
}

fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits");
    group.throughput(Throughput::Elements(1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let clock = Clock::system();
    let (limiter, keeper) = Limiter::new();
    runtime.spawn(keeper.run(Arc::new(Generous), clock.clone(), std::future::pending()));
    let written = Limits {
        rate: Some(Rate { requests: 1 << 30, per: Period::Second, burst: 1 << 30 }),
        concurrency: Some(100),
        quotas: Some(vec![
            Quota { requests: 1 << 39, per: Window::Day },
            Quota { requests: 1 << 39, per: Window::Month },
        ]),
    };
    let limits = Arc::new(EffectiveLimits::compile(&written, TimeZone::UTC));
    let account = Arc::new(Account::new(KeyId::generate()));
    let admit = |account: &Arc<Account>, limits: &Arc<EffectiveLimits>| loop {
        match limiter.admit(account, limits, clock.now()) {
            Admission::Admitted(permit) => break Some(permit),
            Admission::Denied(_) => break None,
            Admission::NeedsLease(wait) => runtime.block_on(wait.ready()),
        }
    };
    group.bench_function("admit: rate, concurrency, two quotas, clock", |bencher| {
        bencher.iter(|| black_box(admit(&account, &limits).is_some()));
    });
    group.bench_function("count", |bencher| {
        bencher.iter(|| limiter.count(&account, Outcome::Allowed));
    });
    let tally = limiter.path_tally();
    let label = Arc::from("/agents/{agent}/{*rest}");
    let agents: Vec<AgentId> = (0..16).map(|_| AgentId::generate()).collect();
    let mut turn = 0_usize;
    group.bench_function("count, with route and agent", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % agents.len();
            let path = Path { route: 3, label: &label, agent: Some((agents[turn], "echo")) };
            limiter.count_path(&tally, &account, Outcome::Allowed, &path);
        });
    });
    let now = clock.now();
    group.bench_function("fields", |bencher| {
        bencher.iter_batched_ref(
            || Vec::with_capacity(512),
            |out| limiter.write_fields(&account, &limits, now, out),
            BatchSize::SmallInput,
        );
    });
    let spent = Limits { quotas: Some(vec![Quota { requests: 1, per: Window::Month }]), ..written };
    let spent = Arc::new(EffectiveLimits::compile(&spent, TimeZone::UTC));
    let flooder = Arc::new(Account::new(KeyId::generate()));
    while admit(&flooder, &spent).is_some() {}
    group.bench_function("refuse: quota used up, clock", |bencher| {
        bencher.iter(|| black_box(admit(&flooder, &spent).is_some()));
    });
    group.finish();
}

criterion_group!(micro, authenticate, routes, limits);
criterion_main!(micro);
