//! Lies about the content of one response. Each takes the response as a value and returns another.

use super::super::answer::{self, Content, not_found};
use super::super::history::WIDTH;
use super::super::request::{Interface, Request, Resource};
use super::super::signing::another;
use super::super::view::LogView;
use super::ContentLie;
use countersign::core::api::{HeadsPage, VerificationBundle};
use countersign::core::hash::Hash;
use countersign::core::sth::SthBody;
use countersign::core::time::TICK;

/// Applies `lie` to the response to `request`. `page` is the most entries in one response.
pub fn apply(lie: &ContentLie, request: &Request, view: &LogView, page: u64, content: Content) -> Content {
    match content {
        Content::Leaves { start, leaves } => change_leaves(lie, request, view, page, start, leaves),
        Content::Tile(mut hashes) if *lie == ContentLie::TamperedProof => {
            flip(hashes.first_mut());
            Content::Tile(hashes)
        }
        Content::Consistency { first, second, mut proof } if *lie == ContentLie::TamperedProof => {
            flip(proof.0.last_mut());
            Content::Consistency { first, second, proof }
        }
        Content::Inclusion { index, tree_size, mut proof } if *lie == ContentLie::TamperedProof => {
            flip(proof.0.last_mut());
            Content::Inclusion { index, tree_size, proof }
        }
        Content::Bundle(bundle) => Content::Bundle(Box::new(change_bundle(lie, view, *bundle))),
        Content::Heads(page) => Content::Heads(change_heads(lie, request, view, page)),
        other => other,
    }
}

fn flip(hash: Option<&mut Hash>) {
    if let Some(hash) = hash {
        hash.0[0] ^= 1;
    }
}

fn change_leaves(
    lie: &ContentLie,
    request: &Request,
    view: &LogView,
    page: u64,
    start: u64,
    mut leaves: Vec<Vec<u8>>,
) -> Content {
    let count = leaves.len() as u64;
    let moved = |map: &dyn Fn(u64) -> u64| {
        let leaves = (start..start + count).filter_map(|index| view.history.leaf(map(index)));
        let leaves: Vec<Vec<u8>> = leaves.map(<[u8]>::to_vec).collect();
        if leaves.is_empty() { not_found("no more entries") } else { Content::Leaves { start, leaves } }
    };
    match *lie {
        ContentLie::NoEntries => leaves.clear(),
        ContentLie::ShortOfEntries => {
            let there = view.current.size.saturating_sub(1).saturating_sub(start);
            leaves.truncate(usize::try_from(there).unwrap_or(usize::MAX));
            if leaves.is_empty() {
                return not_found("the log ends before");
            }
        }
        ContentLie::Tampered(index) => {
            let at = index.checked_sub(start).and_then(|at| usize::try_from(at).ok());
            if let Some(leaf) = at.and_then(|at| leaves.get_mut(at)) {
                tamper(leaf);
            }
        }
        ContentLie::Dropped(dropped) => return moved(&|index| index + u64::from(index >= dropped)),
        ContentLie::Swapped(first) => {
            return moved(&|index| match index.checked_sub(first) {
                Some(0) => index + 1,
                Some(1) => first,
                _ => index,
            });
        }
        ContentLie::DuplicatePage => {
            let width = page_width(request, page);
            return moved(&|index| if start == 0 { index } else { index.saturating_sub(width) });
        }
        ContentLie::OtherPage => return other_page(request, view, page, start, leaves),
        ContentLie::More(more) => {
            for index in start + count..start.saturating_add(count).saturating_add(more.min(WIDTH)) {
                let last = leaves.last().cloned().unwrap_or_default();
                leaves.push(view.history.leaf(index).map_or(last, <[u8]>::to_vec));
            }
        }
        _ => {}
    }
    Content::Leaves { start, leaves }
}

/// The number of entries in a page that is not the last.
fn page_width(request: &Request, page: u64) -> u64 {
    match request.resource {
        Resource::Entries { count, .. } => count.min(page),
        _ => WIDTH,
    }
}

