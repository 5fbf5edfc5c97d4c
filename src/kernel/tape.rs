//! A record of the kernels that ran, and the way back along it.
//!
//! candle's own backward pass fills a tensor with zeros and adds to it for the first gradient of
//! every node. While [`gradients`] records, the outputs of kernels are leaves of candle's graph,
//! and the gradients between them are handed over as they are; candle's pass serves what was
//! computed with its operations in between.

#![allow(
    clippy::disallowed_types,
    reason = "candle's identities have no order; these are only asked"
)]

mod found;

use std::cell::RefCell;
use std::collections::HashSet;

use candle_core::backprop::GradStore;
use candle_core::op::BackpropOp;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, TensorId,
    bail,
};

use found::{Found, late};
#[cfg(feature = "cuda")]
pub(crate) use found::{known_gradient, other_part};

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Graph) };
}

/// What happens to the kernels of this thread.
enum Mode {
    /// They become nodes of candle's graph.
    Graph,
    /// They are recorded.
    Tape(Tape),
    /// They are forgotten.
    Forget,
}

/// Runs `work`, which computes a scalar, and gives the scalar with the gradients of the variables
/// it depends on.
///
/// Does what `work()?.backward()` does, faster; within `work` the outputs of kernels are variables
/// of candle's graph.
///
/// # Errors
/// Those of `work` and of the kernels' backward passes.
pub fn gradients(work: impl FnOnce() -> Result<Tensor>) -> Result<(Tensor, GradStore)> {
    let interruption = Interruption::by(Mode::Tape(Tape::default()));
    let scalar = work()?;
    let Mode::Tape(tape) = interruption.end() else { unreachable!("interruptions nest") };
    Ok((scalar.detach(), tape.reverse(&scalar)?))
}

/// Runs `work` without keeping anything for gradients, which the outputs of its kernels do not
/// have.
pub fn without_gradients<R>(work: impl FnOnce() -> R) -> R {
    let _interruption = Interruption::by(Mode::Forget);
    work()
}

/// Another mode for a while; the interrupted one goes on when this is dropped.
struct Interruption {
    interrupted: Mode,
}

impl Interruption {
    fn by(mode: Mode) -> Self {
        Self { interrupted: MODE.replace(mode) }
    }

    fn end(self) -> Mode {
        MODE.replace(Mode::Graph)
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        MODE.set(std::mem::replace(&mut self.interrupted, Mode::Graph));
    }
}

#[derive(Default)]
struct Tape {
    entries: Vec<Entry>,
    /// The results of candle's operations that are on the tape.
    seen: HashSet<TensorId>,
    /// The outputs whose operations take their gradient in two parts.
    in_parts: HashSet<TensorId>,
}

enum Entry {
    /// The result of candle's operations, before the first kernel that uses it.
    Graph(Tensor),
    One(Box<dyn CustomOp1>, [Tensor; 1], Tensor),
    Two(Box<dyn CustomOp2>, [Tensor; 2], Tensor),
    Three(Box<dyn CustomOp3>, [Tensor; 3], Tensor),
}

/// Applies an operation, recording it where that is wanted.
pub(crate) fn apply1<C>(x: &Tensor, op: C) -> Result<Tensor>
where
    C: CustomOp1 + Send + Sync + 'static,
{
    match fate(&[x]) {
        Fate::Node => return x.apply_op1(op),
        Fate::Forgotten => return x.apply_op1_no_bwd(&op),
        Fate::Recorded => {}
    }
    let output = run([x], |[x]| match x {
        (Storage::Cpu(x), layout) => cpu(op.cpu_fwd(x, layout)),
        (Storage::Cuda(x), layout) => {
            op.cuda_fwd(x, layout).map(|(storage, shape)| (Storage::Cuda(storage), shape))
        }
        _ => bail!("`{}` does not run on this device", op.name()),
    })?;
    record(&[x], Entry::One(Box::new(op), [x.clone()], output.clone()));
    Ok(output)
}

