//! The memory of a step of training, worked out by walking a network's layers there and back as the
//! kernels do: results are kept until their layer is passed on the way back, gradients until they
//! are used.

use crate::catalog::{Layer, Network, Op, Pairing, product};

/// Bytes of a number.
pub(super) const NUMBER: u64 = 4;

/// Copies of a value that candle's own backward pass holds while it passes one of its operations.
const CANDLE: u64 = 7;

/// The most bytes that are held at once during a step on `rows` images, without what is held
/// between steps: images, results, gradients and room to work.
pub(super) fn of_step(network: &Network, rows: u64) -> u64 {
    let mut walk = Walk::new(network, rows);
    walk.forward();
    walk.back();
    walk.most.saturating_mul(NUMBER)
}

/// The most bytes held while `rows` images are embedded. A result is kept one layer longer than it
/// is read, as variables are; the images, and what candle's own operations remember, to the end.
pub(super) fn of_embedding(network: &Network, rows: u64) -> u64 {
    let mut walk = Walk::new(network, rows);
    let last = last_readers(network);
    let mut read_before = 0;
    for (at, layer) in network.layers.iter().enumerate() {
        walk.hold(walk.sizes[layer.writes]);
        // Of the two copies that are made of bounded weights one is gone when they are used.
        let used = walk.room_forward(layer).saturating_add(layer.made / 2);
        walk.touch(used.max(layer.made));
        walk.release(read_before);
        let reads = layer.reads.iter().filter(|read| last[**read] == Some(at));
        read_before = reads.map(|read| walk.sizes[*read]).fold(0, u64::saturating_add);
    }
    walk.most.saturating_mul(NUMBER)
}

/// The last layer that reads each value; none for what is kept to the end.
fn last_readers(network: &Network) -> Vec<Option<usize>> {
    let mut last = vec![None; network.values.len()];
    for (at, layer) in network.layers.iter().enumerate() {
        layer.reads.iter().for_each(|read| last[*read] = Some(at));
    }
    for layer in network.layers.iter().filter(|layer| is_candle(layer.op)) {
        layer.reads.iter().chain([&layer.writes]).for_each(|value| last[*value] = None);
    }
    last[0] = None;
    last
}

/// A walk along the layers; every number counts numbers, not bytes.
struct Walk<'a> {
    network: &'a Network,
    rows: u64,
    /// The size of each value over all rows.
    sizes: Vec<u64>,
    /// Whether a value depends on what is trained.
    tracked: Vec<bool>,
    /// The layer that computed each value.
    maker: Vec<Option<usize>>,
    /// The gradient held of each value.
    gradients: Vec<u64>,
    held: u64,
    most: u64,
}

impl<'a> Walk<'a> {
    fn new(network: &'a Network, rows: u64) -> Self {
        let sizes = network.values.iter().map(|shape| product(shape).saturating_mul(rows));
        let sizes: Vec<u64> = sizes.collect();
        let mut tracked = vec![false; sizes.len()];
        let mut maker = vec![None; sizes.len()];
        for (at, layer) in network.layers.iter().enumerate() {
            let reads_tracked = layer.reads.iter().any(|read| tracked[*read]);
            tracked[layer.writes] = layer.parameters > 0 || reads_tracked;
            maker[layer.writes] = Some(at);
        }
        let (gradients, held) = (vec![0; sizes.len()], sizes[0]);
        Self { network, rows, sizes, tracked, maker, gradients, held, most: held }
    }

    fn hold(&mut self, size: u64) {
        self.held = self.held.saturating_add(size);
        self.most = self.most.max(self.held);
    }

    fn release(&mut self, size: u64) {
        self.held = self.held.saturating_sub(size);
    }

    /// Notes that `size` more is held for a moment.
    fn touch(&mut self, size: u64) {
        self.most = self.most.max(self.held.saturating_add(size));
    }

    fn kept(&self, layer: &Layer) -> u64 {
        let constants = layer.constants.saturating_mul(self.rows).saturating_add(layer.made);
        self.sizes[layer.writes].saturating_add(constants)
    }

