//! Moving all records from one database to another, whatever the engines.
//!
//! Promises that everything comes along or nothing does: one transaction on the target, counted before it is committed,
//! read at one instant of a source that nobody serves. Never writes to records of the source, and never into a target
//! that holds any.

use super::database::Database;
use super::engine::{Connection, Kind, Transaction, Value, query};
use super::error::StoreError;
use super::opening::OpenError;
use super::schema::Applied;
use super::server;
use crate::config::DatabaseUrl;
use crate::domain::clock::Clock;

/// Rows moved at once: at 14 values each, below the 32,766 that SQLite takes in one statement.
const ROWS_MAX: usize = 500;

/// Why records were not moved. Each message is one line that says what to do; the target is as it was, or empty.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// Source and target are the same.
    #[error("source and target are the same database; name two")]
    Same,
    /// There is no source.
    #[error("{source_url}: there are no records of keystile; check `--from`")]
    NoSource {
        /// What was named.
        source_url: String,
    },
    /// Source or target cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The target holds records.
    #[error("the target holds records already (in `{table}`); name an empty database as `--to`")]
    NotEmpty {
        /// Where the first ones are.
        table: &'static str,
    },
    /// A row does not read, or the source does not answer.
    #[error("cannot read `{table}` of the source; nothing was moved")]
    Read {
        /// Which table.
        table: &'static str,
        /// What went wrong.
        #[source]
        source: StoreError,
    },
    /// The target refuses a row, or does not answer.
    #[error("cannot write `{table}` of the target; nothing was moved")]
    Write {
        /// Which table.
        table: &'static str,
        /// What went wrong.
        #[source]
        source: StoreError,
    },
    /// Not as many rows arrived as there were.
    #[error("`{table}` has {read} rows in the source and {written} in the target; nothing was moved")]
    Differs {
        /// Which table.
        table: &'static str,
        /// Rows of the source.
        read: u64,
        /// Rows of the target.
        written: u64,
    },
}

/// A table: its columns, of which the first `key` tell its rows apart and give them an order.
pub(super) struct Table {
    pub(super) name: &'static str,
    key: usize,
    pub(super) columns: &'static [(&'static str, Kind)],
    /// Rows that a new schema brings along, and that say nothing as long as their numbers are 0.
    seeded: bool,
}

/// A column in short: `text id` is `("id", Kind::Text)`.
macro_rules! table {
    ($name:literal by $key:literal $(, $seeded:ident)?: $($kind:ident $column:ident),* $(,)?) => {
        Table {
            name: $name,
            key: $key,
            columns: &[$((stringify!($column), table!(@$kind))),*],
            seeded: false $(|| stringify!($seeded).len() > 0)?,
        }
    };
    (@text) => { Kind::Text };
    (@int) => { Kind::Integer };
    (@bytes) => { Kind::Bytes };
    (@flag) => { Kind::Flag };
}

/// Every table, those that others refer to before them.
pub(super) const TABLES: &[Table] = &[
    table!("organizations" by 1: text id, text slug, text name, text time_zone, text limits, int created_at, int revision),
    table!("agents" by 1: text id, text organization_id, text slug, text name, int created_at, int revision),
    table!("keys" by 1: text id, text organization_id, text agent_id, text name, bytes hash, text access, text hint,
        int created_at, text created_by, int last_used_at, int expires_at, flag disabled, text limits, int revision),
    table!("people" by 1: text id, text email, text name, text time_zone, text password_hash, text openid_issuer,
        text openid_subject, flag is_operator, int created_at),
    table!("members" by 1: text id, text organization_id, text person_id, text role, flag accepted, flag disabled,
        bytes invitation_hash, int invited_until, int created_at, int revision),
    table!("member_agents" by 2: text member_id, text agent_id),
    table!("sessions" by 1: bytes hash, text id, text person_id, int created_at, int seen_at, int expires_at,
        text address, text user_agent),
    table!("browsers" by 1: bytes hash, text person_id, int expires_at),
    table!("forms_sent" by 1: bytes hash, int at),
    table!("management_tokens" by 1: text id, text name, bytes hash, int created_at),
    table!("change_sequence" by 1, seeded: int id, int last),
    table!("changes" by 1: int seq, text kind, text subject, int at, text organization_id, bytes key_hash),
    table!("audit" by 1: text id, int at, text actor, text action, text subject, text subject_name,
        text organization_id, text actor_id, text fields),
    table!("ledger" by 2: text key_id, text quota_per, int starts_at, int ends_at, int granted),
    table!("ledger_rates" by 1: text key_id, int full_at_ns, int interval_ns),
    table!("ledger_meters" by 1: text key_id, int granted, int settled),
    table!("ledger_life" by 1: int id, int may_admit_to, int left_cleanly),
    table!("usage" by 2: text key_id, int at_minute, int allowed, int failed, int denied_rate, int denied_quota,
        int denied_concurrency, int denied_other),
    table!("usage_paths" by 4: text key_id, int at_minute, text route, text agent_id, text agent, int requests),
    table!("fleet" by 1, seeded: int id, int epoch, int term),
    table!("fleet_gateways" by 1: text gateway_id, text name, text version, text address, int goes_on_ms,
        int first_seen, int last_seen, int left_at),
    table!("usage_batches" by 1: text gateway_id, int recorded, int at),
];

