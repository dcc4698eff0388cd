//! What a server of the hub holds, and the scripts over it: `src/fleet/redis/scripts` without Redis.
//!
//! Each call of [`Contents::carry_out`] is one step, as a script is.

use std::collections::{BTreeMap, BTreeSet};

use keystile::domain::id::{GatewayId, KeyId, OrganizationId};
use keystile::fleet::hub::{Entry, Position, Presence, Record, SILENT_AFTER};

use super::wire::{Answer, Request, Right, Sign};

/// Records on a page: few, so that tables have several.
const PAGE: usize = 3;

/// Which server process writes which history of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) run: u64,
    pub(crate) history: u64,
}

/// Which stamps a server takes for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belief {
    /// Its own.
    Sound,
    /// A planted fault: all of them.
    Any,
    /// A planted fault: those of the same process, whatever history it wrote.
    SameProcess,
}

/// Who looks at the contents, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    pub(crate) me: Stamp,
    pub(crate) belief: Belief,
    pub(crate) now_ms: u64,
}

impl Reader {
    fn vouches(&self, stamp: Stamp) -> bool {
        match self.belief {
            Belief::Sound => stamp == self.me,
            Belief::Any => true,
            Belief::SameProcess => stamp.run == self.me.run,
        }
    }
}

#[derive(Debug, Clone)]
struct Head {
    at: Position,
    stamp: Stamp,
}

#[derive(Debug, Clone)]
struct Part<I> {
    attempt: u64,
    term: u64,
    stamp: Stamp,
    open: bool,
    last: u64,
    records: BTreeMap<I, Record>,
}

impl<I: ToString> Part<I> {
    fn new(right: Right, stamp: Stamp) -> Part<I> {
        let Right { attempt, term, .. } = right;
        Part { attempt, term, stamp, open: false, last: 0, records: BTreeMap::new() }
    }

    /// Whether `right` may go on to fill or open this.
    fn check(&self, right: Right, reader: Reader) -> Result<(), Answer> {
        if !reader.vouches(self.stamp) {
            return Err(Answer::Unvouched);
        }
        if self.attempt == right.attempt { Ok(()) } else { Err(Answer::Superseded) }
    }

    fn page(&self, cursor: u64, reader: Reader) -> Answer {
        if !reader.vouches(self.stamp) || !self.open {
            return Answer::Unvouched;
        }
        // By what a record is and not by how many are before it: whoever is there all the while must not be passed over.
        let numbers = self.records.iter().map(|(id, record)| (number(id), record));
        let mut rest = numbers.skip_while(|(number, _)| *number < cursor);
        let records = rest.by_ref().take(PAGE).map(|(_, record)| record.clone()).collect();
        let next = rest.next().map(|(number, _)| number);
        Answer::Page { records, next }
    }
}

/// The number by which the test told this id from others of its kind.
fn number(id: &impl ToString) -> u64 {
    let text = id.to_string();
    let (_, digits) = text.rsplit_once('-').unwrap();
    u64::from_str_radix(digits, 16).unwrap()
}

#[derive(Debug, Clone)]
struct Seen {
    beat: u64,
    at_ms: u64,
    presence: Presence,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    term: u64,
    head: Option<Head>,
    organizations: BTreeMap<u64, Part<OrganizationId>>,
    keys: BTreeMap<u64, Part<KeyId>>,
    feeds: BTreeMap<u64, Vec<Entry>>,
    register: BTreeMap<GatewayId, Seen>,
    left: BTreeSet<GatewayId>,
    remembered: BTreeSet<GatewayId>,
    ledger: Option<u64>,
}

