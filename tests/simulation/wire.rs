//! What is said on the simulated network: requests and answers as JSON behind their length.

use std::io;

use keystile::domain::id::GatewayId;
use keystile::fleet::hub::{Entry, Position, Presence, Record};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::TcpStream;

const FRAME_MAX: usize = 16 << 20;

/// The right to write, and which try of whose at an epoch this is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Right {
    pub(crate) term: u64,
    pub(crate) epoch: u64,
    pub(crate) attempt: u64,
}

/// One script that a server carries out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Sync { gateway: GatewayId, number: u64, presence: Presence },
    Leave { gateway: GatewayId },
    Expel { gateway: GatewayId, beat: u64 },
    Mark { gateways: Vec<GatewayId> },
    Changes { after: Position, wait_ms: u64 },
    Table { epoch: u64, keys: bool, cursor: u64 },
    State,
    StateOfKeys { epoch: u64 },
    Begin(Right),
    BeginKeys(Right),
    Fill { right: Right, records: Vec<Record> },
    OpenKeys { right: Right, seq: u64 },
    Open { right: Right, seq: u64 },
    At(Right),
    Apply { right: Right, entries: Vec<Entry> },
    Append { right: Right, entries: Vec<Entry> },
    OpenLedger(Right),
    Registry,
}

/// A gateway on the register.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sign {
    pub(crate) gateway: GatewayId,
    pub(crate) beat: u64,
    pub(crate) silent_ms: u64,
    pub(crate) remembered: bool,
    pub(crate) presence: Presence,
}

/// What a server answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Synced { head: Position, gateways: u32, silent: u32, ledger_open: bool, remembered: bool },
    Whether(bool),
    Changes(Vec<Entry>),
    Page { records: Vec<Record>, next: Option<u64> },
    Nothing,
    State { head: Position, term: u64, vouched: bool },
    At(u64),
    Registry { head: Option<Position>, signs: Vec<Sign> },
    Unvouched,
    Superseded,
    OutOfOrder { at: u64 },
    Refused(String),
}

pub(crate) async fn write(stream: &mut TcpStream, what: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(what).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(body);
    stream.write_all(&frame).await
}

pub(crate) async fn read<T: DeserializeOwned>(stream: &mut TcpStream) -> io::Result<T> {
    let length = stream.read_u32().await? as usize;
    if length > FRAME_MAX {
        return Err(io::Error::other("a frame too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    serde_json::from_slice(&body).map_err(io::Error::other)
}
