//! The crate as a library: small, and used as the guide says.

use std::fs;
use std::path::Path;
use std::process::Command;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The first block of Rust in a text.
fn example(text: &str) -> &str {
    let (_, rest) = text.split_once("```rust\n").expect("a block of Rust");
    rest.split_once("```").expect("an end of it").0
}

/// `cargo test` runs the one in the crate's documentation.
#[test]
fn the_guide_and_the_crate_show_the_same_example() {
    let page = file("src/docs/library.md");
    let documented: Vec<String> = file("src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    assert_eq!(example(&page), example(&documented.concat()));
}

/// Whoever only checks receipts gets no database, no network, no runtime and no command line.
#[test]
fn the_library_needs_no_database_network_or_command_line() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "--no-default-features",
        "-e",
        "normal",
        "--prefix",
        "none",
        "--offline",
        "--locked",
    ]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for needed in ["countersign", "sha2", "aws-lc-rs", "p256"] {
        assert!(names.contains(&needed), "does this still read the tree?\n{tree}");
    }
    for part in ["sqlite", "reqwest", "hyper", "tokio", "clap", "toml", "rustls", "zstd", "indicatif", "http"]
    {
        let found: Vec<_> = names.iter().filter(|name| name.contains(part)).collect();
        assert!(found.is_empty(), "{found:?} without features");
    }
}