/// The next page, or the first one if the next is shorter.
fn other_page(request: &Request, view: &LogView, page: u64, start: u64, leaves: Vec<Vec<u8>>) -> Content {
    let width = page_width(request, page);
    let count = leaves.len() as u64;
    let next = start.saturating_add(width);
    let other = match (view.history.len() >= next.saturating_add(count), start) {
        (true, _) => next,
        (false, 0) => return Content::Leaves { start, leaves },
        (false, _) => 0,
    };
    // The width of a tile must match its path.
    match answer::leaves(view, other, count, false) {
        Content::Leaves { leaves, .. } if request.interface() == Interface::Tiles => {
            Content::Leaves { start, leaves }
        }
        content => content,
    }
}

/// Changes a digit in the last number or encoded text, so that the leaf still looks like an entry.
fn tamper(leaf: &mut [u8]) {
    match leaf.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
        Some(digit) => *digit ^= 1,
        None => leaf.iter_mut().for_each(|byte| *byte ^= 1),
    }
}

fn change_bundle(lie: &ContentLie, view: &LogView, mut bundle: VerificationBundle) -> VerificationBundle {
    match lie {
        ContentLie::TamperedProof => flip(bundle.proof.0.last_mut()),
        ContentLie::BundleFork => {
            if let Some(forked) = forked(view, &bundle) {
                return forked;
            }
        }
        ContentLie::BundleOther => {
            let other = (bundle.index + 1) % view.current.size.max(1);
            return answer::bundle(view, other).unwrap_or(bundle);
        }
        _ => {}
    }
    bundle
}

/// The bundle of the same entry in a tree with another entry in the middle, under a head of that tree. Everything in it
/// verifies, and only a client that knows the other head can detect it. The bundle of the middle entry itself is not
/// changed.
fn forked(view: &LogView, bundle: &VerificationBundle) -> Option<VerificationBundle> {
    let size = view.current.size;
    if size == 1 {
        return alone(view, bundle);
    }
    let middle = (size / 2 != bundle.index).then_some(size / 2)?;
    let signer = view.signer.clone()?;
    let history = view.history.replaced(middle, b"another entry").ok()?;
    let head = signer.sign(size, history.root(size)?, view.current.time.saturating_add(TICK));
    answer::bundle(&LogView::new(history, head, Some(signer)), bundle.index)
}

/// A tree of one entry has no other entry to replace, so the head is of another tree and the proof does not verify.
fn alone(view: &LogView, bundle: &VerificationBundle) -> Option<VerificationBundle> {
    let signer = view.signer.as_ref()?;
    let head =
        signer.sign(view.current.size, another(view.current.root), view.current.time.saturating_add(TICK));
    Some(VerificationBundle { sth: head.sth, checkpoint: head.checkpoint, ..bundle.clone() })
}

fn change_heads(lie: &ContentLie, request: &Request, view: &LogView, mut page: HeadsPage) -> HeadsPage {
    let current = &view.current;
    if let (ContentLie::HistoryEndless, Resource::Heads { after, .. }) = (lie, &request.resource) {
        return HeadsPage { heads: vec![current.sth.clone()], next: Some(after + 1) };
    }
    let Some(at) = page.heads.iter().position(|sth| *sth == current.sth) else { return page };
    match lie {
        ContentLie::HistoryOmits => {
            page.heads.remove(at);
            page.next = page.next.filter(|_| !page.heads.is_empty());
        }
        ContentLie::HistoryFork => {
            let other = view.signer.as_ref();
            let other = other.map(|signer| {
                signer.sign(current.size, another(current.root), current.time.saturating_add(TICK)).sth
            });
            page.heads.splice(at + 1..at + 1, other);
        }
        ContentLie::HistoryForged => {
            let forged = SthBody::parse(&current.sth).ok().map(|(mut body, mut signature)| {
                body.root = another(body.root);
                body.timestamp = body.timestamp.saturating_add(TICK);
                signature.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                body.to_json(&signature)
            });
            page.heads.splice(at + 1..at + 1, forged);
        }
        _ => {}
    }
    page
}
