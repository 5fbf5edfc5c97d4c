//! Lines and columns of bytes, for programs that count in them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Sources;

/// A place in a text: line and column, both counted from one, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// Finds positions in the files of `sources`; each file is read through once.
pub struct Positions<'a> {
    sources: &'a Sources,
    starts: RefCell<BTreeMap<u16, Rc<[usize]>>>,
}

impl<'a> Positions<'a> {
    /// Positions in the files of `sources`.
    pub fn new(sources: &'a Sources) -> Self {
        Self { sources, starts: RefCell::default() }
    }

    /// Where byte `at` of file number `file` stands; at its end for a byte behind it.
    pub fn of(&self, file: u16, at: u32) -> Position {
        let text = self.sources.get(file).text.as_str();
        let at = text.floor_char_boundary(at as usize);
        let starts = self.starts(file);
        let line = starts.partition_point(|start| *start <= at);
        let column = text[starts[line - 1]..at].chars().count() + 1;
        Position { line, column }
    }

    /// Where the lines of a file begin.
    fn starts(&self, file: u16) -> Rc<[usize]> {
        let mut known = self.starts.borrow_mut();
        let text = &self.sources.get(file).text;
        let find = || {
            let behind = text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(behind).collect()
        };
        known.entry(file).or_insert_with(find).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut sources = Sources::default();
        sources.add(Source { name: "a.exp".into(), text: "αβ = 1\n\nγ".into() });
        let positions = Positions::new(&sources);
        let of = |at| {
            let Position { line, column } = positions.of(0, at);
            (line, column)
        };
        assert_eq!([of(0), of(2), of(4), of(8)], [(1, 1), (1, 2), (1, 3), (1, 7)]);
        assert_eq!([of(9), of(10), of(12), of(99)], [(2, 1), (3, 1), (3, 2), (3, 2)]);
        // In the middle of a character.
        assert_eq!(of(1), (1, 1));
    }
}
