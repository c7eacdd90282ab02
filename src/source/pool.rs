//! Limits the number of concurrent requests and of connections.

use super::OpenError;
use super::client::{client, parallelism};
use super::options::HttpOptions;
use reqwest::{Client, Url, Version};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A fixed number of slots, each with one request at a time.
///
/// Over HTTP/1.1 each slot has a client and so a connection of its own. With one client for all, the same
/// requests would open more connections than there are slots: its pool starts a new connection if none is free
/// at that instant, and keeps it even if another becomes free before it is established. Over HTTP/2 all slots
/// share the connection of the first client.
pub(super) struct ConnectionPool {
    base: Url,
    options: HttpOptions,
    clients: Vec<OnceLock<Client>>,
    first: Client,
    /// Whether the last answer came over HTTP/2.
    shared: AtomicBool,
    permits: Semaphore,
    /// Free slots. The one freed last is used next, as its connection is the most likely to be open.
    free: Mutex<Vec<usize>>,
}

/// A slot in use; dropping it frees the slot.
pub(super) struct ConnectionSlot<'a> {
    pool: &'a ConnectionPool,
    number: usize,
    _permit: Option<SemaphorePermit<'a>>,
}

impl ConnectionPool {
    pub(super) fn new(base: &Url, options: &HttpOptions) -> Result<ConnectionPool, OpenError> {
        let count = parallelism(options);
        Ok(ConnectionPool {
            first: client(base, options)?,
            base: base.clone(),
            options: options.clone(),
            clients: (0..count).map(|_| OnceLock::new()).collect(),
            shared: AtomicBool::new(false),
            permits: Semaphore::new(count),
            free: Mutex::new((0..count).rev().collect()),
        })
    }

    /// Waits for a free slot.
    pub(super) async fn acquire(&self) -> ConnectionSlot<'_> {
        // The semaphore is never closed, so there is always a permit, and there is a number for each permit.
        let permit = self.permits.acquire().await.ok();
        let number = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        ConnectionSlot { pool: self, number, _permit: permit }
    }
}

impl ConnectionSlot<'_> {
    /// The client to send a request with.
    pub(super) fn client(&self) -> &Client {
        let ConnectionPool { first, clients, base, options, shared, .. } = self.pool;
        match clients.get(self.number) {
            // The first client was built from the same options, so this succeeds.
            Some(own) if self.number > 0 && !shared.load(Relaxed) => {
                own.get_or_init(|| client(base, options).unwrap_or_else(|_| first.clone()))
            }
            _ => first,
        }
    }

    /// Records the HTTP version of an answer.
    pub(super) fn record_version(&self, version: Version) {
        self.pool.shared.store(version == Version::HTTP_2, Relaxed);
    }
}

impl Drop for ConnectionSlot<'_> {
    /// Runs before the permit is released, so that its next holder finds a number.
    fn drop(&mut self) {
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}