    fn forward(&mut self) {
        let last = last_readers(self.network);
        let mut read_before = 0;
        for (at, layer) in self.network.layers.iter().enumerate() {
            let kept = if layer.is_cut { self.sizes[layer.writes] } else { self.kept(layer) };
            self.hold(kept);
            let made = if layer.is_cut { layer.made } else { 0 };
            self.touch(self.room_forward(layer).saturating_add(made));
            self.release(std::mem::take(&mut read_before));
            if layer.is_cut {
                let reads = layer.reads.iter().filter(|read| last[**read] == Some(at));
                read_before = reads.map(|read| self.sizes[*read]).fold(0, u64::saturating_add);
            }
        }
    }

    fn back(&mut self) {
        for (at, layer) in self.network.layers.iter().enumerate().rev() {
            // What it made was let go of on the way there.
            if layer.is_cut {
                continue;
            }
            if is_candle(layer.op) {
                self.candle(layer);
            } else {
                self.kernel(layer);
                self.spread_read(at, layer);
            }
        }
    }

    /// A kernel turns the gradient of its result into those of what it read.
    fn kernel(&mut self, layer: &Layer) {
        if let (Op::Add, [_, past]) = (layer.op, &layer.reads[..]) {
            return self.sum(layer, *past);
        }
        let reads: Vec<usize> =
            layer.reads.iter().copied().filter(|read| self.tracked[*read]).collect();
        let made: u64 = reads.iter().map(|read| self.sizes[*read]).sum();
        self.hold(made);
        self.hold(layer.parameters);
        self.touch(self.room_back(layer));
        for read in reads {
            let size = self.sizes[read];
            if self.gradients[read] > 0 {
                // The sum takes the place of two.
                self.touch(size);
                self.release(size);
            }
            self.gradients[read] = size;
        }
        let gradient = std::mem::take(&mut self.gradients[layer.writes]);
        self.release(gradient);
        self.release(self.kept(layer));
    }

    /// A sum hands its gradient on as it is: what it goes past keeps it, and the branch sees it.
    fn sum(&mut self, layer: &Layer, past: usize) {
        let gradient = std::mem::take(&mut self.gradients[layer.writes]);
        self.release(self.kept(layer));
        if !self.tracked[past] {
            return self.release(gradient);
        }
        if self.gradients[past] > 0 {
            self.touch(gradient);
            self.release(gradient);
        }
        self.gradients[past] = gradient;
    }

    /// The results of candle's operations hand their gradient to every kernel before them at once.
    fn spread_read(&mut self, at: usize, layer: &Layer) {
        for read in &layer.reads {
            let by_candle =
                self.maker[*read].is_some_and(|it| is_candle(self.network.layers[it].op));
            let earlier = self.network.layers[..at].iter().filter(|it| !is_candle(it.op));
            let is_first = !earlier.into_iter().any(|it| it.reads.contains(read));
            if by_candle && is_first && self.tracked[*read] {
                self.spread(*read);
            }
        }
    }

    fn spread(&mut self, from: usize) {
        let mut leaves = Vec::new();
        self.leaves(from, &mut leaves);
        let found = leaves.iter().fold(0u64, |sum, leaf| sum.saturating_add(self.sizes[*leaf]));
        let largest = leaves.iter().map(|leaf| self.sizes[*leaf]).max().unwrap_or(0);
        self.touch(found.saturating_add(CANDLE.saturating_mul(largest)));
        for leaf in leaves {
            if self.gradients[leaf] == 0 {
                self.gradients[leaf] = self.sizes[leaf];
                self.hold(self.sizes[leaf]);
            }
        }
        let gradient = std::mem::take(&mut self.gradients[from]);
        self.release(gradient);
    }

