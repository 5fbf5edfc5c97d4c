//! A loss term in formulas.

/// What a term computes, for those who ask.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// A line for each equation.
    pub unicode: Vec<String>,
    /// The same equations in LaTeX.
    pub latex: Vec<String>,
    /// What the symbols stand for.
    pub symbols: Vec<String>,
    /// What its name would not make one expect.
    pub remarks: Vec<String>,
}

impl Account {
    /// The account of the equation that reads `unicode`, and `latex`.
    pub fn new(unicode: impl Into<String>, latex: impl Into<String>) -> Self {
        Self { unicode: vec![unicode.into()], latex: vec![latex.into()], ..Self::default() }
    }

    /// With the equations of another after its own.
    pub fn with(mut self, other: Self) -> Self {
        self.unicode.extend(other.unicode);
        self.latex.extend(other.latex);
        self
    }

    /// With the meaning of a symbol.
    pub fn symbol(mut self, text: impl Into<String>) -> Self {
        self.symbols.push(text.into());
        self
    }

    /// With a remark.
    pub fn remark(mut self, text: impl Into<String>) -> Self {
        self.remarks.push(text.into());
        self
    }
}
