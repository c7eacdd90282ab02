use super::*;
use std::convert::Infallible;
use std::time::Duration;

const HOUR: u64 = 3_600_000;
const ASKED: u64 = 10 * HOUR;

fn at(ms: u64) -> UnixMillis {
    UnixMillis::new(ms)
}

/// Asked, approved a second later, used a second later with a receipt of 10 entries.
fn used() -> JournalRow {
    JournalRow {
        key: "k".to_owned(),
        username: "alex".to_owned(),
        asked_at: at(ASKED),
        post_until: at(ASKED + 60_000),
        id: Some("c-1".to_owned()),
        approved_at: Some(at(ASKED + 1000)),
        used: Some(Used {
            nonce: "AAAA".to_owned(),
            tree_size: Some(10),
            at: at(ASKED + 2000),
            ending: Ending::Ok,
        }),
    }
}

#[derive(Debug, PartialEq)]
enum Short {
    Nothing,
    Holds,
    NotYet,
    Found(Code),
}

fn short(judged: Option<Judged>) -> Short {
    match judged {
        None => Short::Nothing,
        Some(Judged::Holds) => Short::Holds,
        Some(Judged::NotYet) => Short::NotYet,
        Some(Judged::Found(finding)) => {
            assert_eq!((finding.index, finding.id.as_deref()), (None, Some("c-1")));
            assert_eq!(finding.severity, finding.code.severity());
            assert!(finding.message.contains("countersign gate export"), "{finding:?}");
            Short::Found(finding.code)
        }
    }
}

#[test]
fn an_approval_is_omitted_an_hour_after_it_was_answered() {
    let approved = ASKED + 1000;
    let entry = |decision| Some(Logged { index: 3, decision });
    let omitted = || Short::Found(Code::ApprovalOmitted);
    for (logged, now, expected) in [
        (entry(Decision::Approved), approved, Short::Holds),
        (entry(Decision::Approved), approved + 9 * HOUR, Short::Holds),
        (None, approved, Short::NotYet),
        (None, approved + HOUR - 1, Short::NotYet),
        (None, approved + HOUR, omitted()),
        (None, approved - 1, Short::NotYet),
        (None, 0, Short::NotYet),
        (entry(Decision::Rejected), approved + HOUR - 1, Short::NotYet),
        (entry(Decision::Rejected), approved + HOUR, omitted()),
        (entry(Decision::Expired), approved + HOUR, omitted()),
    ] {
        assert_eq!(short(omission(&used(), logged, at(now))), expected, "{logged:?} at {now}");
    }
    let undecided = JournalRow { approved_at: None, ..used() };
    let unanswered = JournalRow { id: None, ..used() };
    for row in [undecided, unanswered] {
        assert_eq!(short(omission(&row, None, at(approved + HOUR))), Short::Nothing);
    }
}

#[test]
fn a_use_is_judged_once_the_tree_of_its_receipt_is_known() {
    let without = || Short::Found(Code::ActionWithoutApproval);
    for (tree_size, has_nonce, size, expected) in [
        (Some(10), true, 0, Short::Holds),
        (Some(10), true, 10, Short::Holds),
        (None, true, 10, Short::Holds),
        (Some(10), false, 9, Short::NotYet),
        (Some(10), false, 10, without()),
        (Some(10), false, 11, without()),
        (Some(u64::MAX), false, 11, Short::NotYet),
        (None, false, 11, Short::NotYet),
    ] {
        let mut row = used();
        row.used.as_mut().unwrap().tree_size = tree_size;
        assert_eq!(short(unlogged_use(&row, has_nonce, size)), expected, "{tree_size:?} {has_nonce} {size}");
    }
    assert_eq!(short(unlogged_use(&JournalRow { used: None, ..used() }, false, 11)), Short::Nothing);
}

