//! All pairwise contrastive terms of one embedding, with value and gradient in one pass over tiles
//! of similarities: the full matrix of similarities is never held.

mod columns;
mod inside;
#[cfg(feature = "cuda")]
mod on_card;
mod pass;
mod sets;
mod term;

use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, WithDType, bail};

#[cfg(feature = "cuda")]
use super::card::contrastive::Outcome as Found;
use super::real::with_real;
use super::tape::apply1;
use super::values::{output, slice, tensor};
use sets::Classes;

/// One contrastive term: what it measures, on which pairs, and its weight in the total.
///
/// Similarities are dot products over the temperature: S_ij = z_i · z_j / τ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairTerm {
    /// What is measured for each anchor.
    pub kind: PairKind,
    /// The factor in the total.
    pub weight: f64,
    /// The temperature τ > 0.
    pub temperature: f64,
    /// What becomes of the lengths of embeddings.
    pub lengths: Lengths,
    /// Whether each view is compared with every earlier view, item by item of the batch, the same
    /// item included, and the mean taken over pairs of views; otherwise all rows are compared with
    /// all others.
    pub cross: bool,
    /// The most that a similarity counts for in a numerator; denominators have all of it.
    pub clip: Option<f64>,
    /// The base temperature: the term is multiplied by τ over it.
    pub scale: Option<f64>,
    /// What an anchor without a positive contributes.
    pub no_positive: NoPositive,
}

impl PairTerm {
    /// A term of weight 1 on all pairs of unit vectors at temperature 0.5, in which anchors
    /// without a positive do not count.
    pub fn new(kind: PairKind) -> Self {
        Self {
            kind,
            weight: 1.0,
            temperature: 0.5,
            lengths: Lengths::Unit,
            cross: false,
            clip: None,
            scale: None,
            no_positive: NoPositive::Skip,
        }
    }
}

/// What becomes of the lengths of embeddings before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lengths {
    /// They stay.
    Free,
    /// They become 1; a zero vector stays zero, and gets no gradient.
    Unit,
    /// The dot product of item i in a view and item j in an earlier one is divided by the lengths
    /// of item j in both views: what the code of Chen et al. 2022 does. Across views alone.
    Columns,
}

/// What a contrastive term measures, for an anchor i with the positives P(i) of its class, the
/// negatives N(i) of other classes, and its twins, the other views of the same item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairKind {
    /// Over p in P(i), of `e^S_ip / denominator`.
    SupCon {
        /// Whether logarithms are averaged, or ratios.
        sum: Sum,
        /// What the exponential of a positive is divided by.
        denominator: Denominator,
    },
    /// The mean over twins q of `-ln(e^S_iq / Σ_P(i) e^S_ip)`: contrast within the class.
    ClassInfoNce,
    /// The mean over twins q of `-ln(e^S_iq / Σ_a e^S_ia)` with a over all but i: labels do not
    /// matter (Chen et al. 2020, arXiv:2002.05709).
    InfoNce,
}

/// Where the sum over positives stands in a supervised contrastive term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Outside the logarithm, its mean: `-mean ln r_p`.
    Out,
    /// Inside, the mean: `-ln mean r_p`.
    In,
    /// Inside, the total: `-ln Σ r_p`, which is lower by `ln |P(i)|`.
    InTotal,
}

/// The denominator of a supervised contrastive term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denominator {
    /// The positive that is scored and all negatives (Chen et al. 2022, arXiv:2204.07596).
    Own,
    /// Everything but the anchor: Khosla et al. 2020, arXiv:2004.11362.
    All,
    /// The negatives alone; an anchor without any counts as one without positives.
    Negatives,
}

/// What an anchor without a positive contributes to the mean over anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPositive {
    /// It is left out of the mean.
    Skip,
    /// It counts as 0.
    Zero,
    /// It is an error.
    Error,
}

/// The weighted sum of `terms` as a scalar with a gradient, and the unweighted values [terms], in f64
/// on the CPU and in f32 on a card.
///
/// `z` [V·B,D] holds item i of view v in row v·B + i; `labels` has the class of each item.
///
/// # Errors
/// When sizes do not fit, a temperature is not positive, a term across views has one view only, or
/// an anchor has no positive where that is an error.
pub fn contrastive(
    z: &Tensor,
    labels: &[u32],
    views: usize,
    terms: &[PairTerm],
) -> Result<(Tensor, Tensor)> {
    contrastive_weighted(z, labels, views, terms, &[])
}

