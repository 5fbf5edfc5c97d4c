//! What all layers of a network come to together.

use super::{Layer, Network};

impl Network {
    /// Trained numbers.
    pub fn parameters(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.parameters))
    }

    /// Numbers that are kept but not trained.
    pub fn buffers(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.buffers))
    }

    /// Floating-point operations of one image's way forward: two for each multiplication that is
    /// added up, none for what is done to each number once.
    pub fn forward_flops(&self) -> u64 {
        self.flops(|_| true)
    }

    /// Those of the layers that are passed forwards alone.
    pub fn cut_flops(&self) -> u64 {
        self.flops(|layer| layer.is_cut)
    }

    fn flops(&self, is_counted: impl Fn(&Layer) -> bool) -> u64 {
        let counted = self.layers.iter().filter(|layer| is_counted(layer));
        let sum = counted.map(|layer| layer.multiply_adds).fold(0u64, u64::saturating_add);
        sum.saturating_mul(2)
    }
}