impl Table {
    fn names(&self, columns: usize) -> String {
        let names: Vec<_> = self.columns.iter().take(columns).map(|(name, _)| *name).collect();
        names.join(", ")
    }

    async fn count(&self, connection: Connection<'_>) -> sqlx::Result<u64> {
        let mut count = query("SELECT COUNT(*) FROM ");
        count.push(self.name);
        Ok(count.fetch_number(connection).await?.unsigned_abs())
    }

    /// Whether a database that was just made has it like this.
    async fn is_untouched(&self, connection: Connection<'_>) -> sqlx::Result<bool> {
        if !self.seeded {
            return Ok(self.count(connection).await? == 0);
        }
        let numbers: Vec<_> = self.columns.iter().skip(self.key).map(|(name, _)| *name).collect();
        let mut sum = query("SELECT CAST(COALESCE(SUM(");
        sum.push(&numbers.join(" + ")).push("), 0) AS BIGINT) FROM ").push(self.name);
        Ok(sum.fetch_number(connection).await? == 0)
    }

    /// The rows behind the one with the key `after`.
    pub(super) async fn page(
        &self,
        after: Option<Vec<Value>>,
        from: Connection<'_>,
    ) -> sqlx::Result<Vec<Vec<Value>>> {
        let mut page = query("SELECT ");
        page.push(&self.names(self.columns.len())).push(" FROM ").push(self.name);
        if let Some(after) = after {
            page.push(" WHERE (").push(&self.names(self.key)).push(") > (").push_list(after).push(")");
        }
        page.push(" ORDER BY ").push(&self.names(self.key)).push(&format!(" LIMIT {ROWS_MAX}"));
        let kinds: Vec<Kind> = self.columns.iter().map(|(_, kind)| *kind).collect();
        page.fetch_values(&kinds, from).await
    }

    async fn put(&self, rows: Vec<Vec<Value>>, to: Connection<'_>) -> sqlx::Result<()> {
        let mut put = query("INSERT INTO ");
        put.push(self.name).push(" (").push(&self.names(self.columns.len())).push(") ");
        put.push_rows(rows);
        put.execute(to).await.map(drop)
    }

    /// What tells a row apart.
    pub(super) fn key_of(&self, row: &[Value]) -> Vec<Value> {
        row.iter().take(self.key).cloned().collect()
    }

    /// Moves every row, and gives how many there are.
    async fn carry(&self, from: &mut Transaction, to: &mut Transaction) -> Result<u64, CarryError> {
        let table = self.name;
        let read = |error: sqlx::Error| CarryError::Read { table, source: error.into() };
        let write = |error: sqlx::Error| CarryError::Write { table, source: error.into() };
        if self.seeded {
            let mut clear = query("DELETE FROM ");
            clear.push(table);
            clear.execute(to.connection()).await.map_err(write)?;
        }
        let mut after = None;
        loop {
            let rows = self.page(after, from.connection()).await.map_err(read)?;
            let Some(last) = rows.last() else { break };
            after = Some(self.key_of(last));
            self.put(rows, to.connection()).await.map_err(write)?;
        }
        let read = self.count(from.connection()).await.map_err(read)?;
        let written = self.count(to.connection()).await.map_err(write)?;
        if read == written { Ok(read) } else { Err(CarryError::Differs { table, read, written }) }
    }
}

/// Moves all records of `from` to `to`, which must be empty, and tells `progress` each table that is done and its rows.
/// Nobody may serve either. The schema of both is brought up to date first.
///
/// # Errors
/// Where one of them cannot be had, or anything differs: then no record was moved.
pub async fn carry_over(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    clock: &Clock,
    progress: impl FnMut(&'static str, u64),
) -> Result<(), CarryError> {
    if from.is_same_place(to) {
        return Err(CarryError::Same);
    }
    let is_there = match from {
        DatabaseUrl::Sqlite(path) => std::fs::metadata(path).is_ok_and(|file| file.len() > 0),
        DatabaseUrl::Postgres(url) => {
            server::inspect(url).await.map_err(OpenError::from)? != Applied::Nothing
        }
    };
    if !is_there {
        let source_url = match from {
            DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            DatabaseUrl::Postgres(url) => url.to_string(),
        };
        return Err(CarryError::NoSource { source_url });
    }
    let source = Database::open(from, clock.clone()).await?;
    let target = Database::open(to, clock.clone()).await?;
    let moved = carry_all(&source, &target, progress).await;
    target.close().await;
    source.close().await;
    moved
}

async fn carry_all(
    source: &Database,
    target: &Database,
    mut progress: impl FnMut(&'static str, u64),
) -> Result<(), CarryError> {
    let table = "organizations";
    let read = |error: sqlx::Error| CarryError::Read { table, source: error.into() };
    let write = |error: sqlx::Error| CarryError::Write { table, source: error.into() };
    let mut from = source.readers().begin_instant().await.map_err(read)?;
    let mut to = target.writer().begin().await.map_err(write)?;
    for table in TABLES {
        if !table.is_untouched(to.connection()).await.map_err(write)? {
            return Err(CarryError::NotEmpty { table: table.name });
        }
    }
    for table in TABLES {
        let rows = table.carry(&mut from, &mut to).await?;
        progress(table.name, rows);
    }
    to.commit().await.map_err(write)
}
