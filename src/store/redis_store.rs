use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncCommands, Client, FromRedisValue, IntoConnectionInfo, RedisError, RetryMethod, Script,
    ScriptInvocation,
};

use super::place::failed_at;
use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};
use crate::observe::{self, in_millis};

/// How long a call is repeated after faults of the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the other side of a connection may leave what was sent without acknowledgement.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

/// A store in Redis, 6.2 or later, for many machines. A clone is the same store.
///
/// | key | holds |
/// | --- | --- |
/// | `{prefix}flow:{key}` | a hash: `record` and `put_id` of a flow, `claim` and `note` once it was claimed; it expires by itself |
/// | `{prefix}users` | a sorted set of the keys of all users who have tokens |
/// | `{prefix}tokens:{key}` | a hash of a user's tokens: `version` and `record`, and, under a lease, `holder` and `leased_until` |
///
/// A call whose connection fails, or whose answer is late, is repeated for some seconds, and does nothing twice. Redis
/// itself keeps what was removed and replaced in its append-only file until that is rewritten.
///
/// For `rediss://` switch on a TLS feature of the crate `redis` in your own `Cargo.toml`.
///
/// Redis loses what it has not written to disk when it crashes. For tokens, switch on its append-only file, with
/// `appendfsync always` if no consent may be lost.
///
/// Users are listed from the sorted set. A user whose tokens an earlier version of this library has kept is in it after the
/// next refresh.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    /// Where Redis is, for errors.
    place: Arc<str>,
    prefix: String,
}

impl RedisStore {
    /// Connects to a URL such as `redis://user:password@host:6379/0`. Keys begin with `digime:`. Connecting and each answer
    /// may take two seconds. On Linux, a connection whose other side acknowledges nothing for three seconds is replaced.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if Redis can't be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let info = url.into_connection_info().map_err(failed)?;
        let client = Client::open(info.set_tcp_settings(tcp_settings())).map_err(failed)?;
        let limit = Some(Duration::from_secs(2));
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(limit)
            .set_response_timeout(limit)
            // The calls are repeated, and connect again.
            .set_number_of_retries(0);
        let connect = || ConnectionManager::new_with_config(client.clone(), config.clone());
        let place = format!("Redis at {}", client.get_connection_info().addr());
        let connection = repeated(&place, connect).await?;
        Ok(Self {
            place: place.into(),
            ..Self::new(connection)
        })
    }

    /// A store on a connection that the application has made, whose settings stay as they are.
    #[must_use]
    pub fn new(connection: ConnectionManager) -> Self {
        Self {
            connection,
            place: "Redis".into(),
            prefix: "digime:".into(),
        }
    }

    /// Sets what keys begin with. Default: `digime:`.
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

    /// The key of the users who have tokens, sorted.
    fn users_key(&self) -> String {
        format!("{}users", self.prefix)
    }

    /// Runs a script, which is one atomic step.
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        repeated(&self.place, async || {
            script.invoke_async(&mut self.connection.clone()).await
        })
        .await
    }

    /// Runs a script on a user's tokens. True if it answers 1.
    async fn run_on_tokens(
        &self,
        script: &Script,
        user: &str,
        arguments: &[&str],
    ) -> Result<bool, StoreError> {
        let keys = [self.tokens_key(user), self.users_key()];
        self.run(script.key(&keys[..]).arg(arguments)).await
    }
}

/// A network that drops everything ends no connection, and the manager makes another only when one has ended. Without this
/// setting the system waits for many minutes before it ends the connection.
fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default();
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}

/// Makes a call, and repeats it after faults of the connection. The first may have been executed and its answer lost. What
/// each call leaves in Redis keeps a repetition from doing more.
async fn repeated<T, F>(place: &str, call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, RedisError>>,
{
    let begun = Instant::now();
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(8)
        .with_jitter();
    call.retry(pauses)
        .when(|error| may_pass(error) && begun.elapsed() < PATIENCE)
        .notify(|error, pause| {
            let pause_ms = in_millis(pause);
            tracing::debug!(target: observe::STORE, pause_ms, %error, "asking the database again");
        })
        .await
        .map_err(|error| failed_at(place, error))
}

/// Whether the connection failed, or Redis is starting.
fn may_pass(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.retry_method(), RetryMethod::WaitAndRetry)
}

fn failed(error: RedisError) -> StoreError {
    StoreError::failed(error)
}

/// In whole milliseconds. Redis needs at least one, and not more than its clock can represent.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 52)
}

static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'put_id') == ARGV[1] then return end
         redis.call('DEL', KEYS[1])
         redis.call('HSET', KEYS[1], 'put_id', ARGV[1], 'record', ARGV[2])
         redis.call('PEXPIRE', KEYS[1], ARGV[3])",
    )
});

