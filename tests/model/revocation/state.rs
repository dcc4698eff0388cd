//! What there is in the model of revocation: SQL, two Redis servers, gateways, publishers, and whoever answers DELETE.
//!
//! Owns the shape of a state and what can be read from it. All times are countdowns in ticks, so that the same situation
//! at another hour is the same state and the number of states is finite. Never changes a state by itself.

/// Gateways of which a model has one or two.
pub(crate) const GATEWAYS: usize = 2;
/// Lives of a gateway: it may crash and be started again once, under another id.
pub(crate) const LIVES: u8 = 2;
/// Ids of gateways: one for each life.
pub(crate) const IDS: usize = 4;
/// How long a gateway may go on after the start of a sync, in ticks of its own clock.
pub(crate) const GOES_ON: u8 = 1;
/// How long a console waits where a gateway may go on for [`GOES_ON`]: one tick more, because a gateway's clock may leave
/// out one.
pub(crate) const WAITS: u8 = GOES_ON + 1;
/// How long a primary that was failed over may still answer, in ticks.
pub(crate) const OVERLAP: u8 = 1;

/// A point in the feed. The key is in the table at sequence 0 and gone at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Point {
    /// The lineage.
    pub(crate) epoch: u8,
    /// The last change contained: 0, or 1 which deletes the key.
    pub(crate) seq: u8,
}

/// A gateway as the hub has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// It says that it serves nobody.
    pub(crate) loading: bool,
    /// The point that it acknowledges.
    pub(crate) applied: Point,
    /// It gave a sign that no console has looked at.
    pub(crate) unseen: bool,
    /// SQL knows it.
    pub(crate) remembered: bool,
    /// The latest epoch that it said it has seen.
    pub(crate) epoch: u8,
}

/// What a Redis server holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Contents {
    /// Where the feed is; epoch 0: nothing is there.
    pub(crate) head: Point,
    /// The term of the publisher that wrote last.
    pub(crate) term: u8,
    /// The process and the history of the server that a publisher stamped.
    pub(crate) stamp: Option<(u8, u8)>,
    /// Registered gateways, by id.
    pub(crate) registry: [Option<Entry>; IDS],
}

/// A Redis server: its process is its index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Server {
    /// What it holds.
    pub(crate) contents: Contents,
    /// The history that it writes, which changes with every promotion (`master_replid`).
    pub(crate) history: u8,
}

/// What a gateway says with a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Beat {
    /// Which life of which gateway.
    pub(crate) id: u8,
    /// To which server.
    pub(crate) server: u8,
    /// It serves nobody.
    pub(crate) loading: bool,
    /// The point that it acknowledges.
    pub(crate) applied: Point,
    /// The latest epoch that it has seen.
    pub(crate) epoch: u8,
}

/// A sync under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sync {
    /// What was sent.
    pub(crate) beat: Beat,
    /// Where the feed was when the hub answered, and whether SQL knew the gateway; `None` before it is answered.
    pub(crate) answer: Option<(Point, bool)>,
    /// What is left of [`GOES_ON`], counted from its start.
    pub(crate) left: u8,
}

/// A gateway. Where it is stopped it takes no steps, and its clock runs on: any pause is covered by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Gateway {
    /// It runs.
    pub(crate) up: bool,
    /// Which life.
    pub(crate) life: u8,
    /// The table that it answers from.
    pub(crate) table: Option<Point>,
    /// It has received the change and not applied it.
    pub(crate) received: bool,
    /// The latest epoch that it knows of.
    pub(crate) epoch_seen: u8,
    /// What is left of its trust.
    pub(crate) trust: u8,
    /// The sync under way.
    pub(crate) sync: Option<Sync>,
    /// A sync that it gave up and that may arrive yet.
    pub(crate) late: Option<Beat>,
    /// Ticks that its clock may leave out.
    pub(crate) skips: u8,
}

impl Gateway {
    /// Whether a request with the key that comes now is admitted.
    pub(crate) fn admits(&self) -> bool {
        self.up && self.trust > 0 && self.table.is_some_and(|table| table.seq == 0)
    }
}

/// How far a publisher is with a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) enum Stage {
    /// It publishes under its epoch.
    #[default]
    Following,
    /// It has taken a new epoch from SQL and read the table, at this sequence.
    Read(u8),
}

/// A console as publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Publisher {
    /// Its term; 0: it is none.
    pub(crate) term: u8,
    /// Its epoch.
    pub(crate) epoch: u8,
    /// How far it is.
    pub(crate) stage: Stage,
}

/// SQL, the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Sql {
    /// The last change: 1 once the key is deleted.
    pub(crate) seq: u8,
    /// The latest term.
    pub(crate) term: u8,
    /// The latest epoch.
    pub(crate) epoch: u8,
    /// Gateways that were seen, by id.
    pub(crate) known: [bool; IDS],
}

/// How far the DELETE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) enum Revocation {
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
pub(crate) struct Faults {
    /// Failovers to a replica.
    pub(crate) failovers: u8,
    /// Times that the replica catches up with its primary; between them it lags.
    pub(crate) replications: u8,
    /// FLUSHALL.
    pub(crate) flushes: u8,
    /// Crashes of a gateway.
    pub(crate) crashes: u8,
    /// Epochs that publishers may take beyond the first.
    pub(crate) epochs: u8,
    /// Takeovers by the other publisher.
    pub(crate) takeovers: u8,
    /// Beats that arrive after the gateway gave them up.
    pub(crate) late_beats: u8,
    /// Ticks that a gateway's clock leaves out.
    pub(crate) skips: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fleet {
    /// SQL.
    pub(crate) sql: Sql,
    /// The Redis servers.
    pub(crate) servers: [Server; 2],
    /// The primary.
    pub(crate) primary: u8,
    /// For how long the other server still answers as if it were the primary.
    pub(crate) overlap: u8,
    /// The publishers.
    pub(crate) publishers: [Publisher; 2],
    /// The gateways.
    pub(crate) gateways: [Gateway; GATEWAYS],
    /// The DELETE.
    pub(crate) revocation: Revocation,
    /// What is left of [`WAITS`] since a console saw each gateway's last sign.
    pub(crate) signs: [u8; IDS],
    /// Until when the latest epoch is young: a gateway may still go on by what another server told it.
    pub(crate) young: u8,
    /// What may still go wrong.
    pub(crate) faults: Faults,
}

impl Fleet {
    /// A fleet in which SQL and the first server are in step and no gateway runs.
    pub(crate) fn begin(faults: Faults) -> Fleet {
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
    pub(crate) fn forget_unreachable(&mut self) {
        if self.faults.failovers == 0 && self.overlap == 0 {
            self.servers[usize::from(1 - self.primary)] = Server::default();
        }
    }

    /// Whether a server answers as a primary: it is one, or was one and does not know better.
    pub(crate) fn answers(&self, server: u8) -> bool {
        server == self.primary || self.overlap > 0
    }
}
