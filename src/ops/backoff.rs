//! Pauses between tries.

use std::time::Duration;

/// Pauses that double from `first` to `most`, each somewhere between half and the whole of that, so that
/// many who lost the same server do not return as one.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// `seed` decides the jitter.
    pub fn new(first: Duration, most: Duration, seed: u64) -> Backoff {
        let random = fastrand::Rng::with_seed(seed);
        Backoff {
            first,
            most,
            next: first,
            random,
        }
    }

    /// How long to wait before the next try.
    pub fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        whole.mul_f64(0.5 + self.random.f64() / 2.0)
    }

    /// It worked: the next pause is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_start_over() {
        let second = Duration::from_secs(1);
        let mut pause = Backoff::new(second, 8 * second, 7);
        for whole in [1, 2, 4, 8, 8] {
            let got = pause.next();
            assert!(
                got >= whole * second / 2 && got <= whole * second,
                "{got:?}"
            );
        }
        pause.reset();
        assert!(pause.next() <= second);
        let (mut a, mut b) = (pause.clone(), Backoff::new(second, 8 * second, 8));
        assert_ne!(a.next(), b.next());
    }
}
