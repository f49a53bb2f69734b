//! The connections of a client, from which it is seen whether an upload makes progress.
//!
//! The kernel buffers megabytes of an upload and sends them as fast as the connection allows. On a slow connection it says
//! little that this process wrote a part to a socket: what counts is that the other side takes the data. On Linux the kernel
//! tells how much of a connection's data the other side has not acknowledged.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, TryFutureExt};
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower_layer::Layer;
use tower_service::Service;

/// The local addresses of the connections that a client has made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<HashSet<SocketAddr>>>);

impl Connections {
    fn add(&self, connection: &impl Connection) {
        let mut extensions = http::Extensions::new();
        connection.connected().get_extras(&mut extensions);
        if let Some(info) = extensions.get::<HttpInfo>() {
            self.lock().insert(info.local_addr());
        }
    }

    /// How many bytes of all connections the other side has not taken yet, or `None` if this is not known: the system does
    /// not tell, or the connections are made by something else.
    pub(crate) async fn unsent(&self) -> Option<u64> {
        let connections = self.clone();
        tokio::task::spawn_blocking(move || connections.count_unsent())
            .await
            .ok()?
    }

    #[cfg(target_os = "linux")]
    fn count_unsent(&self) -> Option<u64> {
        // Reading the system's list takes long if there are many sockets, and no connection can be made while this is locked.
        let known = self.lock().clone();
        if known.is_empty() {
            return None;
        }
        let sockets = procfs::net::tcp().ok()?.into_iter();
        let sockets: Vec<_> = sockets
            .chain(procfs::net::tcp6().unwrap_or_default())
            .collect();
        let listed = sockets.iter().map(|socket| unmapped(socket.local_address));
        let open: HashSet<SocketAddr> = listed.filter(|address| known.contains(address)).collect();
        let unsent = sockets
            .iter()
            .filter(|socket| open.contains(&unmapped(socket.local_address)))
            .map(|socket| u64::from(socket.tx_queue))
            .sum();
        // A connection that was made in the meantime is in neither list. It is kept.
        self.lock()
            .retain(|address| open.contains(address) || !known.contains(address));
        Some(unsent)
    }

    #[cfg(not(target_os = "linux"))]
    fn count_unsent(&self) -> Option<u64> {
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<SocketAddr>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv4 address that the kernel lists as an IPv6 one, as the IPv4 address.
#[cfg(target_os = "linux")]
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl<S> Layer<S> for Connections {
    type Service = Connecting<S>;

    fn layer(&self, connector: S) -> Connecting<S> {
        Connecting {
            connector,
            connections: self.clone(),
        }
    }
}

/// A connector that notes its connections.
#[derive(Clone, Debug)]
pub(crate) struct Connecting<S> {
    connector: S,
    connections: Connections,
}

impl<S, R> Service<R> for Connecting<S>
where
    S: Service<R>,
    S::Response: Connection,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connections = self.connections.clone();
        self.connector
            .call(target)
            .inspect_ok(move |connection| connections.add(connection))
            .boxed()
    }
}