    /// The results of kernels from which candle's operations made `value`.
    fn leaves(&self, value: usize, to: &mut Vec<usize>) {
        // A stack, since a chain of sums is as long as the network is deep.
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match self.maker[value].map(|at| &self.network.layers[at]) {
                Some(layer) if is_candle(layer.op) => open.extend(&layer.reads),
                Some(_) if self.tracked[value] && !to.contains(&value) => to.push(value),
                _ => {}
            }
        }
    }

    fn candle(&mut self, layer: &Layer) {
        self.hold(layer.parameters);
        match layer.op {
            // The loss is held to the end, and with it what it was computed from.
            Op::SquaredError => {
                let image = self.sizes[layer.reads[0]];
                self.touch(CANDLE.saturating_mul(image));
                self.gradients[layer.reads[0]] = image;
                self.hold(image.saturating_mul(2));
            }
            _ => self.release(self.kept(layer)),
        }
    }

    /// Numbers a layer needs besides its result on the way there.
    fn room_forward(&self, layer: &Layer) -> u64 {
        let input = self.sizes[layer.reads[0]];
        match layer.op {
            Op::Pairs(_) => room_of_pairs(self.rows).saturating_mul(input),
            Op::Conv { side: 3, stride: 1 } => self.transformed(layer),
            Op::Linear => self.laid_out(layer),
            _ => 0,
        }
    }

    /// Numbers of the weights of a linear layer, laid out for its products.
    fn laid_out(&self, layer: &Layer) -> u64 {
        let width = |value: usize| self.network.values[value].last().copied().unwrap_or(1);
        product(&[width(layer.reads[0]), width(layer.writes)])
    }

    /// Numbers a layer needs besides gradients on the way back.
    fn room_back(&self, layer: &Layer) -> u64 {
        let (input, output) =
            (&self.network.values[layer.reads[0]], &self.network.values[layer.writes]);
        let inputs = input.last().copied().unwrap_or(1);
        let width = output.last().copied().unwrap_or(1);
        let rows = (self.sizes[layer.writes] / width.max(1) as u64).max(1);
        let parts = |least| shares(rows, 16, least).saturating_sub(1);
        match layer.op {
            Op::Linear if product(&[inputs, width]) <= 64 * 1024 => {
                parts(128).saturating_mul(product(&[inputs, width]))
            }
            Op::Linear => self.laid_out(layer).max(rows.min(512).saturating_mul(inputs as u64)),
            Op::Conv { side: 3, stride: 1 } if self.transformed(layer) > 0 => {
                let plane = product(&[inputs, width]).max(1);
                let count = (512 * 1024 / plane).clamp(2, 16);
                shares(rows.div_ceil(4), count, 128).saturating_mul(self.transformed(layer))
            }
            Op::Conv { .. } => parts(512).saturating_mul(layer.parameters),
            _ => 0,
        }
    }

    /// Numbers of a kernel transformed for Winograd's filtering; none where it is not used.
    fn transformed(&self, layer: &Layer) -> u64 {
        let (input, output) =
            (&self.network.values[layer.reads[0]], &self.network.values[layer.writes]);
        match (&input[..], &output[..]) {
            (&[height, _, from], &[_, _, to])
                if height >= 4 && from > 32 && from % 16 == 0 && to % 16 == 0 =>
            {
                product(&[16, from, to])
            }
            _ => 0,
        }
    }
}

/// The bytes held while `rows` embeddings of a width are compared, their gradient included.
pub(super) fn of_pairs(rows: u64, width: usize) -> u64 {
    let embeddings = rows.saturating_mul(width as u64);
    room_of_pairs(rows).saturating_mul(embeddings).saturating_mul(NUMBER)
}

/// Copies of the embeddings: sorted, scaled, laid out as either factor of a product, and a gradient
/// for each share of the anchors; then one sorted back.
fn room_of_pairs(rows: u64) -> u64 {
    6 + shares(rows, 8, 64)
}

/// Whether an operation is candle's own, whose way back is candle's.
fn is_candle(op: Op) -> bool {
    matches!(op, Op::Beside | Op::Join | Op::Narrow | Op::Mean | Op::SquaredError)
}

/// How many pieces the kernels cut `total` into, when they want `count` of at least `least`.
fn shares(total: u64, count: u64, least: u64) -> u64 {
    total.div_ceil(total.div_ceil(count).max(least).max(1))
}

/// Multiplications that are added up to compare the embeddings of a batch.
pub(super) fn comparisons(pairing: Pairing, width: u64, (items, views): (u64, u64)) -> f64 {
    let rows = items * views;
    let anchors = if pairing.cross { rows.saturating_sub(items) } else { rows };
    anchors as f64 * anchors as f64 * width as f64
}
