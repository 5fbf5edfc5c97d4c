//! Cross-entropy that counts most where it is largest: in the groups that do worst.

use candle_core::{DType, Result, Tensor, Var, bail};

use super::{Activations, Loss, Single, Site, Term};
use crate::catalog::{Account, Labels, Misfit, Network, NonNegative, Place};
use crate::nn::{Linear, Mode};
use crate::tensor::Scope;
use crate::{component, kernel};

component! {
    /// Cross-entropy of a classifier, weighted towards the groups where it is largest (GroupDRO).
    ///
    /// Sagawa et al. (2020, arXiv:1911.08731), as their code and that of George (Sohoni et al.,
    /// 2020) compute it. With `l_g` the mean cross-entropy of the batch's images of group `g`, each
    /// step adds `adjustment / √n_g` to it, where `n_g` is the number of training images of the
    /// group, adds `step · l_g` to the logarithm of the group's weight, and minimises
    /// `Σ_g q_g l_g`, where `q` is the softmax of these logarithms. They begin at 0 and are kept
    /// with the weights of the network, so that a training that was stopped goes on exactly. A
    /// group that a batch has no image of counts as one whose cross-entropy is 0.
    ///
    /// It reads the group of every training image, which the line under every table says; in a stage
    /// with `groups = …` the one that an earlier stage has found, which is no label.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment robust {
    ///   data = waterbirds(labels=bird, groups=[bird, background], size=32)
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = group_dro(adjustment=2) }
    ///   train { optimizer = adamw(lr=1e-3); sampler = balanced(by=group); batch = 128; for = 5 epochs }
    ///   eval { bird = linear(labels=bird) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Labels, Groups],
        account account, network network;
    group_dro => GroupDro {
        /// The labels to learn.
        labels: Labels = Labels::Declared,
        /// How fast weight moves towards the groups with the largest loss.
        step: NonNegative = 0.01,
        /// How much is added to the loss of a group for being small.
        adjustment: NonNegative = 0.0,
    }
}

fn network(_: &GroupDro, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).linear(place.classes, true).cross_entropy())
}

fn account(term: &GroupDro) -> Account {
    let latex = r"\mathcal{L} = \sum_g q_g \ell_g, \qquad q \leftarrow \mathrm{softmax}(w), \qquad w_g \leftarrow w_g + \eta \ell_g";
    let symbols = [
        "l_g = mean of −ln softmax(W e_i + b)_{y(i)} over the batch's images of group g".to_owned(),
        format!(
            "      + {} / √n_g, where n_g training images are of group g",
            term.adjustment.get()
        ),
        format!("q = softmax(w), after w_g has grown by {} · l_g", term.step.get()),
    ];
    symbols.into_iter().fold(Account::new("L = Σ_g q_g l_g", latex), Account::symbol)
}

impl Loss for GroupDro {
    fn build(&self, site: &Site, scope: &Scope) -> Result<Term> {
        Ok(Term::Single(Box::new(Robust {
            head: Linear::new(&scope.pp("head"), site.dim, site.classes)?,
            logits: scope.buffer("group_logits", site.groups.max(1), 0.0)?,
            step: self.step.get(),
            adjustment: self.adjustment.get(),
        })))
    }
}

struct Robust {
    head: Linear,
    /// The logarithms of the weights of groups, but for a constant.
    logits: Var,
    step: f64,
    adjustment: f64,
}

impl Single for Robust {
    fn value(&self, batch: &Activations, mode: &Mode) -> Result<Tensor> {
        let sizes = &batch.group_sizes;
        if batch.groups.len() != batch.labels.len() || sizes.len() != self.logits.elem_count() {
            bail!("group_dro needs the group of every image");
        }
        let found = self.of_groups(batch)?;
        if !self.logits.device().is_cpu() {
            return self.on_card(&found, sizes, mode);
        }
        let adjusted = found.iter().zip(sizes).map(|(value, size)| {
            let value = value.as_ref().map(number).transpose()?;
            Ok(value.unwrap_or_default() + adjustment(self.adjustment, *size))
        });
        let adjusted: Vec<f64> = adjusted.collect::<Result<_>>()?;
        let weights = self.weights(&adjusted, sizes, mode)?;
        let mut sum: Option<Tensor> = None;
        for (value, weight) in found.iter().zip(&weights) {
            let Some(value) = value else { continue };
            let weighted = value.affine(*weight, 0.0)?;
            sum = Some(sum.map_or(Ok(weighted.clone()), |sum| sum + weighted)?);
        }
        let added = weights.iter().zip(sizes).map(|(q, n)| q * adjustment(self.adjustment, *n));
        sum.expect("a batch has an image").affine(1.0, added.sum())
    }

