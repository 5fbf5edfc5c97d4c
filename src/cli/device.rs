//! What trainings run on: a CUDA card where there is one, or what the file asks for.

#[cfg(feature = "cuda")]
mod shelf;

use candle_core::Device;
#[cfg(feature = "cuda")]
pub use shelf::keep as keep_kernels;

use super::machine::memory_free;
use super::prompt;
use crate::kernel::{card_device, cards};
use crate::plan::amount::bytes;
use crate::plan::{Hardware, Plan};

/// What trainings run on, and the bytes of memory that are free there, where that is known.
pub struct Place {
    pub device: Device,
    /// The card's name, or `cpu`.
    pub name: String,
    pub free: Option<u64>,
}

impl Place {
    fn cpu() -> Self {
        Self { device: Device::Cpu, name: "cpu".to_owned(), free: memory_free() }
    }
}

/// The place for `plans`, which are of one file.
///
/// # Errors
/// What to say when a card is asked for and cannot be used.
pub fn place(plans: &[Plan]) -> Result<Place, String> {
    let wish = plans.first().and_then(|plan| plan.device);
    if wish == Some(Hardware::Cpu) {
        return Ok(Place::cpu());
    }
    let found = cards();
    match (found.lacks(), wish) {
        (None, _) => {}
        (Some(why), Some(_)) => return Err(refused(&why)),
        // Where there is no driver nobody expects a card.
        (Some(_), None) if found.driver.is_none() => return Ok(Place::cpu()),
        (Some(why), None) => {
            prompt::eprint(&unused(&why));
            return Ok(Place::cpu());
        }
    }
    #[cfg(feature = "cuda")]
    keep_kernels();
    let device = card_device(0).map_err(|error| match wish {
        Some(_) => refused(&error.to_string()),
        None => broken(&error.to_string()),
    })?;
    let card = &found.cards[0];
    prompt::eprint(&format!("on {}, {} free\n", card.name, bytes(card.free)));
    for plan in plans.iter().filter(|plan| plan.memory_bytes(1) > card.free) {
        prompt::eprint(&too_large(plan, card.free));
    }
    Ok(Place { device, name: card.name.clone(), free: Some(card.free) })
}

/// Whether a file that wishes for `wish` is trained on a card here.
pub fn is_on_card(wish: Option<Hardware>) -> bool {
    goes_to_card(wish, || cards().lacks())
}

/// The same where it is known why there is no card; who trains on the CPU does not look for one.
fn goes_to_card(wish: Option<Hardware>, lacks: impl FnOnce() -> Option<String>) -> bool {
    wish != Some(Hardware::Cpu) && lacks().is_none()
}

fn refused(why: &str) -> String {
    format!(
        "`run {{ device = cuda }}` asks for a CUDA card: {why}\n  \
         `balance doctor` says what is there; `--set run.device=cpu` trains on the CPU\n"
    )
}

fn broken(why: &str) -> String {
    format!(
        "the CUDA card cannot be used: {why}\n  \
         `balance doctor` tries it; `--set run.device=cpu` trains on the CPU\n"
    )
}

fn unused(why: &str) -> String {
    format!(
        "warning: there is a CUDA driver, and its card cannot be used: {why}\n  \
         trains on the CPU; `balance doctor` says what is there\n"
    )
}

fn too_large(plan: &Plan, free: u64) -> String {
    format!(
        "warning: `{}` holds up to {} at once, and {} of the card are free\n  \
         a smaller `batch`, or `chunk` in `train`, needs less\n",
        plan.design,
        bytes(plan.memory_bytes(1)),
        bytes(free)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_there_is_trained_on_unless_the_cpu_is_wished_for() {
        let (there, none) = (|| None, || Some("the driver knows no card".to_owned()));
        for wish in [None, Some(Hardware::Cuda)] {
            assert!(goes_to_card(wish, there) && !goes_to_card(wish, none));
        }
        assert!(!goes_to_card(Some(Hardware::Cpu), || unreachable!("nobody looks for a card")));
    }
}
