use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Client, RedisError, Script};

use super::{FlowStore, Kept, Parked, StoreError, TokenStore};

/// A store in Redis, 6.2 or later, for many machines. A clone is the same store.
///
/// | key | holds |
/// | --- | --- |
/// | `{prefix}flow:{key}` | a flow that waits; it expires by itself |
/// | `{prefix}tokens:{key}` | a hash of a user's tokens: `version`, `record`, and, under a lease, `holder` and `leased_until` |
///
/// For `rediss://` switch on a TLS feature of the crate `redis` in your own `Cargo.toml`.
///
/// Redis loses what it has not written to disk when it crashes. For tokens, which last for years, switch on its
/// append-only file, with `appendfsync always` where no consent may be lost.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    prefix: String,
}

impl RedisStore {
    /// Connects to a URL as in `redis://user:password@host:6379/0`. Keys begin with `digime:`.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when Redis can't be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(failed)?;
        let connection = ConnectionManager::new(client).await.map_err(failed)?;
        Ok(Self::new(connection))
    }

    /// A store behind a connection that the application has made.
    #[must_use]
    pub fn new(connection: ConnectionManager) -> Self {
        Self {
            connection,
            prefix: "digime:".into(),
        }
    }

    /// What keys begin with, in place of `digime:`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn flow_key(&self, key: &str) -> String {
        format!("{}flow:{key}", self.prefix)
    }

    fn tokens_key(&self, user: &str) -> String {
        format!("{}tokens:{user}", self.prefix)
    }

    /// Runs a script, which is one atomic step, on a user's tokens; true where it answers 1.
    async fn run(
        &self,
        script: &Script,
        user: &str,
        arguments: &[&str],
    ) -> Result<bool, StoreError> {
        let mut invocation = script.key(self.tokens_key(user));
        for argument in arguments {
            invocation.arg(*argument);
        }
        let mut connection = self.connection.clone();
        invocation
            .invoke_async(&mut connection)
            .await
            .map_err(failed)
    }
}

fn failed(error: RedisError) -> StoreError {
    StoreError::Failed(Box::new(error))
}

/// In whole milliseconds, which Redis wants to be at least one and not so many that its clock ends.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 52)
}

static LEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
         local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         local ends = tonumber(redis.call('HGET', KEYS[1], 'leased_until') or '0')
         if ends > now then return 0 end
         redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'leased_until', string.format('%.0f', now + ARGV[3]))
         return 1",
    )
});

static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
         redis.call('HDEL', KEYS[1], 'holder', 'leased_until')
         return 1",
    )
});

static SAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[1])
         redis.call('HSET', KEYS[1], 'version', ARGV[1], 'record', ARGV[2])
         return 1",
    )
});

static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
         redis.call('DEL', KEYS[1])
         redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3])
         return 1",
    )
});

static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if #ARGV == 1 and redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
         return redis.call('DEL', KEYS[1])",
    )
});

impl FlowStore for RedisStore {
    async fn put(&self, key: &str, parked: Parked) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        connection
            .pset_ex(self.flow_key(key), parked.record, millis(parked.expires_in))
            .await
            .map_err(failed)
    }

    async fn take(&self, key: &str) -> Result<Option<Parked>, StoreError> {
        let key = self.flow_key(key);
        let mut connection = self.connection.clone();
        let (expires_in, record): (i64, Option<String>) = redis::pipe()
            .atomic()
            .pttl(&key)
            .get_del(&key)
            .query_async(&mut connection)
            .await
            .map_err(failed)?;
        Ok(record.map(|record| Parked {
            record,
            expires_in: Duration::from_millis(expires_in.unsigned_abs()),
        }))
    }
}

impl TokenStore for RedisStore {
    async fn load(&self, user: &str) -> Result<Option<Kept>, StoreError> {
        let mut connection = self.connection.clone();
        let (version, record): (Option<String>, Option<String>) = connection
            .hmget(self.tokens_key(user), &["version", "record"])
            .await
            .map_err(failed)?;
        Ok(version
            .zip(record)
            .map(|(version, record)| Kept { version, record }))
    }

    async fn save(&self, user: &str, kept: &Kept) -> Result<(), StoreError> {
        self.run(&SAVE, user, &[&kept.version, &kept.record])
            .await
            .map(drop)
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        let millis = millis(duration).to_string();
        self.run(&LEASE, user, &[version, holder, &millis]).await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.run(&RELEASE, user, &[holder]).await.map(drop)
    }

    async fn replace(&self, user: &str, version: &str, kept: &Kept) -> Result<bool, StoreError> {
        self.run(&REPLACE, user, &[version, &kept.version, &kept.record])
            .await
    }

    async fn remove(&self, user: &str, version: Option<&str>) -> Result<bool, StoreError> {
        self.run(&REMOVE, user, version.as_slice()).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
