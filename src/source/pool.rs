//! So many requests at once, and so many connections.

use super::OpenError;
use super::client::{client, parallelism};
use super::options::HttpOptions;
use reqwest::{Client, Url, Version};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Where requests are made from, one at a time each.
///
/// Over HTTP/1.1 each place has a client and so a connection of its own. Out of one client's pool
/// the same requests would open more connections than there are pool: it begins a new one
/// whenever none is free at that instant, and keeps it also where another is free before it stands.
/// Over HTTP/2 all share the connection of the first.
pub(super) struct ConnectionPool {
    base: Url,
    options: HttpOptions,
    clients: Vec<OnceLock<Client>>,
    first: Client,
    /// Whether the last answer came over HTTP/2.
    shared: AtomicBool,
    permits: Semaphore,
    /// The last one is taken next: its connection is the most likely to be open still.
    free: Mutex<Vec<usize>>,
}

/// A place that is taken; free again when dropped.
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

    /// Waits until one is free.
    pub(super) async fn acquire(&self) -> ConnectionSlot<'_> {
        // Never closed, so that there always is a permit; and there is a number for each permit.
        let permit = self.permits.acquire().await.ok();
        let number = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        ConnectionSlot { pool: self, number, _permit: permit }
    }
}

impl ConnectionSlot<'_> {
    /// The client to make a request with.
    pub(super) fn client(&self) -> &Client {
        let ConnectionPool { first, clients, base, options, shared, .. } = self.pool;
        match clients.get(self.number) {
            // What made the first makes the others.
            Some(own) if self.number > 0 && !shared.load(Relaxed) => {
                own.get_or_init(|| client(base, options).unwrap_or_else(|_| first.clone()))
            }
            _ => first,
        }
    }

    /// Takes note of how the server answers.
    pub(super) fn answered(&self, version: Version) {
        self.pool.shared.store(version == Version::HTTP_2, Relaxed);
    }
}

impl Drop for ConnectionSlot<'_> {
    /// Before the permit goes, so that whoever gets it finds a number.
    fn drop(&mut self) {
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}
