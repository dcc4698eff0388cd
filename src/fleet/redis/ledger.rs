//! The fleet's ledger in Redis: slices of limits, granted by one script.
//!
//! Promises what [`SliceLedger`] promises: an ask that is repeated changes nothing. A lane is a shard; what is answered is
//! vouched for by the process that answers. Never decides what is granted: the script does, by the rules of
//! `limits/slices/record.rs`.

use super::answer::Answer;
use super::connection::Redis;
use super::hub::RedisHub;
use super::script::Invocation;
use super::scripts::{LEDGER, LEDGER_ACCOUNT, LEDGER_COMPLETE, LEDGER_FLOORS};
use super::slice;
use crate::domain::id::KeyId;
use crate::fleet::hub::HubError;
use crate::limits::slices::{
    AccountRecord, Floor, SliceAnswer, SliceAsk, SliceBooks, SliceError, SliceLedger,
};

/// Floors in one call: the script writes a few fields for each.
const FLOORS_MAX: usize = 200;
/// Longest that a floor is kept without use, in hours: a month and a day.
const FLOOR_HOURS: &str = "768";

/// The ledger in Redis. Clones share the connection.
#[derive(Debug, Clone)]
pub struct RedisLedger {
    redis: Redis,
    hub: RedisHub,
}

impl RedisHub {
    /// The ledger of the same fleet, over the same connection.
    pub fn ledger(&self) -> RedisLedger {
        RedisLedger { redis: self.redis.clone(), hub: self.clone() }
    }
}

impl RedisLedger {
    fn account_name(&self, key: KeyId) -> String {
        let names = self.redis.names();
        names.shard(names.shard_of(key), &format!("account:{key}"))
    }

    async fn asked(&self, asks: &[SliceAsk]) -> Result<Vec<SliceAnswer>, HubError> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let (names, epoch) = (self.redis.names(), first.epoch);
        let shard = names.shard_of(first.key);
        let mut keys = vec![names.table(shard, epoch), names.shard(shard, "ledger")];
        keys.extend(asks.iter().map(|ask| self.account_name(ask.key)));
        let mut args = vec![epoch.to_string()];
        args.extend(asks.iter().map(slice::written));
        let mut answer = Answer::read(self.redis.call(&LEDGER, &keys, &args).await?)?;
        let mut answers = Vec::with_capacity(asks.len());
        let mut wanting = Vec::new();
        for ask in asks {
            let read = slice::read(&answer.text()?)?;
            if matches!(read, SliceAnswer::Granted { needs_floor: true, .. }) {
                wanting.push(ask.key);
            }
            answers.push(read);
        }
        if !wanting.is_empty() {
            // Nobody waits for it, and where it fails the account asks again soon.
            let hub = self.hub.clone();
            tokio::spawn(async move { hub.want_floors(&wanting).await });
        }
        Ok(answers)
    }

    async fn put(&self, epoch: u64, floors: &[Floor]) -> Result<u64, HubError> {
        let names = self.redis.names();
        let mut by_shard: Vec<Vec<&Floor>> = vec![Vec::new(); usize::from(names.shards())];
        for floor in floors {
            if let Some(shard) = by_shard.get_mut(usize::from(names.shard_of(floor.key))) {
                shard.push(floor);
            }
        }
        let mut calls = Vec::new();
        for (shard, floors) in (0..names.shards()).zip(by_shard) {
            for floors in floors.chunks(FLOORS_MAX) {
                let mut keys = vec![names.table(shard, epoch)];
                keys.extend(floors.iter().map(|floor| self.account_name(floor.key)));
                let mut args = vec![epoch.to_string(), FLOOR_HOURS.to_owned()];
                args.extend(floors.iter().map(|floor| slice::written_floor(floor)));
                calls.push(Invocation::new(&LEDGER_FLOORS, &keys, &args));
            }
        }
        let mut news = 0;
        for answer in self.redis.call_all(calls).await? {
            news += Answer::read(answer?)?.number()?;
        }
        Ok(news)
    }

    async fn complete(&self, epoch: u64) -> Result<(), HubError> {
        let names = self.redis.names();
        let call = |shard| {
            let keys = [names.table(shard, epoch), names.shard(shard, "ledger")];
            Invocation::new(&LEDGER_COMPLETE, &keys, &[epoch.to_string()])
        };
        for answer in self.redis.call_all((0..names.shards()).map(call).collect()).await? {
            Answer::read(answer?)?;
        }
        Ok(())
    }

    async fn read_account(&self, key: KeyId) -> Result<Option<(AccountRecord, u64)>, HubError> {
        let no_args: [&str; 0] = [];
        let answer = self.redis.call(&LEDGER_ACCOUNT, &[self.account_name(key)], &no_args).await?;
        let mut answer = Answer::read(answer)?;
        let now_us = answer.number()?;
        if answer.is_empty() {
            return Ok(None);
        }
        let mut account = AccountRecord::default();
        while !answer.is_empty() {
            let (field, value) = (answer.text()?, answer.text()?);
            slice::read_field(&mut account, &field, &value)?;
        }
        Ok(Some((account, now_us)))
    }
}

impl SliceLedger for RedisLedger {
    async fn exchange(&self, asks: &[SliceAsk]) -> Result<Vec<SliceAnswer>, SliceError> {
        self.asked(asks).await.map_err(failed)
    }

    fn lane(&self, key: KeyId) -> usize {
        usize::from(self.redis.names().shard_of(key))
    }

    fn lanes(&self) -> usize {
        usize::from(self.redis.names().shards())
    }
}

impl SliceBooks for RedisLedger {
    async fn wanted(&self, most: usize) -> Result<Vec<KeyId>, SliceError> {
        self.hub.take_wanted(most).await.map_err(failed)
    }

    async fn put_floors(&self, epoch: u64, floors: &[Floor]) -> Result<u64, SliceError> {
        self.put(epoch, floors).await.map_err(failed)
    }

    async fn complete_floors(&self, epoch: u64) -> Result<(), SliceError> {
        self.complete(epoch).await.map_err(failed)
    }

    async fn account(&self, key: KeyId) -> Result<Option<(AccountRecord, u64)>, SliceError> {
        self.read_account(key).await.map_err(failed)
    }
}

fn failed(error: HubError) -> SliceError {
    SliceError(error.to_string())
}
