#![doc = include_str!("approval-log-v1.md")]