/// Applies an operation on two tensors, recording it where that is wanted.
pub(crate) fn apply2<C>(x: &Tensor, y: &Tensor, op: C) -> Result<Tensor>
where
    C: CustomOp2 + Send + Sync + 'static,
{
    match fate(&[x, y]) {
        Fate::Node => return x.apply_op2(y, op),
        Fate::Forgotten => return x.apply_op2_no_bwd(y, &op),
        Fate::Recorded => {}
    }
    let output = run([x, y], |[x, y]| match (x.0, y.0) {
        (Storage::Cpu(a), Storage::Cpu(b)) => cpu(op.cpu_fwd(a, x.1, b, y.1)),
        (Storage::Cuda(a), Storage::Cuda(b)) => {
            op.cuda_fwd(a, x.1, b, y.1).map(|(storage, shape)| (Storage::Cuda(storage), shape))
        }
        _ => bail!("`{}` does not run on these devices", op.name()),
    })?;
    record(&[x, y], Entry::Two(Box::new(op), [x.clone(), y.clone()], output.clone()));
    Ok(output)
}

/// Applies an operation on three tensors, recording it where that is wanted.
pub(crate) fn apply3<C>(x: &Tensor, y: &Tensor, z: &Tensor, op: C) -> Result<Tensor>
where
    C: CustomOp3 + Send + Sync + 'static,
{
    match fate(&[x, y, z]) {
        Fate::Node => return x.apply_op3(y, z, op),
        Fate::Forgotten => return x.apply_op3_no_bwd(y, z, &op),
        Fate::Recorded => {}
    }
    let output = run([x, y, z], |[x, y, z]| match (x.0, y.0, z.0) {
        (Storage::Cpu(a), Storage::Cpu(b), Storage::Cpu(c)) => {
            cpu(op.cpu_fwd(a, x.1, b, y.1, c, z.1))
        }
        (Storage::Cuda(a), Storage::Cuda(b), Storage::Cuda(c)) => op
            .cuda_fwd(a, x.1, b, y.1, c, z.1)
            .map(|(storage, shape)| (Storage::Cuda(storage), shape)),
        _ => bail!("`{}` does not run on these devices", op.name()),
    })?;
    let inputs = [x.clone(), y.clone(), z.clone()];
    record(&[x, y, z], Entry::Three(Box::new(op), inputs, output.clone()));
    Ok(output)
}

/// Says that the operation of `output` takes its gradient in two parts, if it comes so: it must then ask
/// [`other_part`] on its way back.
#[cfg(feature = "cuda")]
pub(crate) fn takes_parts(output: &Tensor) {
    MODE.with_borrow_mut(|mode| {
        if let Mode::Tape(tape) = mode {
            tape.in_parts.insert(output.id());
        }
    });
}

/// What becomes of an operation.
enum Fate {
    Node,
    Recorded,
    Forgotten,
}

fn fate(inputs: &[&Tensor]) -> Fate {
    if !inputs.iter().any(|input| input.track_op()) {
        return Fate::Forgotten;
    }
    MODE.with_borrow(|mode| match mode {
        Mode::Graph => Fate::Node,
        Mode::Tape(_) => Fate::Recorded,
        Mode::Forget => Fate::Forgotten,
    })
}

fn cpu(result: Result<(CpuStorage, Shape)>) -> Result<(Storage, Shape)> {
    result.map(|(storage, shape)| (Storage::Cpu(storage), shape))
}

/// The output of `forward` as a leaf of candle's graph.
fn run<const N: usize>(
    inputs: [&Tensor; N],
    forward: impl FnOnce([(&Storage, &Layout); N]) -> Result<(Storage, Shape)>,
) -> Result<Tensor> {
    let guards = inputs.map(|input| input.storage_and_layout());
    let arguments = guards.each_ref().map(|(storage, layout)| (&**storage, *layout));
    let (storage, shape) = forward(arguments)?;
    Ok(Tensor::from_storage(storage, shape, BackpropOp::none(), true))
}

fn record(inputs: &[&Tensor], entry: Entry) {
    MODE.with_borrow_mut(|mode| {
        let Mode::Tape(tape) = mode else { unreachable!("only recordings come here") };
        for input in inputs.iter().filter(|input| input.track_op() && !input.is_variable()) {
            if tape.seen.insert(input.id()) {
                tape.entries.push(Entry::Graph((*input).clone()));
            }
        }
        tape.entries.push(entry);
    });
}

