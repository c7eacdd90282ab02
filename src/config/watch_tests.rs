//! Tests of the `[[watch]]` tables: their rules, and the messages for mistakes.

use super::*;
use crate::config::acknowledge::AcknowledgeTable;
use crate::config::alert::AlertTable;
use crate::config::alerting::Alerting;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    alert: Vec<AlertTable>,
    watch: Vec<WatchTable>,
    acknowledge: Vec<AcknowledgeTable>,
}

fn read(text: &str) -> Result<Vec<Watch>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let resolved = Alerting::resolve(file.alert, None, file.acknowledge)
        .and_then(|alerting| resolve(file.watch, &alerting.channels));
    resolved.map_err(|error| error.to_string())
}

const KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn tables_become_rules() {
    let rules = read(&format!(
        "[[alert]]\nname = 'pager'\ncommand = ['page']\n
         [[watch]]\nname = 'all'\napprover = ['b', 'a', 'b']\nkey = '{KEY}'\nrp-id = 'x.example'\ndecision = 'approved'
         payload-hash = '{KEY}'\nid = 'order-*'\nnew-key = true\nseverity = 'info'\nchannels = ['pager']\npast = true
         outside = {{ days = ['mon', 'fri'], hours = '22:00-06:00', zone = 'Europe/Berlin' }}
         more-than = {{ count = 5, within = '1h' }}\ncomment = 'why'
         [[watch]]\nname = 'any'\nany = true
         [[watch]]\nname = 'nights'\noutside = {{ hours = '00:00-24:00' }}
         [[watch]]\nname = 'weekend'\noutside = {{ days = ['mon', 'tue'] }}"
    ))
    .unwrap();
    let [all, any, nights, weekend] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!((all.rule.severity, all.rule.past, all.channels.len()), (Severity::Info, true, 1));
    assert_eq!(all.rule.conditions.approvers, ["a", "b"]);
    assert_eq!(all.rule.conditions.more_than, Some(Burst { count: 5, within: Duration::from_secs(3600) }));
    assert_eq!(
        describe(all),
        format!(
            "all: decision approved, approver \"a\" or \"b\", key {KEY}, rp-id \"x.example\", payload-hash {KEY}, \
             id order-*, the first of its key, outside mon,fri 22:00-06:00 Europe/Berlin, more than 5 within 1h, \
             including entries mirrored before; info; notifies pager (why)"
        )
    );
    assert_eq!((any.rule.severity, describe(any).as_str()), (Severity::Warning, "any: any entry; warning"));
    let hours = |watch: &Watch| watch.rule.conditions.outside.clone().unwrap();
    assert_eq!((hours(nights).from, hours(nights).to, hours(nights).days), (0, 1440, [true; 7]));
    assert_eq!(hours(weekend).days, [true, true, false, false, false, false, false]);
}

/// Which changes of a table make a different rule, and which do not.
#[test]
fn the_digest_is_of_name_and_conditions() {
    let digest = |lines: &str| {
        let rules = read(&format!("[[alert]]\nname = 'p'\ncommand = ['p']\n[[watch]]\n{lines}")).unwrap();
        rules[0].rule.digest()
    };
    let first = digest("name = 'a'\napprover = ['x', 'y']");
    for same in [
        "name = 'a'\napprover = ['y', 'x', 'x']",
        "name = 'a'\napprover = ['x', 'y']\nseverity = 'info'\ncomment = 'c'\nchannels = ['p']",
    ] {
        assert_eq!(digest(same), first, "{same}");
    }
    let others = [
        "approver = ['x']",
        "approver = ['x', 'y']\npast = true",
        "approver = ['x', 'y']\ndecision = 'approved'",
        "approver = ['x', 'y']\nnew-key = true",
        "rp-id = ['x', 'y']",
        "id = ['x', 'y']",
        "any = true",
        "outside = { days = ['mon'] }",
        "outside = { days = ['mon'], zone = '+00:00' }",
        "outside = { hours = '08:00-18:00' }",
        "outside = { hours = '08:00-18:01' }",
        "more-than = { count = 1, within = '1h' }",
        "more-than = { count = 2, within = '1h' }",
        "more-than = { count = 1, within = '2h' }",
    ];
    let mut digests: Vec<_> = others.iter().map(|lines| digest(&format!("name = 'a'\n{lines}")).0).collect();
    digests.extend([first.0, digest("name = 'b'\napprover = ['x', 'y']").0]);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), others.len() + 2);
}