impl Contents {
    /// Carries a script out, whatever its answer.
    pub(crate) fn carry_out(&mut self, request: Request, reader: Reader) -> Answer {
        let done = match request {
            Request::Sync { gateway, number, presence } => self.sync(gateway, number, presence, reader),
            Request::Leave { gateway } => {
                self.register.remove(&gateway);
                self.remembered.remove(&gateway);
                self.left.insert(gateway);
                Ok(Answer::Done)
            }
            Request::Expel { gateway, beat } => Ok(Answer::Whether(self.expel(gateway, beat))),
            Request::Mark { gateways } => {
                self.remembered.extend(gateways);
                Ok(Answer::Done)
            }
            Request::Changes { after, .. } => Ok(Answer::Changes(self.changes(after))),
            Request::Table { epoch, keys: false, cursor } => {
                self.organizations.get(&epoch).map(|part| part.page(cursor, reader)).ok_or(Answer::Unvouched)
            }
            Request::Table { epoch, keys: true, cursor } => {
                self.keys.get(&epoch).map(|part| part.page(cursor, reader)).ok_or(Answer::Unvouched)
            }
            Request::State => Ok(self.state(reader)),
            Request::StateOfKeys { epoch } => Ok(Answer::Whether(
                self.keys.get(&epoch).is_some_and(|part| part.open && reader.vouches(part.stamp)),
            )),
            Request::Begin(right) => self.begin(right, reader),
            Request::BeginKeys(right) => self.begin_keys(right, reader),
            Request::Fill { right, records } => self.fill(right, records, reader),
            Request::OpenKeys { right, seq } => self.open_keys(right, seq, reader),
            Request::Open { right, seq } => self.open(right, seq, reader),
            Request::At(right) => self.written_by(right, reader).map(|head| Answer::At(head.at.seq)),
            Request::Apply { right, entries } => self.apply(right, entries, reader),
            Request::Append { right, entries } => self.append(right, entries, reader),
            Request::OpenLedger(right) => {
                self.written_by(right, reader).map(|_| Answer::Done).inspect(|_| {
                    self.ledger = Some(right.epoch);
                })
            }
            Request::Registry => Ok(self.registry(reader)),
        };
        done.unwrap_or_else(|refusal| refusal)
    }

    pub(crate) fn head(&self) -> Option<Position> {
        self.head.as_ref().map(|head| head.at)
    }

    fn vouched(&self, reader: Reader) -> Option<Position> {
        let head = self.head.as_ref().filter(|head| reader.vouches(head.stamp))?;
        self.feeds.contains_key(&head.at.epoch).then_some(head.at)
    }

    fn sync(
        &mut self,
        gateway: GatewayId,
        beat: u64,
        presence: Presence,
        reader: Reader,
    ) -> Result<Answer, Answer> {
        if self.left.contains(&gateway) {
            return Err(Answer::Refused("this gateway has left".into()));
        }
        if self.register.get(&gateway).is_none_or(|seen| seen.beat < beat) {
            self.register.insert(gateway, Seen { beat, at_ms: reader.now_ms, presence });
        }
        let head = self.vouched(reader).ok_or(Answer::Unvouched)?;
        let is_silent = |seen: &&Seen| u128::from(reader.now_ms - seen.at_ms) > SILENT_AFTER.as_millis();
        Ok(Answer::Synced {
            head,
            gateways: self.register.len() as u32,
            silent: self.register.values().filter(is_silent).count() as u32,
            ledger_open: self.ledger == Some(head.epoch),
            remembered: self.remembered.contains(&gateway),
        })
    }

    fn expel(&mut self, gateway: GatewayId, beat: u64) -> bool {
        let is_same = self.register.get(&gateway).is_some_and(|seen| seen.beat == beat);
        if is_same {
            self.register.remove(&gateway);
            self.remembered.remove(&gateway);
        }
        is_same
    }

    /// The feed behind a point: like Redis' streams it is read without a look at who vouches for it.
    fn changes(&self, after: Position) -> Vec<Entry> {
        let feed = self.feeds.get(&after.epoch).map(Vec::as_slice).unwrap_or_default();
        feed.iter().filter(|entry| entry.seq > after.seq).take(4).cloned().collect()
    }

    fn state(&self, reader: Reader) -> Answer {
        let Some(head) = &self.head else { return Answer::Nothing };
        let organizations = self.organizations.get(&head.at.epoch);
        let vouched =
            self.vouched(reader).is_some() && organizations.is_some_and(|part| reader.vouches(part.stamp));
        Answer::State { head: head.at, term: self.term, vouched }
    }

    fn registry(&self, reader: Reader) -> Answer {
        let sign = |(gateway, seen): (&GatewayId, &Seen)| Sign {
            gateway: *gateway,
            beat: seen.beat,
            silent_ms: reader.now_ms - seen.at_ms,
            remembered: self.remembered.contains(gateway),
            presence: seen.presence.clone(),
        };
        Answer::Registry { head: self.vouched(reader), signs: self.register.iter().map(sign).collect() }
    }

    fn begin(&mut self, right: Right, reader: Reader) -> Result<Answer, Answer> {
        if self.term > right.term || self.head().is_some_and(|head| head.epoch >= right.epoch) {
            return Err(Answer::Superseded);
        }
        self.term = right.term;
        if self.organizations.get(&right.epoch).is_none_or(|part| part.attempt != right.attempt) {
            self.organizations.insert(right.epoch, Part::new(right, reader.me));
            self.feeds.remove(&right.epoch);
        }
        Ok(Answer::Done)
    }

    fn begin_keys(&mut self, right: Right, reader: Reader) -> Result<Answer, Answer> {
        let part = self.keys.get(&right.epoch);
        if part.is_some_and(|part| part.open || part.term > right.term) {
            return Err(Answer::Superseded);
        }
        if part.is_none_or(|part| part.attempt != right.attempt) {
            self.keys.insert(right.epoch, Part::new(right, reader.me));
        }
        Ok(Answer::Done)
    }

