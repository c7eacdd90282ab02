//! Lies about what one answer says. Each takes the answer as a value and gives another one.

use super::super::answer::{self, Content, not_found};
use super::super::history::WIDTH;
use super::super::request::{Ask, Interface, Request};
use super::super::signing::another;
use super::super::track::Track;
use super::ContentLie;
use countersign::core::api::{Bundle, HeadsPage};
use countersign::core::hash::Hash;
use countersign::core::sth::SthBody;

/// The answer to `request` after `lie`; `page` is the most entries in one answer.
pub fn tell(lie: &ContentLie, request: &Request, track: &Track, page: u64, content: Content) -> Content {
    match content {
        Content::Leaves { start, leaves } => tell_leaves(lie, request, track, page, start, leaves),
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
        Content::Bundle(bundle) => Content::Bundle(Box::new(tell_bundle(lie, track, *bundle))),
        Content::Heads(page) => Content::Heads(tell_heads(lie, request, track, page)),
        other => other,
    }
}

fn flip(hash: Option<&mut Hash>) {
    if let Some(hash) = hash {
        hash.0[0] ^= 1;
    }
}

fn tell_leaves(
    lie: &ContentLie,
    request: &Request,
    track: &Track,
    page: u64,
    start: u64,
    mut leaves: Vec<Vec<u8>>,
) -> Content {
    let count = leaves.len() as u64;
    let moved = |map: &dyn Fn(u64) -> u64| {
        let leaves = (start..start + count).filter_map(|index| track.history.leaf(map(index)));
        let leaves: Vec<Vec<u8>> = leaves.map(<[u8]>::to_vec).collect();
        if leaves.is_empty() { not_found("no more entries") } else { Content::Leaves { start, leaves } }
    };
    match *lie {
        ContentLie::NoEntries => leaves.clear(),
        ContentLie::ShortOfEntries => {
            let there = track.current.size.saturating_sub(1).saturating_sub(start);
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
        ContentLie::OtherPage => return other_page(request, track, page, start, leaves),
        ContentLie::More(more) => {
            for index in start + count..start.saturating_add(count).saturating_add(more.min(WIDTH)) {
                let last = leaves.last().cloned().unwrap_or_default();
                leaves.push(track.history.leaf(index).map_or(last, <[u8]>::to_vec));
            }
        }
        _ => {}
    }
    Content::Leaves { start, leaves }
}

/// How many entries a page has that is no last one.
fn page_width(request: &Request, page: u64) -> u64 {
    match request.ask {
        Ask::Entries { count, .. } => count.min(page),
        _ => WIDTH,
    }
}

/// The next page, or the first one where that is shorter.
fn other_page(request: &Request, track: &Track, page: u64, start: u64, leaves: Vec<Vec<u8>>) -> Content {
    let width = page_width(request, page);
    let count = leaves.len() as u64;
    let next = start.saturating_add(width);
    let other = match (track.history.len() >= next.saturating_add(count), start) {
        (true, _) => next,
        (false, 0) => return Content::Leaves { start, leaves },
        (false, _) => 0,
    };
    // A tile is as wide as its path says, whatever is in it.
    match answer::leaves(track, other, count, false) {
        Content::Leaves { leaves, .. } if request.interface() == Interface::Tiles => {
            Content::Leaves { start, leaves }
        }
        content => content,
    }
}

/// Another digit in the last number or encoded text: the leaf still looks like an entry.
fn tamper(leaf: &mut [u8]) {
    match leaf.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
        Some(digit) => *digit ^= 1,
        None => leaf.iter_mut().for_each(|byte| *byte ^= 1),
    }
}

fn tell_bundle(lie: &ContentLie, track: &Track, mut bundle: Bundle) -> Bundle {
    match lie {
        ContentLie::TamperedProof => flip(bundle.proof.0.last_mut()),
        ContentLie::BundleFork => {
            if let Some(forked) = forked(track, &bundle) {
                return forked;
            }
        }
        ContentLie::BundleOther => {
            let other = (bundle.index + 1) % track.current.size.max(1);
            return answer::bundle(track, other).unwrap_or(bundle);
        }
        _ => {}
    }
    bundle
}

/// The same entry in a tree that has another one in the middle, under a head of that tree: all of it
/// verifies, and only who knows the other head sees anything. There is one such tree, so that the
/// bundle of the middle entry stays as it is.
fn forked(track: &Track, bundle: &Bundle) -> Option<Bundle> {
    let size = track.current.size;
    if size == 1 {
        return alone(track, bundle);
    }
    let middle = (size / 2 != bundle.index).then_some(size / 2)?;
    let pen = track.pen.clone()?;
    let history = track.history.replaced(middle, b"another entry").ok()?;
    let head = pen.sign(size, history.root(size)?, track.current.time + 1);
    answer::bundle(&Track::new(history, head, Some(pen)), bundle.index)
}

/// In a tree of one entry there is no other one: the head is that of another tree, and the proof none.
fn alone(track: &Track, bundle: &Bundle) -> Option<Bundle> {
    let pen = track.pen.as_ref()?;
    let head = pen.sign(track.current.size, another(track.current.root), track.current.time + 1);
    Some(Bundle { sth: head.sth, checkpoint: head.checkpoint, ..bundle.clone() })
}

fn tell_heads(lie: &ContentLie, request: &Request, track: &Track, mut page: HeadsPage) -> HeadsPage {
    let current = &track.current;
    if let (ContentLie::HistoryEndless, Ask::Heads { after, .. }) = (lie, &request.ask) {
        return HeadsPage { heads: vec![current.sth.clone()], next: Some(after + 1) };
    }
    let Some(at) = page.heads.iter().position(|sth| *sth == current.sth) else { return page };
    match lie {
        ContentLie::HistoryOmits => {
            page.heads.remove(at);
            page.next = page.next.filter(|_| !page.heads.is_empty());
        }
        ContentLie::HistoryFork => {
            let other = track.pen.as_ref();
            let other = other.map(|pen| pen.sign(current.size, another(current.root), current.time + 1).sth);
            page.heads.splice(at + 1..at + 1, other);
        }
        ContentLie::HistoryForged => {
            let forged = SthBody::parse(&current.sth).ok().map(|(mut body, mut signature)| {
                body.root = another(body.root);
                body.timestamp += 1;
                signature.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                body.to_json(&signature)
            });
            page.heads.splice(at + 1..at + 1, forged);
        }
        _ => {}
    }
    page
}