/// The examples of the guide and the example config can be used unchanged.
#[test]
fn the_examples_load() {
    let page = include_str!("../docs/watch-rules.md");
    let blocks = page.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
    let ours: Vec<&str> = blocks.filter(|block| block.contains("[[watch]]")).collect();
    let count = |block: &&str| read(block).unwrap().len();
    assert_eq!(ours.iter().map(count).collect::<Vec<_>>(), [5]);
    let example = include_str!("../../fixtures/ops/monitor.toml");
    let (_, commented) = example.split_once("# [[watch]]\n").unwrap();
    let lines = commented.lines().map_while(|line| line.strip_prefix("# "));
    let table = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(read(&format!("[[watch]]\n{table}")).unwrap().len(), 1);
}

const PAGER: &str = "[[alert]]\nname = 'pager'\ncommand = ['page']\n";

#[test]
fn mistakes_are_reported_with_advice() {
    for (lines, part) in [
        ("approver = 'a'", "missing field `name`"),
        ("name = ''\napprover = 'a'", "1 to 64 printable"),
        ("name = \"a\\tb\"\napprover = 'a'", "1 to 64 printable"),
        ("name = 'é'\napprover = 'a'", "1 to 64 printable"),
        ("name = 'a'", "any = true"),
        ("name = 'a'\nany = true\napprover = 'a'", "any = true is for every entry"),
        ("name = 'a'\napprover = []", "the list is empty"),
        ("name = 'a'\napprover = ''", "it is empty"),
        ("name = 'a'\napprover = 7", "a list of names"),
        ("name = 'a'\napprovers = 'a'", "unknown field"),
        ("name = 'a'\napprover = 'a'\nseverity = 'invalid'", "write info or warning"),
        ("name = 'a'\napprover = 'a'\nchannels = ['pagr']", "there is no [[alert]] with name = \"pagr\""),
        ("name = 'a'\nkey = 'zz'", "neither"),
        ("name = 'a'\nkey = 'a'", "neither"),
        ("name = 'a'\ndecision = 'aproved'", "approved, rejected or expired"),
        ("name = 'a'\npayload-hash = 'AB'", "64 lowercase hex"),
        ("name = 'a'\nid = 'a b'", "ids are of letters"),
        ("name = 'a'\nid = ''", "ids are of letters"),
        ("name = 'a'\nnew-key = false", "write true, or leave it out"),
        ("name = 'a'\nnew-key = true\ndecision = 'rejected'", "would never match"),
        ("name = 'a'\noutside = {}", "give days, hours or both"),
        ("name = 'a'\noutside = { days = [] }", "the list is empty"),
        ("name = 'a'\noutside = { days = 'mon-fri' }", "a list of mon, tue"),
        ("name = 'a'\noutside = { hours = '25:00-26:00' }", "write them as 08:00-18:00"),
        ("name = 'a'\noutside = { hours = '24:00-06:00' }", "write them as"),
        ("name = 'a'\noutside = { hours = '08:00-08:00' }", "write them as"),
        ("name = 'a'\noutside = { hours = '8-18' }", "write them as"),
        ("name = 'a'\noutside = { hours = '08:60-18:00' }", "write them as"),
        ("name = 'a'\noutside = { hours = '08:00-18:00', zone = 'Berlin' }", "such as Europe/Berlin"),
        ("name = 'a'\noutside = { hour = '08:00-18:00' }", "unknown field"),
        ("name = 'a'\nmore-than = { count = 0, within = '1h' }", "write 1 to 10000"),
        ("name = 'a'\nmore-than = { count = 10001, within = '1h' }", "write 1 to 10000"),
        ("name = 'a'\nmore-than = { count = -1, within = '1h' }", "invalid value"),
        ("name = 'a'\nmore-than = { count = 1 }", "missing field `within`"),
        ("name = 'a'\nmore-than = { count = 1, within = '10M' }", "within"),
        ("name = 'a'\nmore-than = { count = 1, within = '5ms' }", "at least 1s"),
        ("name = 'a'\napprover = 'a'\n[[watch]]\nname = 'a'\napprover = 'b'", "two rules have this name"),
        ("name = 'a'\napprover = 'a'\n[[watch]]\nname = 'b'\napprover = 'a'", "the same conditions as \"a\""),
    ] {
        let why = read(&format!("{PAGER}[[watch]]\n{lines}")).unwrap_err();
        assert!(why.contains(part), "{lines}: {why}");
    }
}