    fn fill(&mut self, right: Right, records: Vec<Record>, reader: Reader) -> Result<Answer, Answer> {
        for record in records {
            match &record {
                Record::Organization(one) => {
                    let part = self.organizations.get_mut(&right.epoch).ok_or(Answer::Unvouched)?;
                    part.check(right, reader)?;
                    part.records.insert(one.id, record);
                }
                Record::Key(key) => {
                    let part = self.keys.get_mut(&right.epoch).ok_or(Answer::Unvouched)?;
                    part.check(right, reader)?;
                    part.records.insert(key.id, record);
                }
                Record::OrganizationGone(_) | Record::KeyGone { .. } => {}
            }
        }
        Ok(Answer::Done)
    }

    fn open_keys(&mut self, right: Right, seq: u64, reader: Reader) -> Result<Answer, Answer> {
        let part = self.keys.get_mut(&right.epoch).ok_or(Answer::Unvouched)?;
        part.check(right, reader)?;
        if !part.open {
            part.open = true;
            part.last = seq;
        }
        Ok(Answer::Done)
    }

    fn open(&mut self, right: Right, seq: u64, reader: Reader) -> Result<Answer, Answer> {
        let epoch = self.head().map_or(0, |head| head.epoch);
        if self.term > right.term || epoch > right.epoch {
            return Err(Answer::Superseded);
        }
        let part = self.organizations.get_mut(&right.epoch).ok_or(Answer::Unvouched)?;
        part.check(right, reader)?;
        if epoch < right.epoch {
            part.open = true;
            self.feeds.insert(right.epoch, Vec::new());
            self.term = right.term;
            self.head = Some(Head { at: Position { epoch: right.epoch, seq }, stamp: reader.me });
        }
        self.organizations.retain(|epoch, _| *epoch >= right.epoch);
        self.keys.retain(|epoch, _| *epoch >= right.epoch);
        self.feeds.retain(|epoch, _| *epoch >= right.epoch);
        Ok(Answer::Done)
    }

    /// The head, if `right` may write behind it.
    fn written_by(&mut self, right: Right, reader: Reader) -> Result<&mut Head, Answer> {
        let head = self.head.as_mut().ok_or(Answer::Unvouched)?;
        if self.term > right.term || head.at.epoch != right.epoch {
            return Err(Answer::Superseded);
        }
        if reader.vouches(head.stamp) { Ok(head) } else { Err(Answer::Unvouched) }
    }

    fn apply(&mut self, right: Right, entries: Vec<Entry>, reader: Reader) -> Result<Answer, Answer> {
        let part = self.keys.get_mut(&right.epoch).ok_or(Answer::Unvouched)?;
        if !reader.vouches(part.stamp) || !part.open {
            return Err(Answer::Unvouched);
        }
        if part.term > right.term {
            return Err(Answer::Superseded);
        }
        part.term = right.term;
        let last = part.last;
        for entry in entries.into_iter().filter(|entry| entry.seq > last) {
            part.last = part.last.max(entry.seq);
            for record in entry.records {
                match record {
                    Record::Key(key) => drop(part.records.insert(key.id, Record::Key(key))),
                    Record::KeyGone { id, .. } => drop(part.records.remove(&id)),
                    Record::Organization(_) | Record::OrganizationGone(_) => {}
                }
            }
        }
        Ok(Answer::Done)
    }

    fn append(&mut self, right: Right, entries: Vec<Entry>, reader: Reader) -> Result<Answer, Answer> {
        let mut last = self.written_by(right, reader)?.at.seq;
        let part = self.organizations.get_mut(&right.epoch).ok_or(Answer::Unvouched)?;
        let feed = self.feeds.get_mut(&right.epoch).ok_or(Answer::Unvouched)?;
        let mut gap = false;
        for entry in entries.into_iter().filter(|entry| entry.seq > last).collect::<Vec<_>>() {
            if entry.seq != last + 1 {
                gap = true;
                break;
            }
            for record in &entry.records {
                match record {
                    Record::Organization(one) => drop(part.records.insert(one.id, record.clone())),
                    Record::OrganizationGone(id) => drop(part.records.remove(id)),
                    Record::Key(_) | Record::KeyGone { .. } => {}
                }
            }
            last = entry.seq;
            feed.push(entry);
        }
        self.term = right.term;
        self.written_by(right, reader)?.at.seq = last;
        if gap { Err(Answer::OutOfOrder { at: last }) } else { Ok(Answer::At(last)) }
    }
}
