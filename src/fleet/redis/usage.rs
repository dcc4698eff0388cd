//! The way of counts through Redis: from gateways to the publisher, who records them in SQL.
//!
//! Promises that batches of a gateway are taken in their order and each once, and that they stay until they are dropped.
//! Not a part of any epoch. Bounded: where nobody takes batches, gateways are refused and keep theirs.

use super::answer::Answer;
use super::hub::RedisHub;
use super::script::Invocation;
use super::scripts::{DROP_USAGE, PUSH_USAGE, TAKE_USAGE, TAKE_WANTED, WANT};
use crate::domain::id::{GatewayId, KeyId};
use crate::fleet::hub::{HubError, UsageBatch, UsageWay};

/// Most batches that wait in Redis: at a batch a second of 100 gateways, a quarter of an hour without a publisher.
const BATCHES_MAX: &str = "100000";
/// Most keys that wait for their counters.
const WANTED_MAX: &str = "100000";

impl UsageWay for RedisHub {
    async fn push_usage(
        &self,
        gateway: GatewayId,
        number: u64,
        recorded: u64,
        payload: &[u8],
    ) -> Result<(), HubError> {
        let keys = ["usage", "pushed"].map(|what| self.redis.names().feed(what));
        let [gateway, number, recorded] = [gateway.to_string(), number.to_string(), recorded.to_string()];
        let args =
            [gateway.as_bytes(), number.as_bytes(), payload, BATCHES_MAX.as_bytes(), recorded.as_bytes()];
        Answer::read(self.redis.call(&PUSH_USAGE, &keys, &args).await?)?;
        Ok(())
    }

    async fn take_usage(&self, count: usize) -> Result<Vec<UsageBatch>, HubError> {
        let key = self.redis.names().feed("usage");
        let call = Invocation::new(&TAKE_USAGE, &[key], &[count.to_string()]);
        let mut answer = Answer::read(self.redis.call_bulk(call).await?)?;
        let mut batches = Vec::new();
        while !answer.is_empty() {
            batches.push(UsageBatch {
                id: answer.text()?,
                gateway: answer.parsed()?,
                number: answer.number()?,
                payload: answer.bytes()?,
            });
        }
        Ok(batches)
    }

    async fn drop_usage(&self, ids: &[String], recorded: &[(GatewayId, u64)]) -> Result<(), HubError> {
        let keys = ["usage", "recorded"].map(|what| self.redis.names().feed(what));
        let mut call = Invocation::new(&DROP_USAGE, &keys, &[ids.len().to_string()]);
        ids.iter().for_each(|id| call.push(id));
        for (gateway, number) in recorded {
            call.push(gateway.to_string());
            call.push(number.to_string());
        }
        Answer::read(self.redis.call_bulk(call).await?)?;
        Ok(())
    }
}

impl RedisHub {
    /// Asks the publisher for the counters of keys, as SQL knows them.
    ///
    /// # Errors
    /// [`HubError::Refused`] where too many keys wait.
    pub async fn want_floors(&self, keys: &[KeyId]) -> Result<(), HubError> {
        let mut call = Invocation::new(&WANT, &[self.redis.names().feed("wanted")], &[WANTED_MAX]);
        keys.iter().for_each(|key| call.push(key.to_string()));
        Answer::read(self.redis.call_bulk(call).await?)?;
        Ok(())
    }

    /// Takes up to `count` keys whose counters somebody asked for. Whoever gets no counters asks again.
    ///
    /// # Errors
    /// Where Redis gives none.
    pub async fn take_wanted(&self, count: usize) -> Result<Vec<KeyId>, HubError> {
        let key = self.redis.names().feed("wanted");
        let answer = self.redis.call(&TAKE_WANTED, &[key], &[count.to_string()]).await?;
        let mut answer = Answer::read(answer)?;
        let mut keys = Vec::new();
        while !answer.is_empty() {
            keys.push(answer.parsed()?);
        }
        Ok(keys)
    }
}