impl Tape {
    /// The gradients of `scalar`; what is on the tape is dropped as soon as it is passed.
    fn reverse(mut self, scalar: &Tensor) -> Result<GradStore> {
        let mut found = Found::new(scalar.backward()?, self.in_parts);
        late(|| {
            while let Some(entry) = self.entries.pop() {
                entry.reverse(&mut found)?;
            }
            Ok(found.store)
        })
    }
}

impl Entry {
    fn reverse(self, found: &mut Found) -> Result<()> {
        match self {
            Self::Graph(result) => match found.take(&result)? {
                None => Ok(()),
                Some(gradient) => reverse_graph(&result, &gradient, found),
            },
            Self::One(op, [x], output) => {
                let Some(dy) = found.take(&output)? else { return Ok(()) };
                found.collect([(x.clone(), op.bwd(&x, &output, &dy)?)])
            }
            Self::Two(op, [x, y], output) => {
                let Some(dy) = found.take(&output)? else { return Ok(()) };
                let (dx, dy) = op.bwd(&x, &y, &output, &dy)?;
                found.collect([(x, dx), (y, dy)])
            }
            Self::Three(op, [x, y, z], output) => {
                let Some(dy) = found.take(&output)? else { return Ok(()) };
                let (dx, dy, dz) =
                    found.offering([&x, &output], || op.bwd(&x, &y, &z, &output, &dy))?;
                found.collect([(x, dx), (y, dy), (z, dz)])
            }
        }
    }
}

/// Follows candle's graph back from `result` to its leaves.
fn reverse_graph(result: &Tensor, gradient: &Tensor, found: &mut Found) -> Result<()> {
    if let Some((leaf, first)) = view(result)
        && let Some(gradient) = of_view(gradient, first, &leaf)?
    {
        return found.collect([(leaf, Some(gradient))]);
    }
    let end = result.apply_op1(Known { gradient: gradient.clone() })?;
    let mut store = end.backward()?;
    let leaves = result.sorted_nodes().into_iter().filter(|node| node.is_variable());
    found.collect(leaves.map(|leaf| (leaf.clone(), store.remove(leaf))))
}

/// The leaf that `result` is a view of and nothing else, and the first of its elements: they are in their
/// order, where they are.
fn view(result: &Tensor) -> Option<(Tensor, usize)> {
    let nodes = result.sorted_nodes();
    let mut leaves = nodes.into_iter().filter(|node| node.is_variable());
    let (Some(leaf), None) = (leaves.next(), leaves.next()) else { return None };
    let place = |tensor: &Tensor| {
        let (storage, layout) = tensor.storage_and_layout();
        let at = (std::ptr::from_ref::<Storage>(&storage), layout.start_offset());
        layout.is_contiguous().then_some(at)
    };
    let ((own, at), (whole, begin)) = (place(result)?, place(leaf)?);
    let first = at.checked_sub(begin).filter(|_| own == whole)?;
    (first + result.elem_count() <= leaf.elem_count()).then(|| (leaf.clone(), first))
}

/// The gradient of a leaf by that of its elements from `first` on, where candle takes more for it: it
/// adds gradients of views to zeros.
fn of_view(gradient: &Tensor, first: usize, leaf: &Tensor) -> Result<Option<Tensor>> {
    if gradient.elem_count() == leaf.elem_count() {
        return gradient.reshape(leaf.shape()).map(Some);
    }
    #[cfg(feature = "cuda")]
    if leaf.device().is_cuda() {
        use super::card::{elementwise, leaf as made, on};
        let whole = on([gradient], |[part]| elementwise::within(part, first, leaf.elem_count()))?;
        return made(whole).reshape(leaf.shape()).map(Some);
    }
    #[cfg(not(feature = "cuda"))]
    let _ = first;
    Ok(None)
}

/// A scalar whose gradient by its input is known: candle's way back begins at one. It is not computed,
/// since the sum of a product takes passes over all elements, on a card by a single block.
struct Known {
    gradient: Tensor,
}

impl CustomOp1 for Known {
    fn name(&self) -> &'static str {
        "known"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &candle_core::CudaStorage, _: &Layout) -> Result<super::card::Made> {
        // Nobody reads it.
        let room = super::card::Card::of(x).room(1, candle_core::DType::F32)?;
        Ok(room.made(()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, _dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.gradient.clone()))
    }
}
