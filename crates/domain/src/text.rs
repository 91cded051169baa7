//! Text as people search and sort it, and bytes as text.

/// Lower case without Polish letters. The database's `fold_text` does the same to the columns that this is
/// compared with.
pub fn fold(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            'ą' | 'Ą' => 'a',
            'ć' | 'Ć' => 'c',
            'ę' | 'Ę' => 'e',
            'ł' | 'Ł' => 'l',
            'ń' | 'Ń' => 'n',
            'ó' | 'Ó' => 'o',
            'ś' | 'Ś' => 's',
            'ź' | 'Ź' | 'ż' | 'Ż' => 'z',
            other => other,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Bytes as hexadecimal digits, as digests are told.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
