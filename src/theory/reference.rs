//! What a contrastive term is worth when classes are points, and when nothing is told apart.

use super::geometry::Denominator;

/// Two values to hold a training's loss against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reference {
    /// Every class is a point, and the points form a simplex.
    pub collapsed: f64,
    /// All embeddings are equal, as where the encoder has learned nothing.
    pub equal: f64,
}

impl Reference {
    /// The sum of parts, each times its share.
    pub fn sum(parts: &[(f64, Self)]) -> Self {
        let sum = |of: fn(&Self) -> f64| parts.iter().map(|(share, it)| share * of(it)).sum();
        Self { collapsed: sum(|it| it.collapsed), equal: sum(|it| it.equal) }
    }

    /// Both values greater by `excess`.
    pub fn plus(self, excess: f64) -> Self {
        Self { collapsed: self.collapsed + excess, equal: self.equal + excess }
    }
}

/// The contrast of an anchor: how many embeddings it is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    pub classes: usize,
    /// Of its own class.
    pub positives: f64,
    /// Of each other class.
    pub members: f64,
    pub temperature: f64,
}

impl Contrast {
    /// (6) The supervised contrastive loss: with the own positive `log(1 + (K-1) n e^-c)`, where
    /// `c` is `K / ((K-1) tau)` for the simplex and 0 for equal embeddings.
    pub fn supervised(&self, denominator: Denominator) -> Reference {
        let k = self.classes as f64;
        let positives = match denominator {
            Denominator::Own => 1.0,
            Denominator::All => self.positives,
            Denominator::Negatives => 0.0,
        };
        let negatives = |contrast: f64| (k - 1.0) * self.members * (-contrast).exp();
        let at = |contrast: f64| (positives - 1.0 + negatives(contrast)).ln_1p();
        Reference { collapsed: at(k / ((k - 1.0) * self.temperature)), equal: at(0.0) }
    }

    /// What a clip adds to the supervised loss where positives are equal: `1/tau` less the clip.
    pub fn excess(&self, clip: Option<f64>) -> f64 {
        clip.map_or(0.0, |clip| (1.0 / self.temperature - clip).max(0.0))
    }

    /// (7) The class-conditional one: `log` of its positives, wherever a class is a point.
    pub fn within_class(&self) -> Reference {
        let value = self.positives.ln();
        Reference { collapsed: value, equal: value }
    }
}
