//! temp
use crate::console::operations::{Caller, create_token};
use crate::domain::clock::Clock;
use clap::Subcommand;
use std::path::PathBuf;
#[derive(Debug, Subcommand)]
pub(super) enum Operator {
    /// t
    Token {
        #[arg(long)]
        config: PathBuf,
    },
}
pub(super) fn run(c: Operator) -> anyhow::Result<()> {
    let Operator::Token { config } = c;
    let config = crate::config::load(&config).map_err(|p| anyhow::anyhow!("{p}"))?;
    super::serve::control_runtime()?.block_on(async {
        let db = crate::store::Database::open_beside(&config.database, Clock::system()).await?;
        let t = create_token(&db, &Caller::operator("cli"), None).await?;
        println!("{}", t.expose());
        db.close().await;
        Ok(())
    })
}
