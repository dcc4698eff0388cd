//! What there is in the model of revocation: SQL, two Redis servers, gateways, publishers, and whoever answers DELETE.
//!
//! Owns the shape of a state and what can be read from it. All times are countdowns in ticks, so that the same situation
//! at another hour is the same state and the number of states is finite. Never changes a state by itself.

/// Gateways of which a model has one or two.
pub const GATEWAYS: usize = 2;
/// Lives of a gateway: it may crash and be started again once, under another id.
pub const LIVES: u8 = 2;
/// Ids of gateways: one for each life.
pub const IDS: usize = 4;
/// How long a gateway may go on after the start of a sync, in ticks of its own clock.
pub const GOES_ON: u8 = 1;
/// How long a console waits where a gateway may go on for [`GOES_ON`]: one tick more, because a gateway's clock may leave
/// out one.
pub const WAITS: u8 = GOES_ON + 1;
/// How long a primary that was failed over may still answer, in ticks.
pub const OVERLAP: u8 = 1;

/// A point in the feed. The key is in the table at sequence 0 and gone at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Point {
    /// The lineage.
    pub epoch: u8,
    /// The last change contained: 0, or 1 which deletes the key.
    pub seq: u8,
}

/// A gateway as the hub has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// It says that it serves nobody.
    pub loading: bool,
    /// The point that it acknowledges.
    pub applied: Point,
    /// It gave a sign that no console has looked at.
    pub unseen: bool,
    /// SQL knows it.
    pub remembered: bool,
    /// The latest epoch that it said it has seen.
    pub epoch: u8,
}

/// What a Redis server holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Contents {
    /// Where the feed is; epoch 0: nothing is there.
    pub head: Point,
    /// The term of the publisher that wrote last.
    pub term: u8,
    /// The process and the history of the server that a publisher stamped.
    pub stamp: Option<(u8, u8)>,
    /// Registered gateways, by id.
    pub registry: [Option<Entry>; IDS],
}

/// A Redis server: its process is its index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Server {
    /// What it holds.
    pub contents: Contents,
    /// The history that it writes, which changes with every promotion (`master_replid`).
    pub history: u8,
}

/// What a gateway says with a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Beat {
    /// Which life of which gateway.
    pub id: u8,
    /// To which server.
    pub server: u8,
    /// It serves nobody.
    pub loading: bool,
    /// The point that it acknowledges.
    pub applied: Point,
    /// The latest epoch that it has seen.
    pub epoch: u8,
}

/// A sync under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sync {
    /// What was sent.
    pub beat: Beat,
    /// Where the feed was when the hub answered, and whether SQL knew the gateway; `None` before it is answered.
    pub answer: Option<(Point, bool)>,
    /// What is left of [`GOES_ON`], counted from its start.
    pub left: u8,
}

/// A gateway. Where it is stopped it takes no steps, and its clock runs on: any pause is covered by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Gateway {
    /// It runs.
    pub up: bool,
    /// Which life.
    pub life: u8,
    /// The table that it answers from.
    pub table: Option<Point>,
    /// It has received the change and not applied it.
    pub received: bool,
    /// The latest epoch that it knows of.
    pub epoch_seen: u8,
    /// What is left of its trust.
    pub trust: u8,
    /// The sync under way.
    pub sync: Option<Sync>,
    /// A sync that it gave up and that may arrive yet.
    pub late: Option<Beat>,
    /// Ticks that its clock may leave out.
    pub skips: u8,
}

impl Gateway {
    /// Whether a request with the key that comes now is admitted.
    pub fn admits(&self) -> bool {
        self.up && self.trust > 0 && self.table.is_some_and(|table| table.seq == 0)
    }
}

/// How far a publisher is with a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Stage {
    /// It publishes under its epoch.
    #[default]
    Following,
    /// It has taken a new epoch from SQL and read the table, at this sequence.
    Read(u8),
}

/// A console as publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Publisher {
    /// Its term; 0: it is none.
    pub term: u8,
    /// Its epoch.
    pub epoch: u8,
    /// How far it is.
    pub stage: Stage,
}

/// SQL, the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Sql {
    /// The last change: 1 once the key is deleted.
    pub seq: u8,
    /// The latest term.
    pub term: u8,
    /// The latest epoch.
    pub epoch: u8,
    /// Gateways that were seen, by id.
    pub known: [bool; IDS],
}

/// How far the DELETE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Revocation {
    /// Nobody has asked for it.
    #[default]
    Idle,
    /// SQL has it.
    Committed,
    /// It was seen in the feed of this epoch; what is left of [`WAITS`] since.
    Published(u8, u8),
    /// A registry was read and is judged later, which is wrong; before the publication was seen, where there is no epoch.
    Read(Option<(u8, u8)>, [Option<Entry>; IDS]),
    /// By the registry of this epoch nobody admits the key any more. Who was in it and has seen the epoch, and whether
    /// the others could still go on.
    Judged(u8, [bool; IDS], bool),
    /// Answered 200.
    Complete,
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// Failovers to a replica.
    pub failovers: u8,
    /// Times that the replica catches up with its primary; between them it lags.
    pub replications: u8,
    /// FLUSHALL.
    pub flushes: u8,
    /// Crashes of a gateway.
    pub crashes: u8,
    /// Epochs that publishers may take beyond the first.
    pub epochs: u8,
    /// Takeovers by the other publisher.
    pub takeovers: u8,
    /// Beats that arrive after the gateway gave them up.
    pub late_beats: u8,
    /// Ticks that a gateway's clock leaves out.
    pub skips: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fleet {
    /// SQL.
    pub sql: Sql,
    /// The Redis servers.
    pub servers: [Server; 2],
    /// The primary.
    pub primary: u8,
    /// For how long the other server still answers as if it were the primary.
    pub overlap: u8,
    /// The publishers.
    pub publishers: [Publisher; 2],
    /// The gateways.
    pub gateways: [Gateway; GATEWAYS],
    /// The DELETE.
    pub revocation: Revocation,
    /// What is left of [`WAITS`] since a console saw each gateway's last sign.
    pub signs: [u8; IDS],
    /// Until when the latest epoch is young: a gateway may still go on by what another server told it.
    pub young: u8,
    /// What may still go wrong.
    pub faults: Faults,
}

impl Fleet {
    /// A fleet in which SQL and the first server are in step and no gateway runs.
    pub fn begin(faults: Faults) -> Fleet {
        let mut fleet = Fleet {
            sql: Sql { term: 1, epoch: 1, ..Sql::default() },
            servers: [Server::default(), Server::default()],
            primary: 0,
            overlap: 0,
            publishers: [Publisher { term: 1, epoch: 1, stage: Stage::Following }, Publisher::default()],
            gateways: [Gateway { skips: faults.skips, ..Gateway::default() }; GATEWAYS],
            revocation: Revocation::Idle,
            signs: [0; IDS],
            young: 0,
            faults,
        };
        let contents = Contents {
            head: Point { epoch: 1, seq: 0 },
            term: 1,
            stamp: Some((0, 0)),
            registry: [None; IDS],
        };
        for server in &mut fleet.servers {
            server.contents = contents.clone();
        }
        fleet.forget_unreachable();
        fleet
    }

    /// A server that never answers again is the same whatever it holds: fewer states.
    pub fn forget_unreachable(&mut self) {
        if self.faults.failovers == 0 && self.overlap == 0 {
            self.servers[usize::from(1 - self.primary)] = Server::default();
        }
    }

    /// Whether a server answers as a primary: it is one, or was one and does not know better.
    pub fn answers(&self, server: u8) -> bool {
        server == self.primary || self.overlap > 0
    }
}