static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local flow = redis.call('HMGET', KEYS[1], 'record', 'claim')
         if not flow[1] then return end
         if flow[2] and flow[2] ~= ARGV[1] then return end
         redis.call('HSET', KEYS[1], 'claim', ARGV[1])
         return flow[1]",
    )
});

static PUT_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local flow = redis.call('HMGET', KEYS[1], 'claim', 'note')
         if flow[1] == ARGV[1] and not flow[2] then redis.call('HDEL', KEYS[1], 'claim') end",
    )
});

static LEAVE_NOTE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return end
         redis.call('HSET', KEYS[1], 'record', '', 'note', ARGV[2])",
    )
});

static LEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
         local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         local ends = tonumber(redis.call('HGET', KEYS[1], 'leased_until') or '0')
         if ends > now and redis.call('HGET', KEYS[1], 'holder') ~= ARGV[2] then return 0 end
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

static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local version = redis.call('HGET', KEYS[1], 'version')
         if version == ARGV[2] then return 1 end
         if (version or '') ~= ARGV[1] then return 0 end
         redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3])
         redis.call('HDEL', KEYS[1], 'holder', 'leased_until')
         redis.call('ZADD', KEYS[2], 0, ARGV[4])
         return 1",
    )
});

static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
         redis.call('ZREM', KEYS[2], ARGV[2])
         return redis.call('DEL', KEYS[1])",
    )
});

static LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local users = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
         local listed = {}
         for _, user in ipairs(users) do
             if string.sub(user, 1, #ARGV[3]) ~= ARGV[3] then break end
             local tokens = redis.call('HMGET', ARGV[4] .. user, 'version', 'record')
             if tokens[1] then table.insert(listed, {user, tokens[1], tokens[2]}) end
         end
         return listed",
    )
});

#[async_trait]
impl FlowStore for RedisStore {
    async fn put(&self, key: &str, parked: &FlowRecord) -> Result<(), StoreError> {
        self.run(
            PUT.key(self.flow_key(key))
                .arg(&parked.id)
                .arg(&parked.record)
                .arg(millis(parked.expires_in)),
        )
        .await
    }

    async fn peek(&self, key: &str) -> Result<Option<Found>, StoreError> {
        let key = self.flow_key(key);
        let fields = ["record", "claim", "note"];
        let read = async || self.connection.clone().hmget(&key, &fields).await;
        let (record, claim, note): (Option<String>, Option<String>, Option<String>) =
            repeated(&self.place, read).await?;
        Ok(record.map(|record| match claim {
            None => Found::Waiting(record),
            Some(_) => Found::Taken(note),
        }))
    }

    async fn take(&self, key: &str, claim: &str) -> Result<Option<String>, StoreError> {
        self.run(TAKE.key(self.flow_key(key)).arg(claim)).await
    }

    async fn put_back(&self, key: &str, claim: &str) -> Result<(), StoreError> {
        self.run(PUT_BACK.key(self.flow_key(key)).arg(claim)).await
    }

    async fn leave_note(&self, key: &str, claim: &str, note: &str) -> Result<(), StoreError> {
        self.run(LEAVE_NOTE.key(self.flow_key(key)).arg(claim).arg(note))
            .await
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn load(&self, user: &str) -> Result<Option<TokenRecord>, StoreError> {
        let key = self.tokens_key(user);
        let fields = ["version", "record"];
        let load = async || self.connection.clone().hmget(&key, &fields).await;
        let (version, record): (Option<String>, Option<String>) =
            repeated(&self.place, load).await?;
        Ok(version
            .zip(record)
            .map(|(version, record)| TokenRecord { version, record }))
    }

    async fn lease(
        &self,
        user: &str,
        version: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, StoreError> {
        let millis = millis(duration).to_string();
        self.run_on_tokens(&LEASE, user, &[version, holder, &millis])
            .await
    }

    async fn release(&self, user: &str, holder: &str) -> Result<(), StoreError> {
        self.run_on_tokens(&RELEASE, user, &[holder])
            .await
            .map(drop)
    }

    async fn replace(
        &self,
        user: &str,
        version: Option<&str>,
        kept: &TokenRecord,
    ) -> Result<bool, StoreError> {
        // No version is empty.
        let version = version.unwrap_or_default();
        self.run_on_tokens(
            &REPLACE,
            user,
            &[version, &kept.version, &kept.record, user],
        )
        .await
    }

    async fn remove(&self, user: &str, version: &str) -> Result<bool, StoreError> {
        self.run_on_tokens(&REMOVE, user, &[version, user]).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        let begin = match after {
            Some(after) if after >= prefix => format!("({after}"),
            _ => format!("[{prefix}"),
        };
        let listed: Vec<(String, String, String)> = self
            .run(LIST.key(self.users_key()).arg(&[
                &begin,
                &limit.to_string(),
                prefix,
                &self.tokens_key(""),
            ]))
            .await?;
        let listed = listed
            .into_iter()
            .map(|(user, version, record)| (user, TokenRecord { version, record }));
        Ok(listed.collect())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
