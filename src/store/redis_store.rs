mod connection;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncCommands, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisError,
    RetryMethod, Script, ScriptInvocation,
};

use connection::Connection;

use super::place::failed_at;
use super::repeated::repeated;
use super::{FlowRecord, FlowStore, Found, StoreError, TokenRecord, TokenStore};

/// How long connecting and each answer may take.
const LIMIT: Duration = Duration::from_secs(2);

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
/// `rediss://` needs the feature `redis-tls`, and trusts the certificates that this machine trusts. For others make a
/// connection of your own and pass it to [`new`](Self::new).
///
/// A Redis Cluster needs the feature `redis-cluster` and [`connect_cluster`](Self::connect_cluster).
///
/// Redis loses what it has not written to disk when it crashes. For tokens, switch on its append-only file, with
/// `appendfsync always` if no consent may be lost.
///
/// Users are listed from the sorted set. A user whose tokens an earlier version of this library has kept is in it after the
/// next refresh.
#[derive(Clone)]
pub struct RedisStore {
    connection: Connection,
    prefix: String,
    /// Where Redis is, for errors.
    place: Arc<str>,
}

impl RedisStore {
    /// Connects to a URL such as `redis://user:password@host:6379/0`. Keys begin with `digime:`. Connecting and each answer
    /// may take two seconds. On Linux, a connection whose other side acknowledges nothing for three seconds is replaced.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if Redis can't be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let info = connection_info(url)?;
        let place: Arc<str> = Arc::from(format!("Redis at {}", info.addr()));
        let client = Client::open(info).map_err(StoreError::failed)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT))
            // The calls are repeated, and connect again.
            .set_number_of_retries(0);
        let connect = || ConnectionManager::new_with_config(client.clone(), config.clone());
        let connection = repeated(connect, may_pass).await;
        let connection = connection.map_err(|error| failed_at(&*place, error))?;
        Ok(Self {
            place,
            ..Self::new(connection)
        })
    }

    /// Connects to a Redis Cluster, through any of its nodes. Keys begin with `{digime}:`.
    ///
    /// A script of the store reads and writes several keys, which a Cluster allows only on one node. So all of a store's keys
    /// have the same hash tag, in their prefix, and are on one primary node and its replicas. Several stores can share the
    /// work of several nodes, each with a [`prefix`](Self::prefix) of its own, such as one for each tenant.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if no node can be reached.
    #[cfg(feature = "redis-cluster")]
    pub async fn connect_cluster(
        urls: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<Self, StoreError> {
        let nodes: Vec<_> = urls
            .into_iter()
            .map(|url| connection_info(url.as_ref()))
            .collect::<Result<_, _>>()?;
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let place: Arc<str> = Arc::from(format!("the Redis Cluster at {}", addresses.join(", ")));
        let client = redis::cluster::ClusterClientBuilder::new(nodes)
            .connection_timeout(LIMIT)
            .response_timeout(LIMIT)
            .tcp_settings(tcp_settings())
            .build()
            .map_err(StoreError::failed)?;
        let connection = repeated(|| client.get_async_connection(), may_pass).await;
        let connection = connection.map_err(|error| failed_at(&*place, error))?;
        Ok(Self {
            connection: Connection::Cluster(connection),
            prefix: "{digime}:".into(),
            place,
        })
    }

    /// A store on a connection that the application has made, whose settings stay as they are.
    #[must_use]
    pub fn new(connection: ConnectionManager) -> Self {
        Self {
            connection: Connection::Single(connection),
            prefix: "digime:".into(),
            place: "Redis".into(),
        }
    }

    /// Sets what keys begin with. Default: `digime:`, and in a Cluster `{digime}:`.
    ///
    /// In a Cluster, a prefix without a hash tag becomes one: `shop:` is then `{shop:}`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.prefix = if self.connection.is_cluster() && !has_hash_tag(&prefix) {
            format!("{{{prefix}}}")
        } else {
            prefix
        };
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
        let invoke = async || script.invoke_async(&mut self.connection.clone()).await;
        self.repeated(invoke).await
    }

    async fn repeated<T, F>(&self, call: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let done = repeated(call, may_pass).await;
        done.map_err(|error| failed_at(&*self.place, error))
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

/// Reads a URL, with our settings.
fn connection_info(url: &str) -> Result<ConnectionInfo, StoreError> {
    let info = url.into_connection_info().map_err(StoreError::failed)?;
    #[cfg(feature = "redis-tls")]
    if matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        choose_cryptography();
    }
    Ok(info.set_tcp_settings(tcp_settings()))
}

/// rustls panics if the program has compiled several implementations of its cryptography and has chosen none.
#[cfg(feature = "redis-tls")]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, aws_lc_rs};

    if CryptoProvider::get_default().is_none() {
        // It fails only if another thread has just chosen one.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

/// Whether Redis Cluster places a key with this prefix by a part of the prefix alone.
fn has_hash_tag(prefix: &str) -> bool {
    let tag = prefix
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

/// Whether the connection failed, or Redis is starting.
fn may_pass(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.retry_method(), RetryMethod::WaitAndRetry)
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
            self.repeated(read).await?;
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
        let (version, record): (Option<String>, Option<String>) = self.repeated(load).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tag_is_what_redis_takes_for_one() {
        for prefix in ["{digime}:", "a{b}c", "{{a}", "{a}{}"] {
            assert!(has_hash_tag(prefix), "{prefix}");
        }
        for prefix in ["", "digime:", "{}:", "{digime:", "}{", "{}{a}"] {
            assert!(!has_hash_tag(prefix), "{prefix}");
        }
    }
}
