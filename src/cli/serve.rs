//! `keystile serve|gateway|console --config FILE`: both planes in one process, or one of them as a member of a fleet.

use std::path::Path;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::app::{Addresses, App, Role};
use crate::config;
use crate::shutdown::Signals;

/// Threads of the control plane: console, ops and the keeper of limits have little to do.
const CONTROL_THREADS: usize = 2;

/// Serves until a signal asks to leave.
pub(super) fn run(path: &Path, role: Role) -> anyhow::Result<()> {
    log_to_stderr();
    let config = config::load(path).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    control_runtime()?.block_on(async {
        let mut signals = Signals::take_over().context("cannot take over signals")?;
        let app = App::start(config, role).await?;
        announce(app.addresses());
        let ready = app.ready();
        signals.serving_once(async {
            ready.await;
            eprintln!("ready");
        });
        app.run(signals, || config::load(path)).await;
        Ok(())
    })
}

/// The runtime of everything but the workers.
pub(super) fn control_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start: the system gives no threads")
}

/// What the process says about itself goes to stderr; `KEYSTILE_LOG` chooses how much (`warn`, `debug`, …).
pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("KEYSTILE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
}

/// Says where what listens. Programs that start keystile wait for the line `ready`, which comes after this.
fn announce(addresses: &Addresses) {
    for address in &addresses.gateway {
        eprintln!("gateway listening on {address}");
    }
    if let Some(console) = addresses.console {
        eprintln!("console listening on {console}");
    }
    eprintln!("ops listening on {}", addresses.ops);
}
