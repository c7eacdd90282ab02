//! The guide: a page a subject, in this documentation and in the program.
//!
//! `countersign help TOPIC` shows a page, and `countersign man DIR` writes each as a manual page of section 7. They are
//! the Markdown files below `src/docs`; `tests/library/docs.rs` runs every command in them and follows every link.
//!
//! A page links to another as `[text][topic]`. On the web and in an editor the last lines of the file say where that
//! is; here `rustdoc-links.md`, which stands before each page, says it first, and the first definition wins.

/// A page of the guide.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The word for `countersign help`.
    pub name: &'static str,
    /// What the page is about, in a line.
    pub summary: &'static str,
    /// Markdown.
    pub text: &'static str,
}

/// The page with this name.
pub fn page(name: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.name == name)
}

macro_rules! pages {
    ($($module:ident $name:literal $file:literal $summary:literal,)*) => {
        /// Every page, in the order in which `countersign help` lists them.
        pub const PAGES: &[Page] = &[$(Page { name: $name, summary: $summary, text: include_str!($file) },)*];

        $(
            #[doc = include_str!("rustdoc-links.md")]
            #[doc = include_str!($file)]
            pub mod $module {}
        )*
    };
}

pages! {
    gate "gate" "gate.md" "ask a person, and run an action once, with exactly what they approved",
    audit "audit" "audit.md" "check a log every night; exit codes, and what to do on each",
    trust "trust" "trust.md" "what you pin, why, and what is not checked without it",
    http "http" "http.md" "logs over HTTP and behind a JSON API: retries, limits, secrets",
    monitor "monitor" "monitor.md" "watch logs all the time, as a daemon or from cron",
    alerts "alerts" "alerts.md" "who is notified of findings, and what to do about each finding code",
    watch_rules "watch-rules" "watch-rules.md" "be notified of every approval in your name",
    peers "peers" "peers.md" "compare heads with others who watch the same log",
    evidence "evidence" "evidence.md" "receipts of approvals, and proof of a log's misbehaviour",
    metrics "metrics" "metrics.md" "health, Prometheus metrics, alert rules and a dashboard",
    sql "sql" "sql.md" "the mirror: query it, back it up, check it, rebuild it",
    performance "performance" "performance.md" "how fast it is, and the commands that measure it",
    testing "testing" "testing.md" "a log and a service that lie on command, for your monitoring and our tests",
    library "library" "library.md" "check receipts in a Rust program",
    glossary "glossary" "glossary.md" "the words of the field, as they are used here",
    contributing "contributing" "contributing.md" "where to find things, how to add a finding code, how to run the tests",
    security "security" "security.md" "how to report a vulnerability, and what counts as one",
}
