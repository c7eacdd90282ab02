//! What may reach a terminal.

/// Characters that are invisible or act on the text around them. Written down here once more, so
/// that the program's own table is not its own judge: controls, Unicode's `Bidi_Control`, line and
/// paragraph separators, zero-width characters, tags.
fn is_unsafe(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(character,
            '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            | '\u{2060}' | '\u{FEFF}' | '\u{E0001}'..='\u{E007F}')
}

/// Asserts that nothing in `text` moves a cursor, reorders a line or hides.
#[track_caller]
pub fn assert_fit_for_a_terminal(text: &str) {
    if let Some((at, character)) = text.char_indices().find(|(_, character)| is_unsafe(*character)) {
        let before: String =
            text.get(..at).unwrap().chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{character:?} reaches the terminal, after {before:?}");
    }
}
