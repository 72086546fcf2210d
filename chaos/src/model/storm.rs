//! Bad days of a model.

use std::hash::{DefaultHasher, Hash, Hasher};

/// What it does in the place of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Storm {
    /// 429, come back in a second.
    TooMany,
    /// 529.
    Overloaded,
    /// 500.
    Broken,
    /// Half of the body, then the connection ends.
    Cut,
    /// One byte a second.
    Drip,
    /// Nothing, for as long as somebody waits.
    Silence,
}

/// Which share of its answers a storm spoils.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Weather {
    /// The storms, each as likely as the others; none = fair.
    pub storms: Vec<Storm>,
    /// Of a hundred answers, so many.
    pub percent: u64,
}

impl Weather {
    /// No clouds.
    pub fn fair() -> Self {
        Self::default()
    }

    /// This storm strikes `percent` of a hundred answers.
    pub fn of(storms: &[Storm], percent: u64) -> Self {
        Self { storms: storms.to_vec(), percent }
    }

    /// What strikes the answer with this chance.
    pub(crate) fn strikes(&self, chance: u64) -> Option<Storm> {
        let index = (chance / 100) as usize % self.storms.len().max(1);
        self.storms.get(index).copied().filter(|_| chance % 100 < self.percent)
    }
}

/// A number that depends on nothing but the seed and the question.
pub(crate) fn chance(seed: u64, tag: &str, step: usize, asked: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, tag, step, asked).hash(&mut hasher);
    hasher.finish() >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_strikes_its_share_of_the_answers_and_fair_weather_none() {
        let weather = Weather::of(&[Storm::Cut, Storm::Broken], 30);
        let struck = |weather: &Weather| (0..1000).filter(|asked| weather.strikes(chance(7, "work-1", 1, *asked)).is_some()).count();
        assert!((250..350).contains(&struck(&weather)), "{}", struck(&weather));
        assert_eq!(struck(&Weather::fair()), 0);
    }
}
