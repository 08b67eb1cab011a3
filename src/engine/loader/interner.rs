//! Numbers for keys, so that the code behind them is compiled for one type instead of for each type of key.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
};

/// A key's position in the order in which keys were first added.
pub type KeyNumber = usize;

/// Numbers keys and stores each once. Its table holds hashes instead of keys and is thus the same type for all keys.
#[derive(Debug)]
pub struct Interner<K> {
    keys: Vec<K>,
    /// By the key's hash, and by the number of other keys with this hash that were added before it.
    numbers: HashMap<(u64, usize), KeyNumber>,
}

impl<K> Default for Interner<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), numbers: HashMap::new() }
    }
}

impl<K: Eq + Hash> Interner<K> {
    /// The number of a key. A new key gets the next number.
    pub fn number(&mut self, key: K) -> KeyNumber {
        let hash = self.numbers.hasher().hash_one(&key);
        let mut collisions = 0;
        while let Some(number) = self.numbers.get(&(hash, collisions)) {
            if self.keys.get(*number) == Some(&key) {
                return *number;
            }
            collisions += 1;
        }
        let number = self.keys.len();
        self.numbers.insert((hash, collisions), number);
        self.keys.push(key);
        number
    }

    /// The key with this number.
    pub fn key(&self, number: KeyNumber) -> Option<&K> {
        self.keys.get(number)
    }
}

/// Groups the positions of equal keys. Groups are in the order of their first position.
pub fn group<K: Eq + Hash>(keys: impl IntoIterator<Item = K>) -> Vec<(K, Vec<usize>)> {
    let mut interner = Interner::default();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (position, key) in keys.into_iter().enumerate() {
        let number = interner.number(key);
        match groups.get_mut(number) {
            Some(group) => group.push(position),
            None => groups.push(vec![position]),
        }
    }
    interner.keys.into_iter().zip(groups).collect()
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    #[test]
    fn equal_keys_share_a_number() {
        let mut interner = Interner::default();
        let numbers = ["b", "a", "b", "c", "a"].map(|key| interner.number(key));
        assert_eq!(numbers, [0, 1, 0, 2, 1]);
        assert_eq!((interner.key(2), interner.key(3)), (Some(&"c"), None));
    }

    #[test]
    fn different_keys_with_the_same_hash_have_different_numbers() {
        #[derive(PartialEq, Eq)]
        struct Colliding(u32);
        impl Hash for Colliding {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u8(0);
            }
        }
        let mut interner = Interner::default();
        let numbers = [5, 6, 5, 7, 6].map(|key| interner.number(Colliding(key)));
        assert_eq!(numbers, [0, 1, 0, 2, 1]);
    }

    #[test]
    fn groups_hold_the_positions_of_equal_keys() {
        assert_eq!(group(["b", "a", "b"]), [("b", vec![0, 2]), ("a", vec![1])]);
    }
}
