//! How deeply a place in a statement is nested, counted before any recursion over it.

/// The brackets and operators around a place in a statement.
#[derive(Default)]
pub(super) struct Nest {
    levels: Vec<Level>,
    /// Operators outside all brackets.
    operators: usize,
    /// All that is around this place, and the most that ever was.
    total: usize,
    pub deepest: usize,
}

/// An open bracket, with the operators before this place inside it.
#[derive(Clone, Copy)]
pub(super) struct Level {
    pub opener: u8,
    pub at: usize,
    operators: usize,
}

impl Nest {
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    pub fn innermost(&self) -> Level {
        *self.levels.last().expect("asked only inside a bracket")
    }

    /// The brackets that close all that are open.
    pub fn closing(&self) -> String {
        self.levels.iter().rev().map(|level| char::from(closer(level.opener))).collect()
    }

    pub fn closes(&self, byte: u8) -> bool {
        closer(self.innermost().opener) == byte
    }

    pub fn has_brace(&self) -> bool {
        self.levels.iter().any(|level| level.opener == b'{')
    }

    pub fn open(&mut self, opener: u8, at: usize) {
        self.levels.push(Level { opener, at, operators: 0 });
        self.grow();
    }

    pub fn close(&mut self) {
        self.comma();
        self.levels.pop();
        self.total -= 1;
    }

    pub fn operator(&mut self) {
        *self.own() += 1;
        self.grow();
    }

    /// The values on the two sides of a comma do not nest.
    pub fn comma(&mut self) {
        self.total -= std::mem::take(self.own());
    }

    fn own(&mut self) -> &mut usize {
        self.levels.last_mut().map_or(&mut self.operators, |level| &mut level.operators)
    }

    fn grow(&mut self) {
        self.total += 1;
        self.deepest = self.deepest.max(self.total);
    }
}

/// The bracket that closes `opener`.
pub(super) fn closer(opener: u8) -> u8 {
    match opener {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}
