//! Networks made of others, rows that read each other, and how far all of their layers together carry two inputs apart.

use super::{At, Layer, Network, Op, product};

impl Network {
    /// Notes that the last result is kept beside what a rectifier makes of it, for the way back.
    pub fn kept_beside(self) -> Self {
        let size = product(self.shape());
        self.noting(|layer| layer.constants = layer.constants.saturating_add(size))
    }

    /// Adds the layers of `other` behind `value`, which becomes what `other` is given.
    pub fn append(&mut self, value: At, other: &Self) {
        let first = self.values.len() - 1;
        let place = |index: usize| if index == 0 { value.0 } else { first + index };
        self.values.extend(other.values.iter().skip(1).cloned());
        self.layers.extend(other.layers.iter().map(|layer| Layer {
            reads: layer.reads.iter().map(|read| place(*read)).collect(),
            writes: place(layer.writes),
            ..layer.clone()
        }));
        self.at = place(other.at);
    }

    /// These layers behind the last value.
    pub fn then(mut self, other: &Self) -> Self {
        let here = self.here();
        self.append(here, other);
        self
    }

    /// One of `count` networks like this for each image, every one trained.
    pub fn one_of(mut self, count: usize) -> Self {
        for layer in &mut self.layers {
            layer.parameters = layer.parameters.saturating_mul(count as u64);
            layer.buffers = layer.buffers.saturating_mul(count as u64);
        }
        self
    }

    /// The same with the rows of `others` beside each.
    pub fn beside(self, others: &[At]) -> Self {
        let width = others.iter().map(|at| self.values[at.0].last().copied().unwrap_or(1));
        let shape = vec![width.fold(self.width(), usize::saturating_add)];
        let others: Vec<usize> = others.iter().map(|at| at.0).collect();
        self.layer(Op::Beside, shape).stretching(1.0).noting(|layer| layer.reads.extend(others))
    }

    /// An embedding with `more` constant numbers behind it.
    pub fn widened(self, more: usize) -> Self {
        let shape = vec![self.width().saturating_add(more)];
        self.layer(Op::Join, shape)
    }

    /// The same rows in another order.
    pub fn sorted(self) -> Self {
        let shape = self.shape().to_vec();
        self.layer(Op::Narrow, shape)
    }

    /// The same with nothing trained: what was, is kept as it is.
    pub fn untrained(mut self) -> Self {
        for layer in &mut self.layers {
            layer.buffers = layer.buffers.saturating_add(layer.parameters);
            layer.parameters = 0;
        }
        self
    }

    /// The same with some layers untrained, and passed forwards alone.
    pub fn cut(mut self, layers: std::ops::Range<usize>) -> Self {
        let cut = Self { layers: self.layers[layers.clone()].to_vec(), ..Self::new(&[]) };
        let cut = cut.untrained().layers.into_iter().map(|layer| Layer { is_cut: true, ..layer });
        self.layers.splice(layers, cut);
        self
    }

    /// The layer normalisation that stands before this value's, on other rows.
    pub fn normed_alike(self) -> Self {
        self.activation()
    }

    /// Self-attention of packed queries, keys and values `[tokens, 3 * width]`.
    pub fn attention(self) -> Self {
        let tokens = self.shape()[0];
        let width = self.width() / 3;
        self.layer(Op::Kernel, vec![tokens, width]).attended(tokens)
    }

    /// Attention of queries `[rows, width]` to the packed `keys_and_values` `[tokens, 2 * width]`.
    pub fn attending(self, At(keys_and_values): At) -> Self {
        let (shape, tokens) = (self.shape().to_vec(), self.values[keys_and_values][0]);
        let layer = self.layer(Op::Kernel, shape);
        layer.noting(|layer| layer.reads.push(keys_and_values)).attended(tokens)
    }

    /// What the rows of the last result cost if each reads from `tokens`.
    fn attended(self, tokens: usize) -> Self {
        let size = product(self.shape()).saturating_mul(2);
        self.noting(|layer| layer.multiply_adds = size.saturating_mul(tokens as u64))
    }

    /// Notes constant factors that the last layer keeps.
    pub fn with_factors(self, factors: u64) -> Self {
        self.noting(|layer| layer.constants = factors)
    }

    /// Notes that the last layer makes distances longer by a factor of at most `most`.
    pub fn stretching(self, most: f64) -> Self {
        self.noting(|layer| layer.stretch = Some(most))
    }

    /// The last layer with its weights kept at the spectral norm `bound`, which is computed from a
    /// vector as large as its input.
    pub fn constrained(self, bound: f64) -> Self {
        let input = self.layers.last().map_or(0, |layer| product(&self.values[layer.reads[0]]));
        self.stretching(bound).noting(|layer| {
            layer.buffers = layer.buffers.saturating_add(input);
            // The scaled weights, and the derivative of their norm.
            layer.made = layer.parameters.saturating_mul(2);
        })
    }

    /// The most by which it makes the distance of two images longer: the product over its layers.
    pub fn lipschitz(&self) -> Option<f64> {
        let mut bounds: Vec<Option<f64>> = vec![None; self.values.len()];
        bounds[0] = Some(1.0);
        for layer in &self.layers {
            let of = |read: &usize| Some(bounds[*read]? * layer.stretch?);
            let bounds_of: Option<Vec<f64>> = layer.reads.iter().map(of).collect();
            bounds[layer.writes] = bounds_of.map(|it| match layer.op {
                Op::Beside => it.iter().map(|bound| bound * bound).sum::<f64>().sqrt(),
                _ => it.iter().sum(),
            });
        }
        bounds[self.at]
    }
}
