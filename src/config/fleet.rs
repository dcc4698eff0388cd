//! The section `fleet` as it is written: the Redis that gateways and consoles share.
//!
//! Owns the names of its settings. Fills in no default: that is `resolve`'s.

use super::leaf::{InputFile, RouteName, Time};
use super::resolved::RedisUrl;
use super::secret::{SecretFile, SecretText};
use super::setting::{Or, Word, section};

const DAY_MS: u64 = 86_400_000;

section! {
    /// The Redis that gateways and consoles of a fleet share.
    Fleet {
        /// Where it is: `redis://[USER@]HOST:PORT[/DATABASE]`, `redis+sentinel://HOST:PORT,…/NAME` or `redis+cluster://HOST:PORT,…`; `rediss` for TLS.
        redis: RedisUrl, required;
        /// The password of the user, or of Redis' default user. At most one of this and `password_file`.
        password: SecretText;
        /// The path of a file that holds the password. It is read when the configuration is.
        password_file: SecretFile;
        /// The password of the Sentinels. At most one of this and `sentinel_password_file`.
        sentinel_password: SecretText;
        /// The path of a file that holds the password of the Sentinels.
        sentinel_password_file: SecretFile;
        /// The path of a file of certificates (PEM) that TLS to Redis trusts. Default the system's.
        ca_file: InputFile;
        /// What people call this process. Default the name of its host.
        name: RouteName;
        /// What the name of everything in Redis begins with. Default `keystile`.
        key_prefix: RouteName;
        /// How long a gateway is sure of its keys after it last heard from Redis. Default 2s.
        trust: Time<500, 60_000>;
        /// What a gateway does after that: `refuse`, or go on `{ serve_for: TIME }` with the keys that it knows. Default `{ serve_for: 10m }`.
        on_redis_loss: Or<Refuse, OnRedisLoss>;
        /// How long an old primary that was cut off may still take writes. Default 10s.
        failover_overlap: Time<0, 3_600_000>;
    }
}

section! {
    /// What a gateway does when it does not hear from Redis.
    OnRedisLoss {
        /// How long it goes on with the keys that it knows, after `trust` has passed.
        serve_for: Time<1_000, DAY_MS>, required;
    }
}

/// `refuse`: nothing is served without Redis.
#[derive(Debug)]
pub(crate) struct Refuse;
impl Word for Refuse {
    const WORD: &'static str = "refuse";
}
