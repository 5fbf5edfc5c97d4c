//! What a training and an evaluation cost, before they run.

use std::collections::BTreeMap;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::Serialize;

use super::freeze::{PROJECTOR, thawed};
use super::made_of::Parts;
use super::memory::{self, NUMBER};
use super::projector::is_comparison;
use super::recent::{Networks, Recent};
use super::training::Training;
use super::{Evaluation, Slice, Stage};
use crate::catalog::{
    At, Bound, Duration, ImageShape, Misfit, Network, Op, Pairing, Place, Value, product,
};

/// Images in one forward pass where nothing is learned.
const EVAL_BATCH: u64 = 256;
/// The way back computes two products for each of the way there.
const THERE_AND_BACK: f64 = 3.0;

/// The encoder of a stage, as the graph will hold it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Model {
    #[serde(flatten, serialize_with = "super::component")]
    #[schemars(flatten, schema_with = "super::schema::component")]
    pub call: Bound,
    /// Channels, height and width of an image.
    #[serde(rename = "in")]
    pub input: [usize; 3],
    /// Tokens that attend to each other, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Width of the embedding.
    pub out: usize,
    /// Trained numbers.
    pub parameters: u64,
    /// Floating-point operations of one image's way forward, two for each multiplication.
    pub forward_flops: u64,
    /// The most by which it stretches the distance of two images, where there is a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lipschitz: Option<f64>,
}

/// What a training or an evaluation costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Cost {
    /// Trained numbers: those of the encoder and of the terms.
    pub parameters: u64,
    /// Floating-point operations in all.
    pub flops: f64,
    /// The most memory it holds at once.
    pub peak_bytes: u64,
    /// What it leaves on disk.
    pub disk_bytes: u64,
    /// What it has on disk besides while it runs.
    pub scratch_bytes: u64,
    /// Memory that holds the model while it embeds images for evaluations.
    #[serde(skip)]
    pub(super) embedding_bytes: u64,
}

impl Model {
    /// The encoder `call`, whose layers are `network`, on images of a shape.
    pub(super) fn new(call: &Bound, image: ImageShape, network: &Network) -> Self {
        Self {
            call: call.clone(),
            input: [image.channels, image.height, image.width],
            tokens: network.tokens,
            out: network.width(),
            parameters: network.parameters(),
            forward_flops: network.forward_flops(),
            lipschitz: network.lipschitz(),
        }
    }
}

/// All layers of a stage, with the loss terms behind the embedding.
pub(super) struct Layers {
    encoder: Rc<Network>,
    whole: Network,
    pairings: Vec<Compared>,
    /// Width of what is compared by pairs behind a projector.
    projected: usize,
}

/// What is compared by pairs, of one part of the embedding or of all.
struct Compared {
    pairing: Pairing,
    on: Option<Slice>,
    width: usize,
}

impl Layers {
    /// The layers of an encoder with terms, each with the classes it reads.
    fn new(parts: &Parts, networks: &mut Networks) -> Result<Self, Misfit> {
        let Parts { encoder: call, projector, image, terms, frozen } = parts;
        let place = Place::of_encoder(*image);
        let encoder = networks.of(call, &place)?;
        let (dim, embedding) = (encoder.width(), encoder.here());
        let whole = thawed(call, frozen, &place, networks).unwrap_or_else(|| (*encoder).clone());
        let mut layers = Self { whole, encoder, pairings: Vec::new(), projected: dim };
        let mut projected = embedding;
        if let Some(projector) = projector {
            let place = Place { dim, ..Place::of_encoder(*image) };
            let projector = networks.of(projector, &place)?;
            match frozen.iter().any(|it| it == PROJECTOR) {
                true => layers.whole.append(embedding, &(*projector).clone().untrained()),
                false => layers.whole.append(embedding, &projector),
            }
            (layers.projected, projected) = (projector.width(), layers.whole.here());
        }
        for (term, classes, on) in terms {
            let dim = on.map_or(dim, |slice| slice.width);
            let mut place = Place { image: *image, dim, classes: *classes, train: 0 };
            let mut network = networks.of(term, &place)?;
            let mut from = embedding;
            if projector.is_some() && is_comparison(&network) {
                place.dim = layers.projected;
                (network, from) = (networks.of(term, &place)?, projected);
            }
            layers.add(from, &network, (*on, place.dim));
        }
        Ok(layers)
    }

    /// Comparisons of one kind are computed once for all terms.
    fn add(&mut self, embedding: At, term: &Network, (on, width): (Option<Slice>, usize)) {
        if let Some(Op::Pairs(pairing)) = term.layers.first().map(|layer| layer.op) {
            let same =
                |it: &&mut Compared| it.on == on && it.pairing.normalize == pairing.normalize;
            if let Some(known) = self.pairings.iter_mut().find(same) {
                known.pairing.cross &= pairing.cross;
                return;
            }
            self.pairings.push(Compared { pairing, on, width });
        }
        let mut from = embedding;
        if on.is_some() {
            self.whole = self.whole.clone().from(embedding).columns(width);
            from = self.whole.here();
        }
        self.whole.append(from, term);
    }