/// Two rows of one confirmation, as no journal has them, would be one finding; two confirmations are two.
#[test]
fn findings_are_told_apart_by_confirmation_and_nonce() {
    let of = |id: &str, nonce: &str| {
        let mut row = JournalRow { id: Some(id.to_owned()), ..used() };
        row.used.as_mut().unwrap().nonce = nonce.to_owned();
        [omission(&row, None, at(99 * HOUR)), unlogged_use(&row, false, 99)].map(|judged| match judged {
            Some(Judged::Found(finding)) => finding.key(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(
        of("c-1", "AAAA"),
        ["approval-omitted//confirmation c-1", "action-without-approval//nonce AAAA"]
    );
    assert!(of("c-1", "AAAA").iter().zip(of("c-2", "AAAB")).all(|(one, other)| *one != other));
}

fn journal(rows: Vec<JournalRow>) -> JournalRows {
    let complete_for = ["alex".to_owned(), "kim".to_owned()].into();
    JournalRows { rows, since: Some(at(ASKED)), complete_for, of_others: 0 }
}

fn approval(id: &str, approver: &str, requested_at: u64) -> LoggedApproval {
    let (id, approver) = (Some(id.to_owned()), approver.to_owned());
    LoggedApproval { index: 4, id, approver, requested_at: at(requested_at) }
}

#[test]
fn an_approval_that_no_row_explains_is_unasked() {
    let journal = journal(vec![used()]);
    let questions = Questions::new(&journal);
    let late = ASKED + HOUR;
    for (approval, nonce, is_unasked) in [
        (approval("c-2", "alex", late), Some("BBBB"), true),
        (approval("c-2", "kim", late), Some("BBBB"), true),
        (approval("c-2", "alex", late), None, true),
        (LoggedApproval { id: None, ..approval("", "alex", late) }, None, true),
        (approval("c-1", "alex", late), Some("BBBB"), false),
        (approval("c-2", "alex", late), Some("AAAA"), false),
        (approval("c-2", "bruna", late), Some("BBBB"), false),
        (approval("c-2", "alex", ASKED + 1), Some("BBBB"), true),
        (approval("c-2", "alex", ASKED), Some("BBBB"), false),
        (approval("c-2", "alex", 0), Some("BBBB"), false),
    ] {
        let found = questions.unasked(&approval, || Ok::<_, Infallible>(nonce.map(str::to_owned))).unwrap();
        assert_eq!(found.is_some(), is_unasked, "{approval:?} {nonce:?}");
        if let Some(finding) = found {
            assert_eq!((finding.code, finding.index), (Code::ApprovalUnasked, Some(4)));
        }
    }
}

#[test]
fn a_nonce_is_read_only_where_it_matters() {
    let journal = journal(vec![used()]);
    let read = |approval| Questions::new(&journal).unasked(&approval, || Err(()));
    assert_eq!(read(approval("c-1", "alex", ASKED + 1)), Ok(None));
    assert_eq!(read(approval("c-2", "bruna", ASKED + 1)), Ok(None));
    assert_eq!(read(approval("c-2", "alex", ASKED + 1)), Err(()));
}

#[test]
fn what_may_be_the_answer_to_a_lost_request_is_not_unasked() {
    let lost = JournalRow { id: None, approved_at: None, used: None, ..used() };
    let (first, skew) = (ASKED - 2 * HOUR, u64::try_from(limits::CLOCK_SKEW.as_millis()).unwrap());
    let journal = JournalRows { since: Some(at(first)), ..journal(vec![lost]) };
    let questions = Questions::new(&journal);
    let end = ASKED + 60_000 + skew;
    for (approver, requested_at, is_unasked) in [
        ("alex", ASKED, false),
        ("alex", ASKED - skew, false),
        ("alex", ASKED - skew - 1, true),
        ("alex", end, false),
        ("alex", end + 1, true),
        ("kim", ASKED, true),
    ] {
        let found = questions.unasked(&approval("c-2", approver, requested_at), || Ok::<_, Infallible>(None));
        assert_eq!(found.unwrap().is_some(), is_unasked, "{approver} {requested_at}");
    }
    assert!(limits::CLOCK_SKEW >= Duration::from_secs(60));
}

#[test]
fn an_empty_journal_says_nothing_of_who_asked() {
    let journal = JournalRows { since: None, ..journal(Vec::new()) };
    let found =
        Questions::new(&journal).unasked(&approval("c-2", "alex", ASKED), || Ok::<_, Infallible>(None));
    assert_eq!(found.unwrap(), None);
}

#[test]
fn what_others_wrote_is_escaped() {
    let mut row = JournalRow { key: "\u{1b}[2J".to_owned(), ..used() };
    row.used.as_mut().unwrap().nonce = "\u{202e}".to_owned();
    for judged in [omission(&row, None, at(99 * HOUR)), unlogged_use(&row, false, 99)] {
        let Some(Judged::Found(finding)) = judged else { panic!("{judged:?}") };
        assert!(!finding.message.contains(['\u{1b}', '\u{202e}']), "{}", finding.message);
    }
}
