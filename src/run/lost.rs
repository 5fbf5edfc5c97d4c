//! What a training says when the card it runs on fails it.

use super::event::RunError;
use crate::kernel::cards;
use crate::plan::Stage;
use crate::plan::amount::bytes;

/// The same error with what it means for the training of `stage`, where a card is the cause.
pub(super) fn explained(error: RunError, stage: &Stage) -> RunError {
    let RunError::Failed { message, help } = error else { return error };
    match Cause::of(&message) {
        None => RunError::Failed { message, help },
        Some(Cause::Full) => full(stage, cards().cards.first().map(|card| card.total)),
        Some(Cause::Lost) => RunError::failed(
            format!("the card failed: {}", message.trim()),
            "what was saved last stays; the same command goes on from there",
        ),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// Its memory does not suffice.
    Full,
    /// It does not answer, or not as it should.
    Lost,
}

impl Cause {
    fn of(message: &str) -> Option<Self> {
        let says = |word: &str| message.contains(word);
        if says("CUDA_ERROR_OUT_OF_MEMORY") || says("CUBLAS_STATUS_ALLOC_FAILED") {
            return Some(Self::Full);
        }
        let names = ["CUDA_ERROR_", "CUBLAS_STATUS_", "CUDNN_STATUS_"];
        names.iter().any(|name| says(name)).then_some(Self::Lost)
    }
}

fn full(stage: &Stage, total: Option<u64>) -> RunError {
    let needed = stage.cost.peak_bytes;
    let there = total.map_or(String::new(), |total| format!(", and it has {}", bytes(total)));
    let message = format!(
        "the card is out of memory: a step on {} images was expected to hold {}{there}",
        stage.batch * stage.views,
        bytes(needed)
    );
    RunError::failed(message, advice(stage, total))
}

/// A batch that fits, if the numbers tell one, and what needs less memory for any.
fn advice(stage: &Stage, total: Option<u64>) -> String {
    let share = total.map_or(0.0, |total| total as f64 / stage.cost.peak_bytes.max(1) as f64);
    let fitting = (stage.batch as f64 * share * 0.9) as usize;
    let otherwise =
        "`chunk` in `train` passes a batch through in pieces; what was saved last stays";
    match fitting {
        1.. if fitting < stage.batch => format!("about `batch = {fitting}` fits; {otherwise}"),
        _ => format!("other programs may use the card; {otherwise}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn what_a_driver_says_is_told_from_other_trouble() {
        let said = |name: &str| format!("DriverError({name}, \"…\")");
        assert_eq!(Cause::of(&said("CUDA_ERROR_OUT_OF_MEMORY")), Some(Cause::Full));
        assert_eq!(Cause::of(&said("CUDA_ERROR_ECC_UNCORRECTABLE")), Some(Cause::Lost));
        assert_eq!(Cause::of("CublasError(CUBLAS_STATUS_ALLOC_FAILED)"), Some(Cause::Full));
        assert_eq!(Cause::of("the term `sup` is NaN in step 3"), None);
    }
}