    /// Floating-point operations of one step.
    fn flops_of_step(&self, items: u64, views: u64) -> f64 {
        let compared =
            |it: &Compared| memory::comparisons(it.pairing, it.width as u64, (items, views)) * 2.0;
        let pairs: f64 = self.pairings.iter().map(compared).sum();
        let (all, cut) = (self.whole.forward_flops() as f64, self.whole.cut_flops() as f64);
        let rows = (items * views) as f64;
        THERE_AND_BACK * ((all - cut) * rows + pairs) + cut * rows
    }

    /// Bytes of the state between two steps: what is trained, kept and remembered.
    pub(super) fn state(&self, moments: usize) -> u64 {
        let trained = self.whole.parameters().saturating_mul(1 + moments as u64);
        trained.saturating_add(self.whole.buffers()).saturating_mul(NUMBER)
    }

    /// The most bytes a step on `rows` images holds, state and gradients included.
    pub(super) fn step(&self, moments: usize, rows: u64) -> u64 {
        let gradients = self.whole.parameters().saturating_mul(NUMBER);
        let step = memory::of_step(&self.whole, rows).max(gradients);
        self.state(moments).saturating_add(step)
    }

    /// The same of a step whose rows are passed through `piece` by `piece`: the gradients are added
    /// up beside those of a piece, and what is cached are the embeddings of all with their slopes.
    pub(super) fn divided(
        &self,
        moments: usize,
        rows: u64,
        (piece, is_cached): (u64, bool),
    ) -> u64 {
        let gradients = self.whole.parameters().saturating_mul(NUMBER);
        let images = product(&self.whole.values[0]).saturating_mul(rows).saturating_mul(NUMBER);
        let width = self.encoder.width();
        let embeddings = if is_cached { 2 * rows * width as u64 * NUMBER } else { 0 };
        let passed = memory::of_step(&self.whole, piece).max(gradients).saturating_add(gradients);
        let compared = if is_cached { memory::of_pairs(rows, width) } else { 0 };
        let kept = self.state(moments).saturating_add(images).saturating_add(embeddings);
        kept.saturating_add(passed.max(compared))
    }

    /// Bytes of what evaluations need of the model.
    pub(super) fn model(&self) -> u64 {
        self.state(0)
    }

    /// Bytes that hold the model while it embeds images.
    pub(super) fn embedding(&self) -> u64 {
        self.model().saturating_add(memory::of_embedding(&self.encoder, EVAL_BATCH))
    }
}

/// What the trainings of a plan cost, each kind worked out once.
#[derive(Default)]
pub(super) struct Costs {
    pub networks: Networks,
    layers: Recent<Parts, (usize, Layers)>,
    /// How many kinds of layers there were.
    count: usize,
    /// By the number of the layers.
    costs: BTreeMap<(usize, Course), Cost>,
}

/// What else the cost of a training depends on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Course {
    training: Training,
    steps: [usize; 3],
    drop_last: bool,
    fills: bool,
}

impl Costs {
    /// The layers of `stage` with their number.
    fn layers(&mut self, stage: &Stage) -> Result<Rc<(usize, Layers)>, Misfit> {
        if let Some(known) = self.layers.find(|parts| parts.are_of(stage)) {
            return Ok(known);
        }
        let parts = Parts::of(stage);
        let networks = &mut self.networks;
        let layers = Layers::new(&parts, networks)?;
        self.count += 1;
        Ok(self.layers.add(parts, (self.count, layers)))
    }

    /// The layers and the cost of `stage`, of a dataset of so many images.
    pub(super) fn of(
        &mut self,
        stage: &Stage,
        images: usize,
    ) -> Result<(Rc<(usize, Layers)>, Cost), Misfit> {
        let layers = self.layers(stage)?;
        let course = Course {
            training: stage.training(images),
            steps: [stage.steps, stage.steps_per_epoch, stage.data.division.train],
            drop_last: stage.drop_last,
            fills: stage.method.fills(),
        };
        let cost = self.costs.entry((layers.0, course));
        let cost = *cost.or_insert_with(|| stage.cost(&layers.1, images));
        Ok((layers, cost))
    }
}

impl Stage {
    /// Images as the encoder sees them, behind the transforms.
    pub fn image(&self) -> ImageShape {
        let [channels, height, width] = self.model.input;
        ImageShape { height, width, channels }
    }

    /// Its layers.
    fn layers(&self) -> Result<Layers, Misfit> {
        Layers::new(&Parts::of(self), &mut Networks::default())
    }

    /// Its training, of a dataset of so many images.
    pub(super) fn training(&self, images: usize) -> Training {
        Training {
            image: self.data.image.size(),
            seen: self.image().size(),
            images,
            batch: self.batch,
            views: self.views,
            moments: self.optimizer.spec.moments,
            validates: self.data.division.val > 0,
            kept: u64::from(self.keep_best.is_some()) + u64::from(self.method.averages()),
            accumulate: self.method.accumulate,
            chunk: self.method.chunk,
        }
    }

