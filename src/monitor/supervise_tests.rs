//! One log does not hold up the others.

use super::*;
use crate::mirror::HeadReader;
use crate::monitor::Auditable;
use crate::report::Report;
use crate::source::Stop;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Reports that its audit has begun, and does not end it until it is released: it ignores `stop`.
struct Stuck {
    begun: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Auditable for Stuck {
    fn audit(&self, _: &Stop) -> Result<Report, Error> {
        let _ = self.begun.send(());
        let _ = self.go.lock().map(|go| go.recv());
        Err("let go".into())
    }

    fn heads(&self) -> Result<HeadReader, Error> {
        Err("not asked here".into())
    }
}

/// A log, a receiver that tells when its audit began, and a sender that releases the audit when it is dropped.
fn stuck(name: &str) -> (WatchedLog, Receiver<()>, Sender<()>) {
    let ((begun, has_begun), (let_go, go)) = (channel(), channel());
    let subject = Arc::new(Stuck { begun, go: Mutex::new(go) });
    let watched =
        WatchedLog { name: name.to_owned(), interval: Duration::from_secs(3600), deadline: None, subject };
    (watched, has_begun, let_go)
}

#[test]
fn a_hanging_audit_delays_only_its_own_log() {
    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(30);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ((hung, hung_begun, hung_go), (free, free_begun, free_go)) = (stuck("hung"), stuck("free"));
        let registry = Arc::new(StatusRegistry::default());
        let mut crew = Crew {
            watches: Vec::new(),
            held: Vec::new(),
            registry,
            clock: Clock::start(|| UnixMillis::EPOCH),
        };
        crew.start(&[hung.clone(), free.clone()]).unwrap();
        hung_begun.recv_timeout(LONG).unwrap();
        free_begun.recv_timeout(LONG).unwrap();
        drop(free_go);
        crew.stop();
        assert!(!crew.ended(SHORT).await, "one hangs");
        assert_eq!(crew.under_way().collect::<Vec<_>>(), ["hung"]);

        let ((hung, hung_again, go), (free, free_again, _)) = (stuck("hung"), stuck("free"));
        crew.start(&[hung, free]).unwrap();
        free_again.recv_timeout(LONG).unwrap();
        assert!(hung_again.recv_timeout(SHORT).is_err(), "two threads would be at one mirror");
        assert_eq!(crew.held.len(), 1);

        drop(hung_go);
        while !crew.held.is_empty() {
            tokio::time::sleep(LOOK).await;
            crew.start_held().unwrap();
        }
        hung_again.recv_timeout(LONG).unwrap();
        drop(go);
        crew.stop();
        assert!(crew.ended(LONG).await);
    });
}
