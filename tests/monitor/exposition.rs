//! The reader of metrics pages and of PromQL expressions that other tests rely on.

use support::exposition::{lint, names, parse};

#[test]
fn the_reader_parses_expressions() {
    let read = |expression: &str| {
        let (metrics, labels) = names(expression);
        let both = [metrics, labels].map(|all| all.into_iter().collect::<Vec<String>>().join(" "));
        format!("{} / {}", both[0], both[1])
    };
    for (expression, found) in [
        ("a_b{log=~\"$log\",x!=\"y{z}\"} - c_d > 0", "a_b c_d / log x"),
        (
            "sum by (log, code) (rate(a_total{l=\"x\"}[$__rate_interval])) > 6 * b + 900",
            "a_total b / code l log",
        ),
        ("time() - a unless on(log) b", "a b / log"),
        ("up{job=\"c\"} == 0 or absent(up{job=\"c\"})", "up / job"),
        ("delta(a[1h]) > 0", "a / "),
    ] {
        assert_eq!(read(expression), found, "{expression}");
    }
}

#[test]
fn the_linter_finds_faults() {
    for (page, what) in [
        ("# HELP a_total x\n# TYPE a_total gauge\n", "_total"),
        ("# HELP a x\n# TYPE a counter\n", "_total"),
        ("# HELP a \n# TYPE a gauge\n", "help"),
        ("# HELP a_milliseconds x\n# TYPE a_milliseconds gauge\n", "base unit"),
        ("# HELP a_ms x\n# TYPE a_ms gauge\n", "abbreviated"),
        ("# HELP a_gauge x\n# TYPE a_gauge gauge\n", "type"),
        ("# HELP a_count x\n# TYPE a_count gauge\n", "reserved end"),
        ("# HELP aB x\n# TYPE aB gauge\naB{le=\"1\"} 1\n", "reserved label"),
    ] {
        let faults = lint(&parse(page));
        assert!(faults.iter().any(|fault| fault.contains(what)), "{page}: {faults:?}");
    }
    let good = "# HELP a x\n# TYPE a gauge\na{l=\"q\\\"\\\\\\n\"} 1.5\na{l=\"}, \"} 1e-7\n";
    assert_eq!(lint(&parse(good)), Vec::<String>::new());
    for wrong in [
        "a 1\n",
        "# HELP a x\n# TYPE a gauge\na{l=\"x} 1\n",
        "# HELP a x\n# TYPE a gauge\na 1 2\n",
        "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a x\n# TYPE a gauge\na{l=\"\\q\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na NaN\n",
    ] {
        assert!(std::panic::catch_unwind(|| parse(wrong)).is_err(), "{wrong}");
    }
}