    /// What its training costs.
    pub(super) fn cost(&self, layers: &Layers, images: usize) -> Cost {
        let (epochs, rest) =
            (self.steps / self.steps_per_epoch.max(1), self.steps % self.steps_per_epoch.max(1));
        let step = |items: usize| self.flops_of_step(layers, items as u64);
        let train = self.data.division.train;
        let full = if self.drop_last { self.steps_per_epoch } else { train / self.batch };
        let last = if self.drop_last { 0 } else { train % self.batch };
        let last = if last > 0 && self.method.fills() { self.batch } else { last };
        let epoch = full as f64 * step(self.batch) + step(last);
        let training = self.training(images);
        let kept = layers.model().saturating_mul(training.kept);
        Cost {
            parameters: layers.whole.parameters(),
            flops: epochs as f64 * epoch + rest as f64 * step(self.batch),
            peak_bytes: training.peak(layers),
            // Where the best state is kept, so is the last.
            disk_bytes: layers.model() * (1 + u64::from(self.keep_best.is_some())),
            // The next checkpoint is written beside the last.
            scratch_bytes: layers.state(training.moments).saturating_add(kept).saturating_mul(2),
            embedding_bytes: layers.embedding(),
        }
    }

    fn flops_of_step(&self, layers: &Layers, items: u64) -> f64 {
        let (views, whole) =
            (self.views as u64, |items| layers.flops_of_step(items, self.views as u64));
        match (self.method.accumulate, self.method.chunk) {
            (Some(pieces), _) => {
                let piece = items.div_ceil(pieces as u64);
                whole(piece) * items as f64 / piece.max(1) as f64
            }
            // The embeddings are computed once more.
            (None, Some(_)) => {
                whole(items) + (layers.encoder.forward_flops() * items * views) as f64
            }
            (None, None) => whole(items),
        }
    }

    /// The bytes that its model holds at most while it embeds images for an evaluation.
    ///
    /// # Errors
    /// When its components do not fit each other.
    pub fn embedding_bytes(&self) -> Result<u64, Misfit> {
        self.layers().map(|layers| layers.embedding())
    }

    /// The bytes that a step of its training holds at most, without the dataset and the batches
    /// that wait: what a test can measure.
    ///
    /// # Errors
    /// When its components do not fit each other.
    pub fn step_bytes(&self) -> Result<u64, Misfit> {
        // The images of the dataset are no part of it.
        Ok(self.training(0).step(&self.layers()?))
    }
}

impl Evaluation {
    /// What it costs on the embeddings of `stages`.
    pub(super) fn cost(&self, stages: &[&Stage]) -> Cost {
        let Some(first) = stages.first() else { return Cost::default() };
        let division = &first.data.division;
        let dim = self.width(stages.iter().copied());
        let classes = self.classes.as_ref().map_or(0, |classes| classes.names.len());
        let place = Place { image: first.image(), dim, classes, train: division.train };
        let head = self.call.network(&place).unwrap_or_else(|_| Network::new(&[dim]));
        let images = (division.train + division.val + division.test) as f64;
        let embedded = images + self.changed(division.test);
        let embedded: f64 = stages.iter().map(|it| it.model.forward_flops as f64 * embedded).sum();
        let measured = self.passes(division.train, images) * head.forward_flops() as f64;
        let features = product(&[division.train + division.val + division.test, dim]);
        let held = stages.iter().map(|stage| stage.cost.embedding_bytes);
        Cost {
            parameters: head.parameters(),
            flops: embedded + measured,
            // Embeddings are held as they came and as the evaluation wants them.
            peak_bytes: held.max().unwrap_or(0).saturating_add(2 * NUMBER * features),
            ..Cost::default()
        }
    }

    /// Images that are embedded once more, of each kind and strength of a change.
    fn changed(&self, test: usize) -> f64 {
        let count = |param| match self.call.value(param) {
            Some(Value::List(items)) => items.len(),
            _ => 0,
        };
        (count("kinds") * count("severities") * test) as f64
    }

    /// How often an image passes its layers: one that is trained goes there and back.
    fn passes(&self, train: usize, images: f64) -> f64 {
        let (length, batch) = (self.call.value("for"), self.call.value("batch"));
        match (length, batch) {
            (Some(Value::Duration(length)), Some(Value::Int(batch))) => {
                THERE_AND_BACK * trained_on(*length, train, *batch as usize) + images
            }
            _ => images,
        }
    }
}

fn trained_on(length: Duration, train: usize, batch: usize) -> f64 {
    let per_epoch = train.div_ceil(batch.max(1));
    let steps = length.steps(per_epoch, batch);
    steps as f64 / per_epoch.max(1) as f64 * train as f64
}