    fn logits(&self, embedding: &Tensor) -> Result<Option<Tensor>> {
        self.head.forward(embedding).map(Some)
    }
}

impl Robust {
    /// The mean cross-entropy of each group; none where the batch has no image of it.
    fn of_groups(&self, batch: &Activations) -> Result<Vec<Option<Tensor>>> {
        let scores = self.head.forward(&batch.embedding)?;
        let (groups, labels) = (batch.groups.repeat(batch.views), batch.labels.repeat(batch.views));
        let of_group = |group: usize| {
            let rows = (0..groups.len()).filter(|row| groups[*row] as usize == group);
            let rows: Vec<u32> = rows.map(|row| row as u32).collect();
            if rows.is_empty() {
                return Ok(None);
            }
            let labels: Vec<u32> = rows.iter().map(|row| labels[*row as usize]).collect();
            let scores = scores.index_select(&Tensor::new(rows, scores.device())?, 0)?;
            kernel::cross_entropy(&scores, &labels, 0.0).map(Some)
        };
        (0..self.logits.elem_count()).map(of_group).collect()
    }

    /// What the batch comes to where reading a number back would wait for all that is queued.
    fn on_card(&self, found: &[Option<Tensor>], sizes: &[usize], mode: &Mode) -> Result<Tensor> {
        let known = self.logits.as_detached_tensor();
        let of_sizes = |f: &dyn Fn(usize) -> f64| {
            let values: Vec<f32> = sizes.iter().map(|size| f(*size) as f32).collect();
            Tensor::new(values, known.device())
        };
        let nothing = Tensor::new(0f32, known.device())?;
        let losses = found.iter().map(|it| it.as_ref().unwrap_or(&nothing));
        let losses = Tensor::stack(&losses.collect::<Vec<_>>(), 0)?;
        let adjusted = (losses + of_sizes(&|size| adjustment(self.adjustment, size))?)?;
        let logits = match mode {
            Mode::Train(_) => {
                let moved = (&known + adjusted.detach().affine(self.step, 0.0)?)?;
                self.logits.set(&moved)?;
                moved
            }
            _ => known.clone(),
        };
        let is_there = |size| if size == 0 { f64::NEG_INFINITY } else { 0.0 };
        let logits = (logits + of_sizes(&is_there)?)?;
        let shares = logits.broadcast_sub(&logits.max(0)?)?.exp()?;
        (adjusted * shares.broadcast_div(&shares.sum_all()?)?)?.sum_all()
    }

    /// The weights of groups with such losses, which move them in training; 0 for those without
    /// training images.
    fn weights(&self, losses: &[f64], sizes: &[usize], mode: &Mode) -> Result<Vec<f64>> {
        let known = self.logits.as_detached_tensor();
        let mut logits: Vec<f64> = known.to_dtype(DType::F64)?.to_vec1()?;
        if let Mode::Train(_) = mode {
            logits.iter_mut().zip(losses).for_each(|(logit, loss)| *logit += self.step * loss);
            let moved = Tensor::new(logits.clone(), known.device())?;
            self.logits.set(&moved.to_dtype(known.dtype())?)?;
        }
        let has_any = logits.iter().zip(sizes).map(|(logit, size)| match size {
            0 => f64::NEG_INFINITY,
            _ => *logit,
        });
        Ok(softmax(&has_any.collect::<Vec<_>>()))
    }
}

/// What is added to the loss of a group of `size` training images; nothing where it has none.
fn adjustment(strength: f64, size: usize) -> f64 {
    if size == 0 { 0.0 } else { strength / (size as f64).sqrt() }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
    logits.iter().map(|logit| (logit - most).exp() / sum).collect()
}

fn number(value: &Tensor) -> Result<f64> {
    value.detach().to_dtype(DType::F64)?.to_scalar()
}