/// The same, with the mean over anchors of each term weighted by item; a term that `weights` has
/// nothing for counts all items alike. Of a weight that is 0 for every anchor the value is 0.
///
/// # Errors
/// As [`contrastive`], and when a weight is missing, or not 0 or more.
pub fn contrastive_weighted(
    z: &Tensor,
    labels: &[u32],
    views: usize,
    terms: &[PairTerm],
    weights: &[Option<Vec<f64>>],
) -> Result<(Tensor, Tensor)> {
    let (rows, _) = z.dims2()?;
    if rows == 0 || rows != views * labels.len() {
        let items = labels.len();
        bail!("expected {views} views of each of {items} labelled items, found {rows} rows");
    }
    let classes = Classes::new(labels, views);
    terms.iter().try_for_each(|term| check(term, &classes))?;
    let result = Arc::new(OnceLock::new());
    let none = std::iter::repeat(&None);
    let weighed = terms.iter().zip(weights.iter().chain(none));
    let terms = weighed.map(|(term, weights)| Weighed::new(term, weights.as_deref(), &classes));
    let (terms, track) = (terms.collect::<Result<Vec<_>>>()?, z.track_op());
    let op = Contrastive { terms, classes, track, result: result.clone() };
    let total = apply1(&z.contiguous()?, op)?;
    let result: &Outcome = result.get().expect("the operation has run");
    Ok((total, result.values.clone()))
}

fn check(term: &PairTerm, classes: &Classes) -> Result<()> {
    let temperature = term.temperature;
    if !(temperature > 0.0 && temperature.is_finite()) {
        bail!("expected a positive temperature, found {temperature}");
    }
    if term.lengths == Lengths::Columns && !term.cross {
        bail!("lengths of columns belong to pairs across views");
    }
    if term.cross && classes.views() < 2 {
        bail!("a contrastive term across views needs at least 2 views, found 1");
    }
    let lonely = || classes.labels().find(|(_, size)| !term.counts(classes, *size));
    if term.no_positive == NoPositive::Error
        && let Some((label, _)) = lonely()
    {
        bail!("an item of class {label} has no positive to be compared with in its batch");
    }
    Ok(())
}

/// A term with the weight of the item at each position, where they differ.
#[derive(Clone)]
struct Weighed {
    term: PairTerm,
    items: Option<Arc<[f64]>>,
}

impl Weighed {
    fn new(term: &PairTerm, weights: Option<&[f64]>, classes: &Classes) -> Result<Self> {
        if let Some(weights) = weights {
            let is_sound = weights.iter().all(|weight| *weight >= 0.0 && weight.is_finite());
            if weights.len() != classes.items() || !is_sound {
                bail!("expected a weight of 0 or more for each of {} items", classes.items());
            }
        }
        let by_position = |weights: &[f64]| classes.order().map(|item| weights[item]).collect();
        Ok(Self { term: *term, items: weights.map(by_position) })
    }

    /// The weight of the item at a position.
    fn of_item(&self, position: usize) -> f64 {
        self.items.as_ref().map_or(1.0, |items| items[position])
    }
}

/// What the forward pass found.
struct Outcome {
    /// [terms]
    values: Tensor,
    gradient: Option<Tensor>,
}

struct Contrastive {
    terms: Vec<Weighed>,
    classes: Classes,
    /// Whether a gradient will be asked for.
    track: bool,
    result: Arc<OnceLock<Outcome>>,
}

impl CustomOp1 for Contrastive {
    fn name(&self) -> &'static str {
        "contrastive"
    }

    fn cpu_fwd(&self, z: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(z.dtype(), T => {
            let z = slice::<T>(z, layout)?;
            let (values, gradient) = pass::run(z, &self.classes, &self.terms, self.track);
            let gradient = gradient.map(|values| tensor(values, layout.shape())).transpose()?;
            let weighted = self.terms.iter().zip(&values).map(|(it, value)| it.term.weight * value);
            let total = weighted.fold(0.0, |sum, value| sum + value);
            let values = Tensor::from_vec(values, self.terms.len(), &Device::Cpu)?;
            self.result.get_or_init(|| Outcome { values, gradient });
            output(vec![T::from_f64(total)], ())
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, z: &candle_core::CudaStorage, layout: &Layout) -> Result<super::card::Made> {
        let table = on_card::table(&self.classes, &self.terms);
        let z = super::card::Operand::new(z, layout)?;
        let Found { total, values, gradient } =
            super::card::contrastive::run(z, &table, self.track)?;
        self.result.get_or_init(|| Outcome { values, gradient });
        Ok(total.made(()))
    }

    fn bwd(&self, z: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if z.device().is_cuda() {
            let gradient = self.result.get().and_then(|result| result.gradient.as_ref());
            let scaled = |it: &Tensor| super::card::contrastive::backward(it, dy, z);
            return gradient.map(scaled).transpose();
        }
        let factor = with_real!(z.dtype(), T => dy.to_scalar::<T>()?.to_f64());
        let gradient = self.result.get().and_then(|result| result.gradient.as_ref());
        gradient.map(|gradient| gradient.affine(factor, 0.0)).transpose()
    }
}
