//! The register of gateways in Redis: signs of life, acknowledgements, and who leaves.
//!
//! Promises that a sign is registered before the feed's head is read, and that an old sign changes nothing. How long a
//! gateway is silent is told by Redis' clock alone, and nothing is decided by it but what is shown, and when one that
//! cannot go on any more is forgotten.

use super::answer::Answer;
use super::hub::RedisHub;
use super::scripts::{EXPEL, GATEWAYS, LEAVE, REMEMBER, SYNC};
use crate::domain::id::GatewayId;
use crate::fleet::hub::{Beat, HubError, Position, Registered, Registry, SILENT_AFTER, Synced};

/// After so long without a sign a gateway is forgotten, in milliseconds: 26 hours, above the longest that one may go on
/// (a day and a minute), however wrong its clock runs.
const FORGOTTEN_AFTER_MS: u64 = 26 * 3_600_000;

impl RedisHub {
    pub(super) async fn register(&self, beat: &Beat) -> Result<Synced, HubError> {
        let names = self.redis.names();
        let keys = ["head", "presence", "beats", "left", "recorded", "ledger", "remembered"];
        let keys = keys.map(|what| names.feed(what));
        let presence =
            serde_json::to_string(&beat.presence).map_err(|error| HubError::Foreign(error.to_string()))?;
        let (gateway, number) = (beat.gateway.to_string(), beat.number.to_string());
        let silent_after = SILENT_AFTER.as_millis().to_string();
        let args = [&gateway, &number, &presence, &silent_after];
        let mut answer = Answer::read(self.redis.call(&SYNC, &keys, &args).await?)?;
        Ok(Synced {
            head: Position { epoch: answer.number()?, seq: answer.number()? },
            usage_recorded: answer.number()?,
            gateways: answer.parsed()?,
            silent: answer.parsed()?,
            ledger_open: answer.number()? == 1,
            remembered: answer.number()? == 1,
        })
    }

    pub(super) async fn unregister(&self, gateway: GatewayId) -> Result<(), HubError> {
        let keys = ["presence", "beats", "left", "remembered"].map(|what| self.redis.names().feed(what));
        Answer::read(self.redis.call(&LEAVE, &keys, &[gateway.to_string()]).await?)?;
        Ok(())
    }

    pub(super) async fn expelled(&self, gateway: GatewayId, beat: u64) -> Result<bool, HubError> {
        let keys = ["presence", "beats", "remembered"].map(|what| self.redis.names().feed(what));
        let args = [gateway.to_string(), beat.to_string()];
        Ok(Answer::read(self.redis.call(&EXPEL, &keys, &args).await?)?.number()? == 1)
    }

    pub(super) async fn mark_remembered(&self, gateways: &[GatewayId]) -> Result<(), HubError> {
        let gateways: Vec<String> = gateways.iter().map(ToString::to_string).collect();
        let key = self.redis.names().feed("remembered");
        Answer::read(self.redis.call(&REMEMBER, &[key], &gateways).await?)?;
        Ok(())
    }

    pub(super) async fn registered(&self) -> Result<Registry, HubError> {
        let names = self.redis.names();
        let keys = ["presence", "beats", "left", "pushed", "recorded", "head", "remembered"];
        let keys = keys.map(|what| names.feed(what));
        let answer = self.redis.call(&GATEWAYS, &keys, &[FORGOTTEN_AFTER_MS.to_string()]).await?;
        let mut answer = Answer::read(answer)?;
        let vouched = answer.number()? == 1;
        let head = Position { epoch: answer.number()?, seq: answer.number()? };
        let mut gateways = Vec::new();
        while !answer.is_empty() {
            let gateway = answer.parsed()?;
            let sign = answer.text()?;
            let foreign = || HubError::Foreign(format!("the sign of life of gateway {gateway}"));
            let (number, presence) = sign.split_once(' ').ok_or_else(foreign)?;
            let beat = number.parse().map_err(|_| foreign())?;
            let presence = serde_json::from_str(presence).map_err(|_| foreign())?;
            let (silent_ms, remembered) = (answer.number()?, answer.number()? == 1);
            gateways.push(Registered { gateway, beat, silent_ms, remembered, presence });
        }
        Ok(Registry { head: vouched.then_some(head), gateways })
    }
}
