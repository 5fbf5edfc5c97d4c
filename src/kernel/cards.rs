//! What a program knows of the CUDA cards around it.

/// What is found of CUDA on a machine.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Whether this program was built for cards.
    pub is_built_in: bool,
    /// The libraries of CUDA that cards are used through, each with whether it is there.
    pub libraries: Vec<(&'static str, bool)>,
    /// The newest CUDA that the driver knows, as (major, minor).
    pub driver: Option<(i32, i32)>,
    pub cards: Vec<Card>,
    /// Why the driver does not say more.
    pub problem: Option<String>,
}

/// A card.
#[derive(Debug, Clone)]
pub struct Card {
    pub name: String,
    /// What it can do, as (major, minor).
    pub capability: (i32, i32),
    /// Bytes of its memory that nothing uses.
    pub free: u64,
    /// Bytes of its memory.
    pub total: u64,
}

impl Found {
    /// Why tensors cannot be on a card; nothing where they can.
    pub fn lacks(&self) -> Option<String> {
        if !self.is_built_in {
            return Some("this program was built without CUDA".to_owned());
        }
        if let Some((name, _)) = self.libraries.iter().find(|(_, is_found)| !is_found) {
            return Some(format!("`{name}` is not found"));
        }
        match (&self.problem, self.cards.is_empty()) {
            (Some(problem), _) => Some(format!("the driver says: {problem}")),
            (None, true) => Some("the driver knows no card".to_owned()),
            (None, false) => self.cards.first().and_then(Card::lacks),
        }
    }
}

impl Card {
    /// Why kernels do not run on it; nothing where they do.
    fn lacks(&self) -> Option<String> {
        let (major, minor) = self.capability;
        let is_able = self.capability >= (8, 0);
        (!is_able)
            .then(|| format!("{} has capability {major}.{minor}, and 8.0 is needed", self.name))
    }
}

/// What a program built without CUDA has in the place of cards.
#[cfg(not(feature = "cuda"))]
pub mod elsewhere {
    use candle_core::{Device, Result, bail};

    use super::Found;

    /// Nothing.
    pub fn cards() -> Found {
        Found::default()
    }

    /// # Errors
    /// Always.
    pub fn most_used(_device: &Device) -> Result<u64> {
        bail!("this program was built without CUDA")
    }

    /// # Errors
    /// Always.
    pub fn compile_all(_device: &Device) -> Result<usize> {
        bail!("this program was built without CUDA")
    }

    /// No.
    pub fn has_cudnn() -> bool {
        false
    }

    /// # Errors
    /// Always.
    pub fn card_device(_ordinal: usize) -> Result<Device> {
        bail!("this program was built without CUDA")
    }
}

#[cfg(test)]
mod tests {
    use super::{Card, Found};

    #[test]
    fn what_is_lacking_is_the_first_thing_that_is_missing() {
        let lacks = |found: &Found| found.lacks().unwrap_or_default();
        let mut found = Found::default();
        assert_eq!(lacks(&found), "this program was built without CUDA");
        found.is_built_in = true;
        found.libraries = vec![("libcuda", true), ("libnvrtc", false)];
        assert_eq!(lacks(&found), "`libnvrtc` is not found");
        found.libraries[1].1 = true;
        assert_eq!(lacks(&found), "the driver knows no card");
        found.problem = Some("no CUDA-capable device is detected".to_owned());
        assert_eq!(lacks(&found), "the driver says: no CUDA-capable device is detected");
        found.problem = None;
        let (free, total) = (1, 2);
        found.cards = vec![Card { name: "one".into(), capability: (9, 0), free, total }];
        assert_eq!(found.lacks(), None);
        found.cards[0].capability = (7, 5);
        assert_eq!(lacks(&found), "one has capability 7.5, and 8.0 is needed");
    }
}
