//! What happens to an event on its way to stderr.

use super::*;
use std::sync::Mutex;
use std::sync::mpsc::channel;

/// Keeps what was written; blocks while another thread holds the lock.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn clock() -> UnixMillis {
    UnixMillis::new(1_798_761_600_000)
}

/// The output of `say`, as text or as JSON.
fn written(json: bool, say: impl FnOnce()) -> String {
    let page = Page::default();
    let out = Out::start(page.clone(), Lines { json, clock }).unwrap();
    tracing::subscriber::with_default(subscriber(json, clock, out.clone()), say);
    Log(out).flush(Duration::from_secs(20));
    page.text()
}

#[test]
fn text_and_json_agree_and_are_safe_for_a_terminal() {
    let hostile = "a\u{1b}[2Jb\u{202e}c\nd";
    let event = Event::of("main", "finding-new", format!("new: {hostile}"))
        .with("index", 7)
        .with("id", hostile)
        .with("severity", "invalid");
    let (plain, json) = (written(false, || event.say()), written(true, || event.say()));
    for line in [&plain, &json] {
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(!line.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
    assert!(plain.starts_with("2027-01-01T00:00:00.000Z main: new: a"), "{plain}");
    let json: Value = serde_json::from_str(&json).unwrap();
    for (name, value) in [
        ("time", Value::from("2027-01-01T00:00:00.000Z")),
        ("level", "error".into()),
        ("event", "finding-new".into()),
        ("log", "main".into()),
        ("index", 7.into()),
        ("message", event.message.clone().into()),
        ("id", event.parts["id"].clone()),
    ] {
        assert_eq!(json[name], value, "{name} in {json}");
    }
    let about_all = written(true, || Event::new("started", "watching").say());
    assert!(serde_json::from_str::<Value>(&about_all).unwrap()["log"].is_null(), "{about_all}");
}

#[test]
fn events_of_libraries_are_not_written() {
    for json in [false, true] {
        let page = written(json, || {
            tracing::error!(target: "hyper::client", "https://user:s3cret@host/");
            tracing::error!(target: "reqwest", token = "s3cret", "sent");
            tracing::error!(target: "rustls", "s3cret");
            tracing::debug!(target: "countersign", "not for the operator");
        });
        assert_eq!(page, "");
    }
}

#[test]
fn other_events_under_our_target_are_escaped() {
    let hostile = "\u{1b}[2J\u{202e}";
    let page =
        written(true, || tracing::warn!(target: "countersign", id = hostile, times = 3_u64, "a {hostile}"));
    assert!(!page.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{page:?}");
    let json: Value = serde_json::from_str(&page).unwrap();
    assert_eq!((&json["level"], &json["times"]), (&"warn".into(), &3.into()), "{page}");
}

#[test]
fn a_blocked_reader_delays_nobody_and_learns_what_was_lost() {
    let page = Page::default();
    let out = Out::start(page.clone(), Lines { json: true, clock }).unwrap();
    let events = MAX_WAITING + 100;
    let (done, ended) = channel();
    let reader = page.0.lock().unwrap();
    let sayer = out.clone();
    std::thread::spawn(move || {
        let say = || (0..events).for_each(|number| Event::new("audited", "x").with("number", number).say());
        tracing::subscriber::with_default(subscriber(true, clock, sayer), say);
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(20)).expect("it waits for a reader");
    // Nor does the end of the process block.
    let begun = Instant::now();
    Log(out.clone()).flush(Duration::from_millis(100));
    assert!(begun.elapsed() < Duration::from_secs(300), "it waits for a reader");
    drop(reader);
    Log(out).flush(Duration::from_secs(20));
    let text = page.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (lost, kept): (Vec<Value>, Vec<Value>) =
        lines.into_iter().partition(|line| line["event"] == "events-lost");
    let lost: u64 = lost.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    // The line that is being written has left the queue.
    assert!((99..=100).contains(&lost), "{lost}");
    assert_eq!(kept.len() as u64 + lost, events as u64);
    let numbers: Vec<u64> = kept.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted());
}
